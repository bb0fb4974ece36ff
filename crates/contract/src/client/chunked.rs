//! A method for each call about chunked forms.

use super::methods::{TRANSFER, USUAL};
use super::{Client, ClientError};
use crate::chunked::{
    CheckChunksAnswer, ChunkSnapshotRequest, ChunkedForm, CollectChunksAnswer, UploadChunkedAnswer,
    UploadChunkedRequest,
};
use crate::endpoint::table::{CheckChunks, ChunkSnapshot, CollectChunks, UploadChunked};
use crate::id::SnapshotId;

impl Client {
    /// Asks for the chunked form of a snapshot, given what need not be sent.
    pub async fn chunk_snapshot(
        &self,
        snapshot: &SnapshotId,
        request: &ChunkSnapshotRequest,
    ) -> Result<ChunkedForm, ClientError> {
        let call = self.call(ChunkSnapshot, snapshot).body(request).deadline(TRANSFER);
        Ok(call.send().await?.value.form)
    }

    /// Sends packs of a chunked form, and its manifest.
    pub async fn upload_chunked(
        &self,
        snapshot: &SnapshotId,
        request: &UploadChunkedRequest,
    ) -> Result<UploadChunkedAnswer, ClientError> {
        let call = self.call(UploadChunked, snapshot).body(request).deadline(TRANSFER);
        Ok(call.send().await?.value)
    }

    /// Reads and hashes every pack of the host.
    pub async fn check_chunks(&self) -> Result<CheckChunksAnswer, ClientError> {
        Ok(self.call(CheckChunks, &()).deadline(TRANSFER).send().await?.value)
    }

    /// Takes away the packs that no snapshot needs.
    pub async fn collect_chunks(&self) -> Result<CollectChunksAnswer, ClientError> {
        Ok(self.call(CollectChunks, &()).deadline(USUAL).send().await?.value)
    }
}

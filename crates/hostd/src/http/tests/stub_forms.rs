//! The port `Forms` of the smallest host: it has no form of anything.

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use contract::{OperationId, Sha256Hex};
use engine::port::{
    ChunkCheck, CutJob, FormPack, FormTarget, FormUrl, Forms, PackPut, SendJob, Sent,
};
use engine::record::{ChunkedForm, Manifest};

use super::stub::{Done, Yes, absent};

#[async_trait]
impl Forms for Yes {
    async fn cut(&self, _: &CutJob, operation: &OperationId) -> Done<ChunkedForm> {
        Ok(ChunkedForm {
            set: operation.clone(),
            needs: vec![],
            document_sha256: Sha256Hex::from_bytes(&[0; 32]),
            document_bytes: 1,
            new_bytes: 0,
            key_name: None,
        })
    }
    async fn form_packs(&self, _: &Utf8Path) -> Done<Vec<FormPack>> {
        Ok(vec![])
    }
    async fn send_form(&self, _: &SendJob) -> Done<Sent> {
        Ok(Sent::default())
    }
    async fn fetch_form(&self, _: &FormUrl) -> Done<Manifest> {
        absent()
    }
    async fn keep_form(&self, _: &FormUrl, _: &Utf8Path) -> Done {
        Ok(())
    }
    async fn fetch_packs(&self, _: &Utf8Path, _: &[PackPut], _: &Utf8Path) -> Done {
        Ok(())
    }
    async fn assemble(&self, _: &FormTarget) -> Done {
        Ok(())
    }
    async fn check_form(&self, _: &Utf8Path, _: &[Utf8PathBuf]) -> Done<ChunkCheck> {
        Ok(ChunkCheck::default())
    }
    async fn sets_in(&self, _: &Utf8Path) -> Done<Vec<OperationId>> {
        Ok(vec![])
    }
}

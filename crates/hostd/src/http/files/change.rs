//! Operations that change something: write, make, move, remove.

use bytes::Bytes;
use contract::FilePath;
use contract::file::FileOperationResponse;
use guest::client::ClientError;
use guest::proto::files::{
    Form, MakeDirectoryRequest, MoveRequest, RemoveRequest, WriteDone, WriteOpen,
};

use super::failure::{failed, refused};
use super::look::{answer, to_stat};
use super::operate::{CALL, Operating};
use super::version::version_of;
use crate::http::error::Failure;

/// Permission bits, with set-uid, set-gid and sticky.
const MODE_BITS: u32 = 0o7777;

pub(super) async fn write(
    at: &Operating<'_>,
    content: Vec<u8>,
    mode: Option<u32>,
) -> Result<FileOperationResponse, Failure> {
    let version = version_of(&content);
    let open = WriteOpen { mode: checked(mode)?, ..at.whole_file() };
    let done = at.write(open, content.into()).await.map_err(failed)?;
    Ok(FileOperationResponse { version: Some(version), ..at.written(&done) })
}

pub(super) async fn write_range(
    at: &Operating<'_>,
    content: Vec<u8>,
    offset: u64,
    mode: Option<u32>,
) -> Result<FileOperationResponse, Failure> {
    let end = offset.checked_add(content.len() as u64).filter(|end| i64::try_from(*end).is_ok());
    if end.is_none() {
        return Err(refused("the range ends beyond what a file can hold"));
    }
    let open = WriteOpen { mode: checked(mode)?, offset: Some(offset), ..at.whole_file() };
    let done = at.write(open, content.into()).await.map_err(failed)?;
    Ok(at.written(&done))
}

pub(super) async fn make_directory(
    at: &Operating<'_>,
    mode: Option<u32>,
) -> Result<FileOperationResponse, Failure> {
    let request = MakeDirectoryRequest { path: at.path.to_string(), mode: checked(mode)? };
    at.client.make_directory(request, CALL).await.map_err(failed)?;
    Ok(answer())
}

pub(super) async fn rename(
    at: &Operating<'_>,
    to: &FilePath,
) -> Result<FileOperationResponse, Failure> {
    let request = MoveRequest { from: at.path.to_string(), to: to.to_string() };
    at.client.move_path(request, CALL).await.map_err(failed)?;
    Ok(answer())
}

pub(super) async fn remove(
    at: &Operating<'_>,
    recursive: bool,
) -> Result<FileOperationResponse, Failure> {
    let request = RemoveRequest { path: at.path.to_string(), recursive };
    at.client.remove_path(request, CALL).await.map_err(failed)?;
    Ok(answer())
}

/// Permission bits and nothing else.
pub(super) fn checked(mode: Option<u32>) -> Result<Option<u32>, Failure> {
    match mode {
        Some(mode) if mode & !MODE_BITS != 0 => {
            Err(refused(format!("a mode has permission bits only, at most {MODE_BITS}")))
        }
        mode => Ok(mode),
    }
}

impl Operating<'_> {
    /// The file, to be replaced.
    pub(super) fn whole_file(&self) -> WriteOpen {
        let form = Form::File.into();
        WriteOpen { path: self.path.to_string(), form, ..WriteOpen::default() }
    }

    /// Writes what was opened, whole.
    pub(super) async fn write(
        &self,
        open: WriteOpen,
        content: Bytes,
    ) -> Result<WriteDone, ClientError> {
        let mut writer = self.client.write_file(open, CALL).await?;
        writer.write(content, CALL).await?;
        writer.finish(CALL).await
    }

    fn written(&self, done: &WriteDone) -> FileOperationResponse {
        let stat = done.stat.as_ref().map(|stat| to_stat(self.path.as_str(), stat));
        FileOperationResponse { stat, ..answer() }
    }
}

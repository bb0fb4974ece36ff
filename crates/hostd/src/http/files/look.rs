//! Operations that only look: read, list, stat, exists, grep.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::ErrorCode;
use contract::file::{
    FileEntry, FileMatch, FileOperationRequest, FileOperationResponse, FileStat, FileType,
};
use guest::proto::files::{Form, GrepRequest, Kind, ListRequest, ReadOpen, Stat};

use super::failure::{failed, refused};
use super::operate::{CALL, Operating};
use super::version::version_of;
use crate::http::error::Failure;

/// Entries of one listing; with the longest names they are what a client still reads.
const ENTRIES: u32 = 10_000;
/// Matches of a search that does not say how many are enough, and of any.
const USUAL_MATCHES: u32 = 1000;
const MOST_MATCHES: u32 = 10_000;
/// For a search; what is found until then is answered.
const SEARCH_MS: u32 = 30_000;

pub(super) async fn read_text(at: &Operating<'_>) -> Result<FileOperationResponse, Failure> {
    let content = at.read(0, None).await?;
    let version = Some(version_of(&content));
    let content = String::from_utf8(content)
        .map_err(|_binary| refused(format!("{} is no UTF-8: read it as bytes", at.path)))?;
    Ok(FileOperationResponse { content: Some(content), version, ..answer() })
}

pub(super) async fn read_bytes(at: &Operating<'_>) -> Result<FileOperationResponse, Failure> {
    let content = at.read(0, None).await?;
    let version = Some(version_of(&content));
    Ok(FileOperationResponse {
        content_base64: Some(STANDARD.encode(content)),
        version,
        ..answer()
    })
}

/// The bytes of the range; as text too where they are text.
pub(super) async fn read_range(
    at: &Operating<'_>,
    request: &FileOperationRequest,
) -> Result<FileOperationResponse, Failure> {
    let content = at.read(request.offset.unwrap_or(0), request.length).await?;
    let content_base64 = Some(STANDARD.encode(&content));
    Ok(FileOperationResponse {
        content: String::from_utf8(content).ok(),
        content_base64,
        ..answer()
    })
}

pub(super) async fn list(
    at: &Operating<'_>,
    recursive: bool,
) -> Result<FileOperationResponse, Failure> {
    let request = ListRequest { path: at.path.to_string(), recursive, limit: ENTRIES };
    let listed = at.client.list_directory(request, CALL).await.map_err(failed)?;
    let entries = listed.entries.into_iter().map(|entry| {
        let stat = entry.stat.unwrap_or_default();
        FileEntry {
            path: at.path.join(&entry.path),
            name: entry.path.rsplit('/').next().unwrap_or_default().to_owned(),
            file_type: file_type(&stat),
            size_bytes: Some(stat.size_bytes),
            mode: Some(stat.mode),
        }
    });
    let entries = Some(entries.collect());
    Ok(FileOperationResponse { entries, truncated: listed.truncated, ..answer() })
}

pub(super) async fn stat(at: &Operating<'_>) -> Result<FileOperationResponse, Failure> {
    let found = at.client.stat_file(at.path.as_str(), CALL).await.map_err(failed)?;
    let absent = || Failure::new(ErrorCode::NotFound, format!("no file {}", at.path));
    let stat = Some(to_stat(at.path.as_str(), &found.ok_or_else(absent)?));
    Ok(FileOperationResponse { stat, ..answer() })
}

pub(super) async fn exists(at: &Operating<'_>) -> Result<FileOperationResponse, Failure> {
    let found = at.client.stat_file(at.path.as_str(), CALL).await.map_err(failed)?;
    Ok(FileOperationResponse { exists: Some(found.is_some()), ..answer() })
}

pub(super) async fn grep(
    at: &Operating<'_>,
    request: FileOperationRequest,
) -> Result<FileOperationResponse, Failure> {
    let pattern = request.pattern.ok_or_else(|| Failure::malformed("grep needs a `pattern`"))?;
    let request = GrepRequest {
        path: at.path.to_string(),
        pattern,
        is_regex: request.regex,
        case_insensitive: request.case_insensitive,
        max_matches: request.max_matches.unwrap_or(USUAL_MATCHES).min(MOST_MATCHES),
        deadline_ms: SEARCH_MS,
    };
    let mut found = at.client.grep(request, CALL).await.map_err(failed)?;
    // The agent goes through directories in no order of its own.
    found.matches.sort_by(|one, other| (&one.path, one.line).cmp(&(&other.path, other.line)));
    let matches = found.matches.into_iter().map(|found| FileMatch {
        path: at.path.join(&found.path),
        line: found.line,
        text: found.text,
    });
    let matches = Some(matches.collect());
    Ok(FileOperationResponse { matches, truncated: found.truncated, ..answer() })
}

impl Operating<'_> {
    /// The content, or a part of it; 413 when that is longer than what is answered in one piece.
    pub(super) async fn read(&self, offset: u64, length: Option<u64>) -> Result<Vec<u8>, Failure> {
        let limit = self.limit_bytes;
        // One byte more than fits shows that there is more.
        let wanted = length.map_or(limit + 1, |length| length.min(limit + 1));
        let form = Form::File.into();
        let open = ReadOpen { path: self.path.to_string(), form, offset, length: wanted };
        let mut reader = self.client.read_file(open, CALL).await.map_err(failed)?;
        let mut content = Vec::new();
        while let Some(chunk) = reader.next_chunk(CALL).await.map_err(failed)? {
            content.extend_from_slice(&chunk);
            if content.len() as u64 > limit {
                let reason = format!(
                    "{} has more than {limit} bytes: read it in ranges or as a stream",
                    self.path
                );
                return Err(Failure::new(ErrorCode::TooLarge, reason));
            }
        }
        Ok(content)
    }
}

pub(super) fn to_stat(path: &str, stat: &Stat) -> FileStat {
    FileStat {
        path: path.to_owned(),
        file_type: file_type(stat),
        size_bytes: Some(stat.size_bytes),
        mode: Some(stat.mode),
    }
}

/// The contract has two: what is no directory is a file.
fn file_type(stat: &Stat) -> FileType {
    match stat.kind() {
        Kind::Directory => FileType::Directory,
        Kind::File | Kind::Symlink | Kind::Other | Kind::Unspecified => FileType::File,
    }
}

pub(super) fn answer() -> FileOperationResponse {
    FileOperationResponse::default()
}

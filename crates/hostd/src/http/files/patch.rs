//! Replacing text in a file: read, replace, and put in place only if the file is still what was read.

use contract::ErrorCode;
use contract::file::{FileEdit, FileOperationRequest, FileOperationResponse};
use guest::proto::files::WriteOpen;

use super::failure::{failed, refused};
use super::look::answer;
use super::operate::Operating;
use super::version::version_of;
use crate::http::error::Failure;

/// How often a patch that names no version is tried when others change the file under it.
const TRIES: usize = 8;

/// Applies the edits in order, every occurrence of each, or puts the given contents; all of it or nothing.
pub(super) async fn patch(
    at: &Operating<'_>,
    request: &FileOperationRequest,
) -> Result<FileOperationResponse, Failure> {
    if request.edits.is_empty() && request.set_contents.is_none() {
        return Err(Failure::malformed("patch needs `edits` or `set_contents`"));
    }
    let mut tries = 0;
    loop {
        tries += 1;
        let content = at.read(0, None).await?;
        let found = version_of(&content);
        if let Some(expected) = request.expected_version.filter(|expected| *expected != found) {
            let reason = format!("{} has version {found}, not {expected}", at.path);
            return Err(Failure::new(ErrorCode::VersionMismatch, reason));
        }
        let patched = apply(content, request, at.limit_bytes)?;
        let version = version_of(&patched);
        let open = WriteOpen { expected_version: Some(found), ..at.whole_file() };
        match at.write(open, patched.into()).await.map_err(failed) {
            Ok(_done) => return Ok(FileOperationResponse { version: Some(version), ..answer() }),
            Err(failure)
                if failure.code == ErrorCode::VersionMismatch
                    && request.expected_version.is_none()
                    && tries < TRIES => {}
            Err(failure) => return Err(failure),
        }
    }
}

fn apply(
    content: Vec<u8>,
    request: &FileOperationRequest,
    limit_bytes: u64,
) -> Result<Vec<u8>, Failure> {
    let start = match &request.set_contents {
        Some(contents) => contents.clone().into_bytes(),
        None => content,
    };
    request.edits.iter().try_fold(start, |content, edit| replace(&content, edit, limit_bytes))
}

fn replace(content: &[u8], edit: &FileEdit, limit_bytes: u64) -> Result<Vec<u8>, Failure> {
    let find = edit.find.as_bytes();
    if find.is_empty() {
        return Err(refused("an edit finds something: `find` is empty"));
    }
    let places = occurrences(content, find);
    if places.is_empty() {
        return Err(refused(format!("{:?} does not occur", shortened(&edit.find))));
    }
    let kept = content.len() - places.len() * find.len();
    let length = places.len().saturating_mul(edit.replace.len()).saturating_add(kept);
    if length as u64 > limit_bytes {
        let reason = format!("the file would have more than {limit_bytes} bytes");
        return Err(Failure::new(ErrorCode::TooLarge, reason));
    }
    let mut replaced = Vec::with_capacity(length);
    let mut copied = 0;
    for place in places {
        replaced.extend_from_slice(&content[copied..place]);
        replaced.extend_from_slice(edit.replace.as_bytes());
        copied = place + find.len();
    }
    replaced.extend_from_slice(&content[copied..]);
    Ok(replaced)
}

/// Where it occurs, from the left and without overlaps.
fn occurrences(content: &[u8], find: &[u8]) -> Vec<usize> {
    memchr::memmem::find_iter(content, find).collect()
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(edits: &[(&str, &str)], set_contents: Option<&str>) -> FileOperationRequest {
        let edits: Vec<_> = edits
            .iter()
            .map(|(find, replace)| serde_json::json!({"find": find, "replace": replace}))
            .collect();
        let request = serde_json::json!({
            "operation": "patch", "edits": edits, "set_contents": set_contents
        });
        serde_json::from_value(request).unwrap()
    }

    fn patched(content: &str, edits: &[(&str, &str)]) -> Result<String, ErrorCode> {
        let patched = apply(content.into(), &request(edits, None), 100);
        patched.map(|bytes| String::from_utf8(bytes).unwrap()).map_err(|failure| failure.code)
    }

    #[test]
    fn every_occurrence_is_replaced_edit_by_edit() {
        assert_eq!(patched("a b a", &[("a", "cc"), ("c", "d")]), Ok("dd b dd".into()));
        assert_eq!(patched("aaa", &[("aa", "b")]), Ok("ba".into()));
        assert_eq!(patched("one\r\n", &[("\r", "")]), Ok("one\n".into()));
    }

    #[test]
    fn what_does_not_occur_refuses_the_whole_patch() {
        assert_eq!(patched("a", &[("a", "b"), ("a", "c")]), Err(ErrorCode::Refused));
        assert_eq!(patched("a", &[("", "b")]), Err(ErrorCode::Refused));
    }

    #[test]
    fn promise_p10_a_file_does_not_grow_beyond_what_is_read() {
        let long = "x".repeat(60);
        assert_eq!(patched("aa", &[("a", &long)]), Err(ErrorCode::TooLarge));
    }

    #[test]
    fn empty_contents_empty_the_file() {
        assert_eq!(apply(b"x".to_vec(), &request(&[], Some("")), 9).unwrap(), b"");
        let both = apply(b"x".to_vec(), &request(&[("y", "z")], Some("yy")), 9).unwrap();
        assert_eq!(both, b"zz");
    }
}

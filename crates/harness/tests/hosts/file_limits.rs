//! Names, paths, sizes and patterns at the limits of a real guest, one step past them, and what is there when its disk is full.

use contract::ErrorCode;
use contract::client::{ClientError, Content};
use contract::file::{FileOperationName as Name, FileOperationRequest, FileOperationResponse};
use contract::file_path::MAX_PATH_BYTES;
use contract::file_stream::WriteFileQuery;
use harness::error::HarnessError;
use harness::machine::Machine;

use super::files::{Files, STREAMED_BYTES};

/// The longest name of a file.
const NAME_BYTES: usize = 255;
/// More levels than the agent goes into.
const LEVELS: usize = 100;

/// All of it, in a workspace that is emptied before.
pub(super) async fn at_the_limits(files: &Files, machine: &Machine) -> Result<(), HarnessError> {
    machine.exec("rm -rf /home/node/workspace/*").await?;
    names_and_paths(files).await?;
    depths(files, machine).await?;
    sizes(files).await?;
    patterns(files).await?;
    a_full_disk(files, machine).await
}

fn code(outcome: Result<FileOperationResponse, ClientError>) -> Option<ErrorCode> {
    outcome.err().and_then(|error| error.code())
}

fn written(path: &str, content: &str) -> FileOperationRequest {
    let request = FileOperationRequest::new(Name::WriteText, path);
    FileOperationRequest { content: Some(content.into()), ..request }
}

async fn names_and_paths(files: &Files) -> Result<(), HarnessError> {
    let name = "n".repeat(NAME_BYTES);
    files.operate(written(&name, "the longest name")).await?;
    let longer = format!("{name}n");
    for request in [written(&longer, ""), FileOperationRequest::new(Name::Mkdir, &longer)] {
        assert_eq!(code(files.operate(request).await), Some(ErrorCode::Refused));
    }
    // Of names of the greatest length, one in the other.
    let deep = vec![name.as_str(); MAX_PATH_BYTES.div_ceil(NAME_BYTES + 1)].join("/");
    assert_eq!(deep.len(), MAX_PATH_BYTES);
    files.of(Name::Remove, &name).await?;
    files.operate(written(&deep, "the longest path")).await?;
    let read = files.of(Name::ReadText, &deep).await?;
    assert_eq!(read.content.as_deref(), Some("the longest path"));
    let longer = files.of(Name::Stat, &format!("{deep}n")).await;
    assert_eq!(code(longer), Some(ErrorCode::Refused));
    let remove = FileOperationRequest::new(Name::Remove, &name);
    files.operate(FileOperationRequest { recursive: true, ..remove }).await?;
    Ok(())
}

async fn depths(files: &Files, machine: &Machine) -> Result<(), HarnessError> {
    let deep = vec!["d"; LEVELS].join("/");
    files.operate(written(&format!("{deep}/file"), "far down")).await?;
    let read = files.of(Name::ReadText, &format!("{deep}/file")).await?;
    assert_eq!(read.content.as_deref(), Some("far down"));
    for name in [Name::List, Name::Remove] {
        let request = FileOperationRequest::new(name, "d");
        let outcome = files.operate(FileOperationRequest { recursive: true, ..request }).await;
        assert_eq!(code(outcome), Some(ErrorCode::Refused), "{name:?}");
    }
    machine.exec("rm -r /home/node/workspace/d").await?;
    Ok(())
}

async fn sizes(files: &Files) -> Result<(), HarnessError> {
    let at = |offset| {
        let request = FileOperationRequest::new(Name::WriteRange, "sparse");
        FileOperationRequest { content: Some("x".into()), offset: Some(offset), ..request }
    };
    files.operate(at(1 << 40)).await?;
    let stat = files.of(Name::Stat, "sparse").await?.stat;
    assert_eq!(stat.and_then(|stat| stat.size_bytes), Some((1 << 40) + 1));
    assert_eq!(code(files.operate(at(1 << 50)).await), Some(ErrorCode::Refused), "beyond ext4");
    let read = |offset, length| {
        let request = FileOperationRequest::new(Name::ReadRange, "sparse");
        FileOperationRequest { offset: Some(offset), length: Some(length), ..request }
    };
    let last = files.operate(read(1 << 40, u64::MAX)).await?;
    assert_eq!(last.content.as_deref(), Some("x"));
    let past = files.operate(read(u64::MAX, 1)).await;
    assert!(
        past.as_ref().is_ok_and(|past| past.content.as_deref().unwrap_or_default().is_empty()),
        "{past:?}"
    );
    assert_eq!(code(files.of(Name::ReadBytes, "sparse").await), Some(ErrorCode::TooLarge));
    assert_eq!(code(files.operate(read(0, 1 << 30)).await), Some(ErrorCode::TooLarge));
    files.of(Name::Remove, "sparse").await?;
    Ok(())
}

async fn patterns(files: &Files) -> Result<(), HarnessError> {
    files.operate(written("lines", &"a line\n".repeat(10))).await?;
    let grep = |pattern: &str, max_matches| {
        let request = FileOperationRequest::new(Name::Grep, "");
        FileOperationRequest { pattern: Some(pattern.into()), regex: true, max_matches, ..request }
    };
    let some = files.operate(grep("^a", Some(3))).await?;
    assert_eq!((some.matches.map(|found| found.len()), some.truncated), (Some(3), true));
    for wrong in ["(", "((a{1000}){1000}){1000}"] {
        let outcome = files.operate(grep(wrong, None)).await;
        assert_eq!(code(outcome), Some(ErrorCode::Refused), "{wrong}");
    }
    // What ends other engines: it is linear here.
    let catastrophic = files.operate(grep("(a*)*(l*)*$", Some(u32::MAX))).await?;
    assert_eq!(catastrophic.matches.map(|found| found.len()), Some(10));
    Ok(())
}

/// What does not fit is told, and what was there before is there still.
async fn a_full_disk(files: &Files, machine: &Machine) -> Result<(), HarnessError> {
    files.operate(written("kept", "before")).await?;
    let fill = "cd /home/node/workspace; free=$(($(stat -f -c '%f * %S' .))); \
                fallocate -l $((free - (4 << 20))) filler; sync";
    machine.exec(fill).await?;
    let piece = bytes::Bytes::from(vec![1; 1 << 16]);
    let pieces = STREAMED_BYTES / (1 << 16);
    let stream = futures_util::stream::iter((0..pieces).map(move |_| Ok(piece.clone())));
    let content = Content { length_bytes: Some(STREAMED_BYTES), stream };
    let query = WriteFileQuery { path: "kept".into(), mode: None };
    let full = files.client.write_file(&files.machine, &query, content).await;
    assert_eq!(full.err().and_then(|error| error.code()), Some(ErrorCode::NoRoom));
    let read = files.of(Name::ReadText, "kept").await?;
    assert_eq!(read.content.as_deref(), Some("before"));
    let names = machine.exec("ls -A /home/node/workspace").await?;
    assert_eq!(names, "filler\nkept\nlines\n", "nothing half is left");
    machine.exec("rm /home/node/workspace/filler").await?;
    Ok(())
}

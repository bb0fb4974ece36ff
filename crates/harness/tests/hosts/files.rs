//! Files of a guest through its agent: the operations of the contract, and the streams beside them.

use contract::ErrorCode;
use contract::client::{ByteRange, Client, ClientError, Content};
use contract::file::{
    FileEdit, FileOperationName as Name, FileOperationRequest, FileOperationResponse,
};
use contract::file_stream::{FileChange, FileQuery, WriteFileQuery};
use contract::id::MachineId;
use harness::error::HarnessError;
use harness::machine::{Machine, running, small};

use super::file_limits::at_the_limits;
use super::support::in_place;

/// More than any window or buffer on the way.
pub(super) const STREAMED_BYTES: u64 = 24 << 20;

#[test]
fn files_of_a_guest_are_read_and_changed_in_every_way() {
    in_place(async |place| {
        let host = place.host("a").await?;
        let machine = host.launch(small("box", &place.image)?).await?;
        let files = Files { client: host.client(), machine: machine.id.clone() };
        texts_and_bytes(&files).await?;
        edits_with_versions(&files).await?;
        promise_p1_nothing_outside_of_the_workspace_is_reached(&files, &machine).await?;
        streams(&files, &machine).await?;
        at_the_limits(&files, &machine).await?;
        a_watch_tells_what_happens_and_that_the_machine_is_gone(&files, &machine).await?;
        host.finish().await
    });
}

#[test]
fn files_of_a_stopped_machine_are_read_and_written_and_it_stays_stopped() {
    in_place(async |place| {
        let host = place.host("a").await?;
        let machine = host.launch(small("box", &place.image)?).await?;
        let files = Files { client: host.client(), machine: machine.id.clone() };
        files.operate(text("before")).await?;
        files.client.stop_machine(&machine.id).await?;
        // Four at once share one guest.
        let reads = (0..4).map(|_| files.of(Name::ReadText, "d/text"));
        for read in futures_util::future::join_all(reads).await {
            assert_eq!(read?.content.as_deref(), Some("before"));
        }
        files.operate(text("written while it was stopped")).await?;
        let none = files.of(Name::ReadText, "none").await.unwrap_err();
        assert_eq!(none.code(), Some(ErrorCode::NotFound));
        assert_eq!(machine.show().await?.phase, contract::machine::Phase::Stopped);
        // A start takes that guest down first, and finds what it wrote.
        files.client.start_machine(&machine.id, &running()).await?;
        let seen = machine.exec("cat /home/node/workspace/d/text").await?;
        assert_eq!(seen, "written while it was stopped");
        files.client.stop_machine(&machine.id).await?;
        files.of(Name::Stat, "d/text").await?;
        files.client.delete_machine(&machine.id).await?;
        host.finish().await
    });
}

pub(super) struct Files {
    pub(super) client: Client,
    pub(super) machine: MachineId,
}

impl Files {
    pub(super) async fn operate(
        &self,
        request: FileOperationRequest,
    ) -> Result<FileOperationResponse, ClientError> {
        self.client.operate_on_files(&self.machine, &request).await
    }

    pub(super) async fn of(
        &self,
        name: Name,
        path: &str,
    ) -> Result<FileOperationResponse, ClientError> {
        self.operate(FileOperationRequest::new(name, path)).await
    }
}

fn text(content: &str) -> FileOperationRequest {
    let request = FileOperationRequest::new(Name::WriteText, "d/text");
    FileOperationRequest { content: Some(content.into()), ..request }
}

async fn texts_and_bytes(files: &Files) -> Result<(), HarnessError> {
    let written = files.operate(text("hello\nworld\n")).await?;
    let read = files.of(Name::ReadText, "/home/node/workspace/d/./text").await?;
    assert_eq!((read.content.as_deref(), read.version), (Some("hello\nworld\n"), written.version));
    let range = FileOperationRequest::new(Name::ReadRange, "d/text");
    let range = FileOperationRequest { offset: Some(6), length: Some(5), ..range };
    assert_eq!(files.operate(range.clone()).await?.content.as_deref(), Some("world"));
    let past = FileOperationRequest { offset: Some(600), ..range };
    assert_eq!(files.operate(past).await?.content.unwrap_or_default(), "");

    let bytes = FileOperationRequest::new(Name::WriteBytes, "bytes");
    let bytes = FileOperationRequest { content_base64: Some("AP8=".into()), ..bytes };
    files.operate(FileOperationRequest { mode: Some(0o600), ..bytes }).await?;
    let read = files.of(Name::ReadBytes, "bytes").await?;
    assert_eq!(read.content_base64.as_deref(), Some("AP8="));
    let refused = files.of(Name::ReadText, "bytes").await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Refused));
    let part = FileOperationRequest::new(Name::WriteRange, "bytes");
    let part = FileOperationRequest { content: Some("x".into()), offset: Some(1), ..part };
    files.operate(part).await?;
    let read = files.of(Name::ReadBytes, "bytes").await?;
    assert_eq!(read.content_base64.as_deref(), Some("AHg="));

    let list = files.of(Name::List, "").await?.entries.unwrap_or_default();
    let shown: Vec<_> = list.iter().map(|entry| (entry.path.as_str(), entry.mode)).collect();
    assert_eq!(shown, [("bytes", Some(0o600)), ("d", Some(0o755))]);
    let grep = FileOperationRequest::new(Name::Grep, "");
    let grep = FileOperationRequest { pattern: Some("^W".into()), regex: true, ..grep };
    let grep = FileOperationRequest { case_insensitive: true, ..grep };
    let found = files.operate(grep).await?.matches.unwrap_or_default();
    let found: Vec<_> =
        found.iter().map(|found| (&*found.path, found.line, &*found.text)).collect();
    assert_eq!(found, [("d/text", 2, "world")]);
    Ok(())
}

async fn edits_with_versions(files: &Files) -> Result<(), HarnessError> {
    let version = files.operate(text("a b a")).await?.version;
    let patch = |find: &str, replace: &str, expected_version| FileOperationRequest {
        edits: vec![FileEdit { find: find.into(), replace: replace.into() }],
        expected_version,
        ..FileOperationRequest::new(Name::Patch, "d/text")
    };
    let patched = files.operate(patch("a", "c", version)).await?;
    assert_ne!(patched.version, version);
    let late = files.operate(patch("b", "d", version)).await.unwrap_err();
    assert_eq!(late.code(), Some(ErrorCode::VersionMismatch));
    let absent = files.operate(patch("a", "d", None)).await.unwrap_err();
    assert_eq!(absent.code(), Some(ErrorCode::Refused));
    assert_eq!(files.of(Name::ReadText, "d/text").await?.content.as_deref(), Some("c b c"));

    files.of(Name::Mkdir, "x/y").await?;
    let moved = FileOperationRequest::new(Name::Move, "d/text");
    files.operate(FileOperationRequest { to: Some("x/y/z".into()), ..moved }).await?;
    assert_eq!(files.of(Name::Exists, "d/text").await?.exists, Some(false));
    let stat = files.of(Name::Stat, "x/y/z").await?.stat;
    assert_eq!(stat.and_then(|stat| stat.size_bytes), Some(5));
    let full = files.of(Name::Remove, "x").await.unwrap_err();
    assert_eq!(full.code(), Some(ErrorCode::WrongState));
    let remove = FileOperationRequest::new(Name::Remove, "x");
    files.operate(FileOperationRequest { recursive: true, ..remove }).await?;
    let gone = files.of(Name::Stat, "x").await.unwrap_err();
    assert_eq!(gone.code(), Some(ErrorCode::NotFound));
    Ok(())
}

async fn promise_p1_nothing_outside_of_the_workspace_is_reached(
    files: &Files,
    machine: &Machine,
) -> Result<(), HarnessError> {
    machine.exec("cd /home/node/workspace && ln -s /etc out && ln -s /etc/passwd file").await?;
    let before =
        machine.exec("find /etc /home -newer /etc/passwd | sort; md5sum /etc/passwd").await?;
    for path in ["../x", "/etc/passwd", "out/x", "file", "out/../../x", "\0"] {
        for name in [Name::ReadText, Name::WriteText, Name::Stat, Name::Grep] {
            let request = FileOperationRequest::new(name, path);
            let request = FileOperationRequest { pattern: Some("x".into()), ..request };
            let refused = files.operate(request).await.unwrap_err();
            assert_eq!(refused.code(), Some(ErrorCode::Refused), "{name:?} {path}");
        }
    }
    let after =
        machine.exec("find /etc /home -newer /etc/passwd | sort; md5sum /etc/passwd").await?;
    assert_eq!(after, before);
    machine.exec("cd /home/node/workspace && rm out file").await?;
    Ok(())
}

async fn streams(files: &Files, machine: &Machine) -> Result<(), HarnessError> {
    let (client, id) = (&files.client, &files.machine);
    let piece: bytes::Bytes = (0..=255_u8).cycle().take(1 << 16).collect();
    let pieces = STREAMED_BYTES / (1 << 16);
    let stream = futures_util::stream::iter((0..pieces).map({
        let piece = piece.clone();
        move |_| Ok(piece.clone())
    }));
    let query = WriteFileQuery { path: "large".into(), mode: None };
    let content = Content { length_bytes: Some(STREAMED_BYTES), stream };
    let written = client.write_file(id, &query, content).await?;
    assert_eq!(written.stat.size_bytes, Some(STREAMED_BYTES));
    let owner = machine.exec("stat -c %U:%a /home/node/workspace/large").await?;
    assert_eq!(owner.trim(), "node:644");

    let query = FileQuery { path: "large".into() };
    let mut read = client.read_file(id, &query, ByteRange::default()).await?;
    let mut length = 0;
    while let Some(data) = read.next().await? {
        length += data.len() as u64;
    }
    assert_eq!(length, STREAMED_BYTES);
    let range = ByteRange { first: 255, last: Some(257) };
    let mut read = client.read_file(id, &query, range).await?;
    assert_eq!(read.next().await?.as_deref(), Some(&[255, 0, 1][..]));
    let long = files.of(Name::ReadBytes, "large").await.unwrap_err();
    assert_eq!(long.code(), Some(ErrorCode::TooLarge));

    let mut archive = client.read_archive(id, &FileQuery::default()).await?;
    let mut bytes = Vec::new();
    while let Some(data) = archive.next().await? {
        bytes.extend_from_slice(&data);
    }
    machine.exec("rm -r /home/node/workspace/*").await?;
    let stream = futures_util::stream::iter([Ok(bytes::Bytes::from(bytes))]);
    let content = Content { length_bytes: None, stream };
    client.write_archive(id, &FileQuery { path: "again".into() }, content).await?;
    let stat = files.of(Name::Stat, "again/large").await?.stat;
    assert_eq!(stat.and_then(|stat| stat.size_bytes), Some(STREAMED_BYTES));
    Ok(())
}

async fn a_watch_tells_what_happens_and_that_the_machine_is_gone(
    files: &Files,
    machine: &Machine,
) -> Result<(), HarnessError> {
    let mut watch = files.client.watch_files(&files.machine, &FileQuery::default()).await?;
    let first = watch.next().await?.map(|event| event.change);
    assert_eq!(first, Some(FileChange::Watching));
    machine.exec("mkdir /home/node/workspace/new; touch /home/node/workspace/new/file").await?;
    while watch.next().await?.is_some_and(|event| event.path != "new/file") {}
    files.client.stop_machine(&files.machine).await?;
    loop {
        match watch.next().await? {
            None => break,
            Some(event) if event.change == FileChange::Ended => break,
            Some(_) => {}
        }
    }
    Ok(())
}

//! Files, streamed in both directions.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use futures_util::stream;
use guest::client::{Client, NewFile};
use guest::limits;
use guest::proto::{FileKind, MakeDirectoryRequest, MoveRequest, RemovePathRequest};
use tonic::Code;

use crate::support::*;

async fn write(client: &Client, header: NewFile, data: Vec<u8>) -> Result<(), Option<Code>> {
    let outcome = client.write_file(header, stream::iter([data.into()]), SOON).await;
    outcome.map(drop).map_err(|error| error.code())
}

async fn read(client: &Client, path: &str, offset: u64, length: u64) -> Vec<u8> {
    let mut reader = client.read_file(path, offset, length, SOON).await.expect("it opens");
    let mut all = Vec::new();
    while let Some(chunk) = reader.next_chunk(SOON).await.expect("a chunk") {
        all.extend_from_slice(&chunk);
    }
    all
}

#[tokio::test]
async fn a_file_goes_in_and_comes_out_whole_and_in_parts() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let data: Vec<u8> = (0..1_000_000_u32).map(|index| (index / 5) as u8).collect();
    let header = NewFile {
        path: "a/b/file".into(),
        mode: 0o640,
        make_parents: true,
        size_bytes: data.len() as u64,
        ..NewFile::default()
    };
    write(&client, header, data.clone()).await.expect("it is written");
    let place = agent.root().join("workspace/a/b/file");
    assert!(fs::read(&place).expect("it is there") == data);
    assert_eq!(fs::metadata(&place).expect("it is there").permissions().mode() & 0o777, 0o640);
    assert!(read(&client, "a/b/file", 0, 0).await == data);
    assert!(read(&client, "/workspace/a/b/file", 999_990, 100).await == data[999_990..]);
    assert!(read(&client, "a/b/file", 10, 5).await == data[10..15]);
    assert!(read(&client, "a/b/file", 2_000_000, 5).await.is_empty());
}

#[tokio::test]
async fn a_write_that_is_cut_short_changes_nothing() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let workspace = agent.root().join("workspace");
    fs::write(workspace.join("file"), "before").expect("a file");
    for (announced, length) in [(10, 3), (3, 10)] {
        let header = NewFile { path: "file".into(), size_bytes: announced, ..NewFile::default() };
        let outcome = write(&client, header, vec![1; length]).await;
        assert_eq!(outcome, Err(Some(Code::InvalidArgument)));
    }
    assert_eq!(fs::read(workspace.join("file")).expect("it is there"), b"before");
    assert_eq!(fs::read_dir(&workspace).expect("a directory").count(), 1);
}

#[tokio::test]
async fn owners_and_modes_are_kept_or_set() {
    if lacks_root() {
        return;
    }
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let header = NewFile {
        path: "d/f".into(),
        user: "node".into(),
        make_parents: true,
        ..NewFile::default()
    };
    write(&client, header, Vec::new()).await.expect("it is written");
    let workspace = agent.root().join("workspace");
    for name in ["d", "d/f"] {
        assert_eq!(fs::metadata(workspace.join(name)).expect(name).uid(), 12345);
    }
    fs::set_permissions(workspace.join("d/f"), fs::Permissions::from_mode(0o751)).expect("a mode");
    let header = NewFile { path: "d/f".into(), size_bytes: 1, ..NewFile::default() };
    write(&client, header, vec![1]).await.expect("it is written");
    let meta = fs::metadata(workspace.join("d/f")).expect("it is there");
    assert_eq!((meta.uid(), meta.mode() & 0o777), (12345, 0o751));
}

#[tokio::test]
async fn what_is_no_regular_file_is_not_read_promise_p14() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let pipe = agent.root().join("workspace/pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    for (path, code) in
        [("pipe", Code::InvalidArgument), ("", Code::InvalidArgument), ("none", Code::NotFound)]
    {
        let error = client.read_file(path, 0, 0, SOON).await.expect_err(path);
        assert_eq!(error.code(), Some(code), "{path}");
    }
}

#[tokio::test]
async fn directories_are_listed_in_pages_of_bounded_size_promise_p10() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let most = limits::DIRECTORY_ENTRIES as usize;
    let directory = agent.root().join("workspace");
    for number in 0..most + 20 {
        fs::write(directory.join(format!("{number:06}")), "").expect("a file");
    }
    let first = client.list_directory("", "", SOON).await.expect("a list");
    assert_eq!((first.entries.len(), first.more), (most, true));
    let last = first.entries.last().expect("entries").name.clone();
    let second = client.list_directory("", &last, SOON).await.expect("a list");
    assert_eq!((second.entries.len(), second.more), (20, false));
    let names: Vec<_> =
        first.entries.iter().chain(&second.entries).map(|entry| &entry.name).collect();
    assert!(names.is_sorted() && names.len() == most + 20);
}

#[tokio::test]
async fn paths_are_made_moved_looked_at_and_removed() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let make = |path: &str| MakeDirectoryRequest {
        path: path.into(),
        make_parents: true,
        ..MakeDirectoryRequest::default()
    };
    for _ in 0..2 {
        client.make_directory(make("x/y/z"), SOON).await.expect("it is there");
    }
    let moved = MoveRequest { from: "x/y".into(), to: "x/w".into() };
    client.move_path(moved, SOON).await.expect("it moves");
    let stat = client.stat_file("x/w/z", SOON).await.expect("an answer").expect("it is there");
    assert_eq!(stat.kind(), FileKind::Directory);
    assert_eq!(client.stat_file("x/y", SOON).await.expect("an answer"), None);

    let remove = |recursive| RemovePathRequest { path: "x".into(), recursive };
    let error = client.remove_path(remove(false), SOON).await.expect_err("it is not empty");
    assert_eq!(error.code(), Some(Code::FailedPrecondition));
    assert!(client.remove_path(remove(true), SOON).await.expect("it goes"));
    assert!(!client.remove_path(remove(true), SOON).await.expect("it is gone"));
    let root = RemovePathRequest { path: "/".into(), recursive: true };
    // Beneath the agent's root this is the root itself.
    let error = client.remove_path(RemovePathRequest { path: "\0".into(), ..root }, SOON).await;
    assert_eq!(error.expect_err("no path").code(), Some(Code::InvalidArgument));
}

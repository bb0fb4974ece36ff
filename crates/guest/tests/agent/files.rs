//! Files beneath the workspace: what they hold, who owns them, and that nothing leads out.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use guest::client::{Client, ClientError};
use guest::proto::files::{
    Form, GrepRequest, ListRequest, MakeDirectoryRequest, MoveRequest, ReadOpen, RemoveRequest,
    WriteDone, WriteOpen,
};
use guest::proto::files::{Kind, Stat};
use tonic::Code;

use crate::support::*;

pub(crate) fn file(path: &str) -> WriteOpen {
    WriteOpen { path: path.into(), form: Form::File.into(), ..WriteOpen::default() }
}

pub(crate) async fn write(
    client: &Client,
    open: WriteOpen,
    data: &[u8],
) -> Result<WriteDone, ClientError> {
    let mut writer = client.write_file(open, SOON).await?;
    writer.write(data.to_vec().into(), SOON).await?;
    writer.finish(SOON).await
}

pub(crate) async fn read_form(client: &Client, open: ReadOpen) -> Result<Vec<u8>, ClientError> {
    let mut reader = client.read_file(open, SOON).await?;
    let mut all = Vec::new();
    while let Some(chunk) = reader.next_chunk(SOON).await? {
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

async fn read(client: &Client, path: &str, offset: u64, length: u64) -> Vec<u8> {
    let form = Form::File.into();
    let open = ReadOpen { path: path.into(), form, offset, length };
    read_form(client, open).await.expect("it is read")
}

fn code<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> Option<Code> {
    outcome.expect_err("it is refused").code()
}

#[tokio::test]
async fn a_file_goes_in_and_comes_out_whole_and_in_parts() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let data: Vec<u8> = (0..1_000_000_u32).map(|index| (index / 5) as u8).collect();
    let open = WriteOpen { mode: Some(0o640), ..file("a/b/file") };
    let done = write(&client, open, &data).await.expect("it is written");
    assert_eq!(done.stat.expect("a stat").size_bytes, 1_000_000);
    let place = agent.root().join("workspace/a/b/file");
    assert!(fs::read(&place).expect("it is there") == data);
    assert_eq!(fs::metadata(&place).expect("it is there").permissions().mode() & 0o777, 0o640);
    assert!(read(&client, "a/b/file", 0, 0).await == data);
    assert!(read(&client, "./a/../a/b/file", 999_990, 100).await == data[999_990..]);
    assert!(read(&client, "a/b/file", 10, 5).await == data[10..15]);
    for past in [1_000_000, 2_000_000, 1 << 62, u64::MAX] {
        assert!(read(&client, "a/b/file", past, 5).await.is_empty(), "from byte {past}");
    }
}

#[tokio::test]
async fn a_part_of_a_file_is_replaced_and_the_rest_stays() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let place = agent.root().join("workspace/file");
    fs::write(&place, "0123456789").expect("a file");
    write(&client, WriteOpen { offset: Some(3), ..file("file") }, b"abc").await.expect("written");
    assert_eq!(fs::read(&place).expect("it is there"), b"012abc6789");
    write(&client, WriteOpen { offset: Some(12), ..file("file") }, b"z").await.expect("written");
    assert_eq!(fs::read(&place).expect("it is there"), b"012abc6789\0\0z");
    write(&client, WriteOpen { offset: Some(2), ..file("new/one") }, b"x").await.expect("written");
    assert_eq!(read(&client, "new/one", 0, 0).await, b"\0\0x");
}

#[tokio::test]
async fn a_write_that_is_cut_short_changes_nothing() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let workspace = agent.root().join("workspace");
    fs::write(workspace.join("file"), "before").expect("a file");
    for open in [file("file"), WriteOpen { offset: Some(1), ..file("file") }] {
        let mut writer = client.write_file(open, SOON).await.expect("it begins");
        writer.write(vec![1; 500_000].into(), SOON).await.expect("it is taken");
        drop(writer);
    }
    // A later call sees the file as it was, whenever the agent notices.
    write(&client, file("other"), b"x").await.expect("it is written");
    assert_eq!(fs::read(workspace.join("file")).expect("it is there"), b"before");
    eventually("only whole files are left", async || {
        fs::read_dir(&workspace).expect("a directory").count() == 2
    })
    .await;
}

#[tokio::test]
async fn owners_and_modes_are_kept_or_set() {
    if lacks_root() {
        return;
    }
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    write(&client, file("d/f"), b"").await.expect("it is written");
    let workspace = agent.root().join("workspace");
    for (name, mode) in [("d", 0o755), ("d/f", 0o644)] {
        let meta = fs::metadata(workspace.join(name)).expect(name);
        assert_eq!((meta.uid(), meta.mode() & 0o7777), (12345, mode), "{name}");
    }
    std::os::unix::fs::chown(workspace.join("d/f"), Some(77), Some(78)).expect("an owner");
    fs::set_permissions(workspace.join("d/f"), fs::Permissions::from_mode(0o751)).expect("a mode");
    write(&client, file("d/f"), b"1").await.expect("it is written");
    let meta = fs::metadata(workspace.join("d/f")).expect("it is there");
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o777), (77, 78, 0o751));
    let open = WriteOpen { mode: Some(0o600), ..file("d/f") };
    write(&client, open, b"2").await.expect("it is written");
    let meta = fs::metadata(workspace.join("d/f")).expect("it is there");
    assert_eq!((meta.uid(), meta.mode() & 0o777), (77, 0o600));
}

#[tokio::test]
async fn promise_p1_no_path_and_no_link_leads_out_of_the_workspace() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let workspace = agent.root().join("workspace");
    symlink("/etc", workspace.join("absolute")).expect("a link");
    symlink("../etc", workspace.join("relative")).expect("a link");
    symlink("../etc/passwd", workspace.join("file")).expect("a link");
    symlink("loop", workspace.join("loop")).expect("a link");
    let passwd = agent.root().join("etc/passwd");
    let before = fs::read(&passwd).expect("a file");
    let paths = [
        "..",
        "../etc/passwd",
        "./../etc/passwd",
        "/etc/passwd",
        "absolute/passwd",
        "relative/passwd",
        "file",
        "loop",
    ];
    for path in paths {
        let open = ReadOpen { path: path.into(), ..ReadOpen::default() };
        assert_eq!(code(read_form(&client, open).await), Some(Code::InvalidArgument), "{path}");
        let written = write(&client, file(path), b"x").await;
        assert_eq!(code(written), Some(Code::InvalidArgument), "{path}");
        assert_eq!(code(client.stat_file(path, SOON).await), Some(Code::InvalidArgument), "{path}");
    }
    let moved = MoveRequest { from: "file".into(), to: "../etc/moved".into() };
    assert_eq!(code(client.move_path(moved, SOON).await), Some(Code::InvalidArgument));
    // A link is removed itself, and what it leads to stays.
    for path in ["absolute", "relative", "file", "loop"] {
        let remove = RemoveRequest { path: path.into(), recursive: true };
        client.remove_path(remove, SOON).await.expect(path);
    }
    assert_eq!(fs::read(&passwd).expect("it is there"), before);
    assert_eq!(fs::read_dir(&workspace).expect("a directory").count(), 0);
}

#[tokio::test]
async fn promise_p1_a_workspace_that_is_a_link_is_refused() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let workspace = agent.root().join("workspace");
    fs::remove_dir(&workspace).expect("it is empty");
    // It is made anew where it is missing.
    write(&client, file("file"), b"x").await.expect("it is written");
    fs::remove_dir_all(&workspace).expect("it goes");
    symlink("etc", &workspace).expect("a link");
    assert_eq!(code(client.stat_file("passwd", SOON).await), Some(Code::InvalidArgument));
    assert_eq!(code(write(&client, file("x"), b"x").await), Some(Code::InvalidArgument));
}

#[tokio::test]
async fn a_link_that_stays_inside_is_followed_and_kept() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let workspace = agent.root().join("workspace");
    fs::create_dir(workspace.join("d")).expect("a directory");
    fs::write(workspace.join("d/f"), "before").expect("a file");
    symlink("d/f", workspace.join("link")).expect("a link");
    write(&client, file("link"), b"after").await.expect("it is written");
    assert_eq!(fs::read(workspace.join("d/f")).expect("it is there"), b"after");
    assert!(fs::symlink_metadata(workspace.join("link")).expect("a link").is_symlink());
}

#[tokio::test]
async fn paths_at_their_limits_work_and_past_them_are_refused() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let longest = "n".repeat(255);
    write(&client, file(&longest), b"x").await.expect("it is written");
    let deep = vec!["d".repeat(200); 20].join("/");
    assert!(deep.len() < 4096);
    write(&client, file(&deep), b"x").await.expect("it is written");
    assert_eq!(read(&client, &deep, 0, 0).await, b"x");
    for path in ["n".repeat(256), vec!["d".repeat(200); 21].join("/"), "a\0b".into()] {
        let written = write(&client, file(&path), b"x").await;
        assert_eq!(code(written), Some(Code::InvalidArgument), "{} bytes", path.len());
    }
    for path in ["", ".", "./."] {
        let remove = RemoveRequest { path: path.into(), recursive: true };
        assert_eq!(code(client.remove_path(remove, SOON).await), Some(Code::InvalidArgument));
    }
}

#[tokio::test]
async fn promise_p14_what_is_no_regular_file_is_not_opened() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let pipe = agent.root().join("workspace/pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    for (path, expected) in [
        ("pipe", Code::FailedPrecondition),
        ("", Code::FailedPrecondition),
        ("none", Code::NotFound),
        ("pipe/x", Code::FailedPrecondition),
    ] {
        let open = ReadOpen { path: path.into(), ..ReadOpen::default() };
        assert_eq!(code(read_form(&client, open).await), Some(expected), "{path}");
    }
    for path in ["pipe", "pipe/x"] {
        let written = write(&client, file(path), b"x").await;
        assert_eq!(code(written), Some(Code::FailedPrecondition), "{path}");
    }
    assert_eq!(client.stat_file("none/x", SOON).await.expect("an answer"), None);
}

#[tokio::test]
async fn promise_p10_a_directory_is_listed_up_to_a_bound() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let directory = agent.root().join("workspace");
    for number in 0..1500 {
        fs::write(directory.join(format!("{number:06}")), "").expect("a file");
    }
    fs::create_dir(directory.join("below")).expect("a directory");
    fs::write(directory.join("below/file"), "12345").expect("a file");
    let list = |limit, recursive| {
        let request = ListRequest { path: ".".into(), recursive, limit };
        client.list_directory(request, SOON)
    };
    let all = list(10_000, false).await.expect("a list");
    assert_eq!((all.entries.len(), all.truncated), (1501, false));
    assert!(all.entries.iter().map(|entry| &entry.path).is_sorted());
    let first = list(100, false).await.expect("a list");
    assert_eq!((first.entries.len(), first.truncated), (100, true));
    assert_eq!(first.entries, all.entries[..100]);
    let whole = list(10_000, true).await.expect("a list");
    let below = whole.entries.iter().find(|entry| entry.path == "below/file").expect("an entry");
    assert_eq!(below.stat.as_ref().map(|stat| stat.size_bytes), Some(5));
}

#[tokio::test]
async fn paths_are_made_moved_looked_at_and_removed() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let make = |path: &str| MakeDirectoryRequest { path: path.into(), mode: None };
    for _ in 0..2 {
        client.make_directory(make("x/y/z"), SOON).await.expect("it is there");
    }
    write(&client, file("x/f"), b"x").await.expect("it is written");
    assert_eq!(code(client.make_directory(make("x/f"), SOON).await), Some(Code::AlreadyExists));
    let moved = MoveRequest { from: "x/y".into(), to: "x/new/w".into() };
    client.move_path(moved.clone(), SOON).await.expect("it moves");
    assert_eq!(code(client.move_path(moved, SOON).await), Some(Code::NotFound));
    let stat = client.stat_file("x/new/w/z", SOON).await.expect("an answer").expect("it is there");
    assert_eq!((stat.kind(), stat.mode), (Kind::Directory, 0o755));
    assert_eq!(client.stat_file("x/y", SOON).await.expect("an answer"), None::<Stat>);

    let remove = |recursive| RemoveRequest { path: "x".into(), recursive };
    let refused = client.remove_path(remove(false), SOON).await;
    assert_eq!(code(refused), Some(Code::FailedPrecondition));
    client.remove_path(remove(true), SOON).await.expect("it goes");
    assert_eq!(code(client.remove_path(remove(true), SOON).await), Some(Code::NotFound));
}

#[tokio::test]
async fn a_write_with_an_expected_version_replaces_only_that() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let place = agent.root().join("workspace/file");
    fs::write(&place, "").expect("a file");
    let open = |version| WriteOpen { expected_version: Some(version), ..file("file") };
    assert_eq!(code(write(&client, open(1), b"x").await), Some(Code::Aborted));
    assert_eq!(fs::read(&place).expect("it is there"), b"");
    let empty = 0x63b0_c442_98fc_1c14;
    // Of many that expect the same, one succeeds.
    let writes = (0..8_u8).map(async |number| write(&client, open(empty), &[number]).await);
    let outcomes = futures_util::future::join_all(writes).await;
    let outcomes: Vec<_> =
        outcomes.into_iter().map(|outcome| outcome.err().map(|error| error.code())).collect();
    assert_eq!(outcomes.iter().filter(|code| code.is_none()).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().flatten().all(|code| *code == Some(Code::Aborted)), "{outcomes:?}");
}

#[tokio::test]
async fn text_and_expressions_are_searched_for_with_bounds() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let workspace = agent.root().join("workspace");
    fs::create_dir(workspace.join("d")).expect("a directory");
    fs::write(workspace.join("d/a"), "one\ntwo a.b\r\nTHREE axb\n").expect("a file");
    fs::write(workspace.join("binary"), b"a.b\0a.b\n").expect("a file");
    symlink("../etc/passwd", workspace.join("link")).expect("a link");
    let grep = |pattern: &str, is_regex, case_insensitive, max_matches| {
        let request = GrepRequest {
            path: "".into(),
            pattern: pattern.into(),
            is_regex,
            case_insensitive,
            max_matches,
            deadline_ms: 30_000,
        };
        client.grep(request, SOON)
    };
    let found = grep("a.b", false, false, 100).await.expect("an answer");
    let shown: Vec<_> = found.matches.iter().map(|m| (&*m.path, m.line, &*m.text)).collect();
    assert_eq!(shown, [("d/a", 2, "two a.b")]);
    let found = grep("^three A.B$", true, true, 100).await.expect("an answer");
    assert_eq!(found.matches.iter().map(|m| m.line).collect::<Vec<_>>(), [3]);
    let found = grep(".", true, false, 2).await.expect("an answer");
    assert_eq!((found.matches.len(), found.truncated), (2, true));
    assert_eq!(grep("root:", false, false, 9).await.expect("an answer").matches.len(), 0);
    let nested = "(".repeat(5000);
    let huge = "(a{1000}){1000}";
    for pattern in ["(", "a\nb", &nested, huge] {
        let refused = grep(pattern, true, false, 1).await;
        assert_eq!(code(refused), Some(Code::InvalidArgument), "{pattern:.20}");
    }
    // What makes backtracking take for ever does not.
    fs::write(workspace.join("evil"), "a".repeat(100_000)).expect("a file");
    let found = grep("(a+)+$b", true, false, 9).await.expect("an answer");
    assert!(found.matches.is_empty() && !found.truncated);
}

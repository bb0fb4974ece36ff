//! Archives, watches, and that a stream which stalls delays no other call.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::Duration;

use guest::client::Client;
use guest::proto::files::{Change, Form, ReadOpen, WriteOpen};
use tonic::Code;

use crate::files::{file, read_form, write};
use crate::support::*;

fn archive(path: &str) -> ReadOpen {
    ReadOpen { path: path.into(), form: Form::Tar.into(), ..ReadOpen::default() }
}

fn unpack(path: &str) -> WriteOpen {
    WriteOpen { path: path.into(), form: Form::Tar.into(), ..WriteOpen::default() }
}

#[tokio::test]
async fn a_directory_goes_out_as_an_archive_and_in_again() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let workspace = agent.root().join("workspace");
    let long = format!("{}/{}", "l".repeat(120), "n".repeat(120));
    fs::create_dir_all(workspace.join("from/empty")).expect("a directory");
    write(&client, file(&format!("from/{long}")), &[7; 100_000]).await.expect("it is written");
    fs::write(workspace.join("from/tool"), "#!/bin/sh").expect("a file");
    fs::set_permissions(workspace.join("from/tool"), fs::Permissions::from_mode(0o755))
        .expect("a mode");
    symlink("tool", workspace.join("from/link")).expect("a link");

    let bytes = read_form(&client, archive("from")).await.expect("an archive");
    let done = write(&client, unpack("to/here"), &bytes).await.expect("it is unpacked");
    assert_eq!(done.entries, 5);
    let to = workspace.join("to/here");
    assert_eq!(fs::read(to.join(&long)).expect("a file"), [7; 100_000]);
    assert_eq!(fs::read_link(to.join("link")).expect("a link").to_str(), Some("tool"));
    assert_eq!(fs::metadata(to.join("tool")).expect("a file").permissions().mode() & 0o777, 0o755);
    assert!(to.join("empty").is_dir());
    // Over what is there.
    write(&client, unpack("to/here"), &bytes).await.expect("it is unpacked");

    let one = read_form(&client, archive("from/tool")).await.expect("an archive");
    assert_eq!(names(&one), BTreeMap::from([("tool".into(), 9)]));
}

fn names(bytes: &[u8]) -> BTreeMap<String, u64> {
    let mut archive = tar::Archive::new(Cursor::new(bytes));
    let entries = archive.entries().expect("an archive");
    entries
        .map(|entry| {
            let mut entry = entry.expect("an entry");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("its content");
            let path = entry.path().expect("its path").display().to_string();
            (path, content.len() as u64)
        })
        .collect()
}

#[tokio::test]
async fn promise_p1_an_archive_makes_nothing_outside_of_where_it_is_unpacked() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let etc = agent.root().join("etc");
    for entries in [
        vec![Evil::File("../../etc/evil")],
        vec![Evil::Symlink("out", "/etc"), Evil::File("out/evil")],
        vec![Evil::Symlink("out", "../../etc"), Evil::File("out/evil")],
        vec![Evil::Link("passwd", "../../etc/passwd")],
        vec![Evil::Device("evil")],
    ] {
        let outcome = write(&client, unpack("into"), &evil(&entries)).await;
        let code = outcome.expect_err("it is refused").code();
        assert_eq!(code, Some(Code::InvalidArgument), "{entries:?}");
        assert!(!etc.join("evil").exists(), "{entries:?}");
    }
    let outcome = write(&client, unpack("into"), &[1; 3000]).await;
    assert_eq!(outcome.expect_err("no archive").code(), Some(Code::InvalidArgument));
    // An absolute name is taken as one inside.
    write(&client, unpack("into"), &evil(&[Evil::File("/etc/evil")])).await.expect("it is inside");
    assert!(agent.root().join("workspace/into/etc/evil").exists() && !etc.join("evil").exists());
}

#[derive(Debug)]
enum Evil {
    File(&'static str),
    Symlink(&'static str, &'static str),
    Link(&'static str, &'static str),
    Device(&'static str),
}

/// An archive that no builder makes: names are written as they are.
fn evil(entries: &[Evil]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let (name, kind, target) = match entry {
            Evil::File(name) => (name, tar::EntryType::Regular, None),
            Evil::Symlink(name, target) => (name, tar::EntryType::Symlink, Some(target)),
            Evil::Link(name, target) => (name, tar::EntryType::Link, Some(target)),
            Evil::Device(name) => (name, tar::EntryType::Char, None),
        };
        let mut header = tar::Header::new_old();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(0);
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        if let Some(target) = target {
            old.linkname[..target.len()].copy_from_slice(target.as_bytes());
        }
        header.set_cksum();
        builder.append(&header, std::io::empty()).expect("an entry");
    }
    builder.into_inner().expect("an archive")
}

#[tokio::test]
async fn promise_p14_streams_that_stall_delay_no_other_call() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    write(&client, file("large"), &vec![1; 4 << 20]).await.expect("it is written");
    let mut stalled = Vec::new();
    for _ in 0..8 {
        let open = ReadOpen { path: "large".into(), ..ReadOpen::default() };
        stalled.push(client.read_file(open, SOON).await.expect("it opens"));
    }
    quick(&client).await;
    // They go on where they stopped.
    for reader in &mut stalled {
        let mut length = 0;
        while let Some(chunk) = reader.next_chunk(SOON).await.expect("a chunk") {
            length += chunk.len();
        }
        assert_eq!(length, 4 << 20);
    }
}

async fn quick(client: &Client) {
    for number in 0..20 {
        let id = format!("quick-{number}");
        let output = client.run(&id, shell("echo hi"), SOON, MOST_BYTES);
        let output = tokio::time::timeout(Duration::from_secs(20), output).await;
        assert_eq!(exit_code(&output.expect("it is not delayed").expect("it runs")), 0);
        client.stat_file("large", Duration::from_secs(20)).await.expect("it is not delayed");
    }
}

#[tokio::test]
async fn changes_are_told_as_they_happen() {
    let agent = Agent::start_with_own_root(Transport::Framed);
    let client = agent.client().await;
    let workspace = agent.root().join("workspace");
    fs::create_dir(workspace.join("old")).expect("a directory");
    let mut watch = client.watch_files("", SOON).await.expect("it watches");
    fs::write(workspace.join("old/file"), "x").expect("a file");
    fs::create_dir(workspace.join("new")).expect("a directory");
    fs::write(workspace.join("new/file"), "x").expect("a file");
    fs::remove_file(workspace.join("old/file")).expect("it goes");
    let mut wanted = vec![
        (Change::Created, "old/file"),
        (Change::Created, "new"),
        (Change::Created, "new/file"),
        (Change::Removed, "old/file"),
    ];
    while !wanted.is_empty() {
        let event = watch.next(SOON).await.expect("it goes on").expect("an event");
        wanted.retain(|(change, path)| (*change, *path) != (event.change(), &*event.path));
    }
    // What this agent writes itself appears under its own name only.
    let open = WriteOpen { path: "written".into(), ..WriteOpen::default() };
    let mut writer = client.write_file(open, SOON).await.expect("it opens");
    writer.write("x".into(), SOON).await.expect("it is written");
    writer.finish(SOON).await.expect("it is whole");
    fs::write(workspace.join("#9"), "no inode").expect("a file");
    loop {
        let event = watch.next(SOON).await.expect("it goes on").expect("an event");
        assert!(["written", "new/file", "#9"].contains(&&*event.path), "{event:?}");
        if (event.change(), &*event.path) == (Change::Modified, "#9") {
            break;
        }
    }
    let none = client.watch_files("none", SOON).await.expect_err("nothing is there");
    assert_eq!(none.code(), Some(Code::NotFound));
}

#[tokio::test]
async fn promise_p10_a_file_larger_than_memory_goes_through_in_little_of_it() {
    const LENGTH: u64 = 1 << 30;
    let agent = Agent::start_with_own_root(Transport::Plain);
    let client = agent.client().await;
    let sparse = fs::File::create(agent.root().join("workspace/sparse")).expect("a file");
    sparse.set_len(LENGTH).expect("a hole");
    let open = ReadOpen { path: "sparse".into(), ..ReadOpen::default() };
    let mut reader = client.read_file(open, SOON).await.expect("it opens");
    let (mut length, mut most_kib) = (0, 0);
    while let Some(chunk) = reader.next_chunk(SOON).await.expect("a chunk") {
        if length % (64 << 20) == 0 {
            most_kib = most_kib.max(resident_kib(agent.pid()));
        }
        length += chunk.len() as u64;
    }
    assert_eq!(length, LENGTH);
    assert!(most_kib > 0 && most_kib < 32 << 10, "the agent has {most_kib} KiB");
}

fn resident_kib(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
    line.split_whitespace().next().and_then(|text| text.parse().ok()).expect("a number")
}

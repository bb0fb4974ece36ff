//! Durable writes, publishing and whole-file digests.

use chunks::Sha256Digest;
use chunks::files::{DurableError, Sha256Error, publish, sha256_file, sync_data, write_file};
use tokio_util::sync::CancellationToken;

use crate::support::{MIB, scratch, sparse_file};

#[test]
fn a_file_is_replaced_whole_and_an_old_temporary_does_not_hinder() {
    let scratch = scratch();
    let path = scratch.join("manifest.json");
    std::fs::write(scratch.join("manifest.json.tmp"), "left by a crash").expect("written");

    write_file(&path, b"first", 0o444).expect("written");
    write_file(&path, b"second", 0o444).expect("replaced");

    assert_eq!(std::fs::read(&path).expect("read"), b"second");
    assert_eq!(scratch.path.read_dir().expect("listed").count(), 1);
    sync_data(&path).expect("synced");
}

#[test]
fn publishing_moves_a_whole_directory_and_replaces_nothing_promise_p2() {
    let scratch = scratch();
    let (from, to) = (scratch.join("scratch/operation"), scratch.join("snapshots/one"));
    std::fs::create_dir_all(&from).expect("made");
    std::fs::create_dir_all(scratch.join("snapshots")).expect("made");
    std::fs::write(from.join("memory.bin"), "mine").expect("written");

    publish(&from, &to).expect("published");
    assert_eq!(std::fs::read(to.join("memory.bin")).expect("read"), b"mine");
    assert!(!from.exists());

    std::fs::create_dir(&from).expect("made");
    assert!(matches!(publish(&from, &to), Err(DurableError::Exists { .. })));
    assert!(from.exists() && to.join("memory.bin").exists());
    std::fs::create_dir(scratch.join("snapshots/empty")).expect("made");
    let outcome = publish(&from, &scratch.join("snapshots/empty"));
    assert!(matches!(outcome, Err(DurableError::Exists { .. })), "not even an empty directory");
}

#[test]
fn the_sum_of_a_sparse_file_is_that_of_its_bytes() {
    let scratch = scratch();
    let path = scratch.join("system.img");
    sparse_file(&path, 5 * MIB + 77, &[(4096, 100), (3 * MIB - 10, MIB)]);

    let (sum, size) = sha256_file(&path, &CancellationToken::new()).expect("hashed");

    let bytes = std::fs::read(&path).expect("read");
    assert_eq!((sum, size), (Sha256Digest::of(&bytes), 5 * MIB + 77));
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    let outcome = sha256_file(&path, &cancelled);
    assert!(matches!(outcome, Err(Sha256Error::Cancelled { .. })));
}

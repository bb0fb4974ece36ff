//! Cloning where nothing can be reflinked: exact, sparse, and never by surprise.

use std::os::unix::fs::MetadataExt;

use chunks::files::{CloneError, CloneMode, Cloned, clone_file, supports_reflink};

use crate::support::{MIB, allocated_bytes, scratch, sparse_file};

#[test]
fn a_copy_is_a_new_inode_with_the_same_bytes_holes_and_the_mode_asked_for() {
    let scratch = scratch();
    let (from, to) = (scratch.join("from"), scratch.join("to"));
    sparse_file(&from, 64 * MIB + 5, &[(0, 4096), (10 * MIB + 3, 2 * MIB), (64 * MIB, 5)]);

    let cloned = clone_file(&from, &to, CloneMode::Copy, 0o640).expect("copied");

    let Cloned::Copied { bytes } = cloned else { panic!("{cloned:?}") };
    assert!((2 * MIB..4 * MIB).contains(&bytes), "{bytes}");
    assert!(std::fs::read(&from).expect("read") == std::fs::read(&to).expect("read"));
    assert!(allocated_bytes(&to) <= allocated_bytes(&from));
    let (old, new) = (from.metadata().expect("old"), to.metadata().expect("new"));
    assert_ne!(old.ino(), new.ino());
    assert_eq!(new.mode() & 0o7777, 0o640);
}

#[test]
fn nothing_is_replaced_and_a_planted_symlink_is_not_followed_promise_p1() {
    let scratch = scratch();
    let (from, to) = (scratch.join("from"), scratch.join("to"));
    sparse_file(&from, 4096, &[(0, 4096)]);
    std::fs::write(&to, "somebody else's").expect("written");

    let outcome = clone_file(&from, &to, CloneMode::Copy, 0o600);
    assert!(matches!(outcome, Err(CloneError::Exists { .. })));
    assert_eq!(std::fs::read(&to).expect("read"), b"somebody else's");

    let link = scratch.join("link");
    std::os::unix::fs::symlink(&to, &link).expect("linked");
    let outcome = clone_file(&from, &link, CloneMode::Copy, 0o600);
    assert!(matches!(outcome, Err(CloneError::Exists { .. })));
    let outcome = clone_file(&link, &scratch.join("new"), CloneMode::Copy, 0o600);
    assert!(matches!(outcome, Err(CloneError::Io { operation: "open source", .. })));
}

#[test]
fn without_reflinks_reflink_fails_and_leaves_nothing_while_auto_copies() {
    let scratch = scratch();
    if supports_reflink(&scratch.path).expect("probed") {
        println!("skipped: the temporary directory can reflink, so this cannot be tried here");
        return;
    }
    let (from, to) = (scratch.join("from"), scratch.join("to"));
    sparse_file(&from, MIB, &[(0, 4096)]);

    let outcome = clone_file(&from, &to, CloneMode::Reflink, 0o600);
    assert!(matches!(outcome, Err(CloneError::NotReflinkable { .. })), "{outcome:?}");
    assert!(!to.exists());
    let outcome = clone_file(&from, &to, CloneMode::Auto, 0o600).expect("copied");
    assert_eq!(outcome, Cloned::Copied { bytes: 4096 });
}

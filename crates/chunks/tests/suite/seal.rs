//! Sealing, and every known way to tamper with what was sealed (promise P6).

use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};

use camino::Utf8Path;
use chunks::files::write_file;
use chunks::seal::{
    IdentityDifference as Difference, ManifestFileError, read_manifest, seal_directory,
    verify_full, verify_identity, write_manifest,
};
use chunks::{
    Manifest, ManifestLimits, SealError, SealLimits, SealSpec, SealedFile, Sha256Digest,
    VerifyError,
};
use tokio_util::sync::CancellationToken;

use crate::support::{MIB, Scratch, id, name, noise, scratch, sparse_file};

fn specs(names: &[&str]) -> Vec<SealSpec> {
    let spec = |text: &&str| SealSpec { id: id(text), name: name(&format!("{text}.bin")) };
    names.iter().map(spec).collect()
}

fn seal(directory: &Utf8Path, names: &[&str]) -> Result<Vec<SealedFile>, SealError> {
    seal_directory(directory, &specs(names), &SealLimits::default(), &CancellationToken::new())
}

fn full(path: &Utf8Path, sealed: &SealedFile) -> Result<(), VerifyError> {
    verify_full(path, &sealed.entry, &SealLimits::default(), &CancellationToken::new())
}

/// One sealed file with data in chunks 0, 2 and 4, and holes between them.
fn sealed_memory() -> (Scratch, camino::Utf8PathBuf, SealedFile) {
    let scratch = scratch();
    let path = scratch.join("memory.bin");
    sparse_file(&path, 4 * MIB + 100, &[(0, 4096), (2 * MIB + 5000, 70_000), (4 * MIB, 100)]);
    let sealed = seal(&scratch.path, &["memory"]).expect("sealed").remove(0);
    (scratch, path, sealed)
}

fn differences(path: &Utf8Path, sealed: &SealedFile) -> Vec<Difference> {
    match verify_identity(path, &sealed.identity) {
        Err(VerifyError::Identity { differences, .. }) => differences,
        other => panic!("expected another identity, got {other:?}"),
    }
}

/// Opens the sealed file as somebody with every right would.
fn tamper(path: &Utf8Path) -> File {
    OpenOptions::new().write(true).open(path).expect("root may write anything")
}

/// Makes a sealed file writable for a tamperer who is not root, without leaving a trace in its
/// identity.
fn with_write_permission(path: &Utf8Path, act: impl FnOnce(&File)) {
    let mode = |mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("mode");
    mode(0o644);
    act(&tamper(path));
    mode(0o444);
}

#[test]
fn a_sealed_file_is_read_only_and_its_entry_says_exactly_what_is_in_it() {
    let (_scratch, path, sealed) = sealed_memory();

    let data: Vec<u64> = sealed.entry.chunks().iter().map(|(chunk, _)| chunk).collect();
    assert_eq!(data, [0, 2, 4]);
    assert_eq!(sealed.entry.size_bytes(), 4 * MIB + 100);
    assert_eq!(sealed.entry.data_bytes(), 2 * MIB + 100);
    let metadata = path.metadata().expect("metadata");
    assert_eq!(metadata.mode() & 0o7777, 0o444);
    assert_eq!(metadata.uid(), rustix::process::geteuid().as_raw());
    verify_identity(&path, &sealed.identity).expect("the same file");
    full(&path, &sealed).expect("the same bytes");
}

#[test]
fn an_entry_depends_on_the_bytes_and_not_on_how_sparse_they_are() {
    let (_scratch, path, sealed) = sealed_memory();
    let other = scratch();
    let dense = std::fs::read(&path).expect("read");
    std::fs::write(other.join("memory.bin"), dense).expect("written");

    let dense = seal(&other.path, &["memory"]).expect("sealed").remove(0);

    assert_eq!(dense.entry, sealed.entry);
}

#[test]
fn many_files_are_sealed_in_the_order_asked_for() {
    let scratch = scratch();
    sparse_file(&scratch.join("memory.bin"), 9 * MIB, &[(0, 9 * MIB)]);
    sparse_file(&scratch.join("vmstate.bin"), 5000, &[(0, 5000)]);
    sparse_file(&scratch.join("empty.bin"), 0, &[]);

    let sealed = seal(&scratch.path, &["vmstate", "empty", "memory"]).expect("sealed");

    let sizes: Vec<u64> = sealed.iter().map(|file| file.entry.size_bytes()).collect();
    assert_eq!(sizes, [5000, 0, 9 * MIB]);
    let third = sealed[2].entry.chunks().digest(3).expect("data");
    let bytes = std::fs::read(scratch.join("memory.bin")).expect("read");
    assert_eq!(third, chunks::Blake3Digest::of(&bytes[3 << 20..4 << 20]));
}

#[test]
fn a_flipped_bit_is_found_promise_p6() {
    let (_scratch, path, sealed) = sealed_memory();
    with_write_permission(&path, |file| {
        let mut byte = [0];
        let offset = 2 * MIB + 6000;
        File::open(&path).expect("open").read_exact_at(&mut byte, offset).expect("read");
        file.write_all_at(&[byte[0] ^ 1], offset).expect("write");
    });

    assert_eq!(differences(&path, &sealed), [Difference::Modified]);
    let outcome = full(&path, &sealed);
    assert!(
        matches!(outcome, Err(VerifyError::Content { offset_bytes, .. }) if offset_bytes == 2 * MIB)
    );
}

#[test]
fn data_written_into_a_hole_is_found_promise_p6() {
    let (_scratch, path, sealed) = sealed_memory();
    with_write_permission(&path, |file| file.write_all_at(&[1], 3 * MIB + 7).expect("write"));

    let outcome = full(&path, &sealed);

    assert!(
        matches!(outcome, Err(VerifyError::Content { offset_bytes, .. }) if offset_bytes == 3 * MIB)
    );
}

#[test]
fn a_truncated_and_an_extended_file_are_found_promise_p6() {
    for size in [4 * MIB, 4 * MIB + 101] {
        let (_scratch, path, sealed) = sealed_memory();
        with_write_permission(&path, |file| file.set_len(size).expect("set size"));

        assert!(differences(&path, &sealed).contains(&Difference::Size));
        let outcome = full(&path, &sealed);
        assert!(
            matches!(outcome, Err(VerifyError::Size { found_bytes, .. }) if found_bytes == size)
        );
    }
}

#[test]
fn an_equal_copy_in_its_place_is_another_file_promise_p6() {
    let (scratch, path, sealed) = sealed_memory();
    let copy = scratch.join("copy");
    std::fs::copy(&path, &copy).expect("copied");
    let modified = path.metadata().and_then(|metadata| metadata.modified()).expect("a time");
    File::open(&copy).and_then(|file| file.set_modified(modified)).expect("time set");
    std::fs::rename(&copy, &path).expect("swapped");

    assert_eq!(differences(&path, &sealed), [Difference::Inode]);
    full(&path, &sealed).expect("equal bytes");
}

#[test]
fn a_rewrite_that_puts_the_time_back_is_found_by_hashing_promise_p6() {
    let (_scratch, path, sealed) = sealed_memory();
    let modified = path.metadata().and_then(|metadata| metadata.modified()).expect("a time");
    with_write_permission(&path, |file| {
        file.write_all_at(&[0; 8], 0).expect("write");
        file.set_modified(modified).expect("time set");
    });

    verify_identity(&path, &sealed.identity).expect("identity cannot see this");
    assert!(matches!(full(&path, &sealed), Err(VerifyError::Content { offset_bytes: 0, .. })));
}

#[test]
fn a_mode_change_a_missing_file_and_a_symlink_are_found_promise_p6() {
    let (scratch, path, sealed) = sealed_memory();
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("mode");
    assert_eq!(differences(&path, &sealed), [Difference::Mode]);

    let moved = scratch.join("moved");
    std::fs::rename(&path, &moved).expect("moved");
    let missing = verify_identity(&path, &sealed.identity).expect_err("missing");
    assert!(missing.is_tampering());

    std::os::unix::fs::symlink(&moved, &path).expect("symlink");
    let linked = verify_identity(&path, &sealed.identity);
    assert!(matches!(linked, Err(VerifyError::Read { .. })));
}

#[test]
fn a_file_with_a_second_name_is_not_sealed_promise_p10() {
    let scratch = scratch();
    sparse_file(&scratch.join("memory.bin"), 4096, &[(0, 4096)]);
    std::fs::hard_link(scratch.join("memory.bin"), scratch.join("in-a-jail")).expect("linked");

    let outcome = seal(&scratch.path, &["memory"]);

    assert!(matches!(outcome, Err(SealError::Shared { links: 2, .. })), "{outcome:?}");
}

#[test]
fn a_chunk_size_that_no_reader_takes_is_refused() {
    let scratch = scratch();
    sparse_file(&scratch.join("memory.bin"), 4096, &[(0, 4096)]);
    for chunk_bytes in [0, 1000, 1 << 30] {
        let limits = SealLimits { chunk_bytes, ..SealLimits::default() };
        let cancel = CancellationToken::new();
        let outcome = seal_directory(&scratch.path, &specs(&["memory"]), &limits, &cancel);
        assert!(matches!(outcome, Err(SealError::Entry { .. })), "{outcome:?}");
    }
}

#[test]
fn sealing_and_verifying_can_be_cancelled() {
    let (_scratch, path, sealed) = sealed_memory();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let limits = SealLimits::default();

    let directory = path.parent().expect("a parent");
    let outcome = seal_directory(directory, &specs(&["memory"]), &limits, &cancel);
    assert!(matches!(outcome, Err(SealError::Cancelled { .. })));
    let outcome = verify_full(&path, &sealed.entry, &limits, &cancel);
    assert!(matches!(outcome, Err(VerifyError::Cancelled { .. })));
}

#[test]
fn the_manifest_is_written_sealed_and_read_back() {
    let (scratch, _path, sealed) = sealed_memory();
    let limits = ManifestLimits::default();
    let manifest = Manifest::new(7, vec![sealed.entry], &limits).expect("a manifest");
    let path = scratch.join("manifest.json");

    let written = write_manifest(&path, &manifest, &limits).expect("written");

    let bytes = std::fs::read(&path).expect("read");
    assert_eq!(written.sha256, Sha256Digest::of(&bytes));
    assert_eq!(written.size_bytes, bytes.len() as u64);
    verify_identity(&path, &written.identity).expect("the same file");
    let read = read_manifest::<i32>(&path, &limits).expect("read");
    assert_eq!(read, (manifest, written.sha256));
    let small = ManifestLimits { size_bytes: 10, ..limits };
    let outcome = read_manifest::<i32>(&path, &small);
    assert!(matches!(outcome, Err(ManifestFileError::Manifest { .. })), "{outcome:?}");
    assert!(write_file(&path, &noise(10, 1), 0o444).is_ok(), "a repeated step may write it again");
}

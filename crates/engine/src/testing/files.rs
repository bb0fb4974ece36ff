//! What every `Files` must do, whether it is the kernel's or a fake.

use async_trait::async_trait;
use camino::Utf8Path;
use contract::{ArtifactUrl, OperationId, Secret};

use crate::layout::Layout;
use crate::port::{DiskSource, Fault, Files};

use super::operation;

/// What a test knows of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What it holds, as far as text goes; holes are left out.
    pub text: String,
    /// Its apparent size.
    pub size_bytes: u64,
    /// Its uid.
    pub owner: u32,
    /// Whether its mode lets nobody write.
    pub is_read_only: bool,
    /// Its inode.
    pub inode: u64,
}

/// The host that a `Files` works on, seen past the port.
#[async_trait]
pub trait FileHost: Send + Sync {
    /// Its layout; the directories of the root are there.
    fn layout(&self) -> Layout;

    /// Writes a file, as something else than the port would.
    async fn write(&self, path: &Utf8Path, text: &str);

    /// Looks at a file; `None` where there is none.
    async fn see(&self, path: &Utf8Path) -> Option<Seen>;

    /// Whether a directory is there.
    async fn has_dir(&self, path: &Utf8Path) -> bool;

    /// Offers an artifact of this text.
    async fn artifact(&self, name: &str, text: &str) -> ArtifactUrl;
}

/// Runs the suite.
///
/// # Panics
/// When the files do not behave.
pub async fn conforms(files: &dyn Files, host: &dyn FileHost) {
    a_directory_is_its_operations_and_nobody_elses(files, host).await;
    a_directory_that_is_not_ours_is_left_alone(files, host).await;
    a_tree_goes_whole_and_twice(files, host).await;
    an_artifact_is_placed_read_only_once_for_all(files, host).await;
    an_artifact_with_another_digest_is_refused(files, host).await;
    a_clone_has_the_bytes_and_is_a_file_of_its_own(files, host).await;
    a_clone_grows_and_never_shrinks(files, host).await;
    a_file_is_given_grown_synced_and_removed_twice(files, host).await;
    a_secret_is_kept_read_and_forgotten(files, host).await;
    scratch_is_found_by_its_operation_and_removed(files, host).await;
}

/// A directory of a machine of this test, made by the `number`th operation.
async fn made(files: &dyn Files, host: &dyn FileHost, number: u8) -> camino::Utf8PathBuf {
    let machine = format!("files-{number}").parse().expect("a machine id of a test");
    let dir = host.layout().machine(&machine);
    files.make_dir(&dir, &operation(number)).await.expect("makes a directory");
    dir
}

async fn gone(files: &dyn Files, dir: &Utf8Path, number: u8) {
    files.remove_made_dir(dir, &operation(number)).await.expect("removes its own directory");
}

async fn a_directory_is_its_operations_and_nobody_elses(files: &dyn Files, host: &dyn FileHost) {
    let dir = made(files, host, 1).await;
    assert!(host.has_dir(&dir).await);
    files.make_dir(&dir, &operation(1)).await.expect("made again by the same operation: fine");
    files.make_dir(&dir, &operation(2)).await.expect_err("it is another operation's");
    host.write(&dir.join("inside"), "text").await;
    gone(files, &dir, 1).await;
    assert!(!host.has_dir(&dir).await, "promise P2: an undo takes all of it");
    gone(files, &dir, 1).await;
    files.make_dir(&dir, &operation(2)).await.expect("its name is free again");
    gone(files, &dir, 2).await;
}

async fn a_directory_that_is_not_ours_is_left_alone(files: &dyn Files, host: &dyn FileHost) {
    let dir = made(files, host, 3).await;
    gone(files, &dir, 4).await;
    assert!(host.has_dir(&dir).await, "promise P1: undo removes only what carries its id");
    gone(files, &dir, 3).await;
}

async fn a_tree_goes_whole_and_twice(files: &dyn Files, host: &dyn FileHost) {
    let dir = made(files, host, 5).await;
    host.write(&dir.join("inside"), "text").await;
    let scratch = host.layout().scratch(&operation(6));
    for _ in 0..2 {
        files.remove_tree(&dir, &scratch).await.expect("removes a tree, and none");
        assert!(!host.has_dir(&dir).await);
        assert!(!host.has_dir(&scratch).await, "nothing stays in scratch");
    }
}

async fn an_artifact_is_placed_read_only_once_for_all(files: &dyn Files, host: &dyn FileHost) {
    let url = host.artifact("kernel", "a kernel").await;
    let source = DiskSource::Artifact { url, sha256_hex: None };
    let dir = made(files, host, 7).await;
    let first = files.place_artifact(&source, &dir.join("one")).await.expect("places it");
    let known = DiskSource::Artifact {
        url: host.artifact("kernel", "a kernel").await,
        sha256_hex: Some(first.sha256.clone()),
    };
    let second = files.place_artifact(&known, &dir.join("two")).await.expect("places it again");
    assert_eq!(first, second);
    let (one, two) = (host.see(&dir.join("one")).await, host.see(&dir.join("two")).await);
    let one = one.expect("it lies there");
    assert!(one.is_read_only && one.owner == 0, "promise P10: no VMM writes it: {one:?}");
    assert_eq!(one.size_bytes, first.size_bytes);
    assert_eq!(Some(one), two, "one inode serves all");
    gone(files, &dir, 7).await;
}

async fn an_artifact_with_another_digest_is_refused(files: &dyn Files, host: &dyn FileHost) {
    let url = host.artifact("initrd", "an initrd").await;
    let wrong = Some(contract::Sha256Hex::from_bytes(&[7; 32]));
    let source = DiskSource::Artifact { url, sha256_hex: wrong };
    let dir = made(files, host, 8).await;
    let error = files.place_artifact(&source, &dir.join("it")).await.expect_err("promise P6");
    assert_eq!(error.fault, Fault::Refused, "{error:?}");
    assert_eq!(host.see(&dir.join("it")).await, None);
    gone(files, &dir, 8).await;
}

async fn a_clone_has_the_bytes_and_is_a_file_of_its_own(files: &dyn Files, host: &dyn FileHost) {
    let dir = made(files, host, 9).await;
    let (from, to) = (dir.join("from"), dir.join("to"));
    host.write(&from, "a disk").await;
    let source = DiskSource::File { path: from.clone() };
    files.clone_disk(&source, &to, None, Some(200_009)).await.expect("clones");
    let (from, to) = (host.see(&from).await.expect("stays"), host.see(&to).await.expect("is new"));
    assert_eq!((to.text, to.size_bytes), (from.text, from.size_bytes));
    assert_eq!(to.owner, 200_009);
    assert_ne!(to.inode, from.inode, "promise P10: no inode is shared");
    assert!(!to.is_read_only);
    let missing = DiskSource::File { path: dir.join("missing") };
    files.clone_disk(&missing, &dir.join("other"), None, None).await.expect_err("nothing to clone");
    gone(files, &dir, 9).await;
}

async fn a_clone_grows_and_never_shrinks(files: &dyn Files, host: &dyn FileHost) {
    let dir = made(files, host, 10).await;
    host.write(&dir.join("from"), "a disk").await;
    let source = DiskSource::File { path: dir.join("from") };
    files.clone_disk(&source, &dir.join("large"), Some(1 << 20), None).await.expect("grows");
    files.clone_disk(&source, &dir.join("small"), Some(1), None).await.expect("keeps its size");
    let from = host.see(&dir.join("from")).await.expect("stays");
    let large = host.see(&dir.join("large")).await.expect("is there");
    assert_eq!((large.text, large.size_bytes), (from.text, 1 << 20));
    let small = host.see(&dir.join("small")).await.expect("is there");
    assert_eq!(small.size_bytes, from.size_bytes);
    gone(files, &dir, 10).await;
}

async fn a_file_is_given_grown_synced_and_removed_twice(files: &dyn Files, host: &dyn FileHost) {
    let dir = made(files, host, 11).await;
    let path = dir.join("disk");
    host.write(&path, "a disk").await;
    files.give_to(std::slice::from_ref(&path), 200_011).await.expect("gives");
    for size_bytes in [8192, 4096] {
        files.grow_file(&path, size_bytes).await.expect("grows, or stays as it is");
        assert_eq!(host.see(&path).await.map(|seen| seen.size_bytes), Some(8192));
    }
    files.sync_dirty(std::slice::from_ref(&path)).await.expect("syncs");
    assert_eq!(host.see(&path).await.map(|seen| seen.owner), Some(200_011));
    for _ in 0..2 {
        files.remove_file(&path).await.expect("removes a file, and none");
        assert_eq!(host.see(&path).await, None);
    }
    files.sync_dirty(&[path]).await.expect_err("nothing to sync");
    gone(files, &dir, 11).await;
}

async fn a_secret_is_kept_read_and_forgotten(files: &dyn Files, host: &dyn FileHost) {
    let dir = made(files, host, 12).await;
    let path = dir.join("secrets").join("one");
    let secret = Secret::new("hush".to_owned());
    files.keep_secret(&path, &secret).await.expect("keeps");
    assert_eq!(files.read_secret(&path).await.expect("reads").reveal(), "hush");
    let kept = host.see(&path).await.expect("a file");
    assert_eq!(kept.owner, 0, "promise P11: only root reads it");
    for _ in 0..2 {
        files.forget_secret(&path).await.expect("forgets, and what is forgotten");
    }
    files.read_secret(&path).await.expect_err("it is forgotten");
    gone(files, &dir, 12).await;
}

async fn scratch_is_found_by_its_operation_and_removed(files: &dyn Files, host: &dyn FileHost) {
    let owner: OperationId = operation(13);
    let dir = host.layout().scratch(&owner);
    files.make_dir(&dir, &owner).await.expect("makes scratch");
    let carried = files.carried_scratch().await.expect("lists");
    assert_eq!(carried, std::slice::from_ref(&owner));
    for _ in 0..2 {
        files.remove_scratch(&owner).await.expect("removes scratch, and none");
        assert!(!host.has_dir(&dir).await);
    }
    assert_eq!(files.carried_scratch().await.expect("lists"), []);
}

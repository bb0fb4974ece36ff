//! Real files in a directory of their own, and a real object store, as the suites of files and chunks see them.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::sync::Arc;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use chunks::files::CloneMode;
use chunks::limits::TransferLimits;
use chunks::transfer::TransferClient;
use contract::artifact::{ArtifactId, SnapshotArtifact};
use contract::upload::{CompletedPart, UploadSnapshotRequest, UploadedArtifact};
use contract::{ArtifactUrl, PresignedUrl, SnapshotId};
use engine::layout::Layout;
use engine::port::UploadPart;
use engine::testing::chunks::{Ports, StoreHost};
use engine::testing::files::{FileHost, Seen};
use harness::store_server::StoreServer;
use hostd::adapters::{ArtifactCache, FillingGroups, HostChunks, HostFiles};
use tokio::sync::Mutex;

/// Parts so small that a text has several would be refused by a real store: one part each.
const PART_BYTES: u64 = 5 << 20;

/// A root directory, image files beside it, and a store.
struct RealHost {
    place: tempfile::TempDir,
    store: StoreServer,
    /// What was signed, for the completion.
    signed: Mutex<Vec<UploadSnapshotRequest>>,
}

impl RealHost {
    async fn new() -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let this = Utf8Path::from_path(place.path()).expect("a path in UTF-8").to_owned();
        for name in ["artifacts", "machines", "snapshots", "volumes", "scratch", "state"] {
            fs::create_dir_all(this.join("root").join(name)).expect("a directory of the root");
        }
        fs::create_dir(this.join("images")).expect("a directory of images");
        let store = StoreServer::start(&this.join("store")).await.expect("a store");
        Self { place, store, signed: Mutex::default() }
    }

    fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.place.path()).expect("a path in UTF-8")
    }

    fn images(&self) -> Utf8PathBuf {
        self.path().join("images")
    }

    fn files(&self) -> HostFiles {
        let layout = self.layout();
        let artifacts = ArtifactCache::new(
            layout.artifacts(),
            layout.all_scratch(),
            vec![self.images()],
            1 << 30,
            client(),
        );
        HostFiles::new(layout, CloneMode::Auto, Arc::new(artifacts))
    }
}

fn client() -> TransferClient {
    TransferClient::new(TransferLimits::default()).expect("a client")
}

fn snapshot() -> SnapshotId {
    "suite".parse().expect("a snapshot id of a test")
}

fn artifact(id: ArtifactId, size_bytes: u64) -> SnapshotArtifact {
    SnapshotArtifact { id, size_bytes, sha256_hex: None, object_key: None, download_url: None }
}

#[async_trait]
impl FileHost for RealHost {
    fn layout(&self) -> Layout {
        Layout::new(self.path().join("root"))
    }

    async fn write(&self, path: &Utf8Path, text: &str) {
        if path.exists() {
            fs::remove_file(path).expect("takes the old file away");
        }
        fs::write(path, text).expect("writes a file");
    }

    async fn see(&self, path: &Utf8Path) -> Option<Seen> {
        let found = path.symlink_metadata().ok()?;
        let bytes = fs::read(path).expect("reads a file");
        let text = String::from_utf8(bytes).expect("text");
        Some(Seen {
            text: text.trim_end_matches('\0').to_owned(),
            size_bytes: found.len(),
            owner: found.uid(),
            is_read_only: found.permissions().mode() & 0o222 == 0,
            inode: found.ino(),
        })
    }

    async fn has_dir(&self, path: &Utf8Path) -> bool {
        path.is_dir()
    }

    async fn artifact(&self, name: &str, text: &str) -> ArtifactUrl {
        let path = self.images().join(name);
        fs::write(&path, text).expect("writes an image");
        format!("file://{path}").parse().expect("a URL of a file")
    }
}

#[async_trait]
impl StoreHost for RealHost {
    async fn begin_upload(&self, id: ArtifactId, size_bytes: u64) -> (String, Vec<UploadPart>) {
        let artifacts = [artifact(id, size_bytes)];
        let request = self.store.sign_upload(&snapshot(), &artifacts, PART_BYTES).await;
        let request = request.expect("signs an upload");
        let upload = &request.artifacts[0];
        let parts = upload.parts.iter().map(|part| UploadPart {
            part_number: part.part_number,
            offset_bytes: part.offset_bytes,
            size_bytes: part.size_bytes,
            url: part.upload_url.clone(),
        });
        let begun = (upload.upload_id.clone(), parts.collect());
        self.signed.lock().await.push(request);
        begun
    }

    async fn complete_upload(&self, id: ArtifactId, upload_id: &str, etags: &[String]) {
        let mut signed = self.signed.lock().await;
        let is_this = |request: &UploadSnapshotRequest| {
            request.artifacts.iter().any(|upload| upload.upload_id == upload_id)
        };
        let position = signed.iter().position(is_this).expect("it was begun");
        let request = signed.swap_remove(position);
        let parts = etags
            .iter()
            .zip(1..)
            .map(|(etag, part_number)| CompletedPart { part_number, etag: etag.clone() });
        let uploaded = UploadedArtifact { artifact_id: id, completed_parts: parts.collect() };
        self.store.complete(&request, &[uploaded]).await.expect("completes an upload");
    }

    async fn replace(&self, id: ArtifactId, text: &str) {
        let replaced = self.store.replace(&snapshot(), id, text.as_bytes().to_vec()).await;
        replaced.expect("replaces an object");
    }

    async fn signed(&self, id: ArtifactId) -> PresignedUrl {
        let signed = self.store.sign_download(&snapshot(), &[artifact(id, 0)]);
        let signed = signed.expect("signs a download").swap_remove(0);
        signed.download_url.expect("it is signed")
    }
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("skipped: files of other users need root");
    }
    is_root
}

#[tokio::test]
async fn the_real_files_pass_their_suite() {
    if is_root() {
        let host = RealHost::new().await;
        engine::testing::files::conforms(&host.files(), &host).await;
    }
}

#[tokio::test]
async fn the_real_chunks_pass_their_suite() {
    if is_root() {
        let host = RealHost::new().await;
        // Nothing here fills files: these groups are never made.
        let runs = Utf8PathBuf::from("/sys/fs/cgroup/no-daemon");
        let groups = FillingGroups { fillings: runs.join("fillings"), runs };
        let chunks = HostChunks::new(client(), host.layout().all_scratch(), groups);
        let ports = Ports { chunks: &chunks, files: &host.files() };
        engine::testing::chunks::conforms(&ports, &host).await;
    }
}

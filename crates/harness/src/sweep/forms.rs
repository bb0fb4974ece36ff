//! Chunked forms in the object store of a sweep.

use contract::chunked::{ChunkedSource, PackDownload, PackUpload, UploadChunkedRequest};
use contract::restore::DurableSnapshot;
use contract::{PackId, PresignedUrl, SnapshotId};
use engine::layout::{Layout, snapshot_file};

use crate::fake::FakeDaemon;
use crate::fake::content::Content;
use crate::fake::daemon::ROOT;
use crate::fake::objects::Object;

use super::intent::publish as publish_files;
use super::requests::STORE;

/// Puts a snapshot with its form behind URLs, as sending it would. What its files hold is in its chunks.
pub(super) fn publish(daemon: &FakeDaemon, id: &SnapshotId) -> DurableSnapshot {
    let files = publish_files(daemon, id);
    let layout = Layout::new(ROOT);
    let mut state = daemon.world().lock();
    let form = state.rows.snapshots.get(id).and_then(|snapshot| snapshot.chunked.clone());
    let document = url("form");
    if let Some(form) = &form {
        let path = layout.set(&form.set).join(snapshot_file::CHUNKED);
        let object = state.disk.file(&path).map(|(_, inode)| Object {
            content: inode.content.clone(),
            size_bytes: inode.size_bytes,
        });
        state.objects.put(document.as_str(), object.expect("a form has its document"));
        let content = Content::Text("a pack".into());
        state.objects.put(url("pack").as_str(), Object { content, size_bytes: 1 });
    }
    // After the snapshot is deleted here, what was put there stays there.
    let kept = state.objects.read(document.as_str()).expect("it was put there");
    let manifest_sha256_hex = kept.content.sha256();
    let chunked = ChunkedSource {
        manifest_url: document,
        manifest_sha256_hex,
        packs: vec![PackDownload { pack_id: pack(), download_url: url("pack") }],
        key: contract::Secret::default(),
    };
    DurableSnapshot { artifacts: vec![], chunked: Some(Box::new(chunked)), ..files }
}

/// One pack and the document.
pub(super) fn upload_request() -> UploadChunkedRequest {
    UploadChunkedRequest {
        packs: vec![PackUpload { pack_id: pack(), upload_url: url("pack") }],
        manifest_url: Some(url("form")),
    }
}

fn pack() -> PackId {
    PackId::from_bytes(&[7; 32])
}

fn url(name: &str) -> PresignedUrl {
    format!("{STORE}/{name}").parse().expect("a URL of a test")
}

//! What every `Chunks` must do, whether it moves real bytes or is a fake.

use std::sync::Mutex;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use contract::artifact::ArtifactId;
use contract::{PresignedUrl, Sha256Hex};

use crate::port::{
    CheckDepth, Chunks, DownloadTarget, Fault, Files, PartSink, PortError, SealRequest, UploadJob,
    UploadPart,
};
use crate::record::{SealedArtifact, SnapshotOrigin};

use super::files::FileHost;
use super::{journal, operation};

/// A host with an object store, whose keys are names of artifacts.
#[async_trait]
pub trait StoreHost: FileHost {
    /// Begins a multipart upload of so many bytes; its id, and its parts, signed.
    async fn begin_upload(
        &self,
        artifact: ArtifactId,
        size_bytes: u64,
    ) -> (String, Vec<UploadPart>);

    /// Makes an object of what was sent.
    async fn complete_upload(&self, artifact: ArtifactId, upload_id: &str, etags: &[String]);

    /// Puts other bytes in an object's place.
    async fn replace(&self, artifact: ArtifactId, text: &str);

    /// Signs a GET of an object.
    async fn signed(&self, artifact: ArtifactId) -> PresignedUrl;
}

/// Two ports of one host, since what is sealed lies in directories that operations made.
pub struct Ports<'a> {
    /// The one that is tried.
    pub chunks: &'a dyn Chunks,
    /// Makes and removes directories.
    pub files: &'a dyn Files,
}

/// Runs the suite.
///
/// # Panics
/// When the chunks do not behave.
pub async fn conforms(ports: &Ports<'_>, host: &dyn StoreHost) {
    what_is_sealed_is_read_only_and_reads_back(ports, host).await;
    a_snapshot_is_published_once_and_never_over_another(ports, host).await;
    an_unpublish_takes_only_what_its_operation_sealed(ports, host).await;
    a_file_that_is_not_the_sealed_one_is_refused(ports, host).await;
    bytes_go_up_part_by_part_and_come_down_verified(ports, host).await;
}

const MEMORY: &str = "what the guest remembers";
const DISK: &str = "what the guest has written";

fn origin() -> SnapshotOrigin {
    journal::a_snapshot().origin
}

/// A sealed directory in the scratch of the `number`th operation.
async fn sealed(
    ports: &Ports<'_>,
    host: &dyn StoreHost,
    number: u8,
) -> (Utf8PathBuf, Vec<SealedArtifact>) {
    let owner = operation(number);
    let dir = host.layout().scratch(&owner);
    ports.files.make_dir(&dir, &owner).await.expect("makes scratch");
    host.write(&dir.join("memory.bin"), MEMORY).await;
    host.write(&dir.join("system.img"), DISK).await;
    host.write(&dir.join("left.over"), "nobody's").await;
    let request = SealRequest {
        dir: dir.clone(),
        artifacts: vec![ArtifactId::Memory, ArtifactId::DiskSystem],
        leftovers: vec!["left.over".into()],
        origin: origin(),
    };
    let artifacts = ports.chunks.seal(&request, &owner).await.expect("seals");
    (dir, artifacts)
}

/// A published snapshot of the `number`th operation.
async fn published(ports: &Ports<'_>, host: &dyn StoreHost, number: u8) -> Utf8PathBuf {
    let (from, _) = sealed(ports, host, number).await;
    let snapshot = format!("sealed-{number}").parse().expect("a snapshot id of a test");
    let to = host.layout().snapshot(&snapshot);
    ports.chunks.publish(&from, &to).await.expect("publishes");
    to
}

async fn gone(ports: &Ports<'_>, dir: &Utf8Path, number: u8) {
    ports.chunks.unpublish(dir, &operation(number)).await.expect("unpublishes its own");
}

async fn what_is_sealed_is_read_only_and_reads_back(ports: &Ports<'_>, host: &dyn StoreHost) {
    let (dir, artifacts) = sealed(ports, host, 21).await;
    let named: Vec<ArtifactId> = artifacts.iter().map(|sealed| sealed.artifact).collect();
    assert_eq!(named, [ArtifactId::Memory, ArtifactId::DiskSystem, ArtifactId::Manifest]);
    assert_eq!(artifacts[0].size_bytes, MEMORY.len() as u64);
    for name in ["memory.bin", "system.img", "manifest.json"] {
        let file = host.see(&dir.join(name)).await.expect("it is sealed");
        assert!(file.is_read_only && file.owner == 0, "promise P5: {name} {file:?}");
    }
    assert_eq!(host.see(&dir.join("left.over")).await, None, "leftovers are removed");
    let manifest = ports.chunks.read_manifest(&dir).await.expect("reads");
    assert_eq!(manifest.origin, origin());
    let files: Vec<_> =
        manifest.files.iter().map(|file| (file.artifact, file.size_bytes)).collect();
    let expected =
        [(ArtifactId::Memory, MEMORY.len() as u64), (ArtifactId::DiskSystem, DISK.len() as u64)];
    assert_eq!(files, expected);
    let manifest = artifacts.last().expect("three");
    let sum = ports.chunks.sum(&dir, ArtifactId::Manifest).await.expect("sums");
    assert_eq!(manifest.sha256, Some(sum.sha256), "the manifest's digest is known at once");
    gone(ports, &dir, 21).await;
}

async fn a_snapshot_is_published_once_and_never_over_another(
    ports: &Ports<'_>,
    host: &dyn StoreHost,
) {
    let first = published(ports, host, 22).await;
    assert!(host.has_dir(&first).await);
    let (second, _) = sealed(ports, host, 23).await;
    ports.chunks.publish(&second, &first).await.expect_err("promise P1: never over another's");
    assert!(host.has_dir(&second).await, "what was not published stays where it was");
    ports.chunks.check_sealed(&first, CheckDepth::Full).await.expect("the first is untouched");
    gone(ports, &second, 23).await;
    gone(ports, &first, 22).await;
    assert!(!host.has_dir(&first).await);
}

async fn an_unpublish_takes_only_what_its_operation_sealed(
    ports: &Ports<'_>,
    host: &dyn StoreHost,
) {
    let dir = published(ports, host, 24).await;
    gone(ports, &dir, 25).await;
    assert!(host.has_dir(&dir).await, "promise P1: it is another operation's");
    for _ in 0..2 {
        gone(ports, &dir, 24).await;
        assert!(!host.has_dir(&dir).await);
    }
}

async fn a_file_that_is_not_the_sealed_one_is_refused(ports: &Ports<'_>, host: &dyn StoreHost) {
    let dir = published(ports, host, 26).await;
    for depth in [CheckDepth::Identity, CheckDepth::Full] {
        ports.chunks.check_sealed(&dir, depth).await.expect("nobody has touched it");
    }
    // The same length: only its inode and its bytes tell.
    host.write(&dir.join("memory.bin"), &MEMORY.to_uppercase()).await;
    for depth in [CheckDepth::Identity, CheckDepth::Full] {
        let error = ports.chunks.check_sealed(&dir, depth).await.expect_err("promise P6");
        assert_eq!(error.fault, Fault::Refused, "{error:?}");
    }
    gone(ports, &dir, 26).await;
}

/// Remembers ETags in part order.
#[derive(Default)]
struct Etags(Mutex<Vec<(u32, String)>>);

#[async_trait]
impl PartSink for Etags {
    async fn finished(
        &self,
        _job: &UploadJob,
        part: &UploadPart,
        etag: &str,
    ) -> Result<(), PortError> {
        self.0.lock().expect("no panic before").push((part.part_number, etag.to_owned()));
        Ok(())
    }
}

async fn sent(ports: &Ports<'_>, host: &dyn StoreHost, dir: &Utf8Path, artifact: ArtifactId) {
    let path = dir.join(artifact.file_name());
    let size_bytes = ports.chunks.sum(dir, artifact).await.expect("sums").size_bytes;
    let (upload_id, parts) = host.begin_upload(artifact, size_bytes).await;
    let job = UploadJob { artifact, upload_id, path, parts };
    let sink = Etags::default();
    ports.chunks.upload(&job, &sink).await.expect("sends");
    let mut etags = sink.0.into_inner().expect("no panic before");
    etags.sort();
    assert_eq!(etags.len(), job.parts.len(), "promise P12: each part is told once");
    let etags: Vec<String> = etags.into_iter().map(|(_, etag)| etag).collect();
    host.complete_upload(artifact, &job.upload_id, &etags).await;
}

async fn bytes_go_up_part_by_part_and_come_down_verified(ports: &Ports<'_>, host: &dyn StoreHost) {
    let dir = published(ports, host, 27).await;
    for artifact in [ArtifactId::Memory, ArtifactId::DiskSystem, ArtifactId::Manifest] {
        sent(ports, host, &dir, artifact).await;
    }
    let sha256 = ports.chunks.sum(&dir, ArtifactId::Manifest).await.expect("sums").sha256;
    let manifest = host.signed(ArtifactId::Manifest).await;
    let known = ports.chunks.fetch_manifest(&manifest, &sha256).await.expect("fetches");
    assert_eq!(known, ports.chunks.read_manifest(&dir).await.expect("reads"));
    let other = Sha256Hex::from_bytes(&[9; 32]);
    let error = ports.chunks.fetch_manifest(&manifest, &other).await.expect_err("promise P6");
    assert_eq!(error.fault, Fault::Refused, "{error:?}");

    let owner = operation(28);
    let into = host.layout().scratch(&owner);
    ports.files.make_dir(&into, &owner).await.expect("makes scratch");
    ports.chunks.keep_manifest(&manifest, &sha256, &into).await.expect("keeps");
    let target = DownloadTarget {
        artifact: ArtifactId::DiskSystem,
        url: host.signed(ArtifactId::DiskSystem).await,
        to: into.join("system.img"),
        size_bytes: Some(8192),
        owner: Some(200_028),
    };
    ports.chunks.download(&target, &into).await.expect("fetches");
    let disk = host.see(&target.to).await.expect("it is there");
    assert_eq!((disk.text.as_str(), disk.size_bytes, disk.owner), (DISK, 8192, 200_028));

    host.replace(ArtifactId::Memory, &MEMORY.to_uppercase()).await;
    let lying = DownloadTarget {
        artifact: ArtifactId::Memory,
        url: host.signed(ArtifactId::Memory).await,
        to: into.join("memory"),
        size_bytes: None,
        owner: None,
    };
    let error = ports.chunks.download(&lying, &into).await.expect_err("promise P6");
    assert_eq!(error.fault, Fault::Refused, "{error:?}");
    assert_eq!(host.see(&lying.to).await, None, "what is wrong never has the name");
    ports.files.remove_scratch(&owner).await.expect("removes scratch");
    gone(ports, &dir, 27).await;
}

//! Snapshots to and from an object store, beside one `curl` for each part.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use contract::SnapshotId;
use contract::artifact::SnapshotArtifact;
use contract::endpoint::table::RestoreSnapshot;
use contract::restore::{DurableSnapshot, RestoreSnapshotRequest, RestoreSource};
use contract::upload::UploadSnapshotRequest;
use tokio::process::Command;
use tokio::task::JoinSet;

use super::figure::Figure;
use super::sample::Sample;
use super::scene::{MEMORY_MIB, Scene};
use crate::daemon::Daemon;
use crate::error::HarnessError;
use crate::machine::machine_id;
use crate::store_server::StoreServer;

const RUNS: usize = 5;
const PART_BYTES: u64 = 16 << 20;
/// As many at once as the daemon has under way in one call.
const PARALLEL: usize = 8;
/// The longest that one run may take.
const DEADLINE: Duration = Duration::from_secs(600);

/// A snapshot on a host, with all its digests.
struct Taken {
    daemon: Daemon,
    store: StoreServer,
    id: SnapshotId,
    artifacts: Vec<SnapshotArtifact>,
    dir: Utf8PathBuf,
}

/// One `curl`, its arguments.
type Curl = Vec<String>;

/// Uploads of the same files, in the same parts, to the same server.
pub(super) async fn upload(name: &'static str, scene: &Scene) -> Result<Figure, HarnessError> {
    let taken = Taken::take(name, scene).await?;
    let (mut ours, mut bare) = (Sample::default(), Sample::default());
    for run in 0..RUNS {
        let request = taken.sign_upload().await?;
        let began = Instant::now();
        let uploaded = taken.daemon.client().upload_snapshot(&taken.id, &request).await?;
        ours.add(taken.mib_per_second(began.elapsed()));
        taken.store.complete(&request, &uploaded).await?;

        let request = taken.sign_upload().await?;
        let curls = taken.upload_curls(&request, run == 0)?;
        let began = Instant::now();
        curl_all(curls).await?;
        bare.add(taken.mib_per_second(began.elapsed()));
    }
    taken.end().await?;
    Ok(Figure { name, value: ours.median(), unit: "MiB/s", bare: Some(bare.median()) })
}

/// A restore from the store until the VMM runs, all bytes verified, beside plain downloads of the same ranges.
pub(super) async fn download(name: &'static str, scene: &Scene) -> Result<Figure, HarnessError> {
    let taken = Taken::take(name, scene).await?;
    let request = taken.sign_upload().await?;
    let uploaded = taken.daemon.client().upload_snapshot(&taken.id, &request).await?;
    taken.store.complete(&request, &uploaded).await?;
    let artifacts = taken.store.sign_download(&taken.id, &taken.artifacts)?;
    let (mut ours, mut bare) = (Sample::default(), Sample::default());
    for run in 0..RUNS {
        let request = taken.restore_request(scene, run, artifacts.clone())?;
        let client = taken.daemon.client();
        let call = client.call(RestoreSnapshot, &taken.id).body(&request).deadline(DEADLINE);
        let began = Instant::now();
        call.send().await?;
        ours.add(taken.mib_per_second(began.elapsed()));
        taken.daemon.quiet().await?;
        client.delete_machine(&request.machine_id).await?;

        let curls = taken.download_curls(&artifacts);
        let began = Instant::now();
        curl_all(curls).await?;
        bare.add(taken.mib_per_second(began.elapsed()));
    }
    taken.end().await?;
    Ok(Figure { name, value: ours.median(), unit: "MiB/s", bare: Some(bare.median()) })
}

impl Taken {
    async fn take(name: &str, scene: &Scene) -> Result<Self, HarnessError> {
        let daemon = scene.daemon(name).await?;
        let store = StoreServer::start(&scene.dir(&format!("{name}-store"))?).await?;
        let source = scene.machine(&daemon, "source", MEMORY_MIB).await?;
        let id = source.snapshot("taken").await?.snapshot.id;
        daemon.quiet().await?;
        daemon.client().delete_machine(&source.id).await?;
        let artifacts = daemon.client().show_snapshot(&id).await?.artifacts;
        let dir = scene.dir(&format!("{name}-parts"))?;
        Ok(Self { daemon, store, id, artifacts, dir })
    }

    fn mib_per_second(&self, time: Duration) -> f64 {
        let bytes: u64 = self.artifacts.iter().map(|artifact| artifact.size_bytes).sum();
        bytes as f64 / f64::from(1 << 20) / time.as_secs_f64()
    }

    async fn sign_upload(&self) -> Result<UploadSnapshotRequest, HarnessError> {
        self.store.sign_upload(&self.id, &self.artifacts, PART_BYTES).await
    }

    /// A `curl` for each part, of a file of its own; the files are written when asked.
    fn upload_curls(
        &self,
        request: &UploadSnapshotRequest,
        writes: bool,
    ) -> Result<Vec<Curl>, HarnessError> {
        let mut curls = Vec::new();
        for artifact in &request.artifacts {
            let name = artifact.artifact_id.file_name();
            let whole = self.daemon.root().join("snapshots").join(self.id.as_str()).join(&name);
            for part in &artifact.parts {
                let file = self.dir.join(format!("{name}.{}", part.part_number));
                if writes {
                    cut(&whole, part.offset_bytes, part.size_bytes, &file)?;
                }
                curls.push(curl(["--upload-file", file.as_str()], part.upload_url.as_str()));
            }
        }
        Ok(curls)
    }

    /// A `curl` for each range.
    fn download_curls(&self, artifacts: &[SnapshotArtifact]) -> Vec<Curl> {
        let mut curls = Vec::new();
        for artifact in artifacts {
            let Some(url) = &artifact.download_url else { continue };
            for first in (0..artifact.size_bytes).step_by(PART_BYTES as usize) {
                let last = (first + PART_BYTES).min(artifact.size_bytes) - 1;
                let file = self.dir.join(format!("{}.{first}", artifact.id.file_name()));
                let mut arguments = curl(["--output", file.as_str()], url.as_str());
                arguments.extend(["--range".to_owned(), format!("{first}-{last}")]);
                curls.push(arguments);
            }
        }
        curls
    }

    fn restore_request(
        &self,
        scene: &Scene,
        run: usize,
        artifacts: Vec<SnapshotArtifact>,
    ) -> Result<RestoreSnapshotRequest, HarnessError> {
        let source = RestoreSource::Durable(DurableSnapshot {
            snapshot_id: Some(self.id.clone()),
            artifacts,
            ..DurableSnapshot::default()
        });
        let machine_id = machine_id(&format!("box-{run}"))?;
        Ok(RestoreSnapshotRequest::named(machine_id, scene.image.artifact()?, source))
    }

    async fn end(self) -> Result<(), HarnessError> {
        let removed = std::fs::remove_dir_all(&self.dir);
        removed.map_err(HarnessError::io(format!("remove {}", self.dir)))?;
        self.daemon.finish().await
    }
}

fn curl(further: [&str; 2], url: &str) -> Curl {
    let fixed = ["--silent", "--show-error", "--fail"];
    fixed.into_iter().chain(further).chain([url]).map(str::to_owned).collect()
}

/// Runs them, so many at once.
async fn curl_all(curls: Vec<Curl>) -> Result<(), HarnessError> {
    let mut running = JoinSet::new();
    for arguments in curls {
        if running.len() == PARALLEL {
            joined(&mut running).await?;
        }
        running.spawn(Command::new("curl").args(arguments).kill_on_drop(true).output());
    }
    while !running.is_empty() {
        joined(&mut running).await?;
    }
    Ok(())
}

async fn joined(
    running: &mut JoinSet<std::io::Result<std::process::Output>>,
) -> Result<(), HarnessError> {
    let Some(ended) = running.join_next().await else { return Ok(()) };
    let output = ended
        .map_err(|error| HarnessError::value("curl", error))?
        .map_err(HarnessError::io("run curl"))?;
    if output.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    Err(HarnessError::Tool { command: "curl".into(), status: "a failure".into(), output })
}

fn cut(whole: &Utf8Path, offset: u64, length: u64, to: &Utf8Path) -> Result<(), HarnessError> {
    let copy = || {
        let mut from = File::open(whole)?;
        from.seek(SeekFrom::Start(offset))?;
        std::io::copy(&mut from.take(length), &mut File::create(to)?).map(drop)
    };
    copy().map_err(HarnessError::io(format!("cut {to} out of {whole}")))
}

//! Lazy restores beside restores that fetch everything first, from the same store at the end of the same line.

use std::time::{Duration, Instant};

use contract::chunked::{
    ChunkSnapshotRequest, ChunkedSource, PackDownload, PackUpload, UploadChunkedRequest,
};
use contract::lazy::{LazyRestore, Touched};
use contract::{Secret, SnapshotId};

use super::figure::Figure;
use super::sample::Sample;
use super::scene::Scene;
use crate::daemon::Daemon;
use crate::error::HarnessError;
use crate::line::{Line, Shape};
use crate::machine::Machine;
use crate::store_server::StoreServer;

const RUNS: usize = 3;
const LINE: Shape = Shape { latency: Duration::from_millis(20), bytes_per_second: 100_000_000 };
/// Says how much memory the machine has, in MiB; three quarters of it are noise.
const MEMORY_VARIABLE: &str = "COMPUTER_BENCH_LAZY_MIB";
const MEMORY_MIB: u64 = 1024;
/// As much noise as a guest makes well within the time of one command.
const PIECE_MIB: u64 = 32;

/// Whether the order of an earlier restore is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// It is not.
    Unknown,
    /// It is, and fetched first.
    Recorded,
}

/// From the request to the answer of a first command, in ms; bare, of a restore that fetches all packs first.
pub(super) async fn restore(
    name: &'static str,
    scene: &Scene,
    order: Order,
) -> Result<Figure, HarnessError> {
    let line = Line::start(LINE).await?;
    let stored = Stored::store(name, scene, &line).await?;
    let host = scene.daemon(&format!("{name}-b")).await?;
    let working_set = match order {
        Order::Unknown => vec![],
        Order::Recorded => stored.recorded(scene, &host).await?,
    };
    let (mut ours, mut bare) = (Sample::default(), Sample::default());
    for run in 0..RUNS {
        let lazy = LazyRestore { renewal_url: None, working_set: working_set.clone() };
        let began = Instant::now();
        let machine = stored.lazily(scene, &host, &format!("lazy-{run}"), lazy).await?;
        machine.exec("true").await?;
        ours.add(began.elapsed().as_secs_f64() * 1000.0);
        gone(&host, &machine).await?;

        let began = Instant::now();
        let name = format!("full-{run}");
        let source = stored.source.clone();
        let machine = host.restore_chunked(&stored.id, source, &name, &scene.image).await?;
        machine.exec("true").await?;
        bare.add(began.elapsed().as_secs_f64() * 1000.0);
        gone(&host, &machine).await?;
    }
    host.finish().await?;
    Ok(Figure { name, value: ours.median(), unit: "ms", bare: Some(bare.median()) })
}

async fn gone(host: &Daemon, machine: &Machine) -> Result<(), HarnessError> {
    host.client().delete_machine(&machine.id).await?;
    host.quiet().await
}

/// A snapshot whose memory is mostly noise, in the store; its host is gone.
struct Stored {
    id: SnapshotId,
    source: ChunkedSource,
    _store: StoreServer,
}

impl Stored {
    async fn store(name: &str, scene: &Scene, line: &Line) -> Result<Self, HarnessError> {
        let host = scene.daemon(&format!("{name}-a")).await?;
        let dir = scene.dir(&format!("{name}-store"))?;
        let store = StoreServer::start_behind(&dir, line).await?;
        let memory_mib = match std::env::var(MEMORY_VARIABLE) {
            Ok(text) => {
                text.parse().map_err(|error| HarnessError::value(MEMORY_VARIABLE, error))?
            }
            Err(_) => MEMORY_MIB,
        };
        let machine = scene.machine(&host, "source", memory_mib).await?;
        // Noise that the guest needs no longer than to make it: what it answers with lies elsewhere.
        let size = memory_mib * 9 / 10;
        machine.exec(&format!("mount -t tmpfs -o size={size}m none /mnt")).await?;
        for piece in 0..memory_mib * 3 / 4 / PIECE_MIB {
            machine.exec(&format!("head -c {PIECE_MIB}M /dev/urandom > /mnt/{piece}")).await?;
        }
        let id = machine.snapshot("noise").await?.snapshot.id;
        let source = sent(&host, &store, &id).await?;
        host.finish().await?;
        Ok(Self { id, source, _store: store })
    }

    async fn lazily(
        &self,
        scene: &Scene,
        host: &Daemon,
        name: &str,
        lazy: LazyRestore,
    ) -> Result<Machine, HarnessError> {
        host.restore_lazily(&self.id, self.source.clone(), lazy, name, &scene.image).await
    }

    /// What a first restore touched up to its first command.
    async fn recorded(&self, scene: &Scene, host: &Daemon) -> Result<Vec<Touched>, HarnessError> {
        let machine = self.lazily(scene, host, "first", LazyRestore::default()).await?;
        machine.exec("true").await?;
        let touched = host.client().show_filling(&machine.id).await?.touched;
        gone(host, &machine).await?;
        Ok(touched)
    }
}

async fn sent(
    host: &Daemon,
    store: &StoreServer,
    id: &SnapshotId,
) -> Result<ChunkedSource, HarnessError> {
    let form = host.client().chunk_snapshot(id, &ChunkSnapshotRequest::default()).await?;
    let (mut packs, mut there) = (Vec::new(), Vec::new());
    for pack in &form.packs {
        let key = format!("packs/{}", pack.pack_id);
        let pack_id = pack.pack_id.clone();
        packs.push(PackUpload { pack_id: pack_id.clone(), upload_url: store.sign_put(&key)? });
        there.push(PackDownload { pack_id, download_url: store.sign_get(&key)? });
    }
    let manifest_url = Some(store.sign_put("form")?);
    host.client().upload_chunked(id, &UploadChunkedRequest { packs, manifest_url }).await?;
    Ok(ChunkedSource {
        manifest_url: store.sign_get("form")?,
        manifest_sha256_hex: form.manifest.sha256_hex,
        packs: there,
        key: Secret::default(),
    })
}

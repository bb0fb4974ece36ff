//! Snapshots and restores.

use std::io::Read as _;
use std::time::Instant;

use camino::Utf8Path;

use super::super::figure::Figure;
use super::super::pause::pause_ms;
use super::super::sample::Sample;
use super::super::scene::Scene;
use super::bare::BareHost;
use super::lives::up;
use super::scene::{FirecrackerScene, MEMORY_MIB};
use crate::error::HarnessError;

const RUNS: usize = 10;
/// What the guest has written since it booted.
const TOUCHED: &str = "touch=64 idle";
/// What it says when it has.
const IDLE: &str = "IDLE";

/// `POST /snapshots/{id}/restore` until the guest is resumed, beside a bare jailer, load and resume of the same files.
pub(in crate::bench) async fn restore(
    name: &'static str,
    scene: &Scene,
) -> Result<Figure, HarnessError> {
    compare(name, scene, MEMORY_MIB).await
}

/// The same, ours alone, with this much memory.
pub(in crate::bench) async fn restore_of_size(
    name: &'static str,
    scene: &Scene,
    memory_mib: u64,
) -> Result<Figure, HarnessError> {
    compare(name, scene, memory_mib).await
}

async fn compare(
    name: &'static str,
    scene: &Scene,
    memory_mib: u64,
) -> Result<Figure, HarnessError> {
    let scene = FirecrackerScene::set(scene, "idle")?;
    let bare_host = BareHost::prepare(&scene)?;
    let daemon = scene.daemon(name).await?;
    let source = scene.machine(&daemon, "source", memory_mib).await?;
    up(&daemon, "source", IDLE).await?;
    let snapshot = source.snapshot("taken").await?.snapshot.id;
    daemon.quiet().await?;
    daemon.client().delete_machine(&source.id).await?;
    let dir = daemon.root().join("snapshots").join(snapshot.as_str());
    let (mut ours, mut bare) = (Sample::default(), Sample::default());
    for run in 0..RUNS {
        daemon.quiet().await?;
        let began = Instant::now();
        let machine = daemon.restore(&snapshot, &format!("box-{run}"), &scene.image).await?;
        ours.add_time(began.elapsed());
        daemon.client().delete_machine(&machine.id).await?;
        let (guest, took) = bare_host.restore(&dir).await?;
        bare.add_time(took);
        guest.end().await?;
    }
    daemon.finish().await?;
    Ok(Figure { name, value: ours.median(), unit: "ms", bare: Some(bare.median()) })
}

/// `pause_ms` of a machine that has written 64 MiB since it booted.
pub(in crate::bench) async fn pause(
    name: &'static str,
    scene: &Scene,
    memory_mib: u64,
) -> Result<Figure, HarnessError> {
    let scene = FirecrackerScene::set(scene, TOUCHED)?;
    let daemon = scene.daemon(name).await?;
    let machine = scene.machine(&daemon, "box", memory_mib).await?;
    up(&daemon, "box", IDLE).await?;
    let mut sample = Sample::default();
    for run in 0..RUNS {
        sample.add(pause_ms(&daemon, &machine, run).await?);
    }
    daemon.finish().await?;
    Ok(Figure { name, value: sample.median(), unit: "ms", bare: None })
}

/// The whole `POST /machines/{id}/snapshots`, beside the bare calls and reading once what they wrote.
pub(in crate::bench) async fn snapshot(
    name: &'static str,
    scene: &Scene,
) -> Result<Figure, HarnessError> {
    let scene = FirecrackerScene::set(scene, TOUCHED)?;
    let bare_host = BareHost::prepare(&scene)?;
    let daemon = scene.daemon(name).await?;
    let machine = scene.machine(&daemon, "box", MEMORY_MIB).await?;
    up(&daemon, "box", IDLE).await?;
    let (guest, _took) = bare_host.boot(MEMORY_MIB).await?;
    let (mut ours, mut bare) = (Sample::default(), Sample::default());
    for run in 0..RUNS {
        let began = Instant::now();
        let taken = machine.snapshot(&format!("run-{run}")).await?.snapshot;
        ours.add_time(began.elapsed());
        daemon.quiet().await?;
        daemon.client().delete_snapshot(&taken.id).await?;
        daemon.quiet().await?;
        let began = Instant::now();
        guest.snapshot().await?;
        read_data(&guest.path("memory.new"))?;
        bare.add_time(began.elapsed());
        std::fs::remove_file(guest.path("memory.new"))
            .map_err(HarnessError::io("remove a bare snapshot"))?;
    }
    guest.end().await?;
    daemon.finish().await?;
    Ok(Figure { name, value: ours.median(), unit: "ms", bare: Some(bare.median()) })
}

/// Reads what is no hole.
fn read_data(path: &Utf8Path) -> Result<(), HarnessError> {
    use rustix::fs::{SeekFrom, seek};
    let failed = || HarnessError::io(format!("read {path}"));
    let mut file = std::fs::File::open(path).map_err(failed())?;
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    while let Ok(begin) = seek(&file, SeekFrom::Data(at)) {
        at = seek(&file, SeekFrom::Hole(begin)).map_err(|error| failed()(error.into()))?;
        seek(&file, SeekFrom::Start(begin)).map_err(|error| failed()(error.into()))?;
        let mut left = at - begin;
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(buffer.len()).min(buffer.len());
            file.read_exact(&mut buffer[..wanted]).map_err(failed())?;
            left -= wanted as u64;
        }
    }
    Ok(())
}

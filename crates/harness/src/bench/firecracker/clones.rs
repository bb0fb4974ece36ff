//! Many clones of one snapshot at once.

use std::time::{Duration, Instant};

use super::super::figure::Figure;
use super::super::sample::Sample;
use super::super::scene::Scene;
use super::bare::BareHost;
use super::lives::up;
use super::scene::{FirecrackerScene, MEMORY_MIB};
use crate::daemon::Daemon;
use crate::error::HarnessError;
use crate::machine::restore_request;

/// How many at once.
const CLONES: u32 = 100;
/// The bare sequence is as long for each: a few tell.
const BARE_RUNS: usize = 10;
/// After which a daemon has come to rest.
const REST: Duration = Duration::from_secs(8);

/// Time for each of a hundred clones that are asked for at once, beside the bare sequence of one after the other.
pub(in crate::bench) async fn clone_time(
    name: &'static str,
    scene: &Scene,
) -> Result<Figure, HarnessError> {
    let scene = FirecrackerScene::set(scene, "idle")?;
    let bare_host = BareHost::prepare(&scene)?;
    let daemon = scene.daemon(name).await?;
    let snapshot = taken(&scene, &daemon).await?;
    let began = Instant::now();
    restore_all(&scene, &daemon, &snapshot).await?;
    let each = began.elapsed() / CLONES;
    let dir = daemon.root().join("snapshots").join(snapshot.as_str());
    let mut bare = Sample::default();
    for _ in 0..BARE_RUNS {
        let (guest, took) = bare_host.restore(&dir).await?;
        bare.add_time(took);
        guest.end().await?;
    }
    daemon.finish().await?;
    let value = each.as_secs_f64() * 1000.0;
    Ok(Figure { name, value, unit: "ms", bare: Some(bare.median()) })
}

/// How much more memory the daemon itself takes for each of a hundred clones.
pub(in crate::bench) async fn daemon_kib(
    name: &'static str,
    scene: &Scene,
) -> Result<Figure, HarnessError> {
    let scene = FirecrackerScene::set(scene, "idle")?;
    let daemon = scene.daemon(name).await?;
    let snapshot = taken(&scene, &daemon).await?;
    let before = resident_kib(&daemon).await?;
    restore_all(&scene, &daemon, &snapshot).await?;
    let after = resident_kib(&daemon).await?;
    daemon.finish().await?;
    let value = (after - before) / f64::from(CLONES);
    Ok(Figure { name, value, unit: "KiB", bare: None })
}

async fn taken(
    scene: &FirecrackerScene<'_>,
    daemon: &Daemon,
) -> Result<contract::SnapshotId, HarnessError> {
    let source = scene.machine(daemon, "source", MEMORY_MIB).await?;
    up(daemon, "source", "IDLE").await?;
    let snapshot = source.snapshot("taken").await?.snapshot.id;
    daemon.quiet().await?;
    daemon.client().delete_machine(&source.id).await?;
    // The first restore fills pools and caches.
    let first = daemon.restore(&snapshot, "first", &scene.image).await?;
    daemon.client().delete_machine(&first.id).await?;
    daemon.quiet().await?;
    Ok(snapshot)
}

async fn restore_all(
    scene: &FirecrackerScene<'_>,
    daemon: &Daemon,
    snapshot: &contract::SnapshotId,
) -> Result<(), HarnessError> {
    let mut asked = tokio::task::JoinSet::new();
    for index in 0..CLONES {
        let request = restore_request(snapshot, &format!("clone-{index}"), &scene.image)?;
        let (client, snapshot) = (daemon.client(), snapshot.clone());
        asked.spawn(async move {
            client.restore_snapshot(&snapshot, &request, &crate::machine::running()).await
        });
    }
    while let Some(answer) = asked.join_next().await {
        answer.map_err(|error| HarnessError::value("a restore", error))??;
    }
    Ok(())
}

async fn resident_kib(daemon: &Daemon) -> Result<f64, HarnessError> {
    daemon.quiet().await?;
    tokio::time::sleep(REST).await;
    super::super::daemon::resident_kib(daemon)
}

//! From nothing, or from a snapshot, to a guest whose agent answers.

use std::time::Instant;

use super::bare::{BareHost, BareSnapshot};
use super::figure::Figure;
use super::sample::Sample;
use super::scene::{MEMORY_MIB, Scene};
use crate::error::HarnessError;

const RUNS: usize = 10;

/// `POST /machines?wait=running`, beside the bare command line until the agent's first answer.
pub(super) async fn create(name: &'static str, scene: &Scene) -> Result<Figure, HarnessError> {
    let bare_host = BareHost::prepare(scene)?;
    let daemon = scene.daemon(name).await?;
    let (mut ours, mut bare) = (Sample::default(), Sample::default());
    // The first create brings the image into the daemon's cache.
    let first = scene.machine(&daemon, "first", MEMORY_MIB).await?;
    daemon.client().delete_machine(&first.id).await?;
    for run in 0..RUNS {
        let began = Instant::now();
        let machine = scene.machine(&daemon, &format!("box-{run}"), MEMORY_MIB).await?;
        ours.add_time(began.elapsed());
        daemon.client().delete_machine(&machine.id).await?;
        let (guest, took) = bare_host.boot(MEMORY_MIB).await?;
        bare.add_time(took);
        guest.end().await?;
    }
    daemon.finish().await?;
    Ok(Figure { name, value: ours.median(), unit: "ms", bare: Some(bare.median()) })
}

/// `POST /snapshots/{id}/restore?wait=running` of a local snapshot, beside a bare `-incoming` of the same files.
pub(super) async fn restore(name: &'static str, scene: &Scene) -> Result<Figure, HarnessError> {
    let bare_host = BareHost::prepare(scene)?;
    let daemon = scene.daemon(name).await?;
    let source = scene.machine(&daemon, "source", MEMORY_MIB).await?;
    let snapshot = source.snapshot("taken").await?.snapshot.id;
    daemon.quiet().await?;
    daemon.client().delete_machine(&source.id).await?;
    let files = BareSnapshot::of(daemon.root(), snapshot.as_str());
    let (mut ours, mut bare) = (Sample::default(), Sample::default());
    for run in 0..RUNS {
        let began = Instant::now();
        let machine = daemon.restore(&snapshot, &format!("box-{run}"), &scene.image).await?;
        ours.add_time(began.elapsed());
        daemon.client().delete_machine(&machine.id).await?;
        let (guest, took) = bare_host.restore(MEMORY_MIB, &files).await?;
        bare.add_time(took);
        guest.end().await?;
    }
    daemon.finish().await?;
    Ok(Figure { name, value: ours.median(), unit: "ms", bare: Some(bare.median()) })
}

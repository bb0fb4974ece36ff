//! How long a snapshot stops the virtual CPUs, beside a bare stop, migrate, cont of the same QEMU.

use super::bare::{Bare, BareHost, BareSnapshot};
use super::figure::Figure;
use super::sample::Sample;
use super::scene::{MEMORY_MIB, Scene};
use crate::daemon::Daemon;
use crate::error::HarnessError;
use crate::machine::Machine;

const RUNS: usize = 10;

/// Of a machine that was booted.
pub(super) async fn fresh(
    name: &'static str,
    scene: &Scene,
    memory_mib: u64,
) -> Result<Figure, HarnessError> {
    let bare_host = BareHost::prepare(scene)?;
    let daemon = scene.daemon(name).await?;
    let machine = scene.machine(&daemon, "box", memory_mib).await?;
    let (bare, _took) = bare_host.boot(memory_mib).await?;
    take_turns(name, daemon, &machine, bare).await
}

/// Of a machine that was restored.
pub(super) async fn restored(name: &'static str, scene: &Scene) -> Result<Figure, HarnessError> {
    let bare_host = BareHost::prepare(scene)?;
    let daemon = scene.daemon(name).await?;
    let source = scene.machine(&daemon, "source", MEMORY_MIB).await?;
    let snapshot = source.snapshot("taken").await?.snapshot.id;
    daemon.quiet().await?;
    daemon.client().delete_machine(&source.id).await?;
    let machine = daemon.restore(&snapshot, "box", &scene.image).await?;
    let files = BareSnapshot::of(daemon.root(), snapshot.as_str());
    let (bare, _took) = bare_host.restore(MEMORY_MIB, &files).await?;
    take_turns(name, daemon, &machine, bare).await
}

/// Of a machine of 2 GiB in which 64 MiB of memory are written again and again: so many are dirty when its processes are frozen. Ours
/// alone.
pub(super) async fn dirty(name: &'static str, scene: &Scene) -> Result<Figure, HarnessError> {
    let daemon = scene.daemon(name).await?;
    let machine = scene.machine(&daemon, "box", 2048).await?;
    let write = "while :; do dd if=/dev/urandom of=/run/dirty bs=1M count=64 conv=notrunc; done";
    machine.exec("mount -o remount,size=128M /run").await?;
    machine.exec("dd if=/dev/urandom of=/run/dirty bs=1M count=64 2>/dev/null").await?;
    machine.exec(&format!("setsid sh -c '{write}' >/dev/null 2>&1 </dev/null &")).await?;
    let mut sample = Sample::default();
    for run in 0..RUNS {
        sample.add(pause_ms(&daemon, &machine, run).await?);
    }
    daemon.finish().await?;
    Ok(Figure { name, value: sample.median(), unit: "ms", bare: None })
}

/// For how long a snapshot lets a machine stand still, in milliseconds; the snapshot is deleted again.
pub(super) async fn pause_ms(
    daemon: &Daemon,
    machine: &Machine,
    run: usize,
) -> Result<f64, HarnessError> {
    let taken = machine.snapshot(&format!("run-{run}")).await?.snapshot;
    // Digests are computed in the background: they shall slow nobody who measures next.
    daemon.quiet().await?;
    daemon.client().delete_snapshot(&taken.id).await?;
    Ok(taken.pause_ms as f64)
}

async fn take_turns(
    name: &'static str,
    daemon: Daemon,
    machine: &Machine,
    bare: Bare,
) -> Result<Figure, HarnessError> {
    let (mut ours, mut theirs) = (Sample::default(), Sample::default());
    for run in 0..RUNS {
        ours.add(pause_ms(&daemon, machine, run).await?);
        theirs.add_time(bare.pause().await?);
    }
    bare.end().await?;
    daemon.finish().await?;
    Ok(Figure { name, value: ours.median(), unit: "ms", bare: Some(theirs.median()) })
}

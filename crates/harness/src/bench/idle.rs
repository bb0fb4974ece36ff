//! What a further snapshot of an idle machine adds to the chunks of its host, and what it costs the daemon.

use std::time::Duration;

use contract::chunked::ChunkSnapshotRequest;

use super::daemon::pid;
use super::figure::Figure;
use super::scene::{MEMORY_MIB, Scene};
use crate::daemon::Daemon;
use crate::error::HarnessError;
use crate::machine::{Machine, snapshot_id};

/// What the second of two snapshots in chunked form took.
struct Second {
    new_bytes: u64,
    document_bytes: u64,
    spent: Duration,
}

/// MiB of packs and document.
pub(super) async fn stored(name: &'static str, scene: &Scene) -> Result<Figure, HarnessError> {
    let second = second(name, scene).await?;
    let bytes = second.new_bytes + second.document_bytes;
    let value = bytes as f64 / f64::from(1 << 20);
    Ok(Figure { name, value, unit: "MiB", bare: None })
}

/// Seconds of one core of the daemon: sealing, sums and cutting.
pub(super) async fn spent(name: &'static str, scene: &Scene) -> Result<Figure, HarnessError> {
    let value = second(name, scene).await?.spent.as_secs_f64();
    Ok(Figure { name, value, unit: "s", bare: None })
}

async fn second(name: &'static str, scene: &Scene) -> Result<Second, HarnessError> {
    let daemon = scene.daemon(name).await?;
    let machine = scene.machine(&daemon, "box", MEMORY_MIB).await?;
    form(&daemon, &machine, "first").await?;
    let before = spent_by(&daemon)?;
    let (new_bytes, document_bytes) = form(&daemon, &machine, "second").await?;
    let spent = spent_by(&daemon)?.saturating_sub(before);
    daemon.client().delete_machine(&machine.id).await?;
    for name in ["first", "second"] {
        daemon.client().delete_snapshot(&snapshot_id(name)?).await?;
    }
    daemon.finish().await?;
    Ok(Second { new_bytes, document_bytes, spent })
}

async fn form(daemon: &Daemon, machine: &Machine, name: &str) -> Result<(u64, u64), HarnessError> {
    machine.snapshot(name).await?;
    daemon.quiet().await?;
    let request = ChunkSnapshotRequest::default();
    let form = daemon.client().chunk_snapshot(&snapshot_id(name)?, &request).await?;
    Ok((form.new_bytes, form.manifest.size_bytes))
}

/// What the daemon spent since it started, threads that ended included.
fn spent_by(daemon: &Daemon) -> Result<Duration, HarnessError> {
    let path = format!("/proc/{}/stat", pid(daemon)?);
    let text = std::fs::read_to_string(&path).map_err(HarnessError::io(format!("read {path}")))?;
    // The name of the program, in parentheses, may hold anything: utime and stime are the 12th and 13th past it.
    let past = text.rsplit_once(") ").map(|(_, past)| past.split(' ').skip(11).take(2));
    let ticks =
        past.and_then(|past| past.map(|number| number.parse::<u64>().ok()).sum::<Option<u64>>());
    let ticks = ticks.ok_or_else(|| HarnessError::value(path, "it has no times"))?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

//! What the daemon itself takes: memory, memory for each machine, and processor time while nothing happens.

use std::time::Duration;

use super::figure::Figure;
use super::scene::{MEMORY_MIB, Scene};
use crate::daemon::Daemon;
use crate::error::HarnessError;

/// How many machines run for the memory of each.
const MACHINES: u32 = 8;
/// For how long nothing happens.
const IDLE: Duration = Duration::from_secs(30);
/// After which a daemon has come to rest: it keeps idle threads for five seconds.
const REST: Duration = Duration::from_secs(8);

/// Resident memory without any machine, after the first one came and went.
pub(super) async fn resident(name: &'static str, scene: &Scene) -> Result<Figure, HarnessError> {
    let daemon = scene.daemon(name).await?;
    come_and_go(scene, &daemon).await?;
    let value = rested_kib(&daemon).await? / 1024.0;
    daemon.finish().await?;
    Ok(Figure { name, value, unit: "MiB", bare: None })
}

/// How much more each running machine takes: real ones, restored from one snapshot.
pub(super) async fn per_machine(name: &'static str, scene: &Scene) -> Result<Figure, HarnessError> {
    let daemon = scene.daemon(name).await?;
    let source = scene.machine(&daemon, "source", MEMORY_MIB).await?;
    let snapshot = source.snapshot("taken").await?.snapshot.id;
    daemon.quiet().await?;
    let clone = daemon.restore(&snapshot, "first", &scene.image).await?;
    daemon.client().delete_machine(&clone.id).await?;
    let before = rested_kib(&daemon).await?;
    for index in 0..MACHINES {
        daemon.restore(&snapshot, &format!("box-{index}"), &scene.image).await?;
    }
    let after = rested_kib(&daemon).await?;
    daemon.finish().await?;
    let value = (after - before) / f64::from(MACHINES);
    Ok(Figure { name, value, unit: "KiB", bare: None })
}

/// Processor time over wall time with one machine running and nobody asking.
pub(super) async fn idle_cpu(name: &'static str, scene: &Scene) -> Result<Figure, HarnessError> {
    let daemon = scene.daemon(name).await?;
    scene.machine(&daemon, "box", MEMORY_MIB).await?;
    tokio::time::sleep(REST).await;
    let before = cpu_nanoseconds(&daemon)?;
    tokio::time::sleep(IDLE).await;
    let spent = cpu_nanoseconds(&daemon)?.saturating_sub(before);
    daemon.finish().await?;
    let value = Duration::from_nanos(spent).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    Ok(Figure { name, value, unit: "%", bare: None })
}

async fn come_and_go(scene: &Scene, daemon: &Daemon) -> Result<(), HarnessError> {
    let machine = scene.machine(daemon, "first", MEMORY_MIB).await?;
    Ok(daemon.client().delete_machine(&machine.id).await?)
}

async fn rested_kib(daemon: &Daemon) -> Result<f64, HarnessError> {
    daemon.quiet().await?;
    tokio::time::sleep(REST).await;
    resident_kib(daemon)
}

/// What is resident now.
pub(super) fn resident_kib(daemon: &Daemon) -> Result<f64, HarnessError> {
    let path = format!("/proc/{}/status", pid(daemon)?);
    let text = std::fs::read_to_string(&path).map_err(HarnessError::io(format!("read {path}")))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok())
        .ok_or_else(|| HarnessError::value(path, "it has no VmRSS"))
}

/// What all threads spent, by the scheduler's account; those that ended meanwhile are missed.
fn cpu_nanoseconds(daemon: &Daemon) -> Result<u64, HarnessError> {
    let dir = format!("/proc/{}/task", pid(daemon)?);
    let tasks = std::fs::read_dir(&dir).map_err(HarnessError::io(format!("list {dir}")))?;
    let mut spent = 0;
    for task in tasks {
        let path = task.map_err(HarnessError::io(format!("list {dir}")))?.path().join("schedstat");
        let text = std::fs::read_to_string(&path)
            .map_err(HarnessError::io(format!("read {}", path.display())))?;
        let ran = text.split(' ').next().and_then(|number| number.parse::<u64>().ok());
        spent += ran.ok_or_else(|| HarnessError::value(path.display().to_string(), text))?;
    }
    Ok(spent)
}

pub(super) fn pid(daemon: &Daemon) -> Result<u32, HarnessError> {
    daemon.pid().ok_or_else(|| HarnessError::value("the daemon", "it does not run"))
}

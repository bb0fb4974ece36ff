//! Many machines from one snapshot, beside as many bare QEMUs that map the same memory privately.

use std::time::Instant;

use contract::fork::ForkRequest;
use tokio::sync::Semaphore;

use super::bare::{BareHost, BareSnapshot};
use super::figure::Figure;
use super::scene::{MEMORY_MIB, Scene};
use crate::daemon::Daemon;
use crate::error::HarnessError;
use crate::machine::running;

/// How many children are made, and how the figure says so: the most for which there is memory.
const COUNTS: [(u32, &str); 4] =
    [(100, "ms"), (50, "ms, 50 of them"), (25, "ms, 25 of them"), (10, "ms, 10 of them")];
/// What a child with its VMM takes at most before its agent answers, in MiB.
const CHILD_MIB: u64 = 96;
/// How many bare machines are started at once; as many as a daemon does.
const AT_ONCE: usize = 8;
/// How many children tell how much is their own.
const COUNTED: u32 = 8;

/// `POST /snapshots/{id}/fork?wait=running`, beside bare machines that map one memory file privately, until the last agent answers.
pub(super) async fn many(name: &'static str, scene: &Scene) -> Result<Figure, HarnessError> {
    let (count, unit) = affordable()?;
    let (daemon, snapshot) = taken(name, scene).await?;
    let request = ForkRequest { count: Some(count), ..ForkRequest::default() };
    let began = Instant::now();
    let answer = daemon.client().fork_snapshot(&snapshot, &request, &running()).await?;
    let ours = began.elapsed();
    for child in answer.children {
        let reason = child.error.map(|error| error.error);
        let machine = child.machine.ok_or_else(|| {
            HarnessError::value(child.machine_id.to_string(), reason.unwrap_or_default())
        })?;
        let machine = daemon.machine(machine)?;
        daemon.client().delete_machine(&machine.id).await?;
    }
    daemon.quiet().await?;

    let files = BareSnapshot::of(daemon.root(), snapshot.as_str());
    let hosts: Vec<BareHost> =
        (0..count).map(|number| BareHost::numbered(scene, number)).collect::<Result<_, _>>()?;
    let memory = hosts.first().map(|host| host.shared_memory(&files)).transpose()?;
    let memory = memory.ok_or_else(|| HarnessError::value("children", "none"))?;
    let began = Instant::now();
    let turns = Semaphore::new(AT_ONCE);
    let births = hosts.iter().map(async |host| {
        let turn = turns.acquire().await.map_err(|error| HarnessError::value("a turn", error))?;
        let bare = host.clone_of(MEMORY_MIB, &files, &memory).await?;
        drop(turn);
        bare.ready().await?;
        Ok::<_, HarnessError>(bare)
    });
    let born = futures_util::future::try_join_all(births).await?;
    let bare = began.elapsed();
    for guest in born {
        guest.end().await?;
    }
    daemon.finish().await?;
    let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
    Ok(Figure { name, value: milliseconds(ours), unit, bare: Some(milliseconds(bare)) })
}

/// What each child has for itself, its VMM included, when its agent has answered.
pub(super) async fn child_mib(name: &'static str, scene: &Scene) -> Result<Figure, HarnessError> {
    let (daemon, snapshot) = taken(name, scene).await?;
    let request = ForkRequest { count: Some(COUNTED), ..ForkRequest::default() };
    let answer = daemon.client().fork_snapshot(&snapshot, &request, &running()).await?;
    for child in answer.children.iter().filter_map(|child| child.machine.clone()) {
        daemon.machine(child)?;
    }
    let private = private_kib()?;
    daemon.finish().await?;
    if private.len() != usize::try_from(COUNTED).unwrap_or(usize::MAX) {
        return Err(HarnessError::value("VMMs that share memory", private.len()));
    }
    let value = private.iter().sum::<u64>() as f64 / 1024.0 / private.len() as f64;
    Ok(Figure { name, value, unit: "MiB", bare: None })
}

/// A daemon with a snapshot whose machine is gone.
async fn taken(
    name: &'static str,
    scene: &Scene,
) -> Result<(Daemon, contract::SnapshotId), HarnessError> {
    // Disks are clones, and nominal sizes are not what a benchmark of time is about.
    let settings = [
        "overcommit.disk=100.0",
        "overcommit.memory=4.0",
        "network.address_block=\"10.85.0.0/20\"",
    ];
    let daemon = scene.daemon_with(name, &settings).await?;
    let source = scene.machine(&daemon, "source", MEMORY_MIB).await?;
    let snapshot = source.snapshot("taken").await?.snapshot.id;
    daemon.quiet().await?;
    daemon.client().delete_machine(&source.id).await?;
    Ok((daemon, snapshot))
}

fn affordable() -> Result<(u32, &'static str), HarnessError> {
    let path = "/proc/meminfo";
    let text = std::fs::read_to_string(path).map_err(HarnessError::io("read /proc/meminfo"))?;
    let available = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let available: u64 = available
        .and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok())
        .ok_or_else(|| HarnessError::value(path, "it has no MemAvailable"))?;
    let fits = |count: u32| u64::from(count) * CHILD_MIB <= available / 1024;
    let chosen = COUNTS.into_iter().find(|(count, _)| fits(*count));
    chosen.ok_or_else(|| HarnessError::value("memory for ten machines", "there is none"))
}

/// Private memory of each process that maps shared guest memory, in KiB.
fn private_kib() -> Result<Vec<u64>, HarnessError> {
    let mut private = Vec::new();
    for entry in std::fs::read_dir("/proc").map_err(HarnessError::io("list /proc"))? {
        let dir = entry.map_err(HarnessError::io("list /proc"))?.path();
        // Processes come and go meanwhile.
        let Ok(maps) = std::fs::read_to_string(dir.join("maps")) else { continue };
        if !maps.contains("/memfd:guest-memory") {
            continue;
        }
        let path = dir.join("smaps_rollup");
        let text = std::fs::read_to_string(&path)
            .map_err(HarnessError::io(format!("read {}", path.display())))?;
        let of = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0)
        };
        private.push(of("Private_Clean:") + of("Private_Dirty:"));
    }
    Ok(private)
}

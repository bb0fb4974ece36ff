//! From nothing to a guest that runs, and from a guest that is down to nothing.

use std::time::{Duration, Instant};

use camino::Utf8Path;

use super::super::figure::Figure;
use super::super::sample::Sample;
use super::super::scene::Scene;
use super::bare::BareHost;
use super::scene::{FirecrackerScene, MEMORY_MIB};
use crate::daemon::Daemon;
use crate::error::HarnessError;
use crate::wait::until;

const RUNS: usize = 10;
/// In which released things are gone.
const GONE: Duration = Duration::from_secs(30);

/// `POST /machines?wait=running`, beside the bare jailer until Firecracker says that the guest runs.
pub(in crate::bench) async fn create(
    name: &'static str,
    scene: &Scene,
) -> Result<Figure, HarnessError> {
    let scene = FirecrackerScene::set(scene, "idle")?;
    let bare_host = BareHost::prepare(&scene)?;
    let daemon = scene.daemon(name).await?;
    let first = scene.machine(&daemon, "first", MEMORY_MIB).await?;
    daemon.client().delete_machine(&first.id).await?;
    let (mut ours, mut bare) = (Sample::default(), Sample::default());
    for run in 0..RUNS {
        daemon.quiet().await?;
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

/// From a Firecracker that has just ended to the end of a stop that finds it so: control group, namespace and all.
pub(in crate::bench) async fn stop(
    name: &'static str,
    scene: &Scene,
) -> Result<Figure, HarnessError> {
    let scene = FirecrackerScene::set(scene, "idle")?;
    let daemon = scene.daemon(name).await?;
    let mut sample = Sample::default();
    for run in 0..RUNS {
        let machine = scene.machine(&daemon, &format!("box-{run}"), MEMORY_MIB).await?;
        daemon.quiet().await?;
        let pid = firecracker_of(&daemon)?;
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)
            .map_err(|error| HarnessError::io("kill Firecracker")(error.into()))?;
        let began = Instant::now();
        daemon.client().stop_machine(&machine.id).await?;
        let cgroup = control_group(&daemon)?;
        while groups(&cgroup)? > 0 && began.elapsed() < GONE {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        sample.add_time(began.elapsed());
        daemon.client().delete_machine(&machine.id).await?;
    }
    daemon.finish().await?;
    Ok(Figure { name, value: sample.median(), unit: "ms", bare: None })
}

/// The one process under the daemon's control group that is number 1 of a pid namespace.
fn firecracker_of(daemon: &Daemon) -> Result<rustix::process::Pid, HarnessError> {
    let group = control_group(daemon)?;
    let absent = || HarnessError::value("Firecracker", "no process of it");
    let runs = group.read_dir_utf8().map_err(HarnessError::io(format!("list {group}")))?;
    let processes =
        runs.filter_map(|run| std::fs::read_to_string(run.ok()?.path().join("cgroup.procs")).ok());
    let pids: Vec<i32> =
        processes.flat_map(|text| text.lines().flat_map(str::parse).collect::<Vec<_>>()).collect();
    let first = pids.into_iter().find(|pid| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        numbers.is_some_and(|numbers| numbers.split_whitespace().nth(1) == Some("1"))
    });
    first.and_then(rustix::process::Pid::from_raw).ok_or_else(absent)
}

fn control_group(daemon: &Daemon) -> Result<camino::Utf8PathBuf, HarnessError> {
    let mount =
        vmm::cgroup::unified_mount().map_err(HarnessError::io("find the control groups"))?;
    let mount = mount.ok_or_else(|| HarnessError::value("control groups", "no version 2"))?;
    Ok(mount.join(format!("computer-{}", daemon.host_id()?)))
}

fn groups(group: &Utf8Path) -> Result<usize, HarnessError> {
    let entries = group.read_dir_utf8().map_err(HarnessError::io(format!("list {group}")))?;
    Ok(entries.flatten().filter(|entry| entry.path().is_dir()).count())
}

/// Waits until the guest has printed something, so that it is up.
pub(super) async fn up(daemon: &Daemon, machine: &str, word: &str) -> Result<(), HarnessError> {
    let ring = daemon.root().join("machines").join(machine).join("logs/console.ring");
    until("a guest that is up", GONE, async || {
        let tail = vmm::jail::ring::read_tail(&ring, 64 * 1024).ok()?;
        String::from_utf8_lossy(&tail).contains(word).then_some(())
    })
    .await
}

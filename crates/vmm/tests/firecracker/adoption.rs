//! P4: a daemon that is killed leaves its Firecrackers running, and the next one commands them.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use engine::port::{LaunchSpec, Observation, RunState, Vmm, VmmHandle};
use vmm::conformance::Fixture;
use vmm::firecracker::Firecracker;

use super::support::{TestHost, binaries, config};

/// Tells the child process of the test below what to launch.
const SPEC: &str = "CVF_ADOPTION_SPEC";

#[tokio::test]
async fn promise_p4_a_killed_daemon_leaves_its_guest_running_and_the_next_commands_it() {
    let Some(host) = TestHost::open("adopt").await else { return };
    let spec = host.cold().await;
    let mut daemon = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "adoption::daemon_of_the_test_above", "--nocapture"])
        .env(SPEC, serde_json::to_string(&(&spec, host.name(), host.root())).unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let handle: VmmHandle = BufReader::new(daemon.stdout.take().unwrap())
        .lines()
        .find_map(|line| serde_json::from_str(line.unwrap().strip_prefix("HANDLE ")?).ok())
        .expect("the daemon launches");

    daemon.kill().unwrap();
    daemon.wait().unwrap();

    let firecracker = &host.firecracker;
    assert_eq!(
        firecracker.observe(&spec.launch, &handle).await.unwrap(),
        Observation::Alive(RunState::Running)
    );
    let carried = firecracker.carried_launches().await.unwrap();
    assert_eq!(carried, std::slice::from_ref(&spec.launch.operation));
    host.wait_for_tick(&spec, 5).await;
    firecracker.pause(&spec.launch).await.unwrap();
    firecracker.capture(&spec.launch, &host.new_file()).await.unwrap();
    firecracker.collect_memory(&spec.launch, &host.new_file()).await.unwrap();
    firecracker.resume(&spec.launch).await.unwrap();
    firecracker.end(&spec.launch).await.unwrap();
}

/// Not a test by itself: launches what it is told, says so, and stays until it is killed.
#[tokio::test]
async fn daemon_of_the_test_above() {
    let Ok(told) = std::env::var(SPEC) else { return };
    let (spec, name, root): (LaunchSpec, String, camino::Utf8PathBuf) =
        serde_json::from_str(&told).unwrap();
    let firecracker = Firecracker::open(config(&root, &name, binaries().unwrap())).await.unwrap();

    let handle = firecracker.launch(&spec).await.unwrap();

    println!("HANDLE {}", serde_json::to_string(&handle).unwrap());
    std::io::stdin().lines().for_each(drop);
}

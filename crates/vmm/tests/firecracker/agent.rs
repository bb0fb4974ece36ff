//! The agent's protocol over vsock, with the agent of this workspace beside the simulator: a Linux guest boots only where KVM has hardware
//! beneath it. Without privileges that agent cannot freeze, reseed or set a clock, so nothing is said here of a clone's identity.

use std::time::Duration;

use engine::port::{LaunchSpec, Vmm};
use guest::client::{Client, Command, Target};
use vmm::conformance::Fixture;
use vmm::firecracker::{JailRoot, VSOCK_SOCKET};

use super::snapshots::snapshot;
use super::support::TestHost;

/// What makes the simulator start an agent.
const INITRD: &str = "simulated guest: computer-agent\n";
const PORT: u32 = 1024;
const SOON: Duration = Duration::from_secs(30);
const MOST_BYTES: usize = 4096;

/// A client, and the jail's root by which its socket is found.
struct Channel {
    client: Client,
    _root: JailRoot,
}

fn channel(host: &TestHost, spec: &LaunchSpec) -> Channel {
    let root = host.firecracker.run(&spec.launch).jail_root().unwrap();
    let socket = root.path().join(VSOCK_SOCKET).into_std_path_buf();
    Channel { client: Client::new(Target::Vsock { socket, port: PORT }), _root: root }
}

async fn version(client: &Client, id: &str) -> String {
    // With an input of its own: a jail has no /dev/null.
    let command = Command::new(["/firecracker", "--version"]).stdin().timeout(SOON);
    let output = client.run(id, command, SOON, MOST_BYTES).await.unwrap();
    assert_eq!(output.exit.map(|exit| exit.exit_code), Some(0));
    String::from_utf8(output.stdout.to_vec()).unwrap()
}

#[tokio::test]
async fn an_agent_answers_over_vsock_and_again_after_a_snapshot_and_in_a_clone() {
    let Some(host) = TestHost::open_simulated("agent").await else { return };
    let mut spec = host.cold().await;
    let initrd = host.new_file();
    std::fs::write(&initrd, INITRD).unwrap();
    spec.initrd = Some(initrd);
    host.launch(&spec).await;
    let source = channel(&host, &spec);
    source.client.wait_ready(SOON).await.unwrap();
    assert!(version(&source.client, "one").await.starts_with("Firecracker v"));

    let (next, counter) = snapshot(&host, &spec).await;
    assert!(counter > 0, "the guest counts beside its agent");
    let again = channel(&host, &spec);
    again.client.wait_ready(SOON).await.unwrap();
    assert!(version(&again.client, "two").await.starts_with("Firecracker v"));

    host.launch(&next).await;
    let clone = channel(&host, &next);
    assert!(clone.client.handshake(Duration::from_millis(300)).await.is_err(), "it stands still");
    host.firecracker.resume(&next.launch).await.unwrap();
    clone.client.wait_ready(SOON).await.unwrap();
    assert!(version(&clone.client, "three").await.starts_with("Firecracker v"));

    host.firecracker.end(&next.launch).await.unwrap();
    host.firecracker.end(&spec.launch).await.unwrap();
}

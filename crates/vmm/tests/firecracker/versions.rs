//! Several Firecrackers side by side.

use engine::port::{OriginOf, Vmm};
use engine::record::Shape;
use vmm::conformance::Fixture;

use super::snapshots::{goes_on_from, snapshot};
use super::support::{MEMORY_MIB, TestHost, Variant};

#[tokio::test]
async fn promise_p6_each_snapshot_is_restored_by_the_binary_that_wrote_it() {
    let Some((host, newer)) = TestHost::open_two("two").await else { return };
    let default = host.firecracker.installation().default().clone();
    let Variant { installed: other, host: writer } = newer;
    let source = writer.running().await;
    let of = OriginOf::Run(&source.launch);
    let written = writer.firecracker.origin(&source.shape, of).await.unwrap();
    assert_eq!(written.vmm_sha256, other.sha256);
    assert_eq!(written.vmm_version, other.version.to_string());
    let (next, counter) = snapshot(&writer, &source).await;

    let here = host.firecracker.origin(&source.shape, OriginOf::Restore(&written)).await.unwrap();
    assert_eq!(here.vmm_sha256, other.sha256, "the one of several that can load it");
    let mut spec = host.cold().await;
    spec.boot = next.boot.clone();
    spec.memory = next.memory.clone();
    spec.disks = next.disks.clone();
    for path in [
        next.launch.dir.join("system.img"),
        next.launch.dir.join("vmstate.bin"),
        next.launch.dir.join("memory"),
    ] {
        std::os::unix::fs::chown(path, Some(spec.slot.uid), Some(spec.slot.uid)).unwrap();
    }
    host.launch_and_resume(&spec).await;
    goes_on_from(counter, host.first_tick(&spec).await);

    let mut stranger = written.clone();
    stranger.vmm_sha256 = "ab".repeat(32).parse().unwrap();
    let shape = Shape { vcpus: 1, memory_mib: MEMORY_MIB };
    let here = host.firecracker.origin(&shape, OriginOf::Restore(&stranger)).await.unwrap();
    assert_eq!(here.vmm_sha256, default.sha256, "for an unknown one the default, which is refused");
}

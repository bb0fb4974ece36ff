//! Save and restore, over and over, with a guest that notices when memory and disk are of different instants.

use std::os::unix::fs::MetadataExt;

use engine::port::{Boot, LaunchSpec, Vmm};
use vmm::conformance::Fixture;

use super::support::{MEMORY_MIB, TestHost, counter_in, ticks};

#[tokio::test]
async fn promise_p5_twenty_generations_go_on_from_the_exact_count() {
    let Some(host) = TestHost::open("gen").await else { return };
    let mut spec = host.running().await;

    for generation in 1..=20 {
        let (next, counter) = snapshot(&host, &spec).await;
        host.firecracker.end(&spec.launch).await.unwrap();
        host.launch_and_resume(&next).await;
        goes_on_from(counter, host.first_tick(&next).await);
        println!("generation {generation}: {counter} ticks");
        host.wait_for_tick(&next, counter + 3).await;
        spec = next;
    }
}

#[tokio::test]
async fn promise_p5_many_snapshots_of_one_restored_machine_are_each_whole() {
    let Some(host) = TestHost::open("many").await else { return };
    let source = host.running().await;
    let (restored, counter) = snapshot(&host, &source).await;
    host.firecracker.end(&source.launch).await.unwrap();
    host.launch_and_resume(&restored).await;
    host.wait_for_tick(&restored, counter + 3).await;

    for _ in 1..=3 {
        let (next, counter) = snapshot(&host, &restored).await;
        host.wait_for_tick(&restored, counter + 3).await;
        host.launch_and_resume(&next).await;
        goes_on_from(counter, host.first_tick(&next).await);
        host.firecracker.end(&next.launch).await.unwrap();
    }
}

#[tokio::test]
async fn promise_p5_a_snapshot_that_failed_after_its_capture_takes_nothing_from_the_next() {
    let Some(host) = TestHost::open("lost").await else { return };
    let source = host.running().await;
    let (restored, counter) = snapshot(&host, &source).await;
    host.firecracker.end(&source.launch).await.unwrap();
    host.launch_and_resume(&restored).await;
    host.wait_for_tick(&restored, counter + 3).await;

    // Captured, and then undone or forgotten by a daemon that died.
    for is_undone in [true, false] {
        host.firecracker.pause(&restored.launch).await.unwrap();
        host.firecracker.capture(&restored.launch, &host.new_file()).await.unwrap();
        if is_undone {
            host.firecracker.discard_capture(&restored.launch).await.unwrap();
        }
        host.firecracker.resume(&restored.launch).await.unwrap();
        let reached = host.counted(&restored.launch).await;
        host.wait_for_tick(&restored, reached + 2).await;
    }

    let (next, counter) = snapshot(&host, &restored).await;
    host.launch_and_resume(&next).await;
    goes_on_from(counter, host.first_tick(&next).await);
    host.wait_for_tick(&next, counter + 300).await;
}

#[tokio::test]
async fn promise_p7_ten_clones_of_one_snapshot_run_beside_their_source() {
    let Some(host) = TestHost::open("fan").await else { return };
    let source = host.running().await;
    host.firecracker.pause(&source.launch).await.unwrap();
    let vmstate = host.new_file();
    host.firecracker.capture(&source.launch, &vmstate).await.unwrap();
    let first = host.restored(&source, &vmstate).await;
    let memory = first.launch.dir.join("memory");
    let counter = counter_in(&memory);
    let mut clones = Vec::new();
    for _ in 0..10 {
        clones.push(host.sibling(&first, &source).await);
    }
    host.firecracker.resume(&source.launch).await.unwrap();

    for clone in &clones {
        host.launch_and_resume(clone).await;
    }

    for clone in &clones {
        goes_on_from(counter, host.first_tick(clone).await);
    }
    host.wait_for_tick(&source, counter + 5).await;
    assert_eq!(counter_in(&memory), counter, "the memory that all clones map is as it was");
}

#[tokio::test]
async fn a_snapshot_of_a_booted_machine_holds_what_is_resident_and_no_more() {
    let Some(host) = TestHost::open("sparse").await else { return };
    let source = host.running().await;

    let (next, _) = snapshot(&host, &source).await;

    let memory = std::fs::metadata(next.launch.dir.join("memory")).unwrap();
    assert_eq!(memory.len(), MEMORY_MIB << 20);
    assert!(memory.blocks() * 512 < memory.len() / 4, "{} blocks", memory.blocks());
}

/// The line of the count that the snapshot holds may have been written before it, or not yet.
pub(crate) fn goes_on_from(counter: u64, first: u64) {
    assert!(
        first == counter || first == counter + 1,
        "a snapshot at {counter} goes on with {first}"
    );
}

/// Takes a snapshot; answers a machine to be restored from it, and its count. The source runs on.
pub(crate) async fn snapshot(host: &TestHost, spec: &LaunchSpec) -> (LaunchSpec, u64) {
    host.firecracker.pause(&spec.launch).await.unwrap();
    let vmstate = host.new_file();
    if let Err(error) = host.firecracker.capture(&spec.launch, &vmstate).await {
        panic!("{}", error.chain());
    }
    let next = host.restored(spec, &vmstate).await;
    host.firecracker.resume(&spec.launch).await.unwrap();
    assert!(matches!(next.boot, Boot::Restore { .. }));
    let counter = counter_in(&next.launch.dir.join("memory"));
    let shown = ticks(&host.console(&spec.launch)).last().copied().unwrap_or(0);
    assert!(counter.abs_diff(shown) < 1000, "{counter} counted, {shown} shown");
    (next, counter)
}

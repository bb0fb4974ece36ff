//! Save and restore of a real QEMU, over and over, with a guest that notices when memory and disk are of different instants.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::{Duration, Instant};

use engine::port::{LaunchSpec, Vmm};
use support::{TestHost, counter_in, ticks};
use vmm::conformance::Fixture;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn promise_p5_twenty_generations_go_on_from_the_exact_count() {
    let Some(host) = TestHost::open("gen") else { return };
    let mut spec = host.cold().await;
    host.qemu.launch(&spec).await.unwrap();
    host.wait_for_tick(&spec, 5).await;

    for generation in 1..=20 {
        let (next, counter, paused) = snapshot_and_restore(&host, &spec).await;
        host.qemu.end(&spec.launch).await.unwrap();
        goes_on_from(counter, host.first_tick(&next).await);
        println!("generation {generation}: {counter} ticks, paused for {} ms", paused.as_millis());
        host.wait_for_tick(&next, counter + 5).await;
        spec = next;
    }
}

#[tokio::test]
async fn promise_p7_clones_of_one_snapshot_run_beside_their_source() {
    let Some(host) = TestHost::open("fan") else { return };
    let source = host.cold().await;
    host.qemu.launch(&source).await.unwrap();
    host.wait_for_tick(&source, 5).await;
    host.qemu.pause(&source.launch).await.unwrap();
    let vmstate = host.new_file();
    host.qemu.capture(&source.launch, &vmstate).await.unwrap();
    let counter = counter_in(&source.launch.dir.join("memory"));
    let clones = [host.restored(&source, &vmstate).await, host.restored(&source, &vmstate).await];
    host.qemu.resume(&source.launch).await.unwrap();

    for clone in &clones {
        host.qemu.launch(clone).await.unwrap();
        host.qemu.resume(&clone.launch).await.unwrap();
    }

    for clone in &clones {
        goes_on_from(counter, host.first_tick(clone).await);
    }
    host.wait_for_tick(&source, counter + 10).await;
}

#[tokio::test]
async fn promise_p3_a_guest_whose_capture_was_cut_runs_again() {
    let Some(host) = TestHost::open("cut") else { return };
    let spec = host.cold().await;
    host.qemu.launch(&spec).await.unwrap();
    host.wait_for_tick(&spec, 5).await;
    host.qemu.pause(&spec.launch).await.unwrap();

    let absent = host.root().join("absent/vmstate");
    host.qemu.capture(&spec.launch, &absent).await.unwrap_err();
    // Given up in the middle, as by a daemon that dies: nobody reads the rest.
    let vmstate = host.new_file();
    let capture = host.qemu.capture(&spec.launch, &vmstate);
    drop(tokio::time::timeout(Duration::from_micros(1500), capture).await);

    host.qemu.resume(&spec.launch).await.unwrap();
    let counter = counter_in(&spec.launch.dir.join("memory"));
    host.wait_for_tick(&spec, counter + 10).await;
}

#[tokio::test]
async fn promise_p6_a_restore_with_other_memory_is_refused_with_qemus_reason() {
    let Some(host) = TestHost::open("geo") else { return };
    let spec = host.cold().await;
    host.qemu.launch(&spec).await.unwrap();
    host.wait_for_tick(&spec, 5).await;
    host.qemu.pause(&spec.launch).await.unwrap();
    let vmstate = host.new_file();
    host.qemu.capture(&spec.launch, &vmstate).await.unwrap();
    let mut clone = host.restored(&spec, &vmstate).await;
    clone.shape.memory_mib /= 2;

    let error = host.qemu.launch(&clone).await.unwrap_err();

    assert!(error.chain().contains("QEMU left with status 1"), "{}", error.chain());
    assert!(error.chain().contains("Size mismatch"), "{}", error.chain());
}

/// The line of the count that the snapshot holds may have been written before it, or not yet.
fn goes_on_from(counter: u32, first: u32) {
    assert!(
        first == counter || first == counter + 1,
        "a snapshot at {counter} goes on with {first}"
    );
}

/// Clones inside the pause and restores the clone, paused no more; answers it, its count, and how long the source was paused.
async fn snapshot_and_restore(host: &TestHost, spec: &LaunchSpec) -> (LaunchSpec, u32, Duration) {
    let begun = Instant::now();
    host.qemu.pause(&spec.launch).await.unwrap();
    let vmstate = host.new_file();
    host.qemu.capture(&spec.launch, &vmstate).await.unwrap();
    let captured = begun.elapsed();
    let clone = host.restored(spec, &vmstate).await;
    let counter = counter_in(&clone.launch.dir.join("memory"));
    let resuming = Instant::now();
    host.qemu.resume(&spec.launch).await.unwrap();
    let paused = captured + resuming.elapsed();
    host.qemu.launch(&clone).await.unwrap();
    host.qemu.resume(&clone.launch).await.unwrap();
    (clone, counter, paused)
}

impl TestHost {
    async fn wait_for_tick(&self, spec: &LaunchSpec, wanted: u32) {
        let until = Instant::now() + PATIENCE;
        while ticks(&self.console(&spec.launch)).last().is_none_or(|tick| *tick < wanted) {
            assert!(Instant::now() < until, "no tick {wanted}: {}", self.console(&spec.launch));
            tokio::task::yield_now().await;
        }
    }

    /// The first whole line of a restored guest's console; what stands before it belongs to the tick of the snapshot.
    async fn first_tick(&self, spec: &LaunchSpec) -> u32 {
        let until = Instant::now() + PATIENCE;
        loop {
            let console = self.console(&spec.launch);
            assert!(console.len() < 60_000, "the ring went round before it was read");
            if let Some(first) = ticks(&console).first() {
                return *first;
            }
            assert!(Instant::now() < until, "no tick: {console}");
            tokio::task::yield_now().await;
        }
    }
}

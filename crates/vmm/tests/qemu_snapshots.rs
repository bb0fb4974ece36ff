//! Save and restore of a real QEMU, over and over, with a guest that notices when memory and disk are of different instants.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use engine::port::{GuestMemory, LaunchSpec, Vmm};
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
    let (source, vmstate) = captured(&host).await;
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
async fn promise_p7_p10_clones_that_share_sealed_memory_go_on_and_leave_it_as_it_is() {
    let Some(host) = TestHost::open("dense") else { return };
    let (source, vmstate) = captured(&host).await;
    let sealed = host.new_file();
    std::fs::copy(source.launch.dir.join("memory"), &sealed).unwrap();
    let before = std::fs::read(&sealed).unwrap();
    let counter = counter_in(&sealed);
    let mut clones =
        [host.restored(&source, &vmstate).await, host.restored(&source, &vmstate).await];
    host.qemu.resume(&source.launch).await.unwrap();

    let mut mapped = Vec::new();
    for clone in &mut clones {
        std::fs::remove_file(clone.launch.dir.join("memory")).unwrap();
        clone.memory = GuestMemory::Sealed { path: sealed.clone() };
        host.qemu.launch(clone).await.unwrap();
        mapped.extend(shared_inodes(&host, clone));
        host.qemu.resume(&clone.launch).await.unwrap();
    }

    assert_eq!(mapped.len(), 2, "each maps it once");
    assert_eq!(mapped[0], mapped[1], "and both the same");
    for clone in &clones {
        goes_on_from(counter, host.first_tick(clone).await);
        host.wait_for_tick(clone, counter + 10).await;
    }
    assert!(
        std::fs::read(&sealed).unwrap() == before,
        "promise P5: no clone writes what is sealed"
    );
    // What is mapped needs no name: a snapshot may go while its clones run.
    std::fs::remove_file(&sealed).unwrap();
    host.qemu.end(&clones[0].launch).await.unwrap();
    host.wait_for_tick(&clones[1], counter + 20).await;
}

/// A machine that stands still, and its device state.
async fn captured(host: &TestHost) -> (LaunchSpec, Utf8PathBuf) {
    let source = host.cold().await;
    host.qemu.launch(&source).await.unwrap();
    host.wait_for_tick(&source, 5).await;
    host.qemu.pause(&source.launch).await.unwrap();
    let vmstate = host.new_file();
    host.qemu.capture(&source.launch, &vmstate).await.unwrap();
    (source, vmstate)
}

/// The inodes of shared memory that the processes of a run map.
fn shared_inodes(host: &TestHost, spec: &LaunchSpec) -> Vec<String> {
    let processes = host.qemu.run(&spec.launch).cgroup().processes().unwrap();
    let maps = processes.iter().map(|pid| std::fs::read_to_string(format!("/proc/{pid}/maps")));
    let all: String = maps.map(|maps| maps.unwrap()).collect();
    all.lines()
        .filter(|line| line.contains("/memfd:guest-memory"))
        .map(|line| line.split_whitespace().nth(4).unwrap().to_owned())
        .collect()
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

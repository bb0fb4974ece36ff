//! What every `Vmm` must do: one suite, run by the real adapters of this crate and by the fake of the harness.
//!
//! Each function is one test; [`all`] runs them in order. A [`Fixture`] supplies machines and says how far a guest has
//! counted, which is all that the suite knows of guests. Everything panics with a sentence, as tests do.

use std::time::Duration;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use engine::port::{Boot, Launch, LaunchSpec, Observation, RunState, Vmm, VmmHandle};
use tokio::time::Instant;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Machines for the suite.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// A new machine with its slot, files and a new operation, to be booted from its kernel. Its guest counts for ever, and powers off at the power button.
    async fn cold(&self) -> LaunchSpec;
    /// A new machine whose memory and disks are clones of the paused `source`'s, to be restored from `vmstate`.
    async fn restored(&self, source: &LaunchSpec, vmstate: &Utf8Path) -> LaunchSpec;
    /// How far the guest of a run has counted, as it shows outside; 0 before it begins.
    async fn counted(&self, launch: &Launch) -> u64;
    /// A path for a new file.
    fn new_file(&self) -> Utf8PathBuf;
}

/// Runs the whole suite.
pub async fn all(vmm: &dyn Vmm, fixture: &dyn Fixture) {
    a_launched_guest_runs_and_is_carried_until_its_end(vmm, fixture).await;
    pause_and_resume_are_idempotent_and_stop_the_guest(vmm, fixture).await;
    device_state_is_captured_from_a_paused_guest_only_and_restores_paused(vmm, fixture).await;
    the_power_button_ends_a_run_cleanly(vmm, fixture).await;
    a_stranger_with_the_pid_is_not_the_run(vmm, fixture).await;
    ending_works_on_what_never_was_and_twice(vmm, fixture).await;
    a_failed_launch_says_why_and_leaves_nothing_after_end(vmm, fixture).await;
}

/// Launch, observe, sweep.
pub async fn a_launched_guest_runs_and_is_carried_until_its_end(
    vmm: &dyn Vmm,
    fixture: &dyn Fixture,
) {
    let spec = fixture.cold().await;
    let handle = launch(vmm, &spec).await;
    counts_on(fixture, &spec.launch).await;

    assert_eq!(observe(vmm, &spec.launch, &handle).await, Observation::Alive(RunState::Running));
    assert!(!vmm.console_tail(&spec.launch, 64).await.is_empty(), "the console shows something");
    assert!(
        vmm.console_tail(&spec.launch, 64).await.len() <= 64 * 3,
        "and no more than was asked for"
    );
    let carried = vmm.carried_launches().await.expect("carried launches");
    assert!(carried.contains(&spec.launch.operation), "a living run is carried");

    vmm.end_orphan(&spec.launch.operation).await.expect("end by operation");
    let carried = vmm.carried_launches().await.expect("carried launches");
    assert!(!carried.contains(&spec.launch.operation), "an ended run is not");
    let Observation::Ended { is_clean, .. } = observe(vmm, &spec.launch, &handle).await else {
        panic!("an ended run is observed as ended");
    };
    assert!(!is_clean, "a kill is no clean end");
}

/// P3's building stones.
pub async fn pause_and_resume_are_idempotent_and_stop_the_guest(
    vmm: &dyn Vmm,
    fixture: &dyn Fixture,
) {
    let spec = fixture.cold().await;
    let handle = launch(vmm, &spec).await;
    counts_on(fixture, &spec.launch).await;

    vmm.pause(&spec.launch).await.expect("pause");
    vmm.pause(&spec.launch).await.expect("pause again");
    assert_eq!(observe(vmm, &spec.launch, &handle).await, Observation::Alive(RunState::Paused));
    vmm.resume(&spec.launch).await.expect("resume");
    vmm.resume(&spec.launch).await.expect("resume again");
    assert_eq!(observe(vmm, &spec.launch, &handle).await, Observation::Alive(RunState::Running));
    counts_on(fixture, &spec.launch).await;

    vmm.end(&spec.launch).await.expect("end");
    vmm.resume(&spec.launch).await.expect("nothing to resume in what is gone");
}

/// P5's building stones.
pub async fn device_state_is_captured_from_a_paused_guest_only_and_restores_paused(
    vmm: &dyn Vmm,
    fixture: &dyn Fixture,
) {
    let spec = fixture.cold().await;
    launch(vmm, &spec).await;
    counts_on(fixture, &spec.launch).await;
    vmm.capture(&spec.launch, &fixture.new_file())
        .await
        .expect_err("a running guest is not captured");

    vmm.pause(&spec.launch).await.expect("pause");
    let vmstate = fixture.new_file();
    vmm.capture(&spec.launch, &vmstate).await.expect("capture");
    let clone = fixture.restored(&spec, &vmstate).await;
    assert!(matches!(clone.boot, Boot::Restore { .. }), "the fixture makes a restore");
    vmm.resume(&spec.launch).await.expect("resume the source");

    let handle = launch(vmm, &clone).await;
    assert_eq!(observe(vmm, &clone.launch, &handle).await, Observation::Alive(RunState::Paused));
    assert_eq!(fixture.counted(&clone.launch).await, 0, "a restored guest waits to be resumed");
    vmm.resume(&clone.launch).await.expect("resume the clone");
    counts_on(fixture, &clone.launch).await;
    counts_on(fixture, &spec.launch).await;

    vmm.end(&clone.launch).await.expect("end the clone");
    vmm.end(&spec.launch).await.expect("end the source");
}

/// A clean end is told from a kill.
pub async fn the_power_button_ends_a_run_cleanly(vmm: &dyn Vmm, fixture: &dyn Fixture) {
    let spec = fixture.cold().await;
    let handle = launch(vmm, &spec).await;
    counts_on(fixture, &spec.launch).await;
    let soon = Duration::from_millis(1);
    assert!(!vmm.wait_ended(&spec.launch, soon).await.expect("wait"), "a living run has not ended");

    vmm.press_power_button(&spec.launch).await.expect("press the power button");
    assert!(vmm.wait_ended(&spec.launch, PATIENCE).await.expect("wait"), "it ended in time");

    let Observation::Ended { is_clean, reason } = observe(vmm, &spec.launch, &handle).await else {
        panic!("it is observed as ended");
    };
    assert!(is_clean, "{reason}");
    vmm.end(&spec.launch).await.expect("end");
}

/// P4: never pid alone.
pub async fn a_stranger_with_the_pid_is_not_the_run(vmm: &dyn Vmm, fixture: &dyn Fixture) {
    let spec = fixture.cold().await;
    let handle = launch(vmm, &spec).await;
    let later = VmmHandle { start_time_ticks: handle.start_time_ticks + 1, ..handle.clone() };
    let rebooted = VmmHandle { boot_id: "another boot".to_owned(), ..handle.clone() };

    for (stranger, is_stopped) in [(later, false), (rebooted, true)] {
        let observed = observe(vmm, &spec.launch, &stranger).await;
        let Observation::Ended { is_clean, .. } = observed else { panic!("{observed:?}") };
        assert_eq!(is_clean, is_stopped, "after a reboot of the host machines are stopped");
    }
    assert!(matches!(observe(vmm, &spec.launch, &handle).await, Observation::Alive(_)));
    vmm.end(&spec.launch).await.expect("end");
}

/// P2: undo works on all, some or none.
pub async fn ending_works_on_what_never_was_and_twice(vmm: &dyn Vmm, fixture: &dyn Fixture) {
    let spec = fixture.cold().await;
    vmm.end(&spec.launch).await.expect("end what never was");
    vmm.end_orphan(&spec.launch.operation).await.expect("end what never was, by operation");
    assert!(
        vmm.wait_ended(&spec.launch, PATIENCE).await.expect("wait"),
        "what never was has ended"
    );
    launch(vmm, &spec).await;
    vmm.end(&spec.launch).await.expect("end");
    vmm.end(&spec.launch).await.expect("end again");
}

/// P2 and P14.
pub async fn a_failed_launch_says_why_and_leaves_nothing_after_end(
    vmm: &dyn Vmm,
    fixture: &dyn Fixture,
) {
    let mut spec = fixture.cold().await;
    spec.disks[0].path = spec.launch.dir.join("absent.img");

    let error = vmm.launch(&spec).await.expect_err("a machine without its disk does not start");

    assert!(error.chain().contains("absent.img"), "{}", error.chain());
    vmm.end(&spec.launch).await.expect("end");
    let carried = vmm.carried_launches().await.expect("carried launches");
    assert!(!carried.contains(&spec.launch.operation), "nothing is left");
}

async fn launch(vmm: &dyn Vmm, spec: &LaunchSpec) -> VmmHandle {
    match vmm.launch(spec).await {
        Ok(handle) => handle,
        Err(error) => panic!("{}", error.chain()),
    }
}

async fn observe(vmm: &dyn Vmm, launch: &Launch, handle: &VmmHandle) -> Observation {
    match vmm.observe(launch, handle).await {
        Ok(observation) => observation,
        Err(error) => panic!("{}", error.chain()),
    }
}

/// Waits until the guest has counted further than it had.
async fn counts_on(fixture: &dyn Fixture, launch: &Launch) {
    let before = fixture.counted(launch).await;
    let until = Instant::now() + PATIENCE;
    while fixture.counted(launch).await <= before {
        assert!(
            Instant::now() < until,
            "the guest of {} does not count beyond {before}",
            launch.machine
        );
        tokio::task::yield_now().await;
    }
}

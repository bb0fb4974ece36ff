//! Every plan with every effect failing and the daemon dying before and after every effect, once and twice.

use harness::fake::{Fault, How};
use harness::sweep::{Case, Intent, Pictures, Report, Trial};

/// Sweeps one plan: one fault, and every pair of a fault and a death that follows it.
fn sweep(case: &Case) {
    let (pictures, names) = case.in_peace();
    let mut broken = Vec::new();
    let mut trials = 0_usize;
    for (at, name) in names.iter().enumerate() {
        for how in How::ALL {
            let first = Fault { at, how };
            trials += 1 + second_faults(case, &pictures, first, &mut broken);
            let trial = Trial { lives: vec![vec![first]] };
            note(case.attempt(&trial, &pictures), &trial, name, &mut broken);
        }
    }
    println!("{:?}: {} effects, {trials} trials", case.act, names.len());
    assert!(
        broken.is_empty(),
        "{} of {trials} trials broke a promise, such as:\n{}",
        broken.len(),
        broken.iter().take(6).cloned().collect::<Vec<_>>().join("\n")
    );
}

/// After the first fault the daemon dies, at every later effect: in the same life where it lives on, else in the next.
fn second_faults(
    case: &Case,
    pictures: &Pictures,
    first: Fault,
    broken: &mut Vec<String>,
) -> usize {
    let later = |at| Fault { at, how: How::CrashesBefore };
    let mut trials = 0;
    loop {
        let (lives, life) = if first.how.is_crash() {
            (vec![vec![first], vec![later(trials)]], 1)
        } else {
            (vec![vec![first, later(first.at + 1 + trials)], vec![]], 0)
        };
        let at = lives[life].last().map_or(0, |fault| fault.at);
        let trial = Trial { lives };
        let report = case.attempt(&trial, pictures);
        trials += 1;
        let was_reached = report.effects[life] > at;
        note(report, &trial, "", broken);
        if !was_reached {
            return trials;
        }
    }
}

fn note(report: Report, trial: &Trial, name: &str, broken: &mut Vec<String>) {
    if let Some(what) = report.broken {
        broken.push(format!("{trial} {name}: {what}"));
    }
}

#[test]
fn promise_p2_p4_create_is_all_or_nothing_at_every_fault() {
    sweep(&Case::new([], Intent::Create("box")));
}

#[test]
fn promise_p2_p4_start_is_all_or_nothing_at_every_fault() {
    sweep(&Case::new([Intent::Create("box"), Intent::Stop("box")], Intent::Start("box")));
}

#[test]
fn promise_p2_p4_stop_is_all_or_nothing_at_every_fault() {
    sweep(&Case::new([Intent::Create("box")], Intent::Stop("box")));
}

#[test]
fn promise_p9_delete_is_all_or_nothing_at_every_fault() {
    sweep(&Case::new([Intent::Create("box")], Intent::Delete("box")));
}

#[test]
fn promise_p3_p4_a_snapshot_leaves_its_source_running_at_every_fault() {
    sweep(&Case::new([Intent::Create("box")], Intent::Snapshot("box", "saved")));
}

#[test]
fn promise_p9_deleting_a_snapshot_is_all_or_nothing_at_every_fault() {
    let arranged = [Intent::Create("box"), Intent::Snapshot("box", "saved")];
    sweep(&Case::new(arranged, Intent::DeleteSnapshot("saved")));
}

#[test]
fn promise_p3_p4_a_fork_leaves_its_source_running_at_every_fault() {
    sweep(&Case::new([Intent::Create("box")], Intent::Fork("box")));
    sweep(&Case::new([Intent::Create("box")], Intent::Fork("box")).under_firecracker());
}

#[test]
fn promise_p2_p7_naming_the_children_of_a_snapshot_leaves_nothing_behind_at_every_fault() {
    let arranged = [Intent::Create("box"), Intent::Snapshot("box", "saved")];
    sweep(&Case::new(arranged, Intent::ForkSnapshot("saved")));
}

#[test]
fn promise_p7_p8_a_child_that_shares_memory_is_made_all_or_not_at_every_fault() {
    let arranged = [Intent::Create("box"), Intent::Snapshot("box", "saved")];
    sweep(&Case::new(arranged, Intent::RestoreDense("saved", "clone")));
}

#[test]
fn promise_p7_p8_a_local_restore_is_all_or_nothing_at_every_fault() {
    let arranged = [Intent::Create("box"), Intent::Snapshot("box", "saved")];
    sweep(&Case::new(arranged, Intent::Restore("saved", "clone")));
}

#[test]
fn promise_p6_p8_a_durable_restore_is_all_or_nothing_at_every_fault() {
    let arranged = [Intent::Create("box"), Intent::Snapshot("box", "saved")];
    sweep(&Case::new(arranged, Intent::RestoreDurable("saved", "clone")));
}

#[test]
fn promise_p2_p4_a_lazy_restore_is_all_or_nothing_at_every_fault() {
    let arranged = [Intent::Create("box"), Intent::Snapshot("box", "saved"), Intent::Cut("saved")];
    sweep(&Case::new(arranged, Intent::RestoreLazily("saved", "clone")));
}

#[test]
fn promise_p3_p5_a_machine_that_is_still_filled_is_snapshotted_whole_or_not_at_every_fault() {
    let arranged = [
        Intent::Create("box"),
        Intent::Snapshot("box", "saved"),
        Intent::Cut("saved"),
        Intent::RestoreLazily("saved", "clone"),
    ];
    sweep(&Case::new(arranged, Intent::Snapshot("clone", "again")));
}

#[test]
fn promise_p2_p4_a_start_of_a_machine_that_is_still_filled_is_all_or_nothing_at_every_fault() {
    let arranged = [
        Intent::Create("box"),
        Intent::Snapshot("box", "saved"),
        Intent::Cut("saved"),
        Intent::RestoreLazily("saved", "clone"),
        Intent::Stop("clone"),
    ];
    sweep(&Case::new(arranged, Intent::Start("clone")));
}

#[test]
fn promise_p2_p9_deleting_a_machine_that_is_still_filled_ends_its_filling_at_every_fault() {
    let arranged = [
        Intent::Create("box"),
        Intent::Snapshot("box", "saved"),
        Intent::Cut("saved"),
        Intent::RestoreLazily("saved", "clone"),
    ];
    sweep(&Case::new(arranged, Intent::Delete("clone")));
}

#[test]
fn promise_p2_p4_reaching_the_files_of_a_stopped_machine_leaves_it_stopped_at_every_fault() {
    sweep(&Case::new([Intent::Create("box"), Intent::Stop("box")], Intent::OpenFiles("box")));
}

#[test]
fn promise_p2_p11_a_mount_is_recorded_with_its_secret_or_not_at_all_at_every_fault() {
    sweep(&Case::new([Intent::Create("box")], Intent::Mount("box", "data")));
}

#[test]
fn promise_p2_p11_a_restore_takes_over_the_mounts_of_its_source_at_every_fault() {
    let arranged =
        [Intent::Create("box"), Intent::Mount("box", "data"), Intent::Snapshot("box", "saved")];
    sweep(&Case::new(arranged, Intent::Restore("saved", "clone")));
}

#[test]
fn promise_p9_p11_a_mount_goes_with_its_secret_at_every_fault() {
    let arranged = [Intent::Create("box"), Intent::Mount("box", "data")];
    sweep(&Case::new(arranged, Intent::Unmount("box", "data")));
}

#[test]
fn promise_p12_an_upload_resumes_after_every_fault() {
    let arranged = [Intent::Create("box"), Intent::Snapshot("box", "saved")];
    sweep(&Case::new(arranged, Intent::Upload("saved")));
}

#[test]
fn promise_p2_p9_a_chunked_form_is_made_whole_or_not_at_all_at_every_fault() {
    let arranged = [
        Intent::Create("box"),
        Intent::Snapshot("box", "parent"),
        Intent::Cut("parent"),
        Intent::Snapshot("box", "saved"),
    ];
    sweep(&Case::new(arranged, Intent::Cut("saved")));
}

#[test]
fn promise_p12_sending_a_chunked_form_leaves_the_host_as_it_is_at_every_fault() {
    let arranged = [Intent::Create("box"), Intent::Snapshot("box", "saved"), Intent::Cut("saved")];
    sweep(&Case::new(arranged, Intent::SendForm("saved")));
}

#[test]
fn promise_p6_p8_a_restore_from_a_chunked_form_is_all_or_nothing_at_every_fault() {
    let arranged = [Intent::Create("box"), Intent::Snapshot("box", "saved"), Intent::Cut("saved")];
    sweep(&Case::new(arranged, Intent::RestoreForm("saved", "clone")));
}

#[test]
fn promise_p9_deleting_a_parent_keeps_what_its_child_needs_at_every_fault() {
    let arranged = [
        Intent::Create("box"),
        Intent::Snapshot("box", "parent"),
        Intent::Cut("parent"),
        Intent::Snapshot("box", "child"),
        Intent::Cut("child"),
    ];
    let parent_first = Case::new(arranged, Intent::DeleteSnapshot("parent"));
    let (pictures, _) = parent_first.in_peace();
    assert!(pictures.after.has("chunked.json of a set"), "{}", pictures.after);
    sweep(&parent_first);
}

#[test]
fn promise_p9_the_last_that_needs_a_set_takes_it_along_at_every_fault() {
    let arranged = [
        Intent::Create("box"),
        Intent::Snapshot("box", "parent"),
        Intent::Cut("parent"),
        Intent::Snapshot("box", "child"),
        Intent::Cut("child"),
        Intent::DeleteSnapshot("parent"),
    ];
    let last = Case::new(arranged, Intent::DeleteSnapshot("child"));
    let (pictures, _) = last.in_peace();
    assert!(!pictures.after.has("chunked.json of a set"), "{}", pictures.after);
    sweep(&last);
}

#[test]
fn promise_p4_a_vmm_that_ended_by_itself_is_retired_at_every_fault() {
    sweep(&Case::new([Intent::Create("box")], Intent::Retire("box")));
}

#[test]
fn promise_p3_p4_a_snapshot_of_memory_that_its_vmm_keeps_leaves_its_source_running_at_every_fault()
{
    let case = Case::new([Intent::Create("box")], Intent::Snapshot("box", "saved"));
    sweep(&case.under_firecracker());
}

#[test]
fn promise_p7_p8_a_local_restore_onto_sealed_memory_is_all_or_nothing_at_every_fault() {
    let arranged = [Intent::Create("box"), Intent::Snapshot("box", "saved")];
    sweep(&Case::new(arranged, Intent::Restore("saved", "clone")).under_firecracker());
}

#[test]
fn promise_p6_p8_a_durable_restore_onto_private_memory_is_all_or_nothing_at_every_fault() {
    let arranged = [Intent::Create("box"), Intent::Snapshot("box", "saved")];
    sweep(&Case::new(arranged, Intent::RestoreDurable("saved", "clone")).under_firecracker());
}

#[test]
fn promise_p2_p4_publishing_a_port_is_all_or_nothing_at_every_fault() {
    sweep(&Case::new([Intent::Create("box")], Intent::Publish("box", "web")));
}

#[test]
fn promise_p2_p4_taking_a_published_port_back_is_all_or_nothing_at_every_fault() {
    let arranged = [Intent::Create("box"), Intent::Publish("box", "web")];
    sweep(&Case::new(arranged, Intent::Unpublish("box", "web")));
}

#[test]
fn promise_p2_p4_an_exec_relay_is_added_all_or_not_at_every_fault() {
    sweep(&Case::new([Intent::Create("box")], Intent::AddRelay("box")));
}

#[test]
fn promise_p2_p9_published_ports_go_with_their_machine_at_every_fault() {
    let arranged = [Intent::Create("box"), Intent::Publish("box", "web")];
    sweep(&Case::new(arranged, Intent::Delete("box")));
}

#[test]
fn promise_p4_a_command_with_a_key_leaves_no_process_behind_at_every_fault() {
    sweep(&Case::new([Intent::Create("box")], Intent::Command("box")));
}

#[test]
fn promise_p2_p4_a_create_that_is_announced_to_its_guest_is_all_or_nothing_at_every_fault() {
    sweep(&Case::new([], Intent::CreateMmds("box")).under_firecracker());
}

#[test]
fn promise_p2_p4_a_volume_is_made_all_or_not_at_every_fault() {
    sweep(&Case::new([], Intent::MakeVolume("data")));
}

#[test]
fn promise_p9_deleting_a_volume_is_all_or_nothing_at_every_fault() {
    sweep(&Case::new([Intent::MakeVolume("data")], Intent::DeleteVolume("data")));
}

fn with_data() -> [Intent; 3] {
    [Intent::Create("box"), Intent::MakeVolume("data"), Intent::Attach("data", "box")]
}

#[test]
fn promise_p2_p4_a_volume_grows_with_its_running_machine_at_every_fault() {
    sweep(&Case::new(with_data(), Intent::GrowVolume("data")));
}

#[test]
fn promise_p2_p4_attaching_with_a_restart_is_done_or_leaves_the_machine_as_it_was_or_stopped() {
    let arranged = [Intent::Create("box"), Intent::MakeVolume("data")];
    sweep(&Case::restarting(arranged, Intent::Attach("data", "box"), "box"));
}

#[test]
fn promise_p2_p4_detaching_at_rest_is_all_or_nothing_at_every_fault() {
    let arranged = with_data().into_iter().chain([Intent::Stop("box")]);
    sweep(&Case::new(arranged.collect::<Vec<_>>(), Intent::Detach("data")));
}

#[test]
fn promise_p9_a_volume_of_a_restore_that_is_detached_outlives_its_machine_at_every_fault() {
    let arranged = with_data().into_iter().chain([
        Intent::Snapshot("box", "saved"),
        Intent::Restore("saved", "clone"),
        Intent::Stop("clone"),
    ]);
    sweep(&Case::new(arranged.collect::<Vec<_>>(), Intent::Detach("clone-user-1")));
}

#[test]
fn promise_p9_deleting_a_machine_leaves_the_volumes_that_outlive_it_at_every_fault() {
    sweep(&Case::new(with_data(), Intent::Delete("box")));
}

#[test]
fn promise_p2_p4_a_disk_grows_while_its_machine_runs_at_every_fault() {
    sweep(&Case::new([Intent::Create("box")], Intent::Grow("box")));
}

#[test]
fn promise_p2_p4_a_resize_with_a_restart_is_done_or_leaves_the_machine_as_it_was_or_stopped() {
    sweep(&Case::restarting([Intent::Create("box")], Intent::Remember("box"), "box"));
}

//! What every `Guest` must do, whether a real agent answers or a fake.
//!
//! What only a whole virtual machine shows is left to the tests in real machines: disks that grow, and the guests of the protocol `mmds`.

use std::time::Duration;

use async_trait::async_trait;
use contract::exec::ExecRequest;
use contract::mount::{MountConfig, MountKind};

use crate::port::{
    CommandJob, Fault, Guest, GuestIdentity, Login, MountOrder, Reach, Renewal, SshHostKeys,
};
use crate::record::{CommandOutcome, Mount, MountState};

use super::operation;

/// Far beyond what a step takes on a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// How long a guest that does not answer is waited for.
const PATIENCE: Duration = Duration::from_millis(300);
/// Longer than the suite runs.
const LONG: Duration = Duration::from_secs(3600);

/// The guests that a `Guest` speaks to, seen past the port.
#[async_trait]
pub trait GuestHost: Send + Sync {
    /// A guest whose agent answers, and that may be frozen.
    async fn answering(&self) -> Reach;

    /// A run whose channel is there and whose agent does not answer.
    async fn silent(&self) -> Reach;

    /// Who the guest is by its own files: 32 hex digits.
    async fn machine_id(&self, reach: &Reach) -> Option<String>;

    /// Whether all processes but the agent stand still.
    async fn is_frozen(&self, reach: &Reach) -> bool;

    /// Whether the guest has switched itself off. One that is about to is waited for.
    async fn has_ended(&self, reach: &Reach) -> bool;

    /// Lets time pass in the guests.
    async fn pass(&self, time: Duration);

    /// Whether the guests have an SSH server with keys.
    fn has_ssh_server(&self) -> bool;

    /// Whether the guests have what mounts stores.
    fn has_rclone(&self) -> bool;
}

/// Runs the suite.
///
/// # Panics
/// When the guest port does not behave.
pub async fn conforms(guest: &dyn Guest, host: &dyn GuestHost) {
    an_agent_answers_again_and_again(guest, host).await;
    a_silent_agent_is_given_up_at_the_deadline(guest, host).await;
    a_guest_takes_its_identity_and_keeps_its_keys(guest, host).await;
    a_frozen_guest_stands_until_it_is_thawed(guest, host).await;
    a_frozen_guest_thaws_by_itself(guest, host).await;
    a_clone_is_renewed_and_thawed_in_one(guest, host).await;
    a_command_ends_with_its_code_and_output(guest, host).await;
    a_command_that_runs_out_of_time_is_an_outcome(guest, host).await;
    a_command_is_ended_twice(guest, host).await;
    a_mount_is_known_until_it_is_taken_away(guest, host).await;
    nobody_needs_the_files_of_a_guest_that_was_not_booted_for_them(guest, host).await;
    a_guest_switches_itself_off(guest, host).await;
}

/// A guest that has answered.
async fn met(guest: &dyn Guest, host: &dyn GuestHost) -> Reach {
    let reach = host.answering().await;
    guest.handshake(&reach, SOON).await.expect("its agent answers");
    reach
}

fn identity(machine_id_hex: &str, ssh_host_keys: SshHostKeys) -> GuestIdentity {
    let machine_id_hex = machine_id_hex.to_owned();
    GuestIdentity { login: Login::default(), machine_id_hex, ssh_host_keys }
}

async fn an_agent_answers_again_and_again(guest: &dyn Guest, host: &dyn GuestHost) {
    let reach = host.answering().await;
    guest.connect_ahead(&reach, SOON).await.expect("the channel is there");
    let version = guest.handshake(&reach, SOON).await.expect("an answer");
    assert!(!version.is_empty());
    guest.forget(&reach.launch).await;
    guest.forget(&reach.launch).await;
    let again = guest.handshake(&reach, SOON).await.expect("an answer over a new connection");
    assert_eq!(again, version);
}

async fn a_silent_agent_is_given_up_at_the_deadline(guest: &dyn Guest, host: &dyn GuestHost) {
    let reach = host.silent().await;
    let error = guest.handshake(&reach, PATIENCE).await.expect_err("nobody answers");
    assert_eq!(error.fault, Fault::Deadline, "promise P14: {error}");
    guest.forget(&reach.launch).await;
}

async fn a_guest_takes_its_identity_and_keeps_its_keys(guest: &dyn Guest, host: &dyn GuestHost) {
    let reach = met(guest, host).await;
    let first = identity(&"1a".repeat(16), SshHostKeys::Ensure);
    let made = guest.configure(&reach, &first, SOON).await.expect("it is configured");
    assert_eq!(host.machine_id(&reach).await, Some(first.machine_id_hex.clone()));
    assert_eq!(made.ssh_host_public_key.is_some(), host.has_ssh_server());
    let other = identity(&"1b".repeat(16), SshHostKeys::Ensure);
    let kept = guest.configure(&reach, &other, SOON).await.expect("it is configured again");
    assert_eq!(host.machine_id(&reach).await, Some(other.machine_id_hex));
    assert_eq!(kept, made, "a later start keeps the SSH host keys");
}

async fn a_frozen_guest_stands_until_it_is_thawed(guest: &dyn Guest, host: &dyn GuestHost) {
    let reach = met(guest, host).await;
    assert!(!host.is_frozen(&reach).await);
    for _ in 0..2 {
        guest.freeze(&reach, LONG, SOON).await.expect("it freezes, and is frozen");
        assert!(host.is_frozen(&reach).await);
    }
    guest.handshake(&reach, SOON).await.expect("its agent is not frozen");
    for _ in 0..2 {
        guest.thaw(&reach, SOON).await.expect("it thaws, and is thawed");
        assert!(!host.is_frozen(&reach).await);
    }
}

async fn a_frozen_guest_thaws_by_itself(guest: &dyn Guest, host: &dyn GuestHost) {
    let reach = met(guest, host).await;
    let self_thaw = Duration::from_millis(100);
    guest.freeze(&reach, self_thaw, SOON).await.expect("it freezes");
    for _ in 0..600 {
        if !host.is_frozen(&reach).await {
            return;
        }
        host.pass(self_thaw).await;
    }
    panic!("promise P3: it is frozen for ever");
}

async fn a_clone_is_renewed_and_thawed_in_one(guest: &dyn Guest, host: &dyn GuestHost) {
    let reach = met(guest, host).await;
    let source = identity(&"2b".repeat(16), SshHostKeys::Ensure);
    let before = guest.configure(&reach, &source, SOON).await.expect("it is configured");
    guest.freeze(&reach, LONG, SOON).await.expect("it freezes");
    let clone = identity(&"3c".repeat(16), SshHostKeys::Renew);
    let renewal = Renewal { identity: clone.clone() };
    let renewed = guest.renew(&reach, &renewal, SOON).await.expect("it is renewed");
    assert!(!renewed.agent_version.is_empty(), "a renewal is a handshake too");
    assert_eq!(host.machine_id(&reach).await, Some(clone.machine_id_hex));
    assert!(!host.is_frozen(&reach).await);
    if host.has_ssh_server() {
        assert_ne!(renewed.configured, before, "promise P8: SSH host keys are each machine's own");
    }
    guest.renew(&reach, &renewal, SOON).await.expect("a renewal that is repeated: fine");
}

async fn run(
    guest: &dyn Guest,
    reach: &Reach,
    number: u8,
    command: &[&str],
    timeout: Duration,
) -> CommandOutcome {
    let job = CommandJob {
        request: ExecRequest {
            command: command.iter().copied().map(str::to_owned).collect(),
            user: Some("root".to_owned()),
            ..ExecRequest::default()
        },
        timeout_ms: u64::try_from(timeout.as_millis()).expect("a short time"),
        most_bytes: 1 << 16,
    };
    guest.run_command(reach, &operation(number), &job).await.expect("it runs")
}

async fn a_command_ends_with_its_code_and_output(guest: &dyn Guest, host: &dyn GuestHost) {
    let reach = met(guest, host).await;
    let said = run(guest, &reach, 1, &["echo", "one", "two"], SOON).await;
    assert_eq!((said.exit_code, said.stdout.as_str()), (Some(0), "one two\n"));
    assert_eq!((said.stderr.as_str(), said.is_truncated), ("", false));
    let failed = run(guest, &reach, 1, &["false"], SOON).await;
    assert_eq!(failed.exit_code, Some(1), "the name of one that ended is free again");
}

async fn a_command_that_runs_out_of_time_is_an_outcome(guest: &dyn Guest, host: &dyn GuestHost) {
    let reach = met(guest, host).await;
    let late = run(guest, &reach, 2, &["sleep", "3600"], PATIENCE).await;
    assert_eq!(late.exit_code, None);
    assert!(Duration::from_millis(late.duration_ms) < LONG, "{late:?}");
    guest.handshake(&reach, SOON).await.expect("the agent goes on");
}

async fn a_command_is_ended_twice(guest: &dyn Guest, host: &dyn GuestHost) {
    let reach = met(guest, host).await;
    for _ in 0..2 {
        guest.end_command(&reach, &operation(3), SOON).await.expect("nothing runs: fine");
    }
}

async fn a_mount_is_known_until_it_is_taken_away(guest: &dyn Guest, host: &dyn GuestHost) {
    let reach = met(guest, host).await;
    assert_eq!(guest.mounts(&reach, SOON).await.expect("an answer"), []);
    guest.unmount(&reach, &"none".parse().expect("a mount id"), SOON).await.expect("it is away");
    if !host.has_rclone() {
        println!("skipped: a mount in the suite of guests: no rclone here");
        return;
    }
    let mount = Mount {
        id: "data".parse().expect("a mount id of a test"),
        kind: MountKind::Webdav,
        target_path: "/mnt/data".to_owned(),
        read_only: true,
        // Nobody listens there: what becomes of the mount is not the port's affair.
        config: MountConfig {
            endpoint: "http://127.0.0.1:9/".to_owned(),
            ..MountConfig::default()
        },
        made_by: operation(4),
        state: MountState::Pending,
        created_at: jiff::Timestamp::UNIX_EPOCH,
    };
    let id = mount.id.clone();
    let order = MountOrder { mount, secret: contract::Secret::default() };
    guest.mount(&reach, &order, SOON).await.expect("it begins to mount");
    let known = guest.mounts(&reach, SOON).await.expect("an answer");
    assert_eq!(known.iter().map(|report| &report.id).collect::<Vec<_>>(), [&id]);
    for _ in 0..2 {
        guest.unmount(&reach, &id, SOON).await.expect("it is taken away, and is away");
        assert_eq!(guest.mounts(&reach, SOON).await.expect("an answer"), []);
    }
}

async fn nobody_needs_the_files_of_a_guest_that_was_not_booted_for_them(
    guest: &dyn Guest,
    host: &dyn GuestHost,
) {
    let reach = met(guest, host).await;
    guest.serve_files(&reach.launch).await.expect("it returns at once");
}

async fn a_guest_switches_itself_off(guest: &dyn Guest, host: &dyn GuestHost) {
    let reach = met(guest, host).await;
    guest.shut_down(&reach, SOON).await.expect("it is asked");
    assert!(host.has_ended(&reach).await, "it ended by itself");
    guest.forget(&reach.launch).await;
    guest.handshake(&reach, PATIENCE).await.expect_err("nobody answers any more");
}

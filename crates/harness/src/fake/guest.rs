//! Agents in the guests of the fake host.

use std::time::Duration;

use async_trait::async_trait;
use contract::{MountId, OperationId};
use engine::port::{
    CommandJob, Configured, Fault, GrownDisk, Guest, GuestIdentity, Launch, Login, MountOrder,
    MountReport, PortError, Reach, Renewal, Renewed, SshHostKeys,
};
use engine::record::{CommandOutcome, MountState};

use super::life::Life;
use super::process::{Agent, GuestState};
use super::world::State;

/// The guest port of one life.
#[derive(Debug)]
pub struct FakeGuest {
    life: Life,
}

impl FakeGuest {
    /// The port.
    pub fn new(life: Life) -> Self {
        Self { life }
    }

    /// One request to an agent: the guest is told, if its agent answers in time.
    async fn ask<T>(
        &self,
        name: &str,
        reach: &Reach,
        deadline: Duration,
        tell: impl FnOnce(&mut GuestState, Duration) -> T,
    ) -> Result<T, PortError> {
        self.life
            .effect(name, |state| {
                let now = state.monotonic;
                let Some(guest) = answering(state, &reach.launch) else {
                    state.monotonic += deadline.min(Duration::from_millis(100));
                    let action = format!("{name} of {}: no answer", reach.launch.machine);
                    return Err(PortError::plain(Fault::Deadline, action));
                };
                Ok(tell(guest, now))
            })
            .await
    }
}

fn answering<'a>(state: &'a mut State, launch: &Launch) -> Option<&'a mut GuestState> {
    let now = state.monotonic;
    let process = state.process(&launch.operation)?;
    let is_up = !process.is_paused && process.guest.answers_at <= now;
    (is_up && process.guest.agent == Agent::Willing).then_some(&mut process.guest)
}

/// The guest takes an identity: keys that it keeps or has none of are those of whoever it was first.
fn take(guest: &mut GuestState, identity: &GuestIdentity) -> Configured {
    guest.identity = Some(identity.machine_id_hex.clone());
    if identity.ssh_host_keys == SshHostKeys::Renew {
        guest.ssh_host_key = None;
    }
    let made = || format!("ssh-ed25519 {}", identity.machine_id_hex);
    let key = guest.ssh_host_key.get_or_insert_with(made);
    Configured { ssh_host_public_key: Some(key.clone()) }
}

/// What becomes of a command: the fake knows `echo`, `false` and `sleep`, and everything else does nothing.
fn outcome(job: &CommandJob) -> CommandOutcome {
    let mut words = job.request.command.iter().map(String::as_str);
    let (program, arguments) = (words.next().unwrap_or_default(), words.collect::<Vec<_>>());
    let slept_ms = match (program, &arguments[..]) {
        ("sleep", [seconds]) => seconds.parse::<u64>().unwrap_or(0) * 1000,
        _ => 1,
    };
    let in_time = slept_ms <= job.timeout_ms;
    let stdout = if program == "echo" { arguments.join(" ") + "\n" } else { String::new() };
    CommandOutcome {
        exit_code: in_time.then_some(i32::from(program == "false")),
        stdout,
        stderr: String::new(),
        is_truncated: false,
        duration_ms: slept_ms.min(job.timeout_ms),
    }
}

#[async_trait]
impl Guest for FakeGuest {
    async fn connect_ahead(&self, reach: &Reach, _deadline: Duration) -> Result<(), PortError> {
        self.life
            .effect("guest.connect_ahead", |state| match state.process(&reach.launch.operation) {
                Some(_) => Ok(()),
                None => {
                    let action = format!("connect to {}: no such run", reach.launch.machine);
                    Err(PortError::plain(Fault::Internal, action))
                }
            })
            .await
    }

    async fn handshake(&self, reach: &Reach, deadline: Duration) -> Result<String, PortError> {
        self.ask("guest.handshake", reach, deadline, |_, _| "fake 1".to_owned()).await
    }

    async fn configure(
        &self,
        reach: &Reach,
        identity: &GuestIdentity,
        deadline: Duration,
    ) -> Result<Configured, PortError> {
        self.ask("guest.configure", reach, deadline, |guest, _| take(guest, identity)).await
    }

    async fn renew(
        &self,
        reach: &Reach,
        renewal: &Renewal,
        deadline: Duration,
    ) -> Result<Renewed, PortError> {
        self.ask("guest.renew", reach, deadline, |guest, _| {
            let configured = take(guest, &renewal.identity);
            guest.is_unconfirmed_clone = false;
            guest.is_frozen = false;
            guest.thaws_at = None;
            Renewed { agent_version: "fake 1".to_owned(), configured }
        })
        .await
    }

    async fn freeze(
        &self,
        reach: &Reach,
        self_thaw: Duration,
        deadline: Duration,
    ) -> Result<(), PortError> {
        self.ask("guest.freeze", reach, deadline, |guest, now| {
            guest.is_frozen = true;
            guest.thaws_at = Some(now + self_thaw);
        })
        .await
    }

    async fn thaw(&self, reach: &Reach, deadline: Duration) -> Result<(), PortError> {
        self.ask("guest.thaw", reach, deadline, |guest, _| {
            guest.is_frozen = false;
            guest.thaws_at = None;
        })
        .await
    }

    async fn grow_file_systems(
        &self,
        reach: &Reach,
        _disk: GrownDisk,
        deadline: Duration,
    ) -> Result<(), PortError> {
        self.ask("guest.grow_file_systems", reach, deadline, |_, _| ()).await
    }

    async fn shut_down(&self, reach: &Reach, deadline: Duration) -> Result<(), PortError> {
        self.ask("guest.shut_down", reach, deadline, |_, _| ()).await?;
        self.life
            .effect("guest: powers itself off", |state| {
                let launch = &reach.launch.operation;
                state.end_process(launch, true, "the guest powered itself off");
                Ok(())
            })
            .await
    }

    async fn announce(
        &self,
        reach: &Reach,
        login: &Login,
        deadline: Duration,
    ) -> Result<(), PortError> {
        self.ask("guest.announce", reach, deadline, |guest, _| {
            guest.identity = login.hostname.as_ref().map(|name| name.as_str().to_owned());
            guest.is_unconfirmed_clone = false;
        })
        .await
    }

    async fn mount(
        &self,
        reach: &Reach,
        order: &MountOrder,
        deadline: Duration,
    ) -> Result<(), PortError> {
        self.ask("guest.mount", reach, deadline, |guest, _| {
            guest.mounts.insert(order.mount.id.clone());
        })
        .await
    }

    async fn unmount(
        &self,
        reach: &Reach,
        mount: &MountId,
        deadline: Duration,
    ) -> Result<(), PortError> {
        self.ask("guest.unmount", reach, deadline, |guest, _| {
            guest.mounts.remove(mount);
        })
        .await
    }

    async fn mounts(
        &self,
        reach: &Reach,
        deadline: Duration,
    ) -> Result<Vec<MountReport>, PortError> {
        self.ask("guest.mounts", reach, deadline, |guest, _| {
            let report = |id: &MountId| MountReport { id: id.clone(), state: MountState::Mounted };
            guest.mounts.iter().map(report).collect()
        })
        .await
    }

    async fn serve_files(&self, launch: &Launch) -> Result<(), PortError> {
        // Nobody asks: it is over when it begins.
        let _launch = launch;
        self.life.effect("guest.serve_files", |_state| Ok(())).await
    }

    async fn run_command(
        &self,
        reach: &Reach,
        operation: &OperationId,
        job: &CommandJob,
    ) -> Result<CommandOutcome, PortError> {
        let deadline = Duration::from_millis(job.timeout_ms);
        self.ask("guest.run_command: starts", reach, deadline, |guest, _| {
            guest.commands.insert(operation.clone());
        })
        .await?;
        self.ask("guest.run_command: ends", reach, deadline, |guest, _| {
            guest.commands.remove(operation);
            outcome(job)
        })
        .await
    }

    async fn end_command(
        &self,
        reach: &Reach,
        operation: &OperationId,
        deadline: Duration,
    ) -> Result<(), PortError> {
        self.ask("guest.end_command", reach, deadline, |guest, _| {
            guest.commands.remove(operation);
        })
        .await
    }

    async fn forget(&self, _launch: &Launch) {}
}

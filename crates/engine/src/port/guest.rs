//! What the daemon says to the agent inside a guest.

use std::time::Duration;

use async_trait::async_trait;
use contract::exec::ExecRequest;
use contract::machine::GuestConfig;
use contract::{MountId, OperationId, Secret};
use serde::{Deserialize, Serialize};

use crate::record::{CommandOutcome, Mount, MountState};

use super::{Launch, PortError};

/// How the agent of a run is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// The run; the adapter derives the channel's socket from its directory and VMM.
    pub launch: Launch,
}

/// Who may log in: the machine's own configuration joined with the daemon's (`guest.login_ca_public_keys`).
pub type Login = GuestConfig;

/// The identity a guest is given.
#[derive(Debug, Clone)]
pub struct GuestIdentity {
    /// Host name and keys.
    pub login: Login,
    /// 32 hex digits, each machine's own.
    pub machine_id_hex: String,
    /// Whether the SSH host keys are made anew (first boot and clones) or kept (a later start).
    pub ssh_host_keys: SshHostKeys,
}

/// What happens to the SSH host keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SshHostKeys {
    /// Made where absent.
    Ensure,
    /// Always made anew.
    Renew,
}

/// What a clone is told before it may run on: identity, and entropy and clock supplied by the adapter.
#[derive(Debug, Clone)]
pub struct Renewal {
    /// The new identity.
    pub identity: GuestIdentity,
}

/// What a clone confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewed {
    /// The agent's version.
    pub agent_version: String,
    /// As of any guest.
    pub configured: Configured,
}

/// A disk of a running guest that has grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrownDisk {
    /// Which, counted from the root disk.
    pub index: usize,
    /// Its size by now.
    pub size_bytes: u64,
}

/// What the agent confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configured {
    /// The public SSH host key, when the image has an SSH server.
    pub ssh_host_public_key: Option<String>,
}

/// A store that a guest is to mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountOrder {
    /// What and where.
    pub mount: Mount,
    /// What proves who the guest is to the store; may be empty.
    pub secret: Secret,
}

/// What a guest says of a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountReport {
    /// Which.
    pub id: MountId,
    /// How far it came.
    pub state: MountState,
}

/// A command that a guest is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandJob {
    /// What was asked for. Its variables may be secrets.
    pub request: ExecRequest,
    /// For how long it may run.
    pub timeout_ms: u64,
    /// How much of each of its outputs is kept.
    pub most_bytes: usize,
}

/// The agent, seen from the host.
#[async_trait]
pub trait Guest: Send + Sync {
    /// Connects to the channel of a restored guest that does not run yet, and waits for no answer: so the guest never sees itself
    /// without a host, and hears of it with its first instruction.
    async fn connect_ahead(&self, reach: &Reach, deadline: Duration) -> Result<(), PortError>;

    /// One try to reach the agent and agree on a protocol version; its version.
    async fn handshake(&self, reach: &Reach, deadline: Duration) -> Result<String, PortError>;

    /// Gives a freshly booted guest its identity, its clock, and fresh entropy.
    async fn configure(
        &self,
        reach: &Reach,
        identity: &GuestIdentity,
        deadline: Duration,
    ) -> Result<Configured, PortError>;

    /// Makes a restored clone a machine of its own: reseed, clock, identity, hooks, and only then thaw (P8). It is a
    /// handshake too.
    async fn renew(
        &self,
        reach: &Reach,
        renewal: &Renewal,
        deadline: Duration,
    ) -> Result<Renewed, PortError>;

    /// Freezes every guest process but the agent. It thaws by itself after `self_thaw`.
    async fn freeze(
        &self,
        reach: &Reach,
        self_thaw: Duration,
        deadline: Duration,
    ) -> Result<(), PortError>;

    /// Thaws. Idempotent.
    async fn thaw(&self, reach: &Reach, deadline: Duration) -> Result<(), PortError>;

    /// Waits until the guest sees that a disk has grown, and grows every mounted file system to its disk. An agent that cannot
    /// yet does it at its next start.
    async fn grow_file_systems(
        &self,
        reach: &Reach,
        disk: GrownDisk,
        deadline: Duration,
    ) -> Result<(), PortError>;

    /// Asks the guest to power itself off. The answer says only that it was asked.
    async fn shut_down(&self, reach: &Reach, deadline: Duration) -> Result<(), PortError>;

    /// Tells a guest made before there was an agent (`mmds`) who it is and who may come in, by the metadata service and over vsock, and
    /// waits for its word.
    async fn announce(
        &self,
        reach: &Reach,
        login: &Login,
        deadline: Duration,
    ) -> Result<(), PortError>;

    /// Lets the files of a guest that was booted for them be reached, and returns when nobody needs them any more: at once for a guest
    /// that an earlier daemon booted.
    async fn serve_files(&self, launch: &Launch) -> Result<(), PortError>;

    /// Has the guest begin to mount a store; [`Guest::mounts`] says how far it came.
    async fn mount(
        &self,
        reach: &Reach,
        order: &MountOrder,
        deadline: Duration,
    ) -> Result<(), PortError>;

    /// Has it write back and take a mount away. Idempotent.
    async fn unmount(
        &self,
        reach: &Reach,
        mount: &MountId,
        deadline: Duration,
    ) -> Result<(), PortError>;

    /// What the guest mounts.
    async fn mounts(
        &self,
        reach: &Reach,
        deadline: Duration,
    ) -> Result<Vec<MountReport>, PortError>;

    /// Runs a command to its end, under the operation's name. It is gone when this returns, or as soon as the guest can be
    /// reached again. One that runs out of time is an outcome.
    async fn run_command(
        &self,
        reach: &Reach,
        operation: &OperationId,
        job: &CommandJob,
    ) -> Result<CommandOutcome, PortError>;

    /// Ends the command of an operation, with all that it started. Idempotent.
    async fn end_command(
        &self,
        reach: &Reach,
        operation: &OperationId,
        deadline: Duration,
    ) -> Result<(), PortError>;

    /// Forgets cached connections to a run that is over.
    async fn forget(&self, launch: &Launch);
}

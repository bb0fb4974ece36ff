//! VMM processes of the fake host and the guests in them.

use std::collections::BTreeSet;
use std::time::Duration;

use contract::{MountId, OperationId};
use engine::port::{LaunchSpec, VmmHandle};

/// A VMM process.
#[derive(Debug, Clone)]
pub struct Process {
    /// What it was started with.
    pub spec: LaunchSpec,
    /// Who it is.
    pub handle: VmmHandle,
    /// The inodes it has open for writing: memory, then disks.
    pub open_inodes: Vec<u64>,
    /// Whether its vCPUs stand still.
    pub is_paused: bool,
    /// What guest RAM held at the last capture, where the VMM keeps RAM to itself, until it is collected.
    pub memory_aside: Option<u64>,
    /// The guest in it.
    pub guest: GuestState,
}

/// A guest.
#[derive(Debug, Clone)]
pub struct GuestState {
    /// The machine that once booted; clones keep it.
    pub born: String,
    /// How much its processes have done. It stands still while they are frozen or the vCPUs are paused.
    pub work: u64,
    /// Whether every process but the agent is frozen.
    pub is_frozen: bool,
    /// When a freeze ends by itself, on the monotonic clock.
    pub thaws_at: Option<Duration>,
    /// When the agent begins to answer, on the monotonic clock.
    pub answers_at: Duration,
    /// Whether it was restored and has not confirmed an identity of its own yet.
    pub is_unconfirmed_clone: bool,
    /// The identity that it was given.
    pub identity: Option<String>,
    /// Its public SSH host key, once it has one.
    pub ssh_host_key: Option<String>,
    /// Commands that run in it, by the operations that started them.
    pub commands: BTreeSet<OperationId>,
    /// How its agent behaves.
    pub agent: Agent,
    /// What it mounts.
    pub mounts: BTreeSet<MountId>,
}

/// How an agent behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Agent {
    /// It does what it is asked.
    #[default]
    Willing,
    /// It never answers.
    Deaf,
}

impl Process {
    /// Whether the guest's own processes make progress.
    pub fn works(&self) -> bool {
        !self.is_paused && !self.guest.is_frozen
    }
}

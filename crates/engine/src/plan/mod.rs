//! Plans: what an operation will do, decided whole before its first side effect.
//!
//! A planning function takes a decoded request and the [`Facts`] of the moment and answers a [`Plan`] or a [`Refusal`]. It
//! touches nothing. Every name, path and address in a plan is chosen here and reserved by the journal's `begin`.

mod change;
mod change_writes;
pub mod chunked;
pub mod command;
pub mod compatibility;
mod disk;
mod facts;
pub mod files;
pub mod filling;
pub mod fork;
pub mod machine;
pub mod mount;
pub mod published_port;
mod refusal;
pub mod relay;
pub mod resize;
mod restart;
pub mod restore;
pub mod snapshot;
mod tuning;
pub mod upload;
pub mod volume;

pub use change::{Change, FinishedPart, IncompleteError, MovedPort};
pub use change_writes::{Lookup, Write, WriteError, writes};
pub use facts::{Capacity, Deadlines, Defaults, Facts, Overcommit, RelayRanges, Settings};
pub use refusal::Refusal;
pub use restart::Permission;

use contract::OperationId;
use contract::operation::OperationKind;
use serde::{Deserialize, Serialize};

use crate::claim::Claim;
use crate::port::FillingPlace;
use crate::record::Slot;
use crate::step::Step;

/// Until when an operation keeps others away from what it claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Until the commit: what follows (waiting for a guest, sums) keeps nobody out.
    UntilCommit,
    /// Until it is closed: names are free only when the finishing steps have removed what they name.
    UntilClose,
}

/// A plan is data: preparing steps, one commit, finishing steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The operation that runs it.
    pub operation: OperationId,
    /// What kind of operation it is, for callers.
    pub kind: OperationKind,
    /// The id of the resource it is about, for callers.
    pub resource_id: String,
    /// What it claims.
    pub claims: Vec<Claim>,
    /// Until when.
    pub hold: Hold,
    /// Steps before the commit; undone in reverse when it does not come.
    pub prepare: Vec<Step>,
    /// The one change of the records.
    pub commit: Change,
    /// Steps after the commit; tried until they succeed.
    pub finish: Vec<Step>,
}

impl Plan {
    /// The numbers of all slots that the plan makes or destroys.
    pub fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        self.prepare.iter().chain(&self.finish).filter_map(|step| match step {
            Step::BuildSlot { slot } | Step::DestroySlot { slot } => Some(slot.index),
            _ => None,
        })
    }

    /// The slots that the plan is about to take.
    pub fn built_slots(&self) -> impl Iterator<Item = &Slot> {
        self.prepare.iter().filter_map(|step| match step {
            Step::BuildSlot { slot } => Some(slot),
            _ => None,
        })
    }

    /// The fillings that the plan begins or ends.
    pub fn fillings(&self) -> impl Iterator<Item = &FillingPlace> {
        self.prepare.iter().chain(&self.finish).filter_map(|step| match step {
            Step::StartFilling { request } => Some(&request.place),
            Step::AwaitFilled { place, .. } | Step::EndFilling { place } => Some(place),
            _ => None,
        })
    }

    /// The operations whose runs the plan starts or ends.
    pub fn launches(&self) -> impl Iterator<Item = &OperationId> {
        self.prepare.iter().chain(&self.finish).filter_map(|step| match step {
            Step::Launch { spec } => Some(&spec.launch.operation),
            Step::EndRun { launch } => Some(&launch.operation),
            _ => None,
        })
    }
}

//! `computer fork`: many machines from one that runs, or from one snapshot.

use std::fmt;

use clap::Args;
use contract::ErrorCode;
use contract::client::Client;
use contract::endpoint::table::{ForkMachine, ForkSnapshot};
use contract::fork::{ForkAnswer, ForkRequest, ForkedMachine};
use contract::id::{MachineId, SnapshotId};
use contract::operation::IdempotencyKey;
use serde::Serialize;

use crate::error::CliError;
use crate::machine::{GuestArguments, WaitArguments};
use crate::output::table;
use crate::progress::Progress;

/// What is forked, and into what.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  computer fork box --count 3
  computer fork --snapshot box.before --name try-1 --name try-2

The machine stands still once, for some milliseconds, however many are made of it. Each has a hostname, keys and an address of its
own. They share the memory that they do not write; with --own-memory each gets all of it, and can be snapshotted under QEMU too.")]
pub(crate) struct ForkArguments {
    /// The machine.
    #[arg(required_unless_present = "snapshot", conflicts_with = "snapshot")]
    pub(crate) machine: Option<MachineId>,
    /// A snapshot instead.
    #[arg(long, value_name = "ID")]
    pub(crate) snapshot: Option<SnapshotId>,
    /// How many machines to make.
    #[arg(long, short = 'n', required_unless_present = "name")]
    pub(crate) count: Option<u32>,
    /// The name of a new machine, once for each.
    #[arg(long, value_name = "ID")]
    pub(crate) name: Vec<MachineId>,
    /// Give each machine a memory file of its own.
    #[arg(long)]
    pub(crate) own_memory: bool,
    /// Give up rather than let the machine stand still for longer than this, in milliseconds.
    #[arg(long, value_name = "MS")]
    pub(crate) max_pause_ms: Option<u64>,
    /// A key by which this command can be repeated without making more machines.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<IdempotencyKey>,
    /// How long to wait.
    #[command(flatten)]
    pub(crate) wait: WaitArguments,
    /// What the guests are told.
    #[command(flatten)]
    pub(crate) guest: GuestArguments,
}

/// Forks and, unless told otherwise, waits until the guests are ready.
pub(crate) async fn fork(client: &Client, arguments: ForkArguments) -> Result<Forked, CliError> {
    let request = ForkRequest {
        count: arguments.count,
        machine_ids: arguments.name,
        guest_config: arguments.guest.config()?,
        own_memory: arguments.own_memory,
        max_pause_ms: arguments.max_pause_ms,
    };
    let (wait, key) = (arguments.wait.query(), arguments.key);
    let _progress = Progress::start("forking");
    let answer = match (&arguments.machine, &arguments.snapshot) {
        (Some(machine), _) => {
            let call = client.call(ForkMachine, machine).query(&wait).body(&request);
            call.key(key).send().await?.value
        }
        (None, Some(snapshot)) => {
            let call = client.call(ForkSnapshot, snapshot).query(&wait).body(&request);
            call.key(key).send().await?.value
        }
        (None, None) => unreachable!("the command line asks for one of them"),
    };
    Ok(Forked(answer))
}

/// What became of each child.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Forked(ForkAnswer);

impl Forked {
    /// Whether every child is a machine that did not fail.
    pub(crate) fn is_whole(&self) -> bool {
        self.0.children.iter().all(|child| reason(child).is_none() && child.machine.is_some())
    }
}

/// Why a child does not run.
fn reason(child: &ForkedMachine) -> Option<String> {
    let refused = child.error.as_ref().map(|error| {
        let code: ErrorCode = error.code;
        format!("{code}: {}", error.error)
    });
    refused.or_else(|| child.machine.as_ref()?.error.clone())
}

impl fmt::Display for Forked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = table(["MACHINE", "PHASE", "ADDRESS", "WHY NOT"]);
        for child in &self.0.children {
            let machine = child.machine.as_ref();
            table.add_row([
                child.machine_id.to_string(),
                machine.map_or("none", |machine| machine.phase.as_str()).to_owned(),
                machine
                    .and_then(|machine| machine.runtime_host)
                    .map(|address| address.to_string())
                    .unwrap_or_default(),
                reason(child).unwrap_or_default(),
            ]);
        }
        table.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn promise_p14_a_child_that_failed_is_shown_beside_those_that_run() {
        let answer = json!({"snapshot_id": "fork-1", "children": [
            {"machine_id": "a", "machine": {
                "id": "a", "system_volume_id": "a-system", "phase": "running", "created_at": "2026-11-24T23:17:00Z",
                "artifact": {"kernel_image_url": "http://i.example/k", "rootfs_url": "http://i.example/r"},
            }},
            {"machine_id": "b", "error": {"error": "it exists", "code": "exists"}},
        ]});
        let forked = Forked(serde_json::from_value(answer).unwrap());
        assert!(!forked.is_whole());
        let shown = forked.to_string();
        for word in ["running", "none", "exists: it exists"] {
            assert!(shown.contains(word), "{word} in {shown}");
        }
    }
}

//! `computer snapshot create`.

use clap::Args;
use contract::client::Client;
use contract::endpoint::table::CreateSnapshot;
use contract::id::{MachineId, SnapshotId};
use contract::operation::IdempotencyKey;
use contract::snapshot::CreateSnapshotRequest;
use jiff::Timestamp;

use super::shown::ShownSnapshot;
use crate::error::CliError;
use crate::progress::Progress;

/// Of which machine.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  computer snapshot create box
  computer snapshot create box --snapshot-id box.before-upgrade

The machine stands still for some milliseconds; the answer says how many.")]
pub(crate) struct CreateSnapshotArguments {
    /// The machine.
    pub(crate) machine: MachineId,
    /// The snapshot's name [default: the machine's, and the time].
    #[arg(long, value_name = "ID")]
    pub(crate) snapshot_id: Option<SnapshotId>,
    /// Give up rather than let the machine stand still for longer than this, in milliseconds.
    #[arg(long, value_name = "MS")]
    pub(crate) max_pause_ms: Option<u64>,
    /// A key by which this command can be repeated without taking a second snapshot.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<IdempotencyKey>,
}

/// Takes a snapshot.
pub(super) async fn create(
    client: &Client,
    arguments: CreateSnapshotArguments,
) -> Result<ShownSnapshot, CliError> {
    let CreateSnapshotArguments { machine, snapshot_id, max_pause_ms, key } = arguments;
    let snapshot_id = snapshot_id.unwrap_or_else(|| name_at(&machine, Timestamp::now()));
    let _progress = Progress::start(format!("taking snapshot {snapshot_id}"));
    let request =
        CreateSnapshotRequest { max_pause_ms, ..CreateSnapshotRequest::named(snapshot_id) };
    let call = client.call(CreateSnapshot, &machine).body(&request).key(key);
    Ok(ShownSnapshot(call.send().await?.value))
}

fn name_at(machine: &MachineId, time: Timestamp) -> SnapshotId {
    let text = format!("{machine}.{}", time.strftime("%Y%m%d-%H%M%S-%3f"));
    text.parse().expect("a machine's name, a dot, digits and dashes name a snapshot")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_named_after_its_machine_and_the_time() {
        let time = "2026-11-24T23:17:05.078Z".parse().unwrap();
        let name = name_at(&"box".parse().unwrap(), time);
        assert_eq!(name.as_str(), "box.20261124-231705-078");
        name_at(&"m".repeat(64).parse().unwrap(), time);
    }
}

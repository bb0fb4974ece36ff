//! `computer storage`: what takes how much room.

use std::fmt;

use contract::client::Client;
use contract::storage::{StoragePool, StorageReport};
use serde::Serialize;

use crate::byte_size::ByteSize;
use crate::error::CliError;
use crate::output::table;

/// A report, to be shown.
#[derive(Debug, Serialize)]
pub(crate) struct ShownReport {
    report: StorageReport,
}

/// Asks for it.
pub(crate) async fn report(client: &Client) -> Result<ShownReport, CliError> {
    Ok(ShownReport { report: client.report_storage().await? })
}

fn shown(bytes: u64) -> String {
    ByteSize::from_bytes(bytes).to_string()
}

fn pool_name(pool: StoragePool) -> &'static str {
    match pool {
        StoragePool::Artifacts => "artifacts",
        StoragePool::MachineDisks => "machine disks",
        StoragePool::PublishedPorts => "published ports",
        StoragePool::Snapshots => "snapshots",
        StoragePool::State => "state",
    }
}

impl fmt::Display for ShownReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.report;
        let mut pools = table(["POOL", "ON THIS HOST"]);
        for usage in report.pools.iter().filter(|usage| usage.bytes > 0) {
            pools.add_row([pool_name(usage.pool).to_owned(), shown(usage.bytes)]);
        }
        pools.add_row(["all of it".to_owned(), shown(report.total_bytes)]);
        writeln!(formatter, "{pools}")?;
        if !report.machines.is_empty() {
            let mut machines = table(["MACHINE", "SYSTEM", "VOLUMES", "MEMORY AND LOGS"]);
            for usage in &report.machines {
                machines.add_row([
                    usage.machine_id.to_string(),
                    shown(usage.system_bytes),
                    shown(usage.user_bytes),
                    shown(usage.runtime_bytes),
                ]);
            }
            writeln!(formatter, "\n{machines}")?;
        }
        if !report.snapshots.is_empty() {
            let mut snapshots = table(["SNAPSHOT", "ON THIS HOST"]);
            for usage in &report.snapshots {
                snapshots.add_row([usage.snapshot_id.to_string(), shown(usage.bytes)]);
            }
            writeln!(formatter, "\n{snapshots}")?;
        }
        writeln!(formatter, "\nBlocks that several share are counted once, with the first of them.")
    }
}

//! The commands in use, typed.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::connection::Monitor;
use super::error::QmpError;

/// What QEMU is doing: QAPI's `RunState`, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VmStatus {
    /// vCPUs run.
    Running,
    /// vCPUs are stopped by command.
    Paused,
    /// Not started yet.
    Prelaunch,
    /// Waiting for a migration to come in.
    Inmigrate,
    /// A migration out is being finished.
    FinishMigrate,
    /// A migration out has completed; vCPUs are stopped.
    Postmigrate,
    /// Any other state, all of them with stopped vCPUs: `internal-error`, `io-error`, `guest-panicked` and so on.
    #[serde(untagged)]
    Other(String),
}

/// How far a migration is: QAPI's `MigrationStatus`, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MigrationStatus {
    /// It has written or read everything.
    Completed,
    /// It broke.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// It goes on, in one of QEMU's many ways.
    #[serde(untagged)]
    Underway(String),
}

/// The name under which a descriptor is passed for a migration.
const MIGRATION_DESCRIPTOR: &str = "vmstate";

impl Monitor {
    /// What QEMU is doing.
    pub async fn query_status(&mut self) -> Result<VmStatus, QmpError> {
        let value = self.execute("query-status", Value::Null).await?;
        decode("query-status", value["status"].clone())
    }

    /// Stops the vCPUs and writes back what the block layer holds. Stopped already is fine.
    pub async fn stop(&mut self) -> Result<(), QmpError> {
        self.execute("stop", Value::Null).await.map(drop)
    }

    /// Runs the vCPUs. Running already is fine.
    pub async fn cont(&mut self) -> Result<(), QmpError> {
        self.execute("cont", Value::Null).await.map(drop)
    }

    /// Tells that the file behind a block node has this size by now; the guest sees it at once.
    pub async fn block_resize(&mut self, node: &str, size_bytes: u64) -> Result<(), QmpError> {
        let arguments = json!({"node-name": node, "size": size_bytes});
        self.execute("block_resize", arguments).await.map(drop)
    }

    /// Presses the power button.
    pub async fn system_powerdown(&mut self) -> Result<(), QmpError> {
        self.execute("system_powerdown", Value::Null).await.map(drop)
    }

    /// Makes both directions leave shared memory to its file, and report progress as events.
    pub async fn set_migration_capabilities(&mut self) -> Result<(), QmpError> {
        let on = |name: &str| json!({"capability": name, "state": true});
        let arguments = json!({"capabilities": [on("x-ignore-shared"), on("events")]});
        self.execute("migrate-set-capabilities", arguments).await.map(drop)
    }

    /// Lifts QEMU's throttle on what a migration writes.
    pub async fn set_migration_bandwidth(&mut self, bytes_per_second: u64) -> Result<(), QmpError> {
        let arguments = json!({"max-bandwidth": bytes_per_second});
        self.execute("migrate-set-parameters", arguments).await.map(drop)
    }

    /// Begins to write device state to `descriptor`; [`Monitor::wait_migration`] tells the end.
    pub async fn migrate_to(&mut self, descriptor: BorrowedFd<'_>) -> Result<(), QmpError> {
        self.pass(descriptor).await?;
        self.execute("migrate", json!({"uri": format!("fd:{MIGRATION_DESCRIPTOR}")}))
            .await
            .map(drop)
    }

    /// Begins to read device state from `descriptor`; [`Monitor::wait_migration`] tells the end.
    pub async fn migrate_from(&mut self, descriptor: BorrowedFd<'_>) -> Result<(), QmpError> {
        self.pass(descriptor).await?;
        self.execute("migrate-incoming", json!({"uri": format!("fd:{MIGRATION_DESCRIPTOR}")}))
            .await
            .map(drop)
    }

    /// Gives up a migration; none under way is fine.
    pub async fn migrate_cancel(&mut self) -> Result<(), QmpError> {
        self.execute("migrate_cancel", Value::Null).await.map(drop)
    }

    /// Waits until a migration has ended one way or the other; an error unless it completed.
    pub async fn wait_migration(&mut self, deadline: Duration) -> Result<(), QmpError> {
        let ended = |status: &Value| match decode("MIGRATION", status.clone()) {
            Ok(MigrationStatus::Underway(_)) => None,
            Ok(status) => Some(Ok(status)),
            Err(error) => Some(Err(error)),
        };
        let status = self
            .wait_event("migration", deadline, |event| {
                (event.name == "MIGRATION").then(|| ended(&event.data["status"]))?
            })
            .await??;
        if status == MigrationStatus::Completed {
            return Ok(());
        }
        let details = self.execute("query-migrate", Value::Null).await?;
        let description = details["error-desc"].as_str().unwrap_or("no reason given").to_owned();
        Err(QmpError::Migration { status, description })
    }

    async fn pass(&mut self, descriptor: BorrowedFd<'_>) -> Result<(), QmpError> {
        self.execute_passing("getfd", json!({"fdname": MIGRATION_DESCRIPTOR}), descriptor)
            .await
            .map(drop)
    }
}

fn decode<T: for<'de> Deserialize<'de>>(command: &str, value: Value) -> Result<T, QmpError> {
    serde_json::from_value(value)
        .map_err(|source| QmpError::Malformed { command: command.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_known_by_name_and_the_rest_keep_theirs() {
        let status = |name: &str| decode::<VmStatus>("query-status", json!(name)).unwrap();
        assert_eq!(status("finish-migrate"), VmStatus::FinishMigrate);
        assert_eq!(status("postmigrate"), VmStatus::Postmigrate);
        assert_eq!(status("io-error"), VmStatus::Other("io-error".to_owned()));
        let migration = |name: &str| decode::<MigrationStatus>("MIGRATION", json!(name)).unwrap();
        assert_eq!(migration("completed"), MigrationStatus::Completed);
        assert_eq!(
            migration("pre-switchover"),
            MigrationStatus::Underway("pre-switchover".to_owned())
        );
        assert!(decode::<VmStatus>("query-status", Value::Null).is_err());
    }
}

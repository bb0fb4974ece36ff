//! Rows of machines, snapshots, volumes and published ports.

use std::cell::RefCell;

use contract::{MachineId, SnapshotId, VolumeId};
use engine::plan::{Change, Lookup, Write, writes};
use engine::record::{Machine, PublishedPort, Snapshot, Volume};
use rusqlite::{Connection, Params, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StoreError;

/// The rows of one kind of record.
struct Table {
    name: &'static str,
    by_id: &'static str,
    all: &'static str,
}

const MACHINES: Table = Table {
    name: "machines",
    by_id: "SELECT id, record FROM machines WHERE id = ?1",
    all: "SELECT id, record FROM machines ORDER BY id",
};
const SNAPSHOTS: Table = Table {
    name: "snapshots",
    by_id: "SELECT id, record FROM snapshots WHERE id = ?1",
    all: "SELECT id, record FROM snapshots ORDER BY created_at, id",
};
const VOLUMES: Table = Table {
    name: "volumes",
    by_id: "SELECT id, record FROM volumes WHERE id = ?1",
    all: "SELECT id, record FROM volumes ORDER BY id",
};
const VOLUMES_OF: &str =
    "SELECT id, record FROM volumes WHERE attached = ?1 OR goes_with = ?1 ORDER BY id";

const PUBLISHED_PORTS: Table = Table {
    name: "published_ports",
    by_id: "SELECT id, record FROM published_ports WHERE machine = ?1",
    all: "SELECT id, record FROM published_ports ORDER BY created_at, machine, id",
};

pub(super) fn machine(
    connection: &Connection,
    id: &MachineId,
) -> Result<Option<Machine>, StoreError> {
    MACHINES.one(connection, id.as_str())
}

pub(super) fn machines(connection: &Connection) -> Result<Vec<Machine>, StoreError> {
    MACHINES.readable(connection)
}

pub(super) fn snapshot(
    connection: &Connection,
    id: &SnapshotId,
) -> Result<Option<Snapshot>, StoreError> {
    SNAPSHOTS.one(connection, id.as_str())
}

pub(super) fn snapshots(connection: &Connection) -> Result<Vec<Snapshot>, StoreError> {
    SNAPSHOTS.readable(connection)
}

pub(super) fn volumes(connection: &Connection) -> Result<Vec<Volume>, StoreError> {
    VOLUMES.readable(connection)
}

pub(super) fn published_ports(connection: &Connection) -> Result<Vec<PublishedPort>, StoreError> {
    PUBLISHED_PORTS.readable(connection)
}

/// Writes the rows of a change, in the transaction that `connection` is in.
pub(super) fn write(connection: &Connection, change: &Change) -> Result<(), StoreError> {
    let records = Records { connection, failure: RefCell::default() };
    let rows = writes(change, &records).map_err(StoreError::Change);
    // A record that could not be read is not one that is not there.
    if let Some(failure) = records.failure.into_inner() {
        return Err(failure);
    }
    rows?.iter().try_for_each(|row| write_row(connection, row).map(drop))
}

fn write_row(connection: &Connection, row: &Write) -> Result<usize, StoreError> {
    match row {
        Write::Machine(machine) => execute(
            connection,
            "INSERT OR REPLACE INTO machines (id, record) VALUES (?1, ?2)",
            params![machine.id.as_str(), encode(machine)?],
        ),
        Write::RemoveMachine(id) => {
            execute(connection, "DELETE FROM machines WHERE id = ?1", [id.as_str()])
        }
        Write::Volume(volume) => execute(
            connection,
            "INSERT OR REPLACE INTO volumes (id, attached, goes_with, record) VALUES (?1, ?2, ?3, ?4)",
            params![
                volume.id.as_str(),
                volume.attached.as_ref().map(MachineId::as_str),
                volume.goes_with.as_ref().map(MachineId::as_str),
                encode(volume)?
            ],
        ),
        Write::RemoveVolume(id) => {
            execute(connection, "DELETE FROM volumes WHERE id = ?1", [id.as_str()])
        }
        Write::Snapshot(snapshot) => execute(
            connection,
            "INSERT OR REPLACE INTO snapshots (id, created_at, record) VALUES (?1, ?2, ?3)",
            params![
                snapshot.origin.snapshot.as_str(),
                nanoseconds(snapshot.origin.created_at),
                encode(snapshot)?
            ],
        ),
        Write::RemoveSnapshot(id) => remove_snapshot(connection, id),
        Write::PublishedPort(port) => execute(
            connection,
            "INSERT OR REPLACE INTO published_ports (machine, id, created_at, record) VALUES (?1, ?2, ?3, ?4)",
            params![
                port.machine.as_str(),
                port.id.as_str(),
                nanoseconds(port.created_at),
                encode(port)?
            ],
        ),
        Write::RemovePublishedPort(machine, id) => execute(
            connection,
            "DELETE FROM published_ports WHERE machine = ?1 AND id = ?2",
            [machine.as_str(), id.as_str()],
        ),
    }
}

/// What operations found out about a snapshot goes with it: another snapshot of the same name has other bytes.
fn remove_snapshot(connection: &Connection, id: &SnapshotId) -> Result<usize, StoreError> {
    execute(
        connection,
        "DELETE FROM findings WHERE operation IN
         (SELECT id FROM operations WHERE resource_id = ?1 AND kind = 'upload_snapshot')",
        [id.as_str()],
    )?;
    execute(connection, "DELETE FROM snapshots WHERE id = ?1", [id.as_str()])
}

/// The records as they are inside the transaction.
struct Records<'a> {
    connection: &'a Connection,
    failure: RefCell<Option<StoreError>>,
}

impl Records<'_> {
    fn found<T: Default>(&self, result: Result<T, StoreError>) -> T {
        result.unwrap_or_else(|error| {
            self.failure.replace(Some(error));
            T::default()
        })
    }
}

impl Lookup for Records<'_> {
    fn machine(&self, id: &MachineId) -> Option<Machine> {
        self.found(machine(self.connection, id))
    }

    fn snapshot(&self, id: &SnapshotId) -> Option<Snapshot> {
        self.found(snapshot(self.connection, id))
    }

    fn volume(&self, id: &VolumeId) -> Option<Volume> {
        self.found(VOLUMES.one(self.connection, id.as_str()))
    }

    fn volumes_of(&self, id: &MachineId) -> Vec<Volume> {
        let rows = VOLUMES.rows(self.connection, VOLUMES_OF, [id.as_str()]);
        self.found(rows.and_then(|rows| rows.into_iter().collect()))
    }

    fn published_ports_of(&self, id: &MachineId) -> Vec<PublishedPort> {
        let query = PUBLISHED_PORTS.by_id;
        let rows = PUBLISHED_PORTS.rows(self.connection, query, [id.as_str()]);
        self.found(rows.and_then(|rows| rows.into_iter().collect()))
    }
}

impl Table {
    fn one<T: DeserializeOwned>(
        &self,
        connection: &Connection,
        id: &str,
    ) -> Result<Option<T>, StoreError> {
        self.rows(connection, self.by_id, [id])?.into_iter().next().transpose()
    }

    /// All rows; those that cannot be read are told and left out.
    fn readable<T: DeserializeOwned>(&self, connection: &Connection) -> Result<Vec<T>, StoreError> {
        let rows = self.rows(connection, self.all, [])?;
        Ok(rows.into_iter().filter_map(told).collect())
    }

    fn rows<T: DeserializeOwned>(
        &self,
        connection: &Connection,
        query: &str,
        parameters: impl Params,
    ) -> Result<Vec<Result<T, StoreError>>, StoreError> {
        let failed = StoreError::database("read records");
        let mut statement = connection.prepare_cached(query).map_err(&failed)?;
        let rows = statement
            .query_map(parameters, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
            .map_err(&failed)?;
        rows.map(|row| {
            let (id, record) = row.map_err(&failed)?;
            Ok(decode(self.name, &id, &record))
        })
        .collect()
    }
}

/// The row, or a word in the log.
pub(super) fn told<T>(row: Result<T, StoreError>) -> Option<T> {
    match row {
        Ok(record) => Some(record),
        Err(error) => {
            let error = error.into_port("read a record").chain();
            tracing::error!(%error, "left out a record that cannot be read");
            None
        }
    }
}

pub(super) fn decode<T: DeserializeOwned>(
    table: &'static str,
    id: &str,
    text: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::Row {
        table,
        id: id.to_owned(),
        source,
    })
}

pub(super) fn encode(record: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(record).map_err(StoreError::Encode)
}

/// A time as it stands in a column: exact, and in order. Columns end in the year 2262.
pub(super) fn nanoseconds(time: jiff::Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}

/// Runs a statement; the number of rows that it touched.
pub(super) fn execute(
    connection: &Connection,
    statement: &'static str,
    parameters: impl Params,
) -> Result<usize, StoreError> {
    let failed = StoreError::database("write to the store");
    let mut statement = connection.prepare_cached(statement).map_err(&failed)?;
    statement.execute(parameters).map_err(failed)
}

//! Rows of operations and of what their steps found.

use contract::operation::{IdempotencyKey, OperationState};
use contract::{OperationId, SnapshotId};
use engine::plan::{Change, FinishedPart, Plan};
use engine::port::Closing;
use engine::record::{Finding, Operation, OperationError};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use serde::de::DeserializeOwned;

use super::error::StoreError;
use super::records::{self, decode, encode, execute, nanoseconds};

/// How long closed operations, and so idempotency keys, are kept: contract.md says 24 h.
const KEPT_HOURS: i64 = 24;

/// All columns, for [`Raw::of`]; what follows narrows and orders them.
macro_rules! select_operations {
    ($rest:literal) => {
        concat!(
            "SELECT id, key, request_sha256, plan, state, committed, error, started_at, ended_at FROM operations ",
            $rest
        )
    };
}

pub(super) fn begin(connection: &Connection, operation: &Operation) -> Result<(), StoreError> {
    execute(
        connection,
        "INSERT INTO operations
         (id, key, request_sha256, kind, resource_id, plan, state, committed, error, started_at, ended_at, is_open)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL, NULL, ?8, NULL, 1)",
        params![
            operation.id.as_str(),
            operation.key.as_ref().map(IdempotencyKey::as_str),
            operation.request_sha256.as_ref().map(contract::Sha256Hex::as_str),
            operation.plan.kind.as_str(),
            operation.plan.resource_id,
            encode(&operation.plan)?,
            operation.state.as_str(),
            nanoseconds(operation.started_at),
        ],
    )?;
    operation.findings.iter().try_for_each(|finding| note(connection, &operation.id, finding))
}

/// The operation that keeps another from using this key: one that is open or has committed. What was undone is run anew.
pub(super) fn key_holder(
    connection: &Connection,
    key: &IdempotencyKey,
    now: Timestamp,
) -> Result<Option<OperationId>, StoreError> {
    let failed = StoreError::database("look for an idempotency key");
    let holder: Option<String> = connection
        .prepare_cached(
            "SELECT id FROM operations WHERE key = ?1 AND (is_open = 1 OR state = 'committed')
             AND (is_open = 1 OR ended_at >= ?2) ORDER BY started_at DESC LIMIT 1",
        )
        .map_err(&failed)?
        .query_row(params![key.as_str(), kept_since(now)], |row| row.get(0))
        .optional()
        .map_err(failed)?;
    holder.map(|id| text("operations", &id, &id)).transpose()
}

pub(super) fn note(
    connection: &Connection,
    operation: &OperationId,
    finding: &Finding,
) -> Result<(), StoreError> {
    execute(
        connection,
        "INSERT INTO findings (operation, sequence, finding)
         SELECT ?1, coalesce(max(sequence), 0) + 1, ?2 FROM findings WHERE operation = ?1",
        params![operation.as_str(), encode(finding)?],
    )
    .map(drop)
}

pub(super) fn commit(
    connection: &Connection,
    operation: &OperationId,
    change: &Change,
) -> Result<(), StoreError> {
    records::write(connection, change)?;
    let touched = execute(
        connection,
        "UPDATE operations SET state = 'committed', committed = ?2 WHERE id = ?1 AND is_open = 1",
        params![operation.as_str(), encode(change)?],
    )?;
    one(touched, operation)
}

pub(super) fn fail(
    connection: &Connection,
    operation: &OperationId,
    error: &OperationError,
) -> Result<(), StoreError> {
    let touched = execute(
        connection,
        "UPDATE operations SET state = 'failed', error = ?2 WHERE id = ?1",
        params![operation.as_str(), encode(error)?],
    )?;
    one(touched, operation)
}

/// Closes, and takes the steps out of the plan: their signed URLs are secrets (promise P11).
pub(super) fn close(
    connection: &Connection,
    id: &OperationId,
    closing: &Closing,
    now: Timestamp,
) -> Result<(), StoreError> {
    let state = match closing {
        Closing::Finished(change) => {
            change.iter().try_for_each(|change| records::write(connection, change))?;
            OperationState::Committed
        }
        Closing::Undone => OperationState::Undone,
    };
    let operation =
        operation(connection, id)?.ok_or_else(|| StoreError::NoOperation(id.to_string()))?;
    let plan = Plan { prepare: vec![], finish: vec![], ..operation.plan };
    let touched = execute(
        connection,
        "UPDATE operations SET is_open = 0, state = ?2, plan = ?3, ended_at = ?4 WHERE id = ?1",
        params![id.as_str(), state.as_str(), encode(&plan)?, nanoseconds(now)],
    )?;
    one(touched, id)
}

pub(super) fn prune(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    execute(
        connection,
        "DELETE FROM operations WHERE is_open = 0 AND ended_at < ?1",
        [kept_since(now)],
    )
    .map(drop)
}

pub(super) fn operation(
    connection: &Connection,
    id: &OperationId,
) -> Result<Option<Operation>, StoreError> {
    let rows = select(connection, select_operations!("WHERE id = ?1"), [id.as_str()])?;
    rows.into_iter().next().transpose()
}

pub(super) fn by_key(
    connection: &Connection,
    key: &IdempotencyKey,
    now: Timestamp,
) -> Result<Option<Operation>, StoreError> {
    let query = select_operations!(
        "WHERE key = ?1 AND (is_open = 1 OR ended_at >= ?2) ORDER BY started_at DESC, id DESC LIMIT 1"
    );
    let rows = select(connection, query, params![key.as_str(), kept_since(now)])?;
    rows.into_iter().next().transpose()
}

pub(super) fn latest(connection: &Connection, limit: usize) -> Result<Vec<Operation>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let query = select_operations!("ORDER BY started_at DESC, id DESC LIMIT ?1");
    Ok(select(connection, query, [limit])?.into_iter().filter_map(records::told).collect())
}

pub(super) fn open(
    connection: &Connection,
) -> Result<Vec<Result<Operation, StoreError>>, StoreError> {
    select(connection, select_operations!("WHERE is_open = 1 ORDER BY started_at, id"), [])
}

pub(super) fn finished_parts(
    connection: &Connection,
    snapshot: &SnapshotId,
) -> Result<Vec<FinishedPart>, StoreError> {
    let query = "SELECT finding FROM findings JOIN operations ON operations.id = findings.operation
        WHERE resource_id = ?1 AND kind = 'upload_snapshot' ORDER BY started_at, operation, sequence";
    let failed = StoreError::database("read finished parts");
    let mut statement = connection.prepare_cached(query).map_err(&failed)?;
    let found = statement.query_map([snapshot.as_str()], |row| row.get(0)).map_err(&failed)?;
    let found: Vec<String> = found.collect::<Result<_, _>>().map_err(&failed)?;
    let parts = found.iter().filter_map(|finding| {
        records::told(decode::<Finding>("findings", snapshot.as_str(), finding)).and_then(part)
    });
    Ok(parts.collect())
}

fn part(finding: Finding) -> Option<FinishedPart> {
    match finding {
        Finding::PartFinished {
            artifact,
            upload_id,
            part_number,
            offset_bytes,
            size_bytes,
            etag,
        } => Some(FinishedPart {
            artifact,
            upload_id,
            part_number,
            offset_bytes,
            size_bytes,
            etag: Some(etag),
        }),
        _ => None,
    }
}

/// A row before its JSON is read.
struct Raw {
    id: String,
    key: Option<String>,
    request_sha256: Option<String>,
    plan: String,
    state: String,
    committed: Option<String>,
    error: Option<String>,
    started_at: i64,
    ended_at: Option<i64>,
}

impl Raw {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            key: row.get(1)?,
            request_sha256: row.get(2)?,
            plan: row.get(3)?,
            state: row.get(4)?,
            committed: row.get(5)?,
            error: row.get(6)?,
            started_at: row.get(7)?,
            ended_at: row.get(8)?,
        })
    }

    fn read(self, findings: &[String]) -> Result<Operation, StoreError> {
        let id = self.id.as_str();
        let finding = |found: &String| decode("findings", id, found);
        Ok(Operation {
            id: text("operations", id, id)?,
            key: self.key.map(|key| text("operations", id, &key)).transpose()?,
            request_sha256: self
                .request_sha256
                .map(|sum| text("operations", id, &sum))
                .transpose()?,
            plan: decode("operations", id, &self.plan)?,
            state: text("operations", id, &self.state)?,
            findings: findings.iter().map(finding).collect::<Result<_, _>>()?,
            committed: self
                .committed
                .map(|change| decode("operations", id, &change))
                .transpose()?,
            error: self.error.map(|error| decode("operations", id, &error)).transpose()?,
            started_at: time(self.started_at),
            ended_at: self.ended_at.map(time),
        })
    }
}

fn select(
    connection: &Connection,
    query: &str,
    parameters: impl Params,
) -> Result<Vec<Result<Operation, StoreError>>, StoreError> {
    let failed = StoreError::database("read operations");
    let mut statement = connection.prepare_cached(query).map_err(&failed)?;
    let rows = statement.query_map(parameters, Raw::of).map_err(&failed)?;
    let rows: Vec<Raw> = rows.collect::<Result<_, _>>().map_err(&failed)?;
    let mut findings = connection
        .prepare_cached("SELECT finding FROM findings WHERE operation = ?1 ORDER BY sequence")
        .map_err(&failed)?;
    rows.into_iter()
        .map(|raw| {
            let found = findings.query_map([&raw.id], |row| row.get(0)).map_err(&failed)?;
            let found: Vec<String> = found.collect::<Result<_, _>>().map_err(&failed)?;
            Ok(raw.read(&found))
        })
        .collect()
}

/// A column that holds plain text of a checked type.
fn text<T: DeserializeOwned>(table: &'static str, id: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_value(text.into()).map_err(|source| StoreError::Row {
        table,
        id: id.to_owned(),
        source,
    })
}

fn time(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn kept_since(now: Timestamp) -> i64 {
    nanoseconds(now).saturating_sub(KEPT_HOURS * 3600 * 1_000_000_000)
}

fn one(touched: usize, operation: &OperationId) -> Result<(), StoreError> {
    match touched {
        0 => Err(StoreError::NoOperation(operation.to_string())),
        _ => Ok(()),
    }
}

//! The `Journal` port on SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8Path;
use contract::operation::IdempotencyKey;
use contract::{MachineId, OperationId, SnapshotId};
use engine::plan::{Change, FinishedPart};
use engine::port::{BeginError, Clock, Closing, Journal, PortError};
use engine::record::{
    Finding, Machine, Operation, OperationError, PublishedPort, Snapshot, Volume,
};
use rusqlite::{Connection, TransactionBehavior};

use super::error::StoreError;
use super::worker::Worker;
use super::{operations, records, schema};

/// Records and journal in one SQLite file.
pub struct SqliteStore {
    clock: Arc<dyn Clock>,
    writer: Worker,
    reader: Worker,
}

/// What a write survives when it has returned.
#[derive(Debug, Clone, Copy)]
enum Survives {
    /// The loss of power.
    Power,
    /// The end of this process.
    Process,
}

impl SqliteStore {
    /// Opens the store at `path`, makes it when absent, and brings its schema up to date.
    ///
    /// # Errors
    /// When the file cannot be used, or was written by a newer daemon.
    pub fn open(path: &Utf8Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let start = |name, connection| {
            Worker::start(name, connection)
                .map_err(|source| StoreError::Create { path: path.to_owned(), source })
        };
        let writer = start("store-writer", schema::open_writer(path)?)?;
        let reader = start("store-reader", schema::open_reader(path)?)?;
        Ok(Self { clock, writer, reader })
    }

    /// Runs `write` in a transaction of its own.
    async fn write<T: Send + 'static>(
        &self,
        survives: Survives,
        write: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let transact = move |connection: &mut Connection| {
            let failed = StoreError::database("write to the store");
            let synchronous = match survives {
                Survives::Power => "FULL",
                Survives::Process => "NORMAL",
            };
            connection.pragma_update(None, "synchronous", synchronous).map_err(&failed)?;
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(&failed)?;
            let written = write(&transaction)?;
            transaction.commit().map_err(failed)?;
            Ok(written)
        };
        self.writer.run(transact).await
    }

    /// Runs `read` on the connection that only reads. It sees every write that has returned.
    async fn read<T: Send + 'static>(
        &self,
        action: &'static str,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, PortError> {
        self.reader
            .run(move |connection| read(connection))
            .await
            .map_err(|error| error.into_port(action))
    }
}

#[async_trait]
impl Journal for SqliteStore {
    async fn begin(&self, operation: &Operation) -> Result<(), BeginError> {
        let (operation, now) = (operation.clone(), self.clock.now());
        let action = format!("begin operation {}", operation.id);
        let taken = self.write(Survives::Power, move |connection| {
            let holder = match &operation.key {
                Some(key) => operations::key_holder(connection, key, now)?,
                None => None,
            };
            if holder.is_none() {
                operations::begin(connection, &operation)?;
            }
            Ok(holder)
        });
        match taken.await {
            Ok(None) => Ok(()),
            Ok(Some(holder)) => Err(BeginError::KeyTaken(holder)),
            Err(error) => Err(BeginError::Store(error.into_port(action))),
        }
    }

    async fn note(&self, operation: &OperationId, finding: &Finding) -> Result<(), PortError> {
        let (id, finding) = (operation.clone(), finding.clone());
        self.write(Survives::Process, move |connection| operations::note(connection, &id, &finding))
            .await
            .map_err(|error| error.into_port(format!("note what operation {operation} found")))
    }

    async fn commit(&self, operation: &OperationId, change: &Change) -> Result<(), PortError> {
        let (id, change) = (operation.clone(), change.clone());
        self.write(Survives::Power, move |connection| operations::commit(connection, &id, &change))
            .await
            .map_err(|error| error.into_port(format!("commit operation {operation}")))
    }

    async fn apply(&self, change: &Change) -> Result<(), PortError> {
        let change = change.clone();
        self.write(Survives::Process, move |connection| records::write(connection, &change))
            .await
            .map_err(|error| error.into_port("write a change of the records"))
    }

    async fn fail(&self, operation: &OperationId, error: &OperationError) -> Result<(), PortError> {
        let (id, error) = (operation.clone(), error.clone());
        self.write(Survives::Process, move |connection| operations::fail(connection, &id, &error))
            .await
            .map_err(|error| error.into_port(format!("record why operation {operation} failed")))
    }

    async fn close(&self, operation: &OperationId, closing: &Closing) -> Result<(), PortError> {
        let (id, closing, now) = (operation.clone(), closing.clone(), self.clock.now());
        self.write(Survives::Process, move |connection| {
            operations::close(connection, &id, &closing, now)
        })
        .await
        .map_err(|error| error.into_port(format!("close operation {operation}")))
    }

    async fn operation(&self, id: &OperationId) -> Result<Option<Operation>, PortError> {
        let id = id.clone();
        self.read("read an operation", move |connection| operations::operation(connection, &id))
            .await
    }

    async fn operation_by_key(&self, key: &IdempotencyKey) -> Result<Option<Operation>, PortError> {
        let (key, now) = (key.clone(), self.clock.now());
        self.read("find an operation by its key", move |connection| {
            operations::by_key(connection, &key, now)
        })
        .await
    }

    async fn operations(&self, limit: usize) -> Result<Vec<Operation>, PortError> {
        self.read("list operations", move |connection| operations::latest(connection, limit)).await
    }

    async fn open_operations(&self) -> Result<Vec<Result<Operation, PortError>>, PortError> {
        let rows = self.read("list open operations", operations::open).await?;
        let unreadable = |error: StoreError| error.into_port("read an open operation");
        Ok(rows.into_iter().map(|row| row.map_err(unreadable)).collect())
    }

    async fn machine(&self, id: &MachineId) -> Result<Option<Machine>, PortError> {
        let id = id.clone();
        self.read("read a machine", move |connection| records::machine(connection, &id)).await
    }

    async fn machines(&self) -> Result<Vec<Machine>, PortError> {
        self.read("list machines", records::machines).await
    }

    async fn snapshot(&self, id: &SnapshotId) -> Result<Option<Snapshot>, PortError> {
        let id = id.clone();
        self.read("read a snapshot", move |connection| records::snapshot(connection, &id)).await
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>, PortError> {
        self.read("list snapshots", records::snapshots).await
    }

    async fn volumes(&self) -> Result<Vec<Volume>, PortError> {
        self.read("list volumes", records::volumes).await
    }

    async fn published_ports(&self) -> Result<Vec<PublishedPort>, PortError> {
        self.read("list published ports", records::published_ports).await
    }

    async fn finished_parts(&self, snapshot: &SnapshotId) -> Result<Vec<FinishedPart>, PortError> {
        let id = snapshot.clone();
        self.read("list finished parts", move |connection| {
            operations::finished_parts(connection, &id)
        })
        .await
    }

    async fn prune(&self) -> Result<(), PortError> {
        let now = self.clock.now();
        self.write(Survives::Process, move |connection| operations::prune(connection, now))
            .await
            .map_err(|error| error.into_port("forget old operations"))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use engine::testing::{ManualClock, journal};

    use super::*;

    fn fresh(directory: &tempfile::TempDir) -> (SqliteStore, Arc<ManualClock>) {
        let path = directory.path().join("computerd.db");
        let clock = Arc::new(ManualClock::new(journal::start_of_time()));
        let path = camino::Utf8PathBuf::from_path_buf(path).unwrap();
        (SqliteStore::open(&path, Arc::<ManualClock>::clone(&clock)).unwrap(), clock)
    }

    #[tokio::test]
    async fn the_store_is_a_journal_promises_p2_p4_p11_p12() {
        let directories = RefCell::new(Vec::new());
        journal::conforms(|| {
            let directory = tempfile::tempdir().unwrap();
            let journal = fresh(&directory);
            directories.borrow_mut().push(directory);
            journal
        })
        .await;
    }

    #[tokio::test]
    async fn promise_p4_rows_that_cannot_be_read_hide_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let (store, _clock) = fresh(&directory);
        store
            .write(Survives::Power, |connection| {
                let bad = "
                    INSERT INTO machines VALUES ('bad', '{\"id\": 1}');
                    INSERT INTO volumes VALUES ('bad', 'a', NULL, 'no JSON');
                    INSERT INTO volumes VALUES ('good', NULL, NULL,
                        '{\"id\":\"good\",\"attached\":null,\"goes_with\":null,\"size_bytes\":1,\"created_at\":\"2026-01-01T00:00:00Z\"}');
                    INSERT INTO operations VALUES ('bad', NULL, NULL, 'k', 'r', '{}', 'running', NULL, NULL, 0, NULL, 1);";
                connection.execute_batch(bad).map_err(StoreError::database("insert bad rows"))
            })
            .await
            .unwrap();
        assert_eq!(store.machines().await.unwrap(), []);
        let volumes = store.volumes().await.unwrap();
        assert_eq!(volumes.iter().map(|volume| volume.id.as_str()).collect::<Vec<_>>(), ["good"]);
        let open = store.open_operations().await.unwrap();
        assert!(matches!(open[..], [Err(_)]), "it is told in its place");
        let bad: MachineId = "bad".parse().unwrap();
        assert!(store.machine(&bad).await.is_err(), "it is not answered as absent");
    }

    #[tokio::test]
    async fn promise_p4_what_was_committed_is_there_when_the_store_opens_again() {
        let directory = tempfile::tempdir().unwrap();
        let (store, _clock) = fresh(&directory);
        store.begin(&journal::an_operation()).await.unwrap();
        drop(store);
        let (store, _clock) = fresh(&directory);
        let open = store.open_operations().await.unwrap();
        assert_eq!(
            open.into_iter().map(Result::unwrap).collect::<Vec<_>>(),
            [journal::an_operation()]
        );
    }

    #[tokio::test]
    async fn promise_p14_readers_do_not_wait_behind_a_writer() {
        let directory = tempfile::tempdir().unwrap();
        let (store, _clock) = fresh(&directory);
        let store = Arc::new(store);
        let (release, held) = std::sync::mpsc::channel::<()>();
        let writing = tokio::spawn({
            let store = Arc::clone(&store);
            async move {
                store
                    .write(Survives::Power, move |_| {
                        held.recv().expect("the test lets it go on");
                        Ok(())
                    })
                    .await
            }
        });
        assert_eq!(store.machines().await.unwrap(), []);
        release.send(()).unwrap();
        writing.await.unwrap().unwrap();
    }
}

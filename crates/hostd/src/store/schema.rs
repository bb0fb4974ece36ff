//! The file, its settings and its tables.

use std::fs::OpenOptions;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::time::Duration;

use camino::Utf8Path;
use rusqlite::{Connection, TransactionBehavior};

use super::error::StoreError;

/// Each entry brings the schema one version further; `user_version` counts those that were applied. Entries never change.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE operations (
        id TEXT PRIMARY KEY,
        key TEXT,
        request_sha256 TEXT,
        kind TEXT NOT NULL,
        resource_id TEXT NOT NULL,
        plan TEXT NOT NULL,
        state TEXT NOT NULL,
        committed TEXT,
        error TEXT,
        started_at INTEGER NOT NULL,
        ended_at INTEGER,
        is_open INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX operations_by_key ON operations (key, started_at) WHERE key IS NOT NULL;
    CREATE INDEX operations_open ON operations (started_at) WHERE is_open = 1;
    CREATE INDEX operations_by_time ON operations (started_at);
    CREATE INDEX operations_by_resource ON operations (resource_id, kind);
    CREATE TABLE findings (
        operation TEXT NOT NULL REFERENCES operations (id) ON DELETE CASCADE,
        sequence INTEGER NOT NULL,
        finding TEXT NOT NULL,
        PRIMARY KEY (operation, sequence)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE machines (id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
    CREATE TABLE snapshots (
        id TEXT PRIMARY KEY,
        created_at INTEGER NOT NULL,
        record TEXT NOT NULL
    ) STRICT;
    CREATE TABLE volumes (
        id TEXT PRIMARY KEY,
        attached TEXT,
        goes_with TEXT,
        record TEXT NOT NULL
    ) STRICT;
    CREATE INDEX volumes_attached ON volumes (attached) WHERE attached IS NOT NULL;
    CREATE INDEX volumes_going ON volumes (goes_with) WHERE goes_with IS NOT NULL;
",
    "
    CREATE TABLE published_ports (
        machine TEXT NOT NULL,
        id TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        record TEXT NOT NULL,
        PRIMARY KEY (machine, id)
    ) STRICT;
",
];

/// How long a statement waits for the other connection; they never hold the file for long.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Page cache of one connection, in KiB: the daemon stays small.
const CACHE_KIB: i64 = 512;
/// The write-ahead log is cut back to this after a checkpoint.
const LOG_BYTES: i64 = 4 << 20;

/// Opens the connection that writes; makes the file (0600) and brings the schema up to date.
pub(super) fn open_writer(path: &Utf8Path) -> Result<Connection, StoreError> {
    let create = |source| StoreError::Create { path: path.to_owned(), source };
    // Made before SQLite sees it: its journal files take over the mode (promise P11).
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(create)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(create)?;
    let mut connection = open(path)?;
    let setting = StoreError::database("set up the store");
    connection.pragma_update(None, "journal_mode", "WAL").map_err(&setting)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(&setting)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(&setting)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES).map_err(&setting)?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// Opens a connection that only reads.
pub(super) fn open_reader(path: &Utf8Path) -> Result<Connection, StoreError> {
    let connection = open(path)?;
    let setting = StoreError::database("set up the store");
    connection.pragma_update(None, "query_only", true).map_err(setting)?;
    Ok(connection)
}

fn open(path: &Utf8Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path).map_err(StoreError::database("open the store"))?;
    let setting = StoreError::database("set up the store");
    connection.busy_timeout(BUSY_TIMEOUT).map_err(&setting)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(&setting)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let failed = StoreError::database("bring the store's schema up to date");
    let found: u32 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(&failed)?;
    let known = (1..).zip(MIGRATIONS);
    if let Some(last) =
        known.clone().map(|(version, _)| version).last().filter(|last| found > *last)
    {
        return Err(StoreError::Newer { found, known: last });
    }
    for (version, migration) in known.filter(|(version, _)| *version > found) {
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(&failed)?;
        transaction.execute_batch(migration).map_err(&failed)?;
        transaction.pragma_update(None, "user_version", version).map_err(&failed)?;
        transaction.commit().map_err(&failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(directory: &tempfile::TempDir) -> camino::Utf8PathBuf {
        camino::Utf8PathBuf::from_path_buf(directory.path().join("computerd.db")).unwrap()
    }

    #[test]
    fn promise_p11_the_store_and_its_log_are_readable_by_their_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let _writer = open_writer(&path(&directory)).unwrap();
        let mut seen = 0;
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            seen += 1;
        }
        assert!(seen >= 2, "the store and its write-ahead log");
    }

    #[test]
    fn a_store_of_a_newer_daemon_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(&directory);
        let newer = 1 + u32::try_from(MIGRATIONS.len()).unwrap();
        open_writer(&path).unwrap().pragma_update(None, "user_version", newer).unwrap();
        let error = open_writer(&path).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found, .. } if found == newer));
    }

    #[test]
    fn promise_p4_the_writer_syncs_every_commit_unless_told_otherwise() {
        let directory = tempfile::tempdir().unwrap();
        let writer = open_writer(&path(&directory)).unwrap();
        let synchronous: u32 =
            writer.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
        assert_eq!(synchronous, 2, "FULL");
        let mode: String =
            writer.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
    }

    #[test]
    fn a_store_opens_again_with_what_it_held() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(&directory);
        open_writer(&path)
            .unwrap()
            .execute("INSERT INTO machines (id, record) VALUES ('a', '{}')", [])
            .unwrap();
        open_writer(&path).unwrap();
        let reader = open_reader(&path).unwrap();
        let count: u32 =
            reader.query_row("SELECT count(*) FROM machines", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 1);
        reader.execute("DELETE FROM machines", []).unwrap_err();
    }
}

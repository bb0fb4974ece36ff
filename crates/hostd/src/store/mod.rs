//! What the daemon remembers: records and journal in one SQLite file, so that a commit is one transaction.
//!
//! ```text
//!  Journal --> journal.rs --closure--> writer thread --> connection (synchronous=FULL, NORMAL for notes) --\
//!                          \-closure--> reader thread --> connection (query_only) -------------------------> computerd.db (WAL)
//! ```
//! Each connection lives on a thread of its own, so that no async task ever waits in a system call, and no reader behind a
//! writer's sync. Rows hold JSON of the engine's records; the columns beside it are only what queries need. A row that
//! cannot be read is told and hides no other (promises P4 and P14).

mod error;
mod journal;
mod operations;
mod records;
mod schema;
mod worker;

pub use error::StoreError;
pub use journal::SqliteStore;

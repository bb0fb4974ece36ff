//! Connections to monitors that outlive one call: from a pause until its guest goes on.
//!
//! A monitor speaks to one client at a time. Whoever takes a kept connection and does not keep it again closes it, and the next to ask
//! connects anew; so a look at a paused run costs its snapshot a millisecond and nothing else.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use camino::Utf8Path;
use contract::OperationId;

use super::qmp::{Monitor, QmpError};

/// Kept connections, by run. Lost with the daemon, and made anew by the next.
#[derive(Debug, Default)]
pub(super) struct Monitors {
    kept: Mutex<HashMap<OperationId, Monitor>>,
}

impl Monitors {
    /// The kept connection of the run, else a new one. `deadline` holds for each exchange.
    pub(super) async fn take(
        &self,
        run: &OperationId,
        socket: &Utf8Path,
        deadline: Duration,
    ) -> Result<Monitor, QmpError> {
        match self.kept(run) {
            Some(kept) => Ok(kept.within(deadline)),
            None => Monitor::connect(socket, deadline).await,
        }
    }

    /// Keeps the connection for the run's next call.
    pub(super) fn keep(&self, run: &OperationId, monitor: Monitor) {
        self.all().insert(run.clone(), monitor);
    }

    /// The kept connection alone.
    pub(super) fn kept(&self, run: &OperationId) -> Option<Monitor> {
        self.all().remove(run)
    }

    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<OperationId, Monitor>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

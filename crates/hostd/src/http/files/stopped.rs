//! The files of a stopped machine: its own guest is booted for them, and shared by the requests that come while it is up.

use std::time::Duration;

use contract::{ErrorCode, MachineId};
use engine::plan;
use tokio::time::Instant;

use crate::file_uses::{Found, Use};
use crate::http::api::Api;
use crate::http::error::Failure;
use crate::http::mutate::Decision;

/// How much longer than a start's own deadline a guest is waited for.
const GRACE: Duration = Duration::from_secs(30);
/// Between two looks at a guest that goes up or down.
const LOOK: Duration = Duration::from_millis(200);

impl Api {
    /// Enters the guest of a stopped machine, booting it where nobody has.
    pub(super) async fn enter_stopped(&self, id: &MachineId) -> Result<Use, Failure> {
        let start = Duration::from_millis(self.host().settings.deadlines.start_ms);
        let deadline = Instant::now() + start + GRACE;
        loop {
            match self.file_uses.enter(id) {
                Found::Entered(used) => return Ok(used),
                Found::Nobody => {
                    // A caller that leaves must not leave it half begun.
                    let (api, id) = (self.clone(), id.clone());
                    let booting = tokio::spawn(async move { api.boot_for_files(&id).await });
                    booting.await.map_err(|error| {
                        Failure::new(ErrorCode::Internal, format!("boot for files: {error}"))
                    })??;
                }
                Found::Changing => self.file_uses.changed(LOOK).await,
            }
            if Instant::now() >= deadline {
                let reason = format!("the files of machine {id} could not be reached in time");
                return Err(Failure::new(ErrorCode::Deadline, reason));
            }
        }
    }

    /// Begins it and waits until its agent answers.
    async fn boot_for_files(&self, id: &MachineId) -> Result<(), Failure> {
        let wanted = id.clone();
        let plan = move |facts: &plan::Facts<'_>| {
            plan::files::open(facts.machine(&wanted)?, facts).map(Decision::from)
        };
        match self.start_unasked(plan).await {
            Ok(mut ticket) => {
                self.file_uses.started(id, ticket.clone());
                let operation = ticket.operation.clone();
                let up = ticket.committed().await;
                up.map(drop).map_err(|error| Failure::operation(error, &operation))
            }
            Err(failure) => {
                self.file_uses.gone(id);
                Err(failure)
            }
        }
    }

    /// Takes down a guest that is up for its files only, so that the machine can be started, changed or removed.
    pub(in crate::http) async fn leave_files(&self, id: &MachineId) {
        let stop = Duration::from_millis(self.host().settings.deadlines.stop_ms);
        self.file_uses.hurry(id, stop + GRACE).await;
    }
}

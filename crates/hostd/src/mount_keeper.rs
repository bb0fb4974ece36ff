//! Keeps guests mounting what is recorded, each machine on a task of its own (promise P14).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contract::MachineId;
use engine::record::Machine;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::http::Api;

/// Between two looks at all machines that have mounts: a guest that was started is told within this.
const EVERY: Duration = Duration::from_secs(5);
/// Between two looks at a guest that is at it.
const SOON: Duration = Duration::from_millis(500);

/// The machines that are looked at now.
#[derive(Debug, Clone, Default)]
struct Busy {
    machines: Arc<Mutex<HashSet<MachineId>>>,
}

/// Looks again and again, and at once when a mount is recorded.
pub async fn keep(api: Api, ending: CancellationToken) {
    let busy = Busy::default();
    loop {
        match api.runner.host().journal.machines().await {
            Ok(machines) => {
                machines
                    .into_iter()
                    .filter(|machine| !machine.mounts.is_empty() && machine.phase.run().is_some())
                    .filter(|machine| busy.enter(&machine.id))
                    .for_each(|machine| {
                        tokio::spawn(tend(api.clone(), busy.clone(), machine));
                    });
            }
            Err(error) => warn!(error = error.chain(), "machines with mounts cannot be listed"),
        }
        tokio::select! {
            () = ending.cancelled() => return,
            () = api.mounted.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// One machine, until nothing is under way.
async fn tend(api: Api, busy: Busy, machine: Machine) {
    let id = machine.id.clone();
    let mut machine = Some(machine);
    while let Some(record) = machine.take() {
        match engine::mounts::tend(api.runner.host(), &record).await {
            Ok(true) => {
                tokio::time::sleep(SOON).await;
                machine = api.runner.host().journal.machine(&id).await.ok().flatten();
            }
            Ok(false) => {}
            // The guest may be on its way down, or frozen: it is looked at again.
            Err(error) => debug!(machine = %id, error = error.chain(), "mounts not looked at"),
        }
    }
    busy.leave(&id);
}

impl Busy {
    fn enter(&self, machine: &MachineId) -> bool {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner).insert(machine.clone())
    }

    fn leave(&self, machine: &MachineId) {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner).remove(machine);
    }
}

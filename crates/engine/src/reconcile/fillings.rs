//! Fillings beside their records: how far they are, and the end of those that are full with nobody using them.

use contract::OperationId;
use tracing::{info, warn};

use crate::host::Host;
use crate::plan::{self, Change, Facts};
use crate::port::{Fill, PortError};
use crate::record::{FillingRecord, Machine, Operation};
use crate::runner::Runner;

/// Why the VMM of a machine ended, where it was ended because a chunk was lost.
pub(crate) async fn loss(host: &Host, machine: &Machine) -> Result<Option<String>, PortError> {
    let Some(filling) = &machine.filling else { return Ok(None) };
    match host.chunks.filling(&filling.place).await? {
        Fill::Lost { reason } => Ok(Some(format!("its files could not be fetched: {reason}"))),
        Fill::Filling { .. } | Fill::Full => Ok(None),
    }
}

/// Notes how far the filling of a machine is, and ends one that is over.
pub(super) async fn look(
    runner: &Runner,
    machine: &Machine,
    filling: &FillingRecord,
    facts: &Facts<'_>,
) -> Result<(), PortError> {
    let host = runner.host();
    let missing_bytes = match host.chunks.filling(&filling.place).await? {
        Fill::Filling { missing_bytes } => missing_bytes,
        Fill::Full => Some(0),
        Fill::Lost { .. } => return Ok(()),
    };
    if missing_bytes == Some(0) && machine.phase.run().is_none() {
        let plan = plan::filling::end(machine, filling, facts);
        return match runner.start(Operation::new(plan, facts.now)).await {
            Ok(mut ticket) => {
                if let Err(error) = ticket.closed().await {
                    warn!(machine = %machine.id, reason = error.reason, "its filling is not ended yet");
                }
                Ok(())
            }
            // Somebody works on it: what they do ends it too, or it is looked at again.
            Err(error) => {
                info!(machine = %machine.id, %error, "its filling is not ended now");
                Ok(())
            }
        };
    }
    if missing_bytes == filling.missing_bytes {
        return Ok(());
    }
    let operation = filling.place.operation.clone();
    let seen = Change::FillingSeen { machine: machine.id.clone(), operation, missing_bytes };
    host.journal.apply(&seen).await
}

/// Ends the processes of fillings that no record and no open operation owns.
pub(super) async fn end_orphans(
    host: &Host,
    carried: Vec<OperationId>,
    machines: &[Machine],
    open: &[Operation],
) -> Result<(), PortError> {
    for operation in carried {
        let is_recorded = machines
            .iter()
            .filter_map(|machine| machine.filling.as_ref())
            .any(|filling| filling.place.operation == operation);
        let is_open = open.iter().any(|open| {
            open.id == operation || open.plan.fillings().any(|place| place.operation == operation)
        });
        if !is_recorded && !is_open {
            warn!(%operation, "ending a filling that nothing owns");
            host.chunks.end_orphan_filling(&operation).await?;
        }
    }
    Ok(())
}

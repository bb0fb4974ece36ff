//! `GET /machines/{id}` with a thousand records, written through the store before the daemon starts.

use std::sync::Arc;
use std::time::Instant;

use contract::OperationId;
use engine::layout::Layout;
use engine::plan::Change;
use engine::port::{Journal, Launch, PortError, VmmHandle};
use engine::record::{AddressBlock, Machine, Slot, Volume};
use hostd::clock::SystemClock;
use hostd::store::SqliteStore;
use jiff::Timestamp;

use super::figure::Figure;
use super::sample::Sample;
use super::scene::{MEMORY_MIB, Scene};
use crate::daemon::Daemon;
use crate::error::HarnessError;
use crate::machine::machine_id;

const RECORDS: u32 = 1000;
const REQUESTS: u32 = 5000;

/// The 99th percentile, a connection to each request, as `contract`'s client makes them.
pub(super) async fn get_p99(name: &'static str, scene: &Scene) -> Result<Figure, HarnessError> {
    let mut daemon = scene.daemon(name).await?;
    let pattern = scene.machine(&daemon, "pattern", MEMORY_MIB).await?;
    daemon.client().stop_machine(&pattern.id).await?;
    daemon.quiet().await?;
    daemon.stop().await?;
    fill(&daemon, RECORDS).await?;
    daemon.restart().await?;

    let client = daemon.client();
    let mut sample = Sample::default();
    for request in 0..REQUESTS {
        let id = machine_id(&record_name(request % RECORDS))?;
        let began = Instant::now();
        client.show_machine(&id).await?;
        sample.add_time(began.elapsed());
    }
    // The records have no machines, so nothing is left but them; the root goes with the storage.
    daemon.stop().await?;
    Ok(Figure { name, value: sample.percentile(99), unit: "ms", bare: None })
}

pub(super) fn record_name(index: u32) -> String {
    format!("record-{index}")
}

/// Writes records of stopped machines, like the one that is called `pattern`.
pub(super) async fn fill(daemon: &Daemon, records: u32) -> Result<(), HarnessError> {
    let layout = Layout::new(daemon.root());
    let path = layout.state().join("computerd.db");
    let store = SqliteStore::open(&path, Arc::new(SystemClock::default()))
        .map_err(|error| HarnessError::value("the store", error))?;
    let pattern = store.machine(&machine_id("pattern")?).await.map_err(failed)?;
    let pattern = pattern.ok_or_else(|| HarnessError::value("the store", "it has no machine"))?;
    for index in 0..records {
        let id = machine_id(&record_name(index))?;
        let machine = Machine { id: id.clone(), relays: vec![], ..pattern.clone() };
        store.apply(&started(machine, index, &layout)).await.map_err(failed)?;
        let stopped = Change::MachineStopped { machine: id, reason: None };
        store.apply(&stopped).await.map_err(failed)?;
    }
    Ok(())
}

/// A machine that was started once: the way in which a record comes to be.
fn started(machine: Machine, index: u32, layout: &Layout) -> Change {
    let block = AddressBlock { first: [10, 88, 0, 0].into(), prefix_length: 16 };
    let volume = Volume {
        id: machine.system_volume_id(),
        attached: Some(machine.id.clone()),
        goes_with: Some(machine.id.clone()),
        size_bytes: machine.storage_bytes,
        created_at: machine.created_at,
    };
    Change::MachineStarted {
        launch: Launch {
            machine: machine.id.clone(),
            operation: OperationId::from_parts(u64::from(index), [0; 10]),
            vmm: machine.vmm,
            dir: layout.machine(&machine.id),
        },
        machine: Box::new(machine),
        new_volumes: vec![volume],
        slot: Slot::new("00000000", block, 600_000, index),
        handle: Some(VmmHandle { pid: 1, start_time_ticks: 0, boot_id: String::new() }),
        deadline: Timestamp::UNIX_EPOCH,
    }
}

fn failed(error: PortError) -> HarnessError {
    HarnessError::value("the store", format!("{error:?}"))
}

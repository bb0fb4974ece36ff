//! The smallest honest values.

use std::net::Ipv4Addr;

use contract::OperationId;

use crate::phase::Run;
use crate::plan::RelayRanges;
use crate::port::{Launch, VmmHandle};
use crate::record::{AddressBlock, PortRange, Slot, VmmKind};

/// The `number`th operation of a test.
pub fn operation(number: u8) -> OperationId {
    OperationId::from_parts(u64::from(number), [number; 10])
}

/// The block of addresses that tests use.
pub fn block() -> AddressBlock {
    AddressBlock { first: Ipv4Addr::new(10, 213, 0, 0), prefix_length: 24 }
}

/// The ports from which tests give relays theirs.
pub fn relays() -> RelayRanges {
    RelayRanges {
        ssh: PortRange { first: 40_000, last: 40_099 },
        vnc: PortRange { first: 45_000, last: 45_099 },
        exec: PortRange { first: 50_000, last: 50_099 },
        published: PortRange { first: 20_000, last: 20_099 },
    }
}

/// The `index`th slot of a test.
pub fn slot(index: u32) -> Slot {
    Slot::new("00000000", block(), 200_000, index)
}

/// A run of the machine with this name.
///
/// # Panics
/// When the name is no machine id.
pub fn run(machine: &str) -> Run {
    let machine: contract::MachineId = machine.parse().expect("a machine id of a test");
    Run {
        launch: Launch {
            dir: format!("/root/machines/{machine}").into(),
            machine,
            operation: operation(1),
            vmm: VmmKind::Qemu,
        },
        handle: VmmHandle { pid: 4_000_000, start_time_ticks: 7, boot_id: "boot".into() },
        slot: slot(0),
    }
}

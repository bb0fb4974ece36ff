//! Rate limits and CPU templates: what a caller may ask for.

use std::ops::RangeInclusive;

use contract::ErrorCode;
use contract::machine::CreateMachineRequest;

use crate::record::{Tuning, VmmKind};

use super::Refusal;

/// From what still moves a disk to more than any device does.
const BYTES_PER_SECOND: RangeInclusive<u64> = (64 << 10)..=(1 << 40);
const OPERATIONS_PER_SECOND: RangeInclusive<u64> = 10..=100_000_000;

/// What is asked for, if this VMM can do it. QEMU here has neither: it would run the machine as if nothing had been asked.
pub(super) fn of(request: &CreateMachineRequest, vmm: VmmKind) -> Result<Tuning, Refusal> {
    let tuning = Tuning {
        rate_limits: request.rate_limits.unwrap_or_default(),
        cpu_template: request.cpu_template,
    };
    if vmm == VmmKind::Qemu && !tuning.is_usual() {
        return refuse(
            "rate_limits and cpu_template need Firecracker, which this host does not run",
        );
    }
    let limits = tuning.rate_limits;
    let bounds = [
        ("disk_bytes_per_second", limits.disk_bytes_per_second, BYTES_PER_SECOND),
        ("disk_operations_per_second", limits.disk_operations_per_second, OPERATIONS_PER_SECOND),
        ("network_bytes_per_second", limits.network_bytes_per_second, BYTES_PER_SECOND),
    ];
    for (name, value, range) in bounds {
        if value.is_some_and(|value| !range.contains(&value)) {
            return refuse(format!("{name} must be within {range:?}"));
        }
    }
    Ok(tuning)
}

fn refuse(reason: impl Into<String>) -> Result<Tuning, Refusal> {
    Err(Refusal::new(ErrorCode::Refused, reason))
}

//! A disk.

use contract::{MachineId, VolumeId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A disk, as the store holds it. Its file is `volumes/<id>/disk.img`, or in the machine's directory for those that go with a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Its name.
    pub id: VolumeId,
    /// The machine that uses it.
    pub attached: Option<MachineId>,
    /// The machine with which it goes: system disks, and user disks made by a restore until they are detached.
    pub goes_with: Option<MachineId>,
    /// Nominal size in bytes.
    pub size_bytes: u64,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Volume {
    /// Whether it is the system disk of a machine.
    pub fn is_system(&self) -> bool {
        self.goes_with.as_ref().is_some_and(|machine| VolumeId::system_of(machine) == self.id)
    }
}

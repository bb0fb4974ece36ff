//! What the daemon remembers, as it stands in the store: strict, versioned by the store's schema, changed only by commits.

mod command;
mod filling;
mod machine;
mod mount;
mod operation;
mod port;
mod slot;
mod snapshot;
mod tuning;
mod volume;

pub use command::CommandOutcome;
pub use filling::FillingRecord;
pub use machine::{MAXIMUM_USER_DISKS, Machine, Memory, Shape, VmmKind};
pub use mount::{Mount, MountState};
pub use operation::{Finding, Moment, Operation, OperationError};
pub use port::{PortRange, PublishedPort, RelayPort};
pub use slot::{AddressBlock, Slot};
pub use snapshot::{
    ArtifactSum, ChunkedForm, CpuIdentity, Manifest, ManifestFile, Origin, SealedArtifact,
    Snapshot, SnapshotOrigin, SnapshotState,
};
pub use tuning::Tuning;
pub use volume::Volume;

//! What the verbs for volumes take.

use clap::Args;
use contract::id::{MachineId, VolumeId};

use crate::byte_size::ByteSize;

/// A volume and its size.
#[derive(Debug, Clone, Args)]
pub(crate) struct SizeArguments {
    /// The volume.
    pub(crate) volume: VolumeId,
    /// Its size, such as 512M or 20G.
    #[arg(long, short)]
    pub(crate) size: ByteSize,
}

/// A volume.
#[derive(Debug, Clone, Args)]
pub(crate) struct VolumeIdArguments {
    /// The volume.
    pub(crate) volume: VolumeId,
}

/// Which volume goes where.
#[derive(Debug, Clone, Args)]
pub(crate) struct AttachVolumeArguments {
    /// The volume.
    pub(crate) volume: VolumeId,
    /// The machine.
    pub(crate) machine: MachineId,
    /// Restart the machine for it if it runs.
    #[arg(long)]
    pub(crate) restart: bool,
}

/// Which volume is taken from its machine.
#[derive(Debug, Clone, Args)]
pub(crate) struct DetachVolumeArguments {
    /// The volume.
    pub(crate) volume: VolumeId,
    /// Restart the machine for it if it runs.
    #[arg(long)]
    pub(crate) restart: bool,
}

/// Which volumes to delete.
#[derive(Debug, Clone, Args)]
pub(crate) struct DeleteVolumesArguments {
    /// The volumes.
    #[arg(required = true)]
    pub(crate) volumes: Vec<VolumeId>,
}

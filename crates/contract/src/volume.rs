//! Volumes: the disks of machines.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::forgiving;
use crate::id::{MachineId, VolumeId};

/// What a volume holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VolumeKind {
    /// The root file system of a machine; it goes with the machine.
    System,
    /// A further disk.
    User,
}

/// A volume as a host answers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Volume {
    /// Its name.
    pub id: VolumeId,
    /// What it holds.
    pub kind: VolumeKind,
    /// The machine it is attached to.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub attached_machine_id: Option<MachineId>,
    /// Its size.
    #[serde(default)]
    pub size_bytes: u64,
    /// Whether it stays when its machine is deleted.
    #[serde(default)]
    pub outlives_machine: bool,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// A request to make a volume: an empty disk with an ext4 on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateVolumeRequest {
    /// The name of the volume, chosen by the caller. Its first 16 characters are the label of the file system.
    pub volume_id: VolumeId,
    /// Its size.
    pub size_bytes: u64,
}

/// A request to make a volume larger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GrowVolumeRequest {
    /// Its new size; it never shrinks.
    pub size_bytes: u64,
}

/// A request to attach a volume as the last disk of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttachVolumeRequest {
    /// The machine.
    pub machine_id: MachineId,
    /// Whether a running machine may be restarted for it.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "forgiving::is_off"
    )]
    pub restart: bool,
}

/// A request to take a volume from its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DetachVolumeRequest {
    /// Whether a running machine may be restarted for it.
    #[serde(
        default,
        deserialize_with = "forgiving::defaulted",
        skip_serializing_if = "forgiving::is_off"
    )]
    pub restart: bool,
}

/// The answer that holds one volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VolumeAnswer {
    /// The volume.
    pub volume: Volume,
}

/// The answer that lists volumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VolumesAnswer {
    /// The volumes, by id; the system disks of machines are among them.
    #[serde(default, deserialize_with = "forgiving::defaulted")]
    pub volumes: Vec<Volume>,
}

//! How a machine's devices and CPU are made, where a caller wants them otherwise than usual.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::forgiving;

/// Bounds of one machine's disks and network; what is absent is the host's usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RateLimits {
    /// Bytes a second of each disk.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub disk_bytes_per_second: Option<u64>,
    /// Operations a second of each disk.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub disk_operations_per_second: Option<u64>,
    /// Bytes a second of the network, in each direction.
    #[serde(
        default,
        deserialize_with = "forgiving::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub network_bytes_per_second: Option<u64>,
}

/// A CPU that a guest sees in place of the host's own, by its name in Firecracker: with it, a snapshot can move between CPUs that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum CpuTemplate {
    /// Intel, as an instance of type C3.
    C3,
    /// Intel, as an instance of type T2.
    T2,
    /// The same, with fewer mitigations of the host shown.
    T2S,
    /// Intel Cascade Lake and newer, as T2.
    T2CL,
    /// AMD Milan, as T2.
    T2A,
    /// Arm Neoverse V1, as N1.
    V1N1,
}

impl CpuTemplate {
    /// Its name in Firecracker and in this contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::C3 => "C3",
            Self::T2 => "T2",
            Self::T2S => "T2S",
            Self::T2CL => "T2CL",
            Self::T2A => "T2A",
            Self::V1N1 => "V1N1",
        }
    }
}

//! How a machine's devices and CPU are made, where its caller wanted them otherwise than usual.

use contract::machine::{CpuTemplate, RateLimits};
use serde::{Deserialize, Serialize};

/// Part of a machine for its whole life, and of its snapshots and clones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    /// Bounds of disks and network; what is absent is the host's usual.
    #[serde(default)]
    pub rate_limits: RateLimits,
    /// The CPU that the guest sees; the host's usual when absent.
    #[serde(default)]
    pub cpu_template: Option<CpuTemplate>,
}

impl Tuning {
    /// Nothing was asked for.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

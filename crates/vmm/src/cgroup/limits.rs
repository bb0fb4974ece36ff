//! What one run of a machine may use of the host.

use camino::Utf8Path;

use super::group::{CgroupError, write_control};

/// The limits of one group. Each is set only where its controller exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `memory.max`, page cache of its files included.
    pub memory_bytes: u64,
    /// `cpu.max`, in hundredths of one CPU.
    pub cpu_percent: u32,
    /// `pids.max`, threads included.
    pub tasks: u32,
}

/// Which limits could be set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// `memory.max` is set.
    pub is_memory_limited: bool,
    /// `cpu.max` is set.
    pub is_cpu_limited: bool,
    /// `pids.max` is set.
    pub are_tasks_limited: bool,
}

/// One scheduling period of `cpu.max`, in microseconds: the kernel's default.
const CPU_PERIOD_US: u64 = 100_000;

impl Limits {
    /// Writes what the group's controllers offer.
    pub(super) fn apply(&self, group: &Utf8Path) -> Result<Applied, CgroupError> {
        let quota_us = u64::from(self.cpu_percent) * CPU_PERIOD_US / 100;
        Ok(Applied {
            is_memory_limited: set(group, "memory.max", &self.memory_bytes.to_string())?,
            is_cpu_limited: set(group, "cpu.max", &format!("{quota_us} {CPU_PERIOD_US}"))?,
            are_tasks_limited: set(group, "pids.max", &self.tasks.to_string())?,
        })
    }
}

fn set(group: &Utf8Path, file: &str, value: &str) -> Result<bool, CgroupError> {
    let path = group.join(file);
    if !path.exists() {
        return Ok(false);
    }
    write_control(&path, value).map(|()| true)
}

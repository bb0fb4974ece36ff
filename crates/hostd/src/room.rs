//! How much room this host has.

use camino::Utf8PathBuf;
use engine::plan::Capacity;
use engine::port::{Fault, PortError};

use crate::http::Room;

/// RAM as the kernel counts it, and the file system of the root.
#[derive(Debug, Clone)]
pub struct HostRoom {
    root: Utf8PathBuf,
}

impl HostRoom {
    /// The room of the file system that `root` lies on.
    pub fn new(root: impl Into<Utf8PathBuf>) -> Self {
        Self { root: root.into() }
    }
}

impl Room for HostRoom {
    fn capacity(&self) -> Result<Capacity, PortError> {
        let disk = rustix::fs::statvfs(self.root.as_std_path())
            .map_err(|error| PortError::io(format!("statvfs {}", self.root), error.into()))?;
        let meminfo = std::fs::read_to_string("/proc/meminfo")
            .map_err(|error| PortError::io("read /proc/meminfo", error))?;
        let memory_bytes = total_memory(&meminfo)
            .ok_or_else(|| PortError::plain(Fault::Internal, "find MemTotal in /proc/meminfo"))?;
        Ok(Capacity {
            memory_bytes,
            disk_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
            disk_free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        })
    }
}

fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_has_memory_and_a_disk() {
        let capacity = HostRoom::new("/").capacity().unwrap();
        assert!(capacity.memory_bytes > 64 << 20);
        assert!(capacity.disk_bytes >= capacity.disk_free_bytes);
        assert!(HostRoom::new("/nowhere at all").capacity().is_err());
    }

    #[test]
    fn memory_is_read_in_kib() {
        let meminfo = "MemTotal:        2048 kB\nMemFree:  1 kB\n";
        assert_eq!(total_memory(meminfo), Some(2 << 20));
        assert_eq!(total_memory("MemFree: 1 kB\n"), None);
    }
}

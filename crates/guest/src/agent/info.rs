//! What the guest says of itself.

use std::fs;

use super::clock;
use super::machine::Machine;
use super::places::Places;
use super::ssh_keys;
use crate::proto::InfoResponse;

/// Values that cannot be read are left at zero.
pub(crate) fn collect(machine: &Machine) -> InfoResponse {
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let (root_total_bytes, root_available_bytes) = root_size(&machine.places);
    InfoResponse {
        memory_total_bytes: memory_bytes(&memory, "MemTotal:"),
        memory_available_bytes: memory_bytes(&memory, "MemAvailable:"),
        root_total_bytes,
        root_available_bytes,
        uptime_ms: uptime_ms(),
        unix_time_ns: clock::now_ns(),
        hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        machine_id: short_file(&machine.places, "/etc/machine-id"),
        ssh_host_public_key: ssh_keys::public_key(&machine.places),
        sessions: u32::try_from(machine.sessions.len()).unwrap_or(u32::MAX),
        frozen: machine.freezer.is_frozen(),
    }
}

fn memory_bytes(table: &str, name: &str) -> u64 {
    let line = table.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let kib: u64 = line.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0);
    kib * 1024
}

fn root_size(places: &Places) -> (u64, u64) {
    rustix::fs::statvfs(places.path("/"))
        .map_or((0, 0), |size| (size.f_blocks * size.f_frsize, size.f_bavail * size.f_frsize))
}

fn uptime_ms() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(time.tv_sec * 1000 + time.tv_nsec / 1_000_000).unwrap_or(0)
}

fn short_file(places: &Places, path: &str) -> String {
    const MOST_CHARACTERS: usize = 64;
    let text = fs::read_to_string(places.path(path)).unwrap_or_default();
    text.trim().chars().take(MOST_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let table = "MemTotal:         123 kB\nMemFree:   1 kB\n";
        assert_eq!(memory_bytes(table, "MemTotal:"), 123 * 1024);
        assert_eq!(memory_bytes(table, "MemAvailable:"), 0);
    }
}

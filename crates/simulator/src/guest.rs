//! What runs in a machine: the guest that polls, as its source in C does it; or one whose only work is to have an agent beside it.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;

use super::memory::Memory;

/// Where the counter lies, as in the guest of the tests.
const COUNTER: u64 = 0x20_0000;
/// What was last written to the disk.
const ON_DISK: u64 = COUNTER + 8;
/// Not 0 where there is an agent.
const HAS_AGENT: u64 = COUNTER + 16;
/// One page of this ring is written at each tick.
const DIRTY_RING: u64 = 0x40_0000;
const DIRTY_PAGES: u64 = 256;
/// The counter on the first disk.
const SECTOR: u64 = 512;
/// The disk is written at every fourth tick.
const DISK_EVERY: u64 = 4;
/// What every ELF file begins with.
const ELF: &[u8] = b"\x7fELF";

/// An initial RAM disk that begins so makes its guest one with an agent.
const AGENT_INITRD: &[u8] = b"simulated guest: computer-agent\n";

/// The least memory that holds all of this.
const LEAST_BYTES: u64 = DIRTY_RING + DIRTY_PAGES * 4096;

/// One guest, its memory and its disks.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) memory: Memory,
    pub(super) disks: Vec<File>,
}

impl Guest {
    /// Loads a kernel, and an initial RAM disk that asks for an agent.
    pub(super) fn load(
        memory: Memory,
        disks: Vec<File>,
        kernel: &[u8],
        initrd: Option<&[u8]>,
    ) -> Result<Self, String> {
        if !kernel.starts_with(ELF) {
            return Err("Kernel Loader: failed to load ELF kernel image".to_owned());
        }
        if memory.size_bytes() < LEAST_BYTES {
            return Err("Cannot load kernel due to invalid memory configuration".to_owned());
        }
        let mut guest = Self { memory, disks };
        if initrd.is_some_and(|initrd| initrd.starts_with(AGENT_INITRD)) {
            guest
                .memory
                .put_number(HAS_AGENT, 1)
                .map_err(super::answer::with("Cannot load initrd due to an invalid image"))?;
        }
        Ok(guest)
    }

    /// The first thing that a booted guest does.
    pub(super) fn begin(&mut self, serial: &mut impl Write) -> io::Result<()> {
        writeln!(serial, "BOOT")?;
        if self.has_agent()? { Ok(()) } else { self.write_disk(0) }
    }

    /// Whether there is an agent beside it.
    pub(super) fn has_agent(&self) -> io::Result<bool> {
        Ok(self.memory.number(HAS_AGENT)? != 0)
    }

    /// How far it has counted.
    pub(super) fn counter(&self) -> io::Result<u64> {
        self.memory.number(COUNTER)
    }

    /// Counts on, and says so when memory and disk are of different instants.
    pub(super) fn tick(&mut self, serial: &mut impl Write) -> io::Result<()> {
        let counter = self.counter()? + 1;
        self.memory.put_number(COUNTER, counter)?;
        let page = |number: u64| DIRTY_RING + number % DIRTY_PAGES * 4096;
        if self.memory.number(page(counter - 1))? != counter - 1 {
            writeln!(serial, "TORN memory")?;
        }
        self.memory.put_number(page(counter), counter)?;
        if self.has_agent()? {
            return Ok(());
        }
        let (on_disk, in_memory) = (self.read_disk()?, self.memory.number(ON_DISK)?);
        if on_disk != in_memory {
            writeln!(serial, "TORN disk={on_disk} memory={in_memory}")?;
        }
        if counter.is_multiple_of(DISK_EVERY) {
            self.write_disk(counter)?;
        }
        writeln!(serial, "TICK n={counter} disk={}", self.memory.number(ON_DISK)?)
    }

    fn read_disk(&self) -> io::Result<u64> {
        let Some(disk) = self.disks.first() else { return self.memory.number(ON_DISK) };
        let mut bytes = [0; 8];
        disk.read_exact_at(&mut bytes, SECTOR)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn write_disk(&mut self, counter: u64) -> io::Result<()> {
        if let Some(disk) = self.disks.first() {
            disk.write_all_at(&counter.to_le_bytes(), SECTOR)?;
            self.memory.put_number(ON_DISK, counter)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_notices_a_disk_of_another_instant() {
        let disk = tempfile::tempfile().unwrap();
        disk.set_len(1 << 20).unwrap();
        let memory = Memory::empty(8 << 20, false);
        let disks = vec![disk.try_clone().unwrap()];
        let mut guest = Guest::load(memory, disks, b"\x7fELF and so on", None).unwrap();
        let mut serial = Vec::new();
        guest.begin(&mut serial).unwrap();
        for _ in 0..5 {
            guest.tick(&mut serial).unwrap();
        }
        let said = String::from_utf8(serial.clone()).unwrap();
        assert!(said.ends_with("TICK n=5 disk=4\n") && !said.contains("TORN"), "{said}");

        disk.write_all_at(&[0; 8], SECTOR).unwrap();
        guest.tick(&mut serial).unwrap();
        assert!(String::from_utf8(serial).unwrap().contains("TORN disk=0 memory=4"));
    }
}

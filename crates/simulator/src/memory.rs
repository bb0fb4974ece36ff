//! Guest memory, by pages: those that the guest has touched, over a file that it began with.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

const PAGE_BYTES: u64 = 4096;

type Page = Box<[u8; PAGE_BYTES as usize]>;

/// Memory of one guest.
#[derive(Debug)]
pub(super) struct Memory {
    size_bytes: u64,
    /// What a restored guest sees where it has written nothing; never written to.
    beneath: Option<File>,
    own: BTreeMap<u64, Page>,
    /// Pages written since the last snapshot, where somebody asked for that.
    dirty: Option<BTreeSet<u64>>,
    /// `mincore` sees every page: after a restore from a file, and after all was written out.
    is_all_resident: bool,
}

/// Which pages are written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All.
    Full,
    /// Those written since the last snapshot, or else those that are resident.
    Diff,
}

impl Memory {
    /// Empty memory.
    pub(super) fn empty(size_bytes: u64, is_tracked: bool) -> Self {
        Self {
            size_bytes,
            beneath: None,
            own: BTreeMap::new(),
            dirty: is_tracked.then(BTreeSet::new),
            is_all_resident: false,
        }
    }

    /// Memory that begins as a file, mapped privately. The file's size is checked, and nothing else of it.
    pub(super) fn over(file: File, size_bytes: u64, is_tracked: bool) -> io::Result<Self> {
        let length = file.metadata()?.len();
        if length != size_bytes {
            let text = format!("the memory file has {length} bytes, and the guest {size_bytes}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let beneath = Some(file);
        Ok(Self { beneath, is_all_resident: true, ..Self::empty(size_bytes, is_tracked) })
    }

    /// How much there is.
    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// A number at an address.
    pub(super) fn number(&self, address: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Puts a number at an address.
    pub(super) fn put_number(&mut self, address: u64, number: u64) -> io::Result<()> {
        self.write(address, &number.to_le_bytes())
    }

    /// Fills `into` with what lies at an address.
    pub(super) fn read(&self, address: u64, into: &mut [u8]) -> io::Result<()> {
        self.check(address, into.len())?;
        let mut at = address;
        let mut rest = into;
        while !rest.is_empty() {
            let (number, offset) = (at / PAGE_BYTES, place(at));
            let length = rest.len().min(PAGE_BYTES as usize - offset);
            let (now, later) = rest.split_at_mut(length);
            now.copy_from_slice(&self.page(number)?[offset..offset + length]);
            rest = later;
            at += length as u64;
        }
        Ok(())
    }

    /// Writes at an address.
    pub(super) fn write(&mut self, address: u64, bytes: &[u8]) -> io::Result<()> {
        self.check(address, bytes.len())?;
        let mut at = address;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (number, offset) = (at / PAGE_BYTES, place(at));
            let length = rest.len().min(PAGE_BYTES as usize - offset);
            let (now, later) = rest.split_at(length);
            let mut page = self.page(number)?;
            page[offset..offset + length].copy_from_slice(now);
            self.own.insert(number, page);
            if let Some(dirty) = &mut self.dirty {
                dirty.insert(number);
            }
            rest = later;
            at += length as u64;
        }
        Ok(())
    }

    /// Writes pages to a file of the memory's size, and begins to mark anew.
    pub(super) fn write_out(&mut self, extent: Extent, to: &File) -> io::Result<()> {
        let is_all = extent == Extent::Full || (self.dirty.is_none() && self.is_all_resident);
        let numbers: Vec<u64> = match &self.dirty {
            _ if is_all => (0..self.size_bytes / PAGE_BYTES).collect(),
            Some(dirty) => dirty.iter().copied().collect(),
            None => self.own.keys().copied().collect(),
        };
        for number in numbers {
            to.write_all_at(&self.page(number)?[..], number * PAGE_BYTES)?;
        }
        self.is_all_resident |= is_all;
        if let Some(dirty) = &mut self.dirty {
            dirty.clear();
        }
        Ok(())
    }

    fn page(&self, number: u64) -> io::Result<Page> {
        if let Some(page) = self.own.get(&number) {
            return Ok(page.clone());
        }
        let mut page = Box::new([0; PAGE_BYTES as usize]);
        if let Some(beneath) = &self.beneath {
            beneath.read_exact_at(&mut page[..], number * PAGE_BYTES)?;
        }
        Ok(page)
    }

    fn check(&self, address: u64, length: usize) -> io::Result<()> {
        match address.checked_add(length as u64) {
            Some(end) if end <= self.size_bytes => Ok(()),
            _ => Err(io::Error::other(format!("{length} bytes at {address:#x} are beyond memory"))),
        }
    }
}

/// A place within its page.
fn place(address: u64) -> usize {
    (address % PAGE_BYTES) as usize
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    const SIZE: u64 = 8 << 20;

    fn written(memory: &mut Memory, extent: Extent) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(SIZE).unwrap();
        memory.write_out(extent, &file).unwrap();
        file
    }

    fn data_bytes(file: &File) -> u64 {
        file.metadata().unwrap().blocks() * 512
    }

    #[test]
    fn an_untracked_diff_of_a_booted_guest_is_whole_and_sparse() {
        let mut memory = Memory::empty(SIZE, false);
        memory.write(4090, b"over the edge of a page").unwrap();

        let file = written(&mut memory, Extent::Diff);

        assert!(data_bytes(&file) < SIZE / 8);
        let restored = Memory::over(file, SIZE, false).unwrap();
        let mut bytes = [0; 23];
        restored.read(4090, &mut bytes).unwrap();
        assert_eq!(&bytes, b"over the edge of a page");
    }

    #[test]
    fn after_a_restore_only_marked_pages_tell_what_was_written() {
        let file = || {
            let file = tempfile::tempfile().unwrap();
            file.set_len(SIZE).unwrap();
            file
        };
        for (is_tracked, is_sparse) in [(true, true), (false, false)] {
            let mut memory = Memory::over(file(), SIZE, is_tracked).unwrap();
            memory.put_number(0, 1).unwrap();
            assert_eq!(data_bytes(&written(&mut memory, Extent::Diff)) < SIZE / 8, is_sparse);
        }
        assert!(Memory::over(file(), SIZE / 2, true).is_err(), "of another size");
    }
}

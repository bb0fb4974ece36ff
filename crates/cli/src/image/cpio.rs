//! Writes a cpio archive in the "newc" format, which the kernel unpacks as its first file system
//! (Linux, `Documentation/driver-api/early-userspace/buffer-format.rst`).
//!
//! Everything is owned by root and has no time, so that the same content gives the same bytes.

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const CHARACTER_DEVICE: u32 = 0o020_000;
const TRAILER: &str = "TRAILER!!!";
const ALIGNMENT: usize = 4;

/// The number of a device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Device {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

/// An archive being written. Names are relative to the root: `bin/busybox`.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a directory, mode 0755; its parent has to be there already.
    pub(crate) fn directory(&mut self, name: &str) {
        self.entry(name, DIRECTORY | 0o755, Device { major: 0, minor: 0 }, &[]);
    }

    /// Adds a regular file.
    pub(crate) fn file(&mut self, name: &str, permissions: u32, content: &[u8]) {
        self.entry(name, REGULAR | permissions, Device { major: 0, minor: 0 }, content);
    }

    /// Adds a character device, mode 0600.
    pub(crate) fn character_device(&mut self, name: &str, device: Device) {
        self.entry(name, CHARACTER_DEVICE | 0o600, device, &[]);
    }

    /// Ends the archive and answers its bytes.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entries = 0;
        self.header(TRAILER, 0, Device { major: 0, minor: 0 }, 0);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, device: Device, content: &[u8]) {
        self.entries += 1;
        self.header(name, mode, device, content.len());
        self.bytes.extend_from_slice(content);
        self.align();
    }

    fn header(&mut self, name: &str, mode: u32, device: Device, size: usize) {
        let links = if mode & DIRECTORY == DIRECTORY { 2 } else { 1 };
        let fields = [
            self.entries,
            mode,
            0, // owner
            0, // group
            links,
            0, // time
            size as u32,
            0, // device of the file
            0,
            device.major,
            device.minor,
            name.len() as u32 + 1,
            0, // checksum, unused in this format
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_the_bytes_of_the_newc_format() {
        let mut archive = Archive::default();
        archive.file("a", 0o755, b"hello");
        let bytes = archive.finish();
        let expected = concat!(
            "070701",
            "00000001",
            "000081ed",
            "00000000",
            "00000000",
            "00000001",
            "00000000",
            "00000005",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000002",
            "00000000",
            "a\0",
            "hello\0\0\0",
            "070701",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000001",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "00000000",
            "0000000b",
            "00000000",
            "TRAILER!!!\0\0\0\0",
        );
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
    }

    #[test]
    fn directories_and_devices_carry_their_kind_and_number() {
        let mut archive = Archive::default();
        archive.directory("dev");
        archive.character_device("dev/console", Device { major: 5, minor: 1 });
        let bytes = archive.finish();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("000041ed"));
        assert!(text.contains("00002180"));
        assert!(text.contains("0000000500000001"));
    }
}

//! Which inode a sealed file is, so that a swapped, truncated or rewritten file is noticed without
//! reading it (P6).

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

/// What identifies a sealed file. The change time is left out: a hard link into a jail changes it
/// and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedIdentity {
    /// The device of its file system. A loop device may have another number after a reboot.
    pub device: u64,
    /// Its inode number.
    pub inode: u64,
    /// Its size.
    pub size_bytes: u64,
    /// When its content was last written, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// The user that owns it.
    pub owner: u32,
    /// Its permission bits, set-id bits included.
    pub mode: u32,
}

/// In what a file is not the one that was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityDifference {
    /// Another file system, or the same one on another device number.
    Device,
    /// Another file.
    Inode,
    /// Truncated or appended to.
    Size,
    /// Written since.
    Modified,
    /// Given to somebody else.
    Owner,
    /// Made writable, say.
    Mode,
}

impl SealedIdentity {
    /// The identity of an open file.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from(&file.metadata()?))
    }

    /// Every difference to what a file is now; empty when it is the very same.
    pub fn differences(&self, now: &Self) -> Vec<IdentityDifference> {
        use IdentityDifference::{Device, Inode, Mode, Modified, Owner, Size};
        [
            (Device, self.device != now.device),
            (Inode, self.inode != now.inode),
            (Size, self.size_bytes != now.size_bytes),
            (Modified, self.modified_ns != now.modified_ns),
            (Owner, self.owner != now.owner),
            (Mode, self.mode != now.mode),
        ]
        .into_iter()
        .filter_map(|(difference, differs)| differs.then_some(difference))
        .collect()
    }
}

impl From<&Metadata> for SealedIdentity {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size_bytes: metadata.size(),
            modified_ns: metadata
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(metadata.mtime_nsec()),
            owner: metadata.uid(),
            mode: metadata.mode() & 0o7777,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_counts() {
        let sealed = SealedIdentity {
            device: 1,
            inode: 2,
            size_bytes: 3,
            modified_ns: 4,
            owner: 5,
            mode: 6,
        };
        type Change = fn(&mut SealedIdentity);
        let changes: [(Change, IdentityDifference); 6] = [
            (|identity| identity.device = 0, IdentityDifference::Device),
            (|identity| identity.inode = 0, IdentityDifference::Inode),
            (|identity| identity.size_bytes = 0, IdentityDifference::Size),
            (|identity| identity.modified_ns = 0, IdentityDifference::Modified),
            (|identity| identity.owner = 0, IdentityDifference::Owner),
            (|identity| identity.mode = 0, IdentityDifference::Mode),
        ];
        assert_eq!(sealed.differences(&sealed), []);
        for (change, expected) in changes {
            let mut now = sealed.clone();
            change(&mut now);
            assert_eq!(sealed.differences(&now), [expected]);
        }
    }
}

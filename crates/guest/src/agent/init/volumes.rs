//! User volumes: disks beside the root that carry a labelled ext4 are mounted at `/volumes/<label>`.
//!
//! The host writes the label when it makes a volume: the first 16 characters of its id. What is on a disk is the guest's own
//! affair, so a disk without a label, or with another file system, is left alone.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::mount::{MountFlags, mount};

const VOLUMES: &str = "/volumes";
/// The superblock and within it the magic number and the label: `struct ext4_super_block` of the kernel's documentation.
const SUPERBLOCK: u64 = 1024;
const MAGIC_AT: usize = 0x38;
const MAGIC: [u8; 2] = [0x53, 0xef];
const LABEL_AT: usize = 0x78;
const LABEL_BYTES: usize = 16;

/// Mounts them; says what failed, and goes on.
pub(super) fn mount_all() {
    // The root is vda; at most eleven more fit into a machine.
    for letter in 'b'..='z' {
        let device = format!("/dev/vd{letter}");
        if !Path::new(&device).exists() {
            continue;
        }
        match label(&device) {
            Ok(Some(label)) => {
                if let Err(error) = mount_one(&device, &label) {
                    tracing::warn!(%error, device, label, "could not mount a volume");
                }
            }
            Ok(None) => tracing::debug!(device, "no labelled ext4: not mounted"),
            Err(error) => tracing::warn!(%error, device, "could not read a disk"),
        }
    }
}

fn mount_one(device: &str, label: &str) -> io::Result<()> {
    let target = format!("{VOLUMES}/{label}");
    fs::create_dir_all(&target)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    mount(device, target.as_str(), "ext4", flags, c"")?;
    tracing::info!(device, target, "mounted a volume");
    Ok(())
}

fn label(device: &str) -> io::Result<Option<String>> {
    let mut superblock = [0; LABEL_AT + LABEL_BYTES];
    File::open(device)?.read_exact_at(&mut superblock, SUPERBLOCK)?;
    Ok(label_of(&superblock))
}

/// The label of an ext4, if it is one that is safe as a name.
fn label_of(superblock: &[u8; LABEL_AT + LABEL_BYTES]) -> Option<String> {
    let is_ext4 = superblock[MAGIC_AT..MAGIC_AT + MAGIC.len()] == MAGIC;
    let label = superblock[LABEL_AT..].split(|byte| *byte == 0).next().unwrap_or_default();
    let is_name = label.first().is_some_and(u8::is_ascii_alphanumeric)
        && label.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte));
    (is_ext4 && is_name).then(|| String::from_utf8_lossy(label).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn superblock(magic: [u8; 2], label: &[u8]) -> [u8; LABEL_AT + LABEL_BYTES] {
        let mut superblock = [0; LABEL_AT + LABEL_BYTES];
        superblock[MAGIC_AT..MAGIC_AT + 2].copy_from_slice(&magic);
        superblock[LABEL_AT..LABEL_AT + label.len()].copy_from_slice(label);
        superblock
    }

    #[test]
    fn a_label_is_read_from_an_ext4_only_and_never_a_path() {
        assert_eq!(label_of(&superblock(MAGIC, b"data-1")).as_deref(), Some("data-1"));
        assert_eq!(label_of(&superblock(MAGIC, b"sixteen.letters_")).unwrap().len(), 16);
        assert_eq!(label_of(&superblock([0, 0], b"data")), None);
        for label in [&b""[..], b"..", b"a/b", b"a b", b"-a"] {
            assert_eq!(label_of(&superblock(MAGIC, label)), None);
        }
    }
}

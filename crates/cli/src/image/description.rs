//! `image.json`: what an image is made of, and the digests that every user of its files verifies.

use clap::ValueEnum;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{name::ImageName, profile::Profile};

/// The version of `image.json` that this program writes, and the only one it reads.
pub(crate) const VERSION: u32 = 1;

/// One image, as its `image.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageDescription {
    /// The version of this format.
    pub version: u32,
    /// The image's name, which is also its directory's.
    pub name: ImageName,
    /// What it was made as.
    pub profile: Profile,
    /// The kernel.
    pub kernel: KernelFile,
    /// The first file system.
    pub initrd: ImageFile,
    /// The root file system, ext4.
    pub root: ImageFile,
    /// The SHA-256 of the agent inside, in hexadecimal.
    pub agent_sha256: String,
    /// The release of Debian it was made from.
    pub debian_suite: String,
    /// The kernel's version, as `uname -r` says it in the guest.
    pub kernel_version: String,
    /// A digest of everything that was asked of the build: the same key, the same image but for newer packages.
    pub content_key: String,
    /// When it was built.
    pub created_at: Timestamp,
}

/// One file of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageFile {
    /// Its name in the image's directory.
    pub file: String,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// Its apparent size.
    pub size_bytes: u64,
}

/// The kernel of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelFile {
    /// Its name in the image's directory.
    pub file: String,
    /// How it is to be loaded.
    pub format: KernelFormat,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// Its size.
    pub size_bytes: u64,
}

/// The two forms of a kernel that a VMM boots directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub enum KernelFormat {
    /// An ELF file with a PVH entry. Boots fastest; the only form that Firecracker takes.
    Vmlinux,
    /// Compressed, with Linux's own boot code.
    BzImage,
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = include_str!("golden/image-v1.json");

    fn description() -> ImageDescription {
        let file = |name: &str, digit: &str, size_bytes| ImageFile {
            file: name.to_owned(),
            sha256: digit.repeat(64),
            size_bytes,
        };
        ImageDescription {
            version: VERSION,
            name: "minimal".parse().expect("a name"),
            profile: Profile::Minimal,
            kernel: KernelFile {
                file: "kernel".to_owned(),
                format: KernelFormat::Vmlinux,
                sha256: "a".repeat(64),
                size_bytes: 45_000_000,
            },
            initrd: file("initrd", "b", 2_500_000),
            root: file("root.img", "c", 268_435_456),
            agent_sha256: "d".repeat(64),
            debian_suite: "bookworm".to_owned(),
            kernel_version: "6.1.0-56-cloud-amd64".to_owned(),
            content_key: "e".repeat(64),
            created_at: "2026-11-24T23:59:00Z".parse().expect("a time"),
        }
    }

    #[test]
    fn the_description_is_written_and_read_as_the_golden_file() {
        let written = serde_json::to_string_pretty(&description()).expect("it serializes");
        assert_eq!(written, GOLDEN.trim_end());
        let read: ImageDescription = serde_json::from_str(GOLDEN).expect("it is read");
        assert_eq!(read, description());
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let strange = GOLDEN.replacen("\"version\"", "\"strange\": 1, \"version\"", 1);
        assert!(serde_json::from_str::<ImageDescription>(&strange).is_err());
    }
}

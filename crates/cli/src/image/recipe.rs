//! What a build is asked for, and the recipe that follows from it: every default filled in, before anything is made.

use std::path::PathBuf;

use super::{
    agent::Agent,
    bootstrap::{BOOT_PACKAGES_HOOK, host_suite},
    description::{KernelFormat, VERSION},
    digest::{key, sha256},
    error::ImageError,
    guest_files::guest_files,
    initramfs::INIT_TEMPLATE,
    modules::GUEST_DRIVERS,
    name::ImageName,
    profile::Profile,
};
use crate::{byte_size::ByteSize, qemu::QemuVersion};

/// Raise it when the steps of a build change what an image holds.
const RECIPE: u32 = 1;

/// What is asked of a build.
#[derive(Debug, Clone)]
pub struct ImageRequest {
    /// The image's name.
    pub name: ImageName,
    /// What it is to be.
    pub profile: Profile,
    /// The agent to put in; else the one beside the running program.
    pub agent: Option<PathBuf>,
    /// The size of the root file system; else the profile's.
    pub size: Option<ByteSize>,
    /// The form of the kernel; else what this host's QEMU boots best.
    pub kernel_format: Option<KernelFormat>,
    /// Packages beside the profile's.
    pub packages: Vec<String>,
    /// The release of Debian; else the host's.
    pub suite: Option<String>,
    /// Whether an image that was built from the same asks is built again.
    pub rebuild: Rebuild,
}

/// When an image that is there already is built again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebuild {
    /// In any case: it takes in newer packages.
    Always,
    /// Only when something else is asked, or the agent is another.
    IfChanged,
}

/// A request with every default filled in: the image follows from it, but for the packages' versions.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) name: ImageName,
    pub(super) profile: Profile,
    pub(super) agent: Agent,
    pub(super) size: ByteSize,
    pub(super) kernel_format: KernelFormat,
    pub(super) packages: Vec<String>,
    pub(super) suite: String,
}

impl Recipe {
    /// Fills in what the request leaves open.
    pub(super) fn new(request: ImageRequest) -> Result<Self, ImageError> {
        let suite = match request.suite {
            Some(suite) => suite,
            None => host_suite()?,
        };
        let mut packages: Vec<_> =
            request.profile.packages().iter().map(|&package| package.to_owned()).collect();
        packages.extend(request.packages);
        packages.sort();
        packages.dedup();
        Ok(Self {
            name: request.name,
            profile: request.profile,
            agent: Agent::find(request.agent.as_deref())?,
            size: request.size.unwrap_or(request.profile.root_size()),
            kernel_format: request.kernel_format.unwrap_or_else(fitting_kernel_format),
            packages,
            suite,
        })
    }

    /// A digest of everything that the image follows from.
    pub(super) fn content_key(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let files = format!("{:?}", guest_files(self.profile));
        let form = format!(
            "{VERSION} {RECIPE} {:?} {:?} {:?}",
            self.profile, self.size, self.kernel_format
        );
        let drivers = GUEST_DRIVERS.join(",");
        let agent = sha256(&self.agent.content);
        let packages = self.packages.join(",");
        key([
            version,
            &form,
            &self.suite,
            &packages,
            &agent,
            &files,
            &drivers,
            INIT_TEMPLATE,
            BOOT_PACKAGES_HOOK,
        ])
    }
}

/// Uncompressed, unless this host has a QEMU that does not boot that every time.
fn fitting_kernel_format() -> KernelFormat {
    match QemuVersion::installed() {
        Ok(version) if !version.boots_uncompressed_kernels() => KernelFormat::BzImage,
        Ok(_) | Err(_) => KernelFormat::Vmlinux,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe() -> Recipe {
        Recipe {
            name: "one".parse().expect("a name"),
            profile: Profile::Minimal,
            agent: Agent { content: b"agent".to_vec() },
            size: ByteSize::from_mib(256),
            kernel_format: KernelFormat::Vmlinux,
            packages: vec!["bash".to_owned()],
            suite: "bookworm".to_owned(),
        }
    }

    #[test]
    fn the_content_key_follows_from_everything_but_the_name() {
        let key = recipe().content_key();
        let renamed = Recipe { name: "other".parse().expect("a name"), ..recipe() };
        assert_eq!(renamed.content_key(), key);
        let others = [
            Recipe { profile: Profile::Default, ..recipe() },
            Recipe { agent: Agent { content: b"newer".to_vec() }, ..recipe() },
            Recipe { size: ByteSize::from_mib(512), ..recipe() },
            Recipe { kernel_format: KernelFormat::BzImage, ..recipe() },
            Recipe { packages: vec!["zsh".to_owned()], ..recipe() },
            Recipe { suite: "trixie".to_owned(), ..recipe() },
        ];
        for other in others {
            assert_ne!(other.content_key(), key, "{other:?}");
        }
    }
}

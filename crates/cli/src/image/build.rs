//! Builds an image, step by step, in a scratch directory that becomes the image at the end or vanishes whole.

use std::{
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{
    agent::Agent,
    bootstrap::{BOOT_PACKAGES_HOOK, Bootstrapped, Request, bootstrap, host_suite},
    description::{ImageDescription, ImageFile, KernelFile, KernelFormat, VERSION},
    digest::{FileDigest, key, sha256},
    error::{ImageError, at, doing},
    guest_files::guest_files,
    initramfs::INIT_TEMPLATE,
    kernel::KernelPackage,
    modules::GUEST_DRIVERS,
    name::ImageName,
    profile::Profile,
    root_image::RootImage,
    steps::Steps,
    store::ImageStore,
    tree::furnish,
};
use crate::{
    byte_size::ByteSize,
    qemu::QemuVersion,
    tool::{ToolError, find_program},
};

/// The programs that a build calls, and the Debian packages that have them.
pub(crate) const TOOLS: [(&str, &str); 4] = [
    ("mmdebstrap", "mmdebstrap"),
    ("mke2fs", "e2fsprogs"),
    ("depmod", "kmod"),
    ("dpkg-deb", "dpkg"),
];

/// Raise it when the steps below change what an image holds.
const RECIPE: u32 = 1;

const KERNEL: &str = "kernel";
const INITRD: &str = "initrd";
const ROOT: &str = "root.img";

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
struct Recipe {
    name: ImageName,
    profile: Profile,
    agent: Agent,
    size: ByteSize,
    kernel_format: KernelFormat,
    packages: Vec<String>,
    suite: String,
}

/// The files of a build that are ready to be described.
#[derive(Debug)]
struct Built {
    kernel_format: KernelFormat,
    kernel_version: String,
}

/// Builds the asked image in `store` and answers its description.
///
/// # Errors
/// [`ImageError::NotRoot`] without root; what is missing on the host is named.
pub fn build(store: &ImageStore, request: ImageRequest) -> Result<ImageDescription, ImageError> {
    let rebuild = request.rebuild;
    let recipe = Recipe::new(request)?;
    let content_key = recipe.content_key();
    let is_current = |image: &ImageDescription| image.content_key == content_key;
    if rebuild == Rebuild::IfChanged
        && let Some(image) = existing(store, &recipe.name)?.filter(is_current)
    {
        return Ok(image);
    }
    if !rustix::process::geteuid().is_root() {
        return Err(ImageError::NotRoot);
    }
    if let Some((program, package)) =
        TOOLS.iter().find(|(program, _)| find_program(program).is_none())
    {
        return Err(doing("build an image")(ToolError::Missing { program, package }));
    }
    let scratch = store.scratch()?;
    // Another process may have built it while this one waited for the scratch.
    let image = match existing(store, &recipe.name)?.filter(is_current) {
        Some(image) if rebuild == Rebuild::IfChanged => Ok(image),
        _ => recipe.build(store, scratch.path(), content_key),
    };
    let removed = scratch.remove();
    // Why a build failed says more than why its scratch could not be removed; the next build removes that.
    image.and_then(|image| removed.map(|()| image))
}

fn existing(store: &ImageStore, name: &ImageName) -> Result<Option<ImageDescription>, ImageError> {
    match store.read(name) {
        Ok(image) => Ok(Some(image)),
        Err(
            ImageError::NotFound { .. }
            | ImageError::Description { .. }
            | ImageError::DescriptionVersion { .. },
        ) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Uncompressed, unless this host has a QEMU that does not boot that every time.
fn fitting_kernel_format() -> KernelFormat {
    match QemuVersion::installed() {
        Ok(version) if !version.boots_uncompressed_kernels() => KernelFormat::BzImage,
        Ok(_) | Err(_) => KernelFormat::Vmlinux,
    }
}

impl Recipe {
    fn new(request: ImageRequest) -> Result<Self, ImageError> {
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
    fn content_key(&self) -> String {
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

    fn build(
        &self,
        store: &ImageStore,
        scratch: &Path,
        content_key: String,
    ) -> Result<ImageDescription, ImageError> {
        let created_at = Timestamp::now();
        let mut steps = Steps::new(6);
        let image = scratch.join("image");
        fs::create_dir(&image).map_err(at("make", &image))?;

        steps.step("unpack Debian's packages");
        let bootstrapped = self.bootstrap(scratch, &steps)?;
        steps.step("make kernel and initramfs");
        let built = self.write_boot_files(&bootstrapped, &image)?;
        steps.step("add the agent, accounts and settings");
        furnish(&bootstrapped.tree, self.profile, &self.agent.content)?;
        steps.step("make the root file system");
        let root = RootImage {
            tree: &bootstrapped.tree,
            size: self.size,
            content_key: &content_key,
            time: created_at.as_second(),
        };
        root.write(&image.join(ROOT))?;
        steps.step("compute digests");
        let description = self.describe(&image, built, content_key, created_at)?;
        steps.step("publish");
        store.publish(&image, &description)?;
        Ok(description)
    }

    fn bootstrap(&self, scratch: &Path, steps: &Steps) -> Result<Bootstrapped, ImageError> {
        let request =
            Request { profile: self.profile, packages: &self.packages, suite: &self.suite };
        bootstrap(&request, scratch, |line| steps.detail(line))
    }

    fn write_boot_files(
        &self,
        bootstrapped: &Bootstrapped,
        image: &Path,
    ) -> Result<Built, ImageError> {
        let package = KernelPackage::open(&bootstrapped.boot)?;
        let kernel_format = package.write_kernel(&image.join(KERNEL), self.kernel_format)?;
        package.write_initramfs(&image.join(INITRD))?;
        if self.profile == Profile::Default {
            package.install_modules(&bootstrapped.tree)?;
        }
        Ok(Built { kernel_format, kernel_version: package.version().to_owned() })
    }

    fn describe(
        &self,
        image: &Path,
        built: Built,
        content_key: String,
        created_at: Timestamp,
    ) -> Result<ImageDescription, ImageError> {
        let file = |name: &str| {
            let FileDigest { sha256, size_bytes } = FileDigest::of(&image.join(name))?;
            Ok(ImageFile { file: name.to_owned(), sha256, size_bytes })
        };
        let ImageFile { file: kernel, sha256: kernel_sha256, size_bytes } = file(KERNEL)?;
        Ok(ImageDescription {
            version: VERSION,
            name: self.name.clone(),
            profile: self.profile,
            kernel: KernelFile {
                file: kernel,
                format: built.kernel_format,
                sha256: kernel_sha256,
                size_bytes,
            },
            initrd: file(INITRD)?,
            root: file(ROOT)?,
            agent_sha256: sha256(&self.agent.content),
            debian_suite: self.suite.clone(),
            kernel_version: built.kernel_version,
            content_key,
            created_at,
        })
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

//! Builds an image, step by step, in a scratch directory that becomes the image at the end or vanishes whole.

use std::{fs, path::Path};

use jiff::Timestamp;

use super::{
    bootstrap::{Bootstrapped, Request, bootstrap},
    description::{ImageDescription, ImageFile, KernelFile, KernelFormat, VERSION},
    digest::{FileDigest, sha256},
    error::{ImageError, at, doing},
    kernel::KernelPackage,
    name::ImageName,
    profile::Profile,
    recipe::{ImageRequest, Rebuild, Recipe},
    root_image::RootImage,
    steps::Steps,
    store::ImageStore,
    tree::furnish,
};
use crate::tool::{ToolError, find_program};

/// The programs that a build calls, and the Debian packages that have them.
pub(crate) const TOOLS: [(&str, &str); 4] = [
    ("mmdebstrap", "mmdebstrap"),
    ("mke2fs", "e2fsprogs"),
    ("depmod", "kmod"),
    ("dpkg-deb", "dpkg"),
];

const KERNEL: &str = "kernel";
const INITRD: &str = "initrd";
const ROOT: &str = "root.img";

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

impl Recipe {
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

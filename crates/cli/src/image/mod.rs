//! Images: a kernel, an initramfs and a root file system under one name, built from Debian's packages.
//!
//! ```text
//! arguments -> build: bootstrap (mmdebstrap, the host's sources)
//!                       -> kernel (vmlinux, initramfs)  -> furnish (agent, accounts, settings)
//!                       -> root_image (mke2fs -d)       -> store.publish (rename)
//! ```
//! No loop device and no mount on the host; nothing but apt's own sources is asked for packages. What an image is made of stands in
//! its `image.json` ([`ImageDescription`]), with the digests that users of its files verify.

mod agent;
mod arguments;
mod bootstrap;
mod build;
mod cpio;
mod description;
mod digest;
mod error;
mod guest_files;
mod initramfs;
mod kernel;
mod lz4;
mod modules;
mod name;
mod profile;
mod recipe;
mod report;
mod root_image;
mod scratch;
mod sources;
mod steps;
mod store;
mod tree;
mod vmlinux;

pub(crate) use self::build::TOOLS;
pub use self::{
    arguments::{BuildArguments, ImageArguments, ImageCommand},
    build::build,
    description::{ImageDescription, ImageFile, KernelFile, KernelFormat},
    error::ImageError,
    name::{ImageName, InvalidImageName},
    profile::Profile,
    recipe::{ImageRequest, Rebuild},
    report::run,
    store::ImageStore,
};

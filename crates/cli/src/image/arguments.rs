//! The command line of `computer image`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{
    description::KernelFormat,
    name::ImageName,
    profile::Profile,
    recipe::{ImageRequest, Rebuild},
};
use crate::byte_size::ByteSize;

/// Build, list and delete images: kernel, initramfs and root file system of a machine.
#[derive(Debug, Clone, Args)]
pub struct ImageArguments {
    /// The directory of images.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "COMPUTER_IMAGE_DIR",
        default_value = "/var/lib/computer/images"
    )]
    pub image_dir: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: ImageCommand,
}

/// What can be done with images.
#[derive(Debug, Clone, Subcommand)]
pub enum ImageCommand {
    /// Build an image from Debian's packages, with this host's apt sources. Needs root.
    Build(BuildArguments),
    /// List the images.
    List,
    /// Delete an image. Machines made from it are not touched.
    Delete {
        /// The image's name.
        name: ImageName,
    },
}

/// What to build.
#[derive(Debug, Clone, Args)]
pub struct BuildArguments {
    /// The new image's name; an image of this name is replaced.
    pub name: ImageName,
    /// What goes into it.
    #[arg(long, value_enum, default_value = "default")]
    pub profile: Profile,
    /// The agent's static binary [default: the one beside this program].
    #[arg(long, value_name = "PATH")]
    pub agent: Option<PathBuf>,
    /// The size of the root file system [default: 1G, minimal 256M]; a machine's disk may be larger.
    #[arg(long)]
    pub size: Option<ByteSize>,
    /// The form of the kernel [default: vmlinux, or bzimage where this host's QEMU is 10 or later].
    #[arg(long, value_enum)]
    pub kernel_format: Option<KernelFormat>,
    /// A Debian package to add; may be repeated.
    #[arg(long = "package", value_name = "PACKAGE")]
    pub packages: Vec<String>,
    /// The release of Debian [default: the host's].
    #[arg(long)]
    pub suite: Option<String>,
    /// Keep an image that was built from the same profile, size, packages and agent.
    #[arg(long)]
    pub if_changed: bool,
}

impl From<BuildArguments> for ImageRequest {
    fn from(arguments: BuildArguments) -> Self {
        Self {
            name: arguments.name,
            profile: arguments.profile,
            agent: arguments.agent,
            size: arguments.size,
            kernel_format: arguments.kernel_format,
            packages: arguments.packages,
            suite: arguments.suite,
            rebuild: if arguments.if_changed { Rebuild::IfChanged } else { Rebuild::Always },
        }
    }
}

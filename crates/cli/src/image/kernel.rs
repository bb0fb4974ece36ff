//! The boot files of an image, out of the unpacked kernel package: the kernel itself, its module lists, and the initramfs.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::{
    description::KernelFormat,
    error::{ImageError, at, doing},
    initramfs::{self, Module},
    modules::{GUEST_DRIVERS, ModuleLists},
    vmlinux,
};
use crate::tool::Tool;

/// Where modules are in an unpacked kernel package and in a guest.
const MODULES: &str = "lib/modules";
const KERNEL_PREFIX: &str = "vmlinuz-";
/// The drivers of a guest's root: what a program may ask for, and no physical hardware.
const GUEST_MODULE_DIRECTORIES: [&str; 14] = [
    "arch",
    "block",
    "crypto",
    "drivers/block",
    "drivers/char",
    "drivers/md",
    "drivers/net",
    "drivers/virtio",
    "fs",
    "lib",
    "mm",
    "net",
    "security",
    "virt",
];

/// An unpacked kernel package.
#[derive(Debug)]
pub(crate) struct KernelPackage {
    directory: PathBuf,
    version: String,
}

impl KernelPackage {
    /// Finds the one kernel below `directory` and writes the index of its modules.
    pub(crate) fn open(directory: &Path) -> Result<Self, ImageError> {
        let boot = directory.join("boot");
        let mut versions = Vec::new();
        for entry in fs::read_dir(&boot).map_err(at("list", &boot))? {
            let name = entry.map_err(at("list", &boot))?.file_name();
            let version = name.to_str().and_then(|name| name.strip_prefix(KERNEL_PREFIX));
            versions.extend(version.map(str::to_owned));
        }
        let [version] = versions.as_slice() else {
            return Err(ImageError::NoKernel { path: boot });
        };
        merge_usr(directory)?;
        let package = Self { directory: directory.to_owned(), version: version.clone() };
        Tool::new("depmod", "kmod")
            .argument("--basedir")
            .argument(directory)
            .argument(version)
            .run()
            .map_err(doing("index the kernel's modules"))?;
        Ok(package)
    }

    /// The kernel's version, as `uname -r` says it.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Writes the kernel to `path`, uncompressed where that is wanted and can be done.
    pub(crate) fn write_kernel(
        &self,
        path: &Path,
        wanted: KernelFormat,
    ) -> Result<KernelFormat, ImageError> {
        let source = self.directory.join("boot").join([KERNEL_PREFIX, &self.version].concat());
        let image = fs::read(&source).map_err(at("read", &source))?;
        let extracted = match wanted {
            KernelFormat::BzImage => None,
            KernelFormat::Vmlinux => vmlinux::extract(&image)
                .map_err(|error| ImageError::Kernel { path: source, source: error })?,
        };
        let (kernel, format) = match extracted {
            Some(kernel) => (kernel, KernelFormat::Vmlinux),
            None => (image, KernelFormat::BzImage),
        };
        fs::write(path, kernel).map_err(at("write", path))?;
        Ok(format)
    }

    /// Writes the initramfs to `path`.
    pub(crate) fn write_initramfs(&self, path: &Path) -> Result<(), ImageError> {
        let modules = self.modules();
        let list = |name: &str| {
            let path = modules.join(name);
            fs::read_to_string(&path).map_err(at("read", path))
        };
        let lists = ModuleLists::parse(&list("modules.dep")?, &list("modules.builtin")?);
        let order =
            lists.load_order(&GUEST_DRIVERS).map_err(|module| ImageError::NoModule { module })?;
        let drivers = order.iter().map(|module| read_module(&modules.join(module)));
        let drivers = drivers.collect::<Result<Vec<_>, _>>()?;
        let busybox = self.directory.join("bin/busybox");
        let busybox = fs::read(&busybox).map_err(at("read", busybox))?;
        fs::write(path, initramfs::archive(&busybox, &drivers)).map_err(at("write", path))
    }

    /// Copies the modules that a guest's programs may ask for into `tree`.
    pub(crate) fn install_modules(&self, tree: &Path) -> Result<(), ImageError> {
        let from = self.modules();
        let into = tree.join(MODULES).join(&self.version);
        let parents = GUEST_MODULE_DIRECTORIES.map(|directory| Path::new("kernel").join(directory));
        for directory in parents.iter().filter(|directory| from.join(directory).is_dir()) {
            let target = into.join(directory);
            let parent = target.parent().unwrap_or(&into);
            fs::create_dir_all(parent).map_err(at("make", parent))?;
            Tool::new("cp", "coreutils")
                .arguments(["--archive", "--no-target-directory"])
                .argument(from.join(directory))
                .argument(&target)
                .run()
                .map_err(doing("copy the kernel's modules"))?;
        }
        let hardware = into.join("kernel/drivers/net/ethernet");
        if hardware.is_dir() {
            fs::remove_dir_all(&hardware).map_err(at("remove", &hardware))?;
        }
        for list in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
            fs::copy(from.join(list), into.join(list)).map_err(at("copy", from.join(list)))?;
        }
        Tool::new("depmod", "kmod")
            .argument("--basedir")
            .argument(tree)
            .argument(&self.version)
            .run()
            .map(|_| ())
            .map_err(doing("index the guest's modules"))
    }

    fn modules(&self) -> PathBuf {
        self.directory.join(MODULES).join(&self.version)
    }
}

/// Debian 13 packages unpack below `usr` alone; older ones below the root. Here both are found below the root.
fn merge_usr(directory: &Path) -> Result<(), ImageError> {
    for name in ["bin", "lib"] {
        let (link, target) = (directory.join(name), Path::new("usr").join(name));
        if !link.exists() && directory.join(&target).is_dir() {
            symlink(target, &link).map_err(at("link", &link))?;
        }
    }
    Ok(())
}

/// Reads a module, uncompressed: the initramfs's busybox need not know how Debian compresses.
fn read_module(path: &Path) -> Result<Module, ImageError> {
    let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let (file, compression) = match file.split_once(".ko") {
        Some((stem, compression)) => (format!("{stem}.ko"), compression),
        None => (file.to_owned(), ""),
    };
    let plain = match compression {
        "" => path.to_owned(),
        ".xz" => {
            Tool::new("xz", "xz-utils")
                .arguments(["--decompress", "--keep", "--force"])
                .argument(path)
                .run()
                .map_err(doing("decompress a kernel module"))?;
            path.with_extension("")
        }
        _ => return Err(ImageError::ModuleCompression { path: path.to_owned() }),
    };
    let content = fs::read(&plain).map_err(at("read", &plain))?;
    Ok(Module { file, content })
}

//! A file system that clones files: a directory where the machine's own does, else a loop-mounted XFS that goes with its owner.

use std::fs::File;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;

use crate::error::HarnessError;
use crate::program::run;

/// A temporary place for the roots of daemons. Unmounted and removed when dropped.
#[derive(Debug)]
pub struct Storage {
    backing: TempDir,
    mount: Option<Utf8PathBuf>,
}

/// Sparse; what is not written takes no room.
const SIZE_BYTES: u64 = 32 << 30;

impl Storage {
    /// Makes one.
    pub fn make() -> Result<Self, HarnessError> {
        let mut storage = Self::unmounted()?;
        if !clones(storage.base()?)? {
            storage.mount()?;
        }
        Ok(storage)
    }

    /// Makes one that is a file system of its own in any case, which a test may fill.
    pub fn make_apart() -> Result<Self, HarnessError> {
        let mut storage = Self::unmounted()?;
        storage.mount()?;
        Ok(storage)
    }

    fn unmounted() -> Result<Self, HarnessError> {
        let backing = tempfile::Builder::new()
            .prefix("computer-harness-")
            .tempdir()
            .map_err(HarnessError::io("make a temporary directory"))?;
        Ok(Self { backing, mount: None })
    }

    /// Where it is.
    pub fn path(&self) -> Result<&Utf8Path, HarnessError> {
        match &self.mount {
            Some(mount) => Ok(mount),
            None => self.base(),
        }
    }

    fn base(&self) -> Result<&Utf8Path, HarnessError> {
        let path = self.backing.path();
        Utf8Path::from_path(path)
            .ok_or_else(|| HarnessError::value("a temporary directory", path.display()))
    }

    fn mount(&mut self) -> Result<(), HarnessError> {
        let (image, mount) = (self.base()?.join("xfs.img"), self.base()?.join("m"));
        let file = File::create(&image).map_err(HarnessError::io(format!("make {image}")))?;
        file.set_len(SIZE_BYTES).map_err(HarnessError::io(format!("grow {image}")))?;
        std::fs::create_dir(&mount).map_err(HarnessError::io(format!("make {mount}")))?;
        run("mkfs.xfs", &["-q", "-m", "reflink=1", image.as_str()])?;
        run("mount", &["-o", "loop,discard", image.as_str(), mount.as_str()])?;
        self.mount = Some(mount);
        Ok(())
    }
}

/// Whether files of a directory share blocks with their clones.
pub fn clones(dir: &Utf8Path) -> Result<bool, HarnessError> {
    let open = |name: &str| {
        let path = dir.join(name);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(true);
        options.open(&path).map_err(HarnessError::io(format!("make {path}")))
    };
    let (from, to) = (open("clone-from")?, open("clone-to")?);
    from.set_len(4096).map_err(HarnessError::io("grow a file"))?;
    Ok(rustix::fs::ioctl_ficlone(&to, &from).is_ok())
}

impl Drop for Storage {
    fn drop(&mut self) {
        let Some(mount) = &self.mount else { return };
        // Lazily, when something is still open: the loop device goes with the last user.
        let ways: [&[&str]; 2] = [&[], &["--lazy"]];
        for flags in ways {
            match Command::new("umount").args(flags).arg(mount).status() {
                Ok(status) if status.success() => return,
                Ok(_) => {}
                Err(error) => eprintln!("harness: umount {mount}: {error}"),
            }
        }
    }
}

//! Does one action of a plan.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use super::{
    error::{SetupError, at},
    fstab,
    plan::{Action, Wanted},
};
use crate::tool::{Tool, ToolError};

const DEADLINE: Duration = Duration::from_secs(120);

/// Makes `action` true for the wanted storage.
pub(super) fn apply(action: &Action, wanted: &Wanted) -> Result<(), SetupError> {
    let (file, mount) = (&wanted.file, &wanted.mount);
    let doing = |action| move |source: ToolError| SetupError::Tool { action, source };
    match action {
        Action::MakeFile => {
            if let Some(parent) = file.parent() {
                fs::create_dir_all(parent).map_err(at("make", parent))?;
            }
            let open = private_file(file).map_err(at("make", file))?;
            open.set_len(wanted.size.bytes()).map_err(at("size", file))
        }
        Action::Format => Tool::new("mkfs.xfs", "xfsprogs")
            .arguments(["-q", "-m", "reflink=1"])
            .argument(file)
            .deadline(DEADLINE)
            .run()
            .map(|_| ())
            .map_err(doing("make the file system")),
        Action::MakeDirectory => fs::create_dir_all(mount).map_err(at("make", mount)),
        Action::Mount => Tool::new("mount", "mount")
            .arguments(["-t", "xfs", "-o", "loop,noatime"])
            .arguments([file, mount])
            .deadline(DEADLINE)
            .run()
            .map(|_| ())
            .map_err(doing("mount the file system")),
        Action::AddToFstab => fstab::add(wanted),
        Action::RemoveFromFstab => fstab::remove(wanted),
        Action::Unmount => Tool::new("umount", "mount")
            .argument(mount)
            .deadline(DEADLINE)
            .run()
            .map(|_| ())
            .map_err(doing("unmount the file system (is computerd stopped?)")),
        Action::RemoveFile => fs::remove_file(file).map_err(at("remove", file)),
    }
}

/// The file holds every machine's disks: nobody but root reads it.
fn private_file(path: &Path) -> io::Result<File> {
    File::options().write(true).create(true).truncate(false).mode(0o600).open(path)
}

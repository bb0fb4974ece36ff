//! Whether a file system clones files, tried.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use rustix::fs::ioctl_ficlone;

/// Whether files within `directory` can be cloned, tried with two files that are gone afterwards.
pub(crate) fn can_reflink(directory: &Path) -> io::Result<bool> {
    let name = |part: &str| directory.join(format!(".reflink-{part}-{}", std::process::id()));
    let (from, to) = (name("from"), name("to"));
    let cloned = File::create_new(&from).and_then(|mut source| {
        source.write_all(&[1; 4096])?;
        let target = File::create_new(&to)?;
        Ok(ioctl_ficlone(&target, &source).is_ok())
    });
    for path in [&from, &to] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    cloned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_of_cloning_leaves_no_file() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        can_reflink(directory.path())?;
        assert_eq!(fs::read_dir(directory.path())?.count(), 0);
        Ok(())
    }
}

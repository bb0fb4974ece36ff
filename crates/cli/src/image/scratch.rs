//! A directory to build in, and with it the right to: one build at a time in a directory of images.
//!
//! What a crash left is removed when the next scratch is made.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::error::{ImageError, at};

const SCRATCH: &str = ".scratch";
const LOCK: &str = ".lock";
const LOCK_DEADLINE: Duration = Duration::from_secs(900);
const LOCK_POLL: Duration = Duration::from_millis(100);

/// The right to build, and an empty directory for it. The right ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    directory: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Waits until no other build uses `images`, which is made when it is not there.
    pub(crate) fn new(images: &Path) -> Result<Self, ImageError> {
        fs::create_dir_all(images).map_err(at("make", images))?;
        let lock = lock(images)?;
        let directory = images.join(SCRATCH);
        remove_all(&directory)?;
        fs::create_dir(&directory).map_err(at("make", &directory))?;
        let permissions = fs::Permissions::from_mode(0o700);
        fs::set_permissions(&directory, permissions).map_err(at("protect", &directory))?;
        Ok(Self { directory, _lock: lock })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }

    /// Removes the directory with everything in it.
    pub(crate) fn remove(self) -> Result<(), ImageError> {
        remove_all(&self.directory)
    }
}

fn lock(images: &Path) -> Result<File, ImageError> {
    let path = images.join(LOCK);
    let lock = File::create(&path).map_err(at("make", &path))?;
    let started = Instant::now();
    loop {
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(lock),
            Err(Errno::WOULDBLOCK) if started.elapsed() < LOCK_DEADLINE => thread::sleep(LOCK_POLL),
            Err(Errno::WOULDBLOCK) => {
                return Err(ImageError::Busy {
                    directory: images.to_owned(),
                    seconds: LOCK_DEADLINE.as_secs(),
                });
            }
            Err(error) => return Err(at("lock", &path)(error)),
        }
    }
}

fn remove_all(directory: &Path) -> Result<(), ImageError> {
    match fs::remove_dir_all(directory) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(at("remove", directory)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_crashed_build_left_is_removed_by_the_next() -> Result<(), Box<dyn std::error::Error>>
    {
        let directory = tempfile::tempdir()?;
        let scratch = Scratch::new(directory.path())?;
        fs::write(scratch.path().join("half"), "written")?;
        drop(scratch);
        let next = Scratch::new(directory.path())?;
        assert_eq!(fs::read_dir(next.path())?.count(), 0);
        Ok(())
    }
}

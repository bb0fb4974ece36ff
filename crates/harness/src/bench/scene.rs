//! What all benchmarks share: an image, storage that clones files, and daemons on it.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use contract::machine::CreateMachineRequest;

use crate::daemon::Daemon;
use crate::error::HarnessError;
use crate::guest_image::GuestImage;
use crate::machine::{Machine, small};
use crate::program::run;
use crate::storage::Storage;

/// The system disk of machines, a little larger than the image.
pub(super) const DISK_BYTES: u64 = 512 << 20;
/// Memory of machines where it does not matter.
pub(super) const MEMORY_MIB: u64 = 256;
/// From a launch to a ready guest.
pub(super) const READY: Duration = Duration::from_secs(180);

/// What all benchmarks share.
#[derive(Debug)]
pub(super) struct Scene {
    /// The image that ours and bare machines boot.
    pub(super) image: GuestImage,
    storage: Storage,
}

impl Scene {
    /// Makes it.
    pub(super) async fn set() -> Result<Self, HarnessError> {
        let image = tokio::task::spawn_blocking(GuestImage::minimal)
            .await
            .map_err(|error| HarnessError::value("the image", error))??;
        Ok(Self { image, storage: Storage::make()? })
    }

    /// A place that clones files.
    pub(super) fn place(&self) -> Result<&Utf8Path, HarnessError> {
        self.storage.path()
    }

    /// A directory of this name, empty.
    pub(super) fn dir(&self, name: &str) -> Result<Utf8PathBuf, HarnessError> {
        let dir = self.place()?.join(name);
        std::fs::create_dir_all(&dir).map_err(HarnessError::io(format!("make {dir}")))?;
        Ok(dir)
    }

    /// A daemon with a new root.
    pub(super) async fn daemon(&self, name: &str) -> Result<Daemon, HarnessError> {
        Daemon::start(self.place()?, name, &self.image.images).await
    }

    /// The same with further settings, as `section.key=value`.
    pub(super) async fn daemon_with(
        &self,
        name: &str,
        settings: &[&str],
    ) -> Result<Daemon, HarnessError> {
        Daemon::start_with(self.place()?, name, &self.image.images, settings).await
    }

    /// A request for a machine.
    pub(super) fn request(
        &self,
        name: &str,
        memory_mib: u64,
    ) -> Result<CreateMachineRequest, HarnessError> {
        let mut request = small(name, &self.image)?;
        request.memory_mib = Some(memory_mib);
        request.storage_bytes = Some(DISK_BYTES);
        Ok(request)
    }

    /// Makes a machine and waits until it is ready.
    pub(super) async fn machine(
        &self,
        daemon: &Daemon,
        name: &str,
        memory_mib: u64,
    ) -> Result<Machine, HarnessError> {
        daemon.launch(self.request(name, memory_mib)?).await
    }
}

/// Clones a file, or copies it where files cannot be cloned.
pub(super) fn clone(from: &Utf8Path, to: &Utf8Path) -> Result<(), HarnessError> {
    run("cp", &["--reflink=auto", "--sparse=always", from.as_str(), to.as_str()]).map(drop)
}

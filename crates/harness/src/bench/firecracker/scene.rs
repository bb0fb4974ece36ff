//! What these benchmarks share: the polled guest and daemons that run it under Firecracker.

use camino::{Utf8Path, Utf8PathBuf};
use contract::machine::{CreateMachineRequest, GuestProtocol};

use super::super::scene::Scene;
use crate::daemon::Daemon;
use crate::error::HarnessError;
use crate::guest_image::GuestImage;
use crate::machine::{Machine, small};

/// Memory of machines where it does not matter.
pub(super) const MEMORY_MIB: u64 = 128;
/// The guest's disk.
const DISK_BYTES: u64 = 1 << 20;

/// The binaries under test.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    pub(super) firecracker: Utf8PathBuf,
    pub(super) jailer: Utf8PathBuf,
}

/// What these benchmarks lack here, if anything.
pub(in crate::bench) fn lacking() -> Option<String> {
    binaries().err()
}

fn binaries() -> Result<Binaries, String> {
    for path in ["/dev/kvm", "/usr/bin/gcc"] {
        if !Utf8Path::new(path).exists() {
            return Err(format!("no {path}"));
        }
    }
    Ok(Binaries {
        firecracker: find("COMPUTER_FIRECRACKER", "firecracker")?,
        jailer: find("COMPUTER_JAILER", "jailer")?,
    })
}

fn find(variable: &str, name: &str) -> Result<Utf8PathBuf, String> {
    if let Ok(path) = std::env::var(variable) {
        return Ok(path.into());
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path.split(':').map(|dir| Utf8Path::new(dir).join(name)).find(|at| at.is_file());
    found.ok_or_else(|| format!("{variable} is not set, and no {name} is on PATH"))
}

/// A scene with Firecracker.
#[derive(Debug)]
pub(super) struct FirecrackerScene<'a> {
    pub(super) scene: &'a Scene,
    pub(super) image: GuestImage,
    pub(super) binaries: Binaries,
    /// What the guest is told.
    pub(super) kernel_arguments: &'static str,
}

impl<'a> FirecrackerScene<'a> {
    pub(super) fn set(
        scene: &'a Scene,
        kernel_arguments: &'static str,
    ) -> Result<Self, HarnessError> {
        let binaries = binaries().map_err(|reason| HarnessError::value("Firecracker", reason))?;
        Ok(Self { scene, image: GuestImage::polled()?, binaries, kernel_arguments })
    }

    /// A daemon with a new root.
    pub(super) async fn daemon(&self, name: &str) -> Result<Daemon, HarnessError> {
        let Binaries { firecracker, jailer } = &self.binaries;
        let settings = [
            "vmm=firecracker".to_owned(),
            format!("firecracker.binary=\"{firecracker}\""),
            format!("firecracker.jailer=\"{jailer}\""),
            format!("firecracker.kernel_arguments=\"{}\"", self.kernel_arguments),
            // Room for more machines than the block of a test holds, beside the blocks of all tests.
            "network.address_block=\"10.86.0.0/20\"".to_owned(),
            "first_uid=700000".to_owned(),
        ];
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        Daemon::start_with(self.scene.place()?, name, &self.image.images, &settings).await
    }

    /// Makes a machine.
    pub(super) async fn machine(
        &self,
        daemon: &Daemon,
        name: &str,
        memory_mib: u64,
    ) -> Result<Machine, HarnessError> {
        let request = CreateMachineRequest {
            guest_protocol: GuestProtocol::None,
            memory_mib: Some(memory_mib),
            storage_bytes: Some(DISK_BYTES),
            ..small(name, &self.image)?
        };
        daemon.launch(request).await
    }
}

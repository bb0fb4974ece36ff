//! Where everything lies beneath the root directory. Paths are built from identifiers, never from text of a request (P1).

use camino::{Utf8Path, Utf8PathBuf};
use contract::{MachineId, OperationId, SnapshotId, VolumeId};

/// The directories of one daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: Utf8PathBuf,
}

impl Layout {
    /// A layout beneath `root`.
    pub fn new(root: impl Into<Utf8PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The root itself.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// Records and journal.
    pub fn state(&self) -> Utf8PathBuf {
        self.root.join("state")
    }

    /// Kernels and root images by content.
    pub fn artifacts(&self) -> Utf8PathBuf {
        self.root.join("artifacts")
    }

    /// All machines.
    pub fn machines(&self) -> Utf8PathBuf {
        self.root.join("machines")
    }

    /// One machine: kernel, initrd, memory, disks, jail, logs.
    pub fn machine(&self, id: &MachineId) -> Utf8PathBuf {
        self.machines().join(id.as_str())
    }

    /// The secret of a mount, by the operation that made it: a file that no guest and no snapshot has.
    pub fn mount_secret(&self, id: &MachineId, made_by: &OperationId) -> Utf8PathBuf {
        self.machine(id).join("mounts").join(made_by.as_str())
    }

    /// All snapshots.
    pub fn snapshots(&self) -> Utf8PathBuf {
        self.root.join("snapshots")
    }

    /// One published snapshot.
    pub fn snapshot(&self, id: &SnapshotId) -> Utf8PathBuf {
        self.snapshots().join(id.as_str())
    }

    /// All sets of packs.
    pub fn sets(&self) -> Utf8PathBuf {
        self.root.join("chunks")
    }

    /// The packs and the document that one operation made.
    pub fn set(&self, operation: &OperationId) -> Utf8PathBuf {
        self.sets().join(operation.as_str())
    }

    /// All volumes that outlive machines.
    pub fn volumes(&self) -> Utf8PathBuf {
        self.root.join("volumes")
    }

    /// A volume that outlives machines.
    pub fn volume(&self, id: &VolumeId) -> Utf8PathBuf {
        self.volumes().join(id.as_str())
    }

    /// Whatever is not published yet.
    pub fn all_scratch(&self) -> Utf8PathBuf {
        self.root.join("scratch")
    }

    /// What one operation has not published yet.
    pub fn scratch(&self, operation: &OperationId) -> Utf8PathBuf {
        self.all_scratch().join(operation.as_str())
    }

    /// VMM binaries with their libraries, by content.
    pub fn runtimes(&self) -> Utf8PathBuf {
        self.root.join("runtimes")
    }

    /// The Unix socket of the API.
    pub fn socket(&self) -> Utf8PathBuf {
        self.root.join("computerd.sock")
    }
}

/// Names inside a machine's directory.
pub mod machine_file {
    /// The kernel.
    pub const KERNEL: &str = "kernel";
    /// The initial RAM disk.
    pub const INITRD: &str = "initrd";
    /// Guest RAM of a machine whose memory is its own.
    pub const MEMORY: &str = "memory";
    /// Packs of a chunked form, while a restore puts its files together.
    pub const PACKS: &str = "packs";
    /// Device state that a restore loads.
    pub const VMSTATE: &str = "vmstate.bin";
    /// The system disk.
    pub const SYSTEM_DISK: &str = "system.img";
    /// Where its files are filled while it runs: a directory.
    pub const FILLING: &str = "filling";
}

/// Names inside the directory of a volume that outlives machines.
pub mod volume_file {
    /// The disk.
    pub const DISK: &str = "disk.img";
}

/// Names inside a snapshot's directory, as contract.md fixes them.
pub mod snapshot_file {
    /// Guest RAM.
    pub const MEMORY: &str = "memory.bin";
    /// Device state, sealed.
    pub const VMSTATE: &str = "vmstate.bin";
    /// Device state as the VMM wrote it, before it is copied to an inode of ours.
    pub const CAPTURED: &str = "vmstate.captured";
    /// The document of its chunked form, in the set.
    pub const CHUNKED: &str = "chunked.json";
    /// The manifest.
    pub const MANIFEST: &str = "manifest.json";
}

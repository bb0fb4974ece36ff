//! What a jail holds and runs: chosen by the daemon, read strictly by the launcher.

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::SealFlags;
use serde::{Deserialize, Serialize};

use super::jailer::JailerSpec;

/// The version of this format; the two ends are one binary, so any other is refused.
pub const VERSION: u32 = 2;

/// The longest specification a launcher reads.
pub const MAXIMUM_BYTES: u64 = 64 * 1024;

/// Where the runtime directory is found inside every jail.
pub const RUNTIME_DIR: &str = "/vmm";

/// Where the machine's files are found inside every jail.
pub const MACHINE_DIR: &str = "/machine";

/// What a launcher is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Build a jail of our own and run a program in it.
    Jail(Box<JailSpec>),
    /// Lay out the files of a jail that a program of its own (Firecracker's jailer) then builds.
    Jailer(Box<JailerSpec>),
}

impl Task {
    pub(super) fn version(&self) -> u32 {
        match self {
            Self::Jail(spec) => spec.version,
            Self::Jailer(spec) => spec.version,
        }
    }

    pub(super) fn owner(&self) -> u32 {
        match self {
            Self::Jail(spec) => spec.owner,
            Self::Jailer(spec) => spec.owner,
        }
    }

    pub(super) fn network_namespace(&self) -> Option<&Utf8Path> {
        match self {
            Self::Jail(spec) => spec.network_namespace.as_deref(),
            Self::Jailer(spec) => Some(&spec.network_namespace),
        }
    }
}

/// A whole jail. It holds no secret, and yet never stands on a command line: the launcher reads it from its standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JailSpec {
    /// [`VERSION`].
    pub version: u32,
    /// The uid, and gid, of everything inside. Never 0.
    pub owner: u32,
    /// The host name inside, for whoever looks at processes from the host.
    pub host_name: String,
    /// The named network namespace to join; without one the jail gets an empty namespace of its own.
    pub network_namespace: Option<Utf8PathBuf>,
    /// The tap inside that namespace to hand over.
    pub tap: Option<Tap>,
    /// A directory of the host that holds the sockets. The new root is mounted over it, where only the jail sees it.
    pub directory: Utf8PathBuf,
    /// Memory that other jails map too, handed over. It brings a `/proc` with the processes of this jail alone, through which the
    /// program opens it by its descriptor.
    pub shared_memory: Option<SharedMemory>,
    /// Listening sockets made in [`JailSpec::directory`] and handed over.
    pub listeners: Vec<Listener>,
    /// The prepared runtime directory, found inside at [`RUNTIME_DIR`].
    pub runtime: Utf8PathBuf,
    /// Where the program expects its dynamic loader, which is `ld.so` of the runtime directory.
    pub interpreter: Option<Utf8PathBuf>,
    /// The machine's files, found inside under [`MACHINE_DIR`].
    pub files: Vec<BoundFile>,
    /// Device nodes.
    pub devices: Vec<Device>,
    /// What is run.
    pub program: Program,
    /// Bounds of every process inside.
    pub limits: ProcessLimits,
    /// What is kept of its output and of its end. The files are made anew.
    pub logs: Logs,
}

/// What several jails have in common nobody may be able to change (P10).
pub const SHARED_MEMORY_SEALS: SealFlags =
    SealFlags::WRITE.union(SealFlags::GROW).union(SealFlags::SHRINK).union(SealFlags::SEAL);

/// An anonymous file that is sealed against every write and change of size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedMemory {
    /// Where it is found: a descriptor of the daemon, in `/proc`. Refused when it is not sealed.
    pub source: Utf8PathBuf,
    /// The descriptor under which the program finds it.
    pub descriptor: i32,
}

/// A tap device that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tap {
    /// Its name in the network namespace.
    pub name: String,
    /// The descriptor under which the program finds it.
    pub descriptor: i32,
}

/// A Unix stream socket on which the program accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Its file name in the jail's directory; 0600, and root's: the program holds only the descriptor.
    pub name: String,
    /// The descriptor under which the program finds it.
    pub descriptor: i32,
}

/// A file of the machine made visible inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundFile {
    /// The regular file on the host; never followed when it is a symbolic link.
    pub source: Utf8PathBuf,
    /// Its name under [`MACHINE_DIR`].
    pub name: String,
    /// What the program may do with it.
    pub access: Access,
}

/// How a file is shared with the jail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Mounted read-only, whatever its mode says.
    Read,
    /// Writable. It must be the owner's, closed to others, and have no other name.
    Write,
}

/// A device node inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// `/dev/null`.
    Null,
    /// `/dev/kvm`, the owner's.
    Kvm,
}

/// What runs inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Its path inside the jail.
    pub path: Utf8PathBuf,
    /// Its arguments, without its name.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub environment: Vec<(String, String)>,
}

/// Resource limits of processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessLimits {
    /// RLIMIT_NOFILE.
    pub open_files: u64,
    /// RLIMIT_NPROC: tasks of the owner's uid.
    pub tasks: u64,
    /// RLIMIT_FSIZE: no file inside can grow beyond it.
    pub file_size_bytes: u64,
}

/// Where the keeper writes, on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// The ring of standard output, which is the serial console.
    pub console: Utf8PathBuf,
    /// The ring of standard error.
    pub errors: Utf8PathBuf,
    /// How the program ended.
    pub exit: Utf8PathBuf,
}

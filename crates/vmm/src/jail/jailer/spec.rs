//! What is laid out for a jailer, and how it is started.

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::super::spec::{BoundFile, Logs, ProcessLimits};

/// A jail of Firecracker's. It holds no secret, and yet never stands on a command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JailerSpec {
    /// [`VERSION`](super::super::spec::VERSION).
    pub version: u32,
    /// The uid, and gid, under which the jailer runs its program. Never 0.
    pub owner: u32,
    /// The name of the machine: its host name, and the jailer's id.
    pub id: String,
    /// The named network namespace to join.
    pub network_namespace: Utf8PathBuf,
    /// The tap inside that namespace, which must exist.
    pub tap: String,
    /// A directory of the host over which a tmpfs is mounted, where only the jail sees it; the jailer's chroot base.
    pub directory: Utf8PathBuf,
    /// The room of that tmpfs: a copy of the program, which the jailer makes, and sockets.
    pub room_bytes: u64,
    /// The room of a second tmpfs, found inside as [`JailerSpec::CAPTURE_DIR`], for what a snapshot writes.
    pub capture_bytes: u64,
    /// The machine's files, found inside by their names.
    pub files: Vec<BoundFile>,
    /// Small read-only files made for this run.
    pub texts: Vec<Text>,
    /// The jailer.
    pub jailer: Utf8PathBuf,
    /// What it runs.
    pub program: Utf8PathBuf,
    /// Arguments of the program.
    pub arguments: Vec<String>,
    /// Bounds of every process inside.
    pub limits: ProcessLimits,
    /// What is kept of its output and of its end. The files are made anew.
    pub logs: Logs,
}

/// A small file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Its name inside.
    pub name: String,
    /// What it says.
    pub text: String,
}

impl JailerSpec {
    /// Where a snapshot is written, inside.
    pub const CAPTURE_DIR: &str = "capture";
    /// The named pipe to which the program writes its log, inside. What is not read in time is lost, and holds nobody up.
    pub const LOG_PIPE: &str = "log";

    /// The directory that becomes the root, as the jailer's documentation names it.
    pub(super) fn root(&self) -> Utf8PathBuf {
        self.directory.join(self.program_name()).join(&self.id).join("root")
    }

    /// The file in which the jailer leaves the pid of what it started.
    pub(super) fn pid_file(&self) -> Utf8PathBuf {
        self.root().join(format!("{}.pid", self.program_name()))
    }

    fn program_name(&self) -> &str {
        self.program.file_name().unwrap_or("program")
    }

    /// The jailer's arguments. It moves nothing to another control group: it was born into its own.
    pub(super) fn jailer_arguments(&self) -> Vec<String> {
        let owner = self.owner.to_string();
        let options: [(&str, &str); 5] = [
            ("--id", &self.id),
            ("--exec-file", self.program.as_str()),
            ("--uid", &owner),
            ("--gid", &owner),
            ("--chroot-base-dir", Utf8Path::as_str(&self.directory)),
        ];
        let mut arguments: Vec<String> =
            options.iter().flat_map(|(name, value)| [(*name).into(), (*value).into()]).collect();
        arguments.push("--new-pid-ns".to_owned());
        for (resource, bound) in
            [("no-file", self.limits.open_files), ("fsize", self.limits.file_size_bytes)]
        {
            arguments.extend(["--resource-limit".to_owned(), format!("{resource}={bound}")]);
        }
        arguments.push("--".to_owned());
        arguments.extend(self.arguments.iter().cloned());
        arguments
    }
}

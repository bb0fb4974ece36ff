//! Where one run of a machine has its things, derived from its launch alone.

use camino::{Utf8Path, Utf8PathBuf};
use engine::port::Launch;

use crate::cgroup::Cgroup;
use crate::jail::spec::Logs;
use crate::jail::{exit_record, ring};

/// The socket of the agent's channel, under the machine's directory.
pub const AGENT_SOCKET: &str = "jail/agent.sock";

/// How much of QEMU's standard error goes into an error message.
const LAST_WORDS_BYTES: usize = 400;

/// One run: its control group and files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    dir: Utf8PathBuf,
    cgroup: Cgroup,
}

impl Run {
    pub(super) fn of(launch: &Launch, cgroups: &Utf8Path) -> Self {
        Self { dir: launch.dir.clone(), cgroup: Cgroup::at(cgroups, launch.operation.as_str()) }
    }

    /// Everything that lives.
    pub fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// The directory that holds its sockets.
    pub fn jail_dir(&self) -> Utf8PathBuf {
        self.dir.join("jail")
    }

    /// The directory that holds its logs.
    pub fn logs_dir(&self) -> Utf8PathBuf {
        self.dir.join("logs")
    }

    /// QEMU's monitor.
    pub fn monitor_socket(&self) -> Utf8PathBuf {
        self.jail_dir().join("qmp.sock")
    }

    /// What the keeper writes.
    pub fn logs(&self) -> Logs {
        let dir = self.logs_dir();
        Logs {
            console: dir.join("console.ring"),
            errors: dir.join("vmm.ring"),
            exit: dir.join("exit.json"),
        }
    }

    /// Whether QEMU left by itself without an error: the guest powered off (or reset, which ends a run too).
    pub(super) fn is_clean_end(&self) -> bool {
        matches!(exit_record::read(&self.logs().exit), Ok(Some(exit_record::Exit::Code(0))))
    }

    /// How QEMU ended, in words, as far as its keeper could record it.
    pub(super) fn how_it_ended(&self) -> String {
        match exit_record::read(&self.logs().exit) {
            Ok(Some(exit_record::Exit::Code(0))) => "the guest powered off".to_owned(),
            Ok(Some(exit_record::Exit::Code(code))) => format!("it left with status {code}"),
            Ok(Some(exit_record::Exit::Signal(signal))) => format!("signal {signal} ended it"),
            Ok(None) => "it was killed together with its jail".to_owned(),
            Err(error) => format!("its exit record cannot be read: {error}"),
        }
    }

    /// The end of QEMU's standard error.
    pub(super) fn last_words(&self) -> String {
        match ring::read_tail(&self.logs().errors, LAST_WORDS_BYTES) {
            Ok(tail) => String::from_utf8_lossy(&tail).trim().to_owned(),
            Err(error) => format!("cannot be read: {error}"),
        }
    }
}

//! Where one run of a machine has its things, derived from its launch alone.

use camino::{Utf8Path, Utf8PathBuf};
use engine::port::Launch;

use crate::cgroup::Cgroup;
use crate::jail::exit_record::Exit;
use crate::jail::spec::Logs;
use crate::jail::{exit_record, ring};
use crate::process::file_size;

use super::error::QemuError;
use super::shutdown;

/// The socket of the agent's channel, under the machine's directory.
pub const AGENT_SOCKET: &str = "jail/agent.sock";

/// How much of QEMU's standard error goes into an error message.
const LAST_WORDS_BYTES: usize = 400;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    /// The guest powered itself off.
    pub(super) is_clean: bool,
    /// In words.
    pub(super) reason: String,
}

impl End {
    fn unclean(reason: impl Into<String>) -> Self {
        Self { is_clean: false, reason: reason.into() }
    }
}

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

    /// Lets everything in the run make files of this size: a disk has grown.
    pub(super) fn allow_file_size(&self, bytes: u64) -> Result<(), QemuError> {
        for pid in self.cgroup.processes()? {
            file_size::allow(pid, bytes).map_err(|source| QemuError::File {
                action: "raise the size limit of files for",
                path: format!("/proc/{pid}").into(),
                source,
            })?;
        }
        Ok(())
    }

    /// How QEMU ended, as far as its keeper could record it. `tells_power_off` says whether this QEMU tells a power-off from a reset.
    pub(super) fn end(&self, tells_power_off: bool) -> End {
        match exit_record::read(&self.logs().exit) {
            Ok(Some(Exit::Code(0)))
                if !tells_power_off || shutdown::was_by_guest(&self.last_words()) =>
            {
                End { is_clean: true, reason: "the guest powered off".to_owned() }
            }
            Ok(Some(Exit::Code(0))) => End::unclean("the guest reset, or a signal ended it"),
            Ok(Some(Exit::Code(code))) => End::unclean(format!("QEMU left with status {code}")),
            Ok(Some(Exit::Signal(signal))) => End::unclean(format!("signal {signal} ended QEMU")),
            Ok(None) => End::unclean("QEMU was killed together with its jail"),
            Err(error) => End::unclean(format!("its exit record cannot be read: {error}")),
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

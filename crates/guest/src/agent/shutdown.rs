//! Ends the guest in order: processes, file systems, then the kernel.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, mount_remount};
use rustix::process::{Pid, Signal, kill_process};
use rustix::system::RebootCommand;
use tokio::sync::mpsc;

use super::cgroup::Cgroup;
use super::reaper::Reaper;
use crate::proto::ShutdownMode;

/// What is left after SIGKILL to be gone.
const KILL_DEADLINE: Duration = Duration::from_secs(2);

/// A shutdown that was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) mode: ShutdownMode,
    pub(crate) grace: Duration,
}

/// Where orders go. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    sender: mpsc::Sender<Order>,
    is_possible: bool,
}

impl Orders {
    /// One order is enough: a second one is dropped.
    pub(crate) fn new(means: &Means) -> (Orders, mpsc::Receiver<Order>) {
        let (sender, receiver) = mpsc::channel(1);
        (Orders { sender, is_possible: !matches!(means, Means::None) }, receiver)
    }

    /// The agent has a way to end the machine.
    pub(crate) fn is_possible(&self) -> bool {
        self.is_possible
    }

    pub(crate) fn give(&self, order: Order) {
        if self.sender.try_send(order).is_err() {
            tracing::debug!("a shutdown is under way already");
        }
    }
}

/// How this agent ends its machine.
#[derive(Clone, Debug)]
pub(crate) enum Means {
    /// It is init.
    Init,
    /// By the program that the options name.
    Command(PathBuf),
    None,
}

impl Means {
    /// Carries an order out. As init it returns only when the kernel refuses. Blocks.
    pub(crate) fn carry_out(&self, order: Order, guest: Option<&Cgroup>, reaper: &Reaper) {
        match self {
            Means::Init => {
                end_processes(guest, order.grace);
                end_kernel();
            }
            Means::Command(program) => {
                let word = match order.mode {
                    ShutdownMode::Reboot => "reboot",
                    ShutdownMode::PowerOff | ShutdownMode::Unspecified => "poweroff",
                };
                if let Err(error) = reaper.spawn(Command::new(program).arg(word)) {
                    tracing::error!(%error, program = %program.display(), "could not shut down");
                }
            }
            Means::None => tracing::warn!("this agent cannot shut its machine down"),
        }
    }
}

/// SIGTERM, the grace, SIGKILL.
fn end_processes(guest: Option<&Cgroup>, grace: Duration) {
    let Some(guest) = guest else { return };
    let outcome = (|| {
        for pid in guest.processes()?.into_iter().filter_map(Pid::from_raw) {
            // It may have ended since it was listed.
            if let Err(error) = kill_process(pid, Signal::TERM) {
                tracing::debug!(%error, ?pid, "could not terminate");
            }
        }
        guest.thaw()?;
        if !guest.wait_empty(Instant::now() + grace)? {
            guest.kill()?;
            guest.wait_empty(Instant::now() + KILL_DEADLINE)?;
        }
        std::io::Result::Ok(())
    })();
    if let Err(error) = outcome {
        tracing::warn!(%error, "could not end all processes");
    }
}

/// A restart is what ends the VMM in every case: QEMU's microvm (`reboot=t`, `-no-reboot`) and Firecracker both exit
/// on it, while neither has a power switch that the kernel knows.
fn end_kernel() {
    rustix::fs::sync();
    if let Err(error) = mount_remount("/", MountFlags::RDONLY, c"") {
        tracing::warn!(%error, "the root stays writable");
    }
    rustix::fs::sync();
    if let Err(error) = rustix::system::reboot(RebootCommand::Restart) {
        tracing::error!(%error, "the kernel does not restart");
    }
}

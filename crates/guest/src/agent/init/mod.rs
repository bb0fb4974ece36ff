//! The agent as process 1 of a guest: mounts, the network of the kernel's command line, the SSH server.
//!
//! The kernel's modules are loaded and the root is mounted by then (the initramfs did that). Nothing here may end the
//! agent: a guest with a part missing and an agent that tells so is better than one that panics.

mod command_line;
mod mounts;
mod network;
mod ssh_server;
mod volumes;

use super::file_systems;
use rustix::process::{Resource, Rlimit, setrlimit};

pub(crate) use ssh_server::SshServer;

/// What the first processes of a guest inherit: the hard limit that Debian's own init gives.
const OPEN_FILES: Rlimit = Rlimit { current: Some(65_536), maximum: Some(524_288) };

/// What has to be there before anything else, with the channel to come right after it.
pub(crate) fn prepare() {
    mounts::mount_all();
    if let Err(error) = setrlimit(Resource::Nofile, OPEN_FILES) {
        tracing::warn!(%error, "could not raise the limit on open files");
    }
    // Ctrl-Alt-Del comes as SIGINT then, which shuts down in order.
    if let Err(error) = rustix::system::reboot(rustix::system::RebootCommand::CadOff) {
        tracing::warn!(%error, "ctrl-alt-del ends this guest at once");
    }
    match std::fs::read_to_string("/etc/hostname") {
        Ok(name) => {
            if let Err(error) = rustix::system::sethostname(name.trim().as_bytes()) {
                tracing::warn!(%error, "could not set the hostname");
            }
        }
        Err(error) => tracing::debug!(%error, "no /etc/hostname"),
    }
}

/// Whether the host wants this guest for its files only: then the agent starts nothing but itself.
pub(crate) fn is_for_files() -> bool {
    std::fs::read_to_string("/proc/cmdline").is_ok_and(|text| command_line::is_for_files(&text))
}

/// Mounts user volumes, and gives every file system all of its disk.
pub(crate) async fn ready_disks() {
    let work = || {
        volumes::mount_all();
        file_systems::grow_all()
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(_count)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "could not tell what is mounted"),
        Err(error) => tracing::warn!(%error, "growing the file systems ended early"),
    }
}

/// The vsock port that the kernel's command line names. `/proc` is mounted by then.
pub(crate) fn vsock_port() -> Option<u32> {
    read_command_line().and_then(|text| command_line::vsock_port(&text))
}

fn read_command_line() -> Option<String> {
    std::fs::read_to_string("/proc/cmdline")
        .inspect_err(|error| tracing::warn!(%error, "could not read the kernel's command line"))
        .ok()
}

/// Brings up `lo` and what the kernel's command line says of the network.
pub(crate) async fn bring_up_network() {
    let network = read_command_line().and_then(|text| command_line::Network::parse(&text));
    network::bring_up(network.as_ref()).await;
}

//! Brings the interfaces up.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::command_line::Network;
use crate::sys::interface;

const INTERFACE: &str = "eth0";

/// The initramfs has loaded the driver, the device may still be a moment away.
const INTERFACE_DEADLINE: Duration = Duration::from_secs(5);
const INTERFACE_POLL: Duration = Duration::from_millis(10);

/// Says what failed, and goes on: a guest without a network still has its channel.
pub(super) async fn bring_up(network: Option<&Network>) {
    if let Err(error) = interface::bring_up("lo") {
        tracing::warn!(%error, "could not bring up lo");
    }
    let Some(network) = network else {
        tracing::info!("no network on the kernel's command line");
        return;
    };
    if !has_interface().await {
        tracing::warn!(interface = INTERFACE, "the interface did not appear");
        return;
    }
    if let Err(error) = set_up(network) {
        tracing::warn!(%error, interface = INTERFACE, "could not set up the interface");
    }
    if let Err(error) = write_name_servers(network) {
        tracing::warn!(%error, "could not write /etc/resolv.conf");
    }
}

async fn has_interface() -> bool {
    let deadline = Instant::now() + INTERFACE_DEADLINE;
    let device = Path::new("/sys/class/net").join(INTERFACE);
    while !device.exists() {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(INTERFACE_POLL).await;
    }
    true
}

fn set_up(network: &Network) -> io::Result<()> {
    interface::set_address(INTERFACE, network.address, network.prefix)?;
    interface::bring_up(INTERFACE)?;
    match network.gateway {
        Some(gateway) => interface::set_default_route(gateway),
        None => Ok(()),
    }
}

fn write_name_servers(network: &Network) -> io::Result<()> {
    if network.name_servers.is_empty() {
        return Ok(());
    }
    let lines: String =
        network.name_servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    fs::write("/etc/resolv.conf", format!("# written by computer-agent\n{lines}"))
}

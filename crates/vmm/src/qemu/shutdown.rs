//! Telling a guest that powered itself off from one that panicked and reset.
//!
//! QEMU leaves with status 0 after both (`-no-reboot` makes a reset an end), and also after SIGTERM. Its trace point for a request to
//! shut down names the cause on standard error, where the keeper keeps it. Builds without the `log` trace backend say nothing: there every
//! status 0 counts as a power-off.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use camino::Utf8Path;

/// The trace point, for `-trace`.
pub(super) const TRACE_POINT: &str = "qemu_system_shutdown_request";

/// QAPI's `ShutdownCause`: `guest-shutdown` is the seventh.
const BY_GUEST: &str = "qemu_system_shutdown_request reason=6";
/// `host-qmp-quit`, the third, by which a build is tried.
const BY_QUIT: &str = "qemu_system_shutdown_request reason=2";

/// Whether this build names the cause. Runs it for a moment, without a machine. Blocking.
pub(super) fn is_told_by(binary: &Utf8Path) -> io::Result<bool> {
    let mut child = Command::new(binary)
        .args(["-M", "none", "-nodefaults", "-no-user-config", "-display", "none", "-qmp", "stdio"])
        .args(["-trace", TRACE_POINT])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(b"{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"quit\"}\n")?;
    }
    let output = child.wait_with_output()?;
    Ok(String::from_utf8_lossy(&output.stderr).contains(BY_QUIT))
}

/// Whether the guest powered itself off, by the end of QEMU's standard error.
pub(super) fn was_by_guest(last_words: &str) -> bool {
    last_words.contains(BY_GUEST)
}

//! A login as PAM tells of it, and its way to the agent.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::SOCKET;
use crate::agent::places::Places;

/// The longest report; names are shortened before.
pub(super) const REPORT_BYTES: usize = 2048;

/// Characters of a name that are passed on.
const NAME_CHARACTERS: usize = 255;

/// Who logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    /// The user of the guest.
    pub(super) user: String,
    /// The host that they came from, as the server sees it.
    pub(super) source: String,
}

/// What `pam_exec` runs: tells the agent when its variables say that a session opens.
///
/// # Errors
/// When the agent does not listen. The login goes on all the same.
pub fn report(root: &Path) -> io::Result<()> {
    if variable("PAM_TYPE") != "open_session" {
        return Ok(());
    }
    let login = Login { user: variable("PAM_USER"), source: variable("PAM_RHOST") };
    let socket = Places::new(root.to_owned(), root.to_owned()).path(SOCKET);
    let sender = UnixDatagram::unbound()?;
    // An agent whose queue is full is not waited for.
    sender.set_nonblocking(true)?;
    sender.send_to(&serde_json::to_vec(&login)?, socket).map(drop)
}

fn variable(name: &str) -> String {
    let value = std::env::var_os(name).unwrap_or_default();
    value.to_string_lossy().chars().filter(|c| !c.is_control()).take(NAME_CHARACTERS).collect()
}

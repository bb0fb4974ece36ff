//! The session that a client means.

use std::sync::Arc;

use super::error::{Code, ConnectError};
use super::messages::{ProcessSelector, Selector};
use crate::agent::exec::Session;
use crate::agent::machine::Machine;

/// Processes that ended are not found, as in E2B.
pub(super) fn find(
    machine: &Machine,
    selector: Option<ProcessSelector>,
) -> Result<Arc<Session>, ConnectError> {
    let found = match selector.and_then(|selector| selector.selector) {
        Some(Selector::Pid(pid)) => {
            machine.sessions.running().into_iter().find(|session| session.process_id() == pid)
        }
        Some(Selector::Tag(tag)) => {
            machine.sessions.find(&tag).filter(|session| session.exit().is_none())
        }
        None => return Err(ConnectError::invalid("no process is named")),
    };
    found.ok_or_else(|| ConnectError::new(Code::NotFound, "no such process"))
}

//! The calls with one answer.

use std::time::Duration;

use bytes::Bytes;
use rustix::process::Signal as KernelSignal;

use super::error::{Code, ConnectError};
use super::find::find;
use super::messages::{
    ConnectRequest, Empty, Input, ListResponse, ProcessConfig, ProcessInfo, ProcessInput, Pty,
    SendInputRequest, SendSignalRequest, Signal, UpdateRequest,
};
use crate::agent::exec::Session;
use crate::agent::machine::Machine;
use crate::agent::reaper::ToGroup;
use crate::proto::TerminalSize;

/// How long a command may take to read its input.
const INPUT_DEADLINE: Duration = Duration::from_secs(60);

pub(super) fn list(machine: &Machine) -> ListResponse {
    let processes = machine.sessions.running().iter().map(|session| info(session)).collect();
    ListResponse { processes }
}

fn info(session: &Session) -> ProcessInfo {
    let request = &session.request;
    let mut words = request.command.iter().cloned();
    ProcessInfo {
        config: Some(ProcessConfig {
            cmd: words.next().unwrap_or_default(),
            args: words.collect(),
            envs: request.env.clone(),
            cwd: Some(request.cwd.clone()).filter(|cwd| !cwd.is_empty()),
        }),
        pid: session.process_id(),
        tag: Some(request.session_id.clone()),
    }
}

/// The size of a terminal, where one is asked for.
pub(super) fn size(pty: Option<Pty>) -> Option<TerminalSize> {
    let size = pty?.size.unwrap_or_default();
    let or = |value: u32, usual: u32| if value == 0 { usual } else { value };
    Some(TerminalSize { rows: or(size.rows, 24), columns: or(size.cols, 80) })
}

pub(super) fn update(machine: &Machine, request: UpdateRequest) -> Result<Empty, ConnectError> {
    let session = find(machine, request.process)?;
    let Some(size) = size(request.pty) else { return Ok(Empty {}) };
    match session.resize(size) {
        Ok(true) => Ok(Empty {}),
        Ok(false) => {
            Err(ConnectError::new(Code::FailedPrecondition, "the process has no terminal"))
        }
        Err(error) => Err(ConnectError::new(Code::Internal, error.to_string())),
    }
}

pub(super) async fn send_input(
    machine: &Machine,
    request: SendInputRequest,
) -> Result<Empty, ConnectError> {
    let session = find(machine, request.process)?;
    write(&session, request.input).await
}

/// Writes a piece of input whole.
pub(super) async fn write(
    session: &Session,
    input: Option<ProcessInput>,
) -> Result<Empty, ConnectError> {
    let (Input::Stdin(data) | Input::Pty(data)) =
        input.and_then(|input| input.input).unwrap_or(Input::Stdin(Bytes::new()));
    let writing = session.append_stdin(&data);
    match tokio::time::timeout(INPUT_DEADLINE, writing).await {
        Ok(written) => {
            written?;
            Ok(Empty {})
        }
        Err(_elapsed) => {
            Err(ConnectError::new(Code::DeadlineExceeded, "the process does not read its input"))
        }
    }
}

pub(super) fn close_stdin(
    machine: &Machine,
    request: ConnectRequest,
) -> Result<Empty, ConnectError> {
    let session = find(machine, request.process)?;
    if session.request.terminal.is_some() {
        let reason = "a terminal's input is ended by control-D";
        return Err(ConnectError::new(Code::FailedPrecondition, reason));
    }
    session.end_stdin()?;
    Ok(Empty {})
}

pub(super) fn send_signal(
    machine: &Machine,
    request: SendSignalRequest,
) -> Result<Empty, ConnectError> {
    let session = find(machine, request.process)?;
    let sent = match Signal::try_from(request.signal) {
        Ok(Signal::Sigkill) => session.kill_tree(),
        Ok(Signal::Sigterm) => session.signal(KernelSignal::TERM, ToGroup::Yes),
        Ok(Signal::Unspecified) | Err(_) => {
            return Err(ConnectError::invalid("the signal is SIGNAL_SIGTERM or SIGNAL_SIGKILL"));
        }
    };
    match sent {
        Ok(_delivered) => Ok(Empty {}),
        Err(error) => Err(ConnectError::new(Code::Internal, error.to_string())),
    }
}

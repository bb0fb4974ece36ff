//! What this process is told by signals and the guest's command is to be told too.

use contract::exec_stream::ExecControl;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::terminal;
use crate::error::CliError;

/// The signals that are passed on.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    resize: Signal,
    has_terminal: bool,
}

impl Signals {
    /// Begins to listen. Sizes matter only when the command has a terminal.
    pub(super) fn listen(has_terminal: bool) -> Result<Self, CliError> {
        let listen = |kind| signal(kind).map_err(CliError::Signals);
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
            resize: listen(SignalKind::window_change())?,
            has_terminal,
        })
    }

    /// The next one. May be cancelled and called again.
    pub(super) async fn next(&mut self) -> ExecControl {
        let number = |kind: SignalKind| ExecControl::Signal { signal: kind.as_raw_value() };
        tokio::select! {
            _ = self.interrupt.recv() => number(SignalKind::interrupt()),
            _ = self.terminate.recv() => number(SignalKind::terminate()),
            _ = self.hangup.recv() => number(SignalKind::hangup()),
            _ = self.resize.recv(), if self.has_terminal => ExecControl::Resize(terminal::size()),
        }
    }
}

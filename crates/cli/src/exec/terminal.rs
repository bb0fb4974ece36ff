//! The terminal that this program runs in.

use std::io::{self, stdin, stdout};

use contract::exec_stream::TerminalSize;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::error::CliError;

/// The size of a terminal that does not say its size.
const USUAL_SIZE: TerminalSize = TerminalSize { columns: 80, rows: 24 };

/// The size of the terminal.
pub(super) fn size() -> TerminalSize {
    match tcgetwinsize(stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            TerminalSize { columns: size.ws_col, rows: size.ws_row }
        }
        Ok(_) | Err(_) => USUAL_SIZE,
    }
}

/// The terminal in raw mode, so that every key goes to the guest; as it was before when dropped.
#[derive(Debug)]
pub(super) struct RawTerminal {
    before: Option<Termios>,
}

impl RawTerminal {
    /// Enters raw mode. Without a terminal there is nothing to enter.
    pub(super) fn enter() -> Result<Self, CliError> {
        let Ok(before) = tcgetattr(stdin()) else { return Ok(Self { before: None }) };
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw)
            .map_err(|error| CliError::Terminal(io::Error::from(error)))?;
        Ok(Self { before: Some(before) })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before
            && let Err(error) = tcsetattr(stdin(), OptionalActions::Now, before)
        {
            eprintln!("computer: the terminal could not be set back ({error}): run `reset`");
        }
    }
}

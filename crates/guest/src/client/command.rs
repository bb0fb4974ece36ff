//! What to run in a guest.

use std::time::Duration;

use crate::proto::{OutputPolicy, StartRequest, TerminalSize};

/// A command and its surroundings, by default as root, in root's home, without stdin, terminal or timeout.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    request: StartRequest,
}

impl Command {
    /// The program, by path or by name in the user's PATH, and its arguments.
    pub fn new<I>(words: I) -> Command
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let command = words.into_iter().map(Into::into).collect();
        Command { request: StartRequest { command, ..StartRequest::default() } }
    }

    /// Sets the working directory; without it the user's home.
    #[must_use]
    pub fn cwd(mut self, cwd: impl Into<String>) -> Command {
        self.request.cwd = cwd.into();
        self
    }

    /// Adds a variable to HOME, USER, LOGNAME, SHELL and PATH, or replaces one.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Command {
        self.request.env.insert(name.into(), value.into());
        self
    }

    /// Sets the user, by name or number.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Command {
        self.request.user = user.into();
        self
    }

    /// Gives it a terminal, so that all output comes as stdout.
    #[must_use]
    pub fn terminal(mut self, size: TerminalSize) -> Command {
        self.request.terminal = Some(size);
        self
    }

    /// Gives it a stdin to write to.
    #[must_use]
    pub fn stdin(mut self) -> Command {
        self.request.stdin = true;
        self
    }

    /// Kills the whole tree of the command after this long.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Command {
        self.request.timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1);
        self
    }

    /// Lets the command run on when nobody reads its output, at the price of its oldest bytes.
    #[must_use]
    pub fn drop_oldest_output(mut self) -> Command {
        self.request.output_policy = OutputPolicy::DropOldest.into();
        self
    }

    /// Lets it wait for whoever reads its output, and run on when nobody has read for a minute.
    #[must_use]
    pub fn wait_for_reader(mut self) -> Command {
        self.request.output_policy = OutputPolicy::WaitForReader.into();
        self
    }

    pub(super) fn into_request(self, session_id: &str) -> StartRequest {
        StartRequest { session_id: session_id.to_owned(), ..self.request }
    }
}

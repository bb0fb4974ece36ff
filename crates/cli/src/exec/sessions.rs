//! `computer sessions`: the commands of a machine.

use std::fmt;

use clap::Args;
use contract::client::Client;
use contract::exec_session::ExecSession;
use contract::id::{ExecSessionId, MachineId};
use serde::Serialize;

use crate::error::CliError;
use crate::output::{shown_time, table};

/// Whose commands.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  computer sessions box
  computer sessions box --end 01jdg6y3n8x4c2v9k7q5t1r0zb")]
pub(crate) struct SessionsArguments {
    /// The machine.
    pub(crate) machine: MachineId,
    /// End this one first, with all that it started.
    #[arg(long, value_name = "SESSION")]
    pub(crate) end: Option<ExecSessionId>,
}

/// Commands, to be shown.
#[derive(Debug, Serialize)]
pub(crate) struct ShownSessions {
    sessions: Vec<ExecSession>,
}

/// Lists them, after the end of one where that is asked for.
pub(super) async fn list(
    client: &Client,
    arguments: SessionsArguments,
) -> Result<ShownSessions, CliError> {
    if let Some(session) = &arguments.end {
        client.end_exec_session(&arguments.machine, session).await?;
    }
    Ok(ShownSessions { sessions: client.exec_sessions(&arguments.machine).await? })
}

impl fmt::Display for ShownSessions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sessions.is_empty() {
            return formatter.write_str("no sessions");
        }
        let mut table = table(["SESSION", "PROGRAM", "USER", "PID", "TERMINAL", "STARTED", "EXIT"]);
        for session in &self.sessions {
            table.add_row([
                session.id.to_string(),
                session.program.clone(),
                session.user.clone(),
                session.pid.to_string(),
                if session.tty { "yes" } else { "no" }.to_owned(),
                shown_time(session.started_at),
                session.exit_code.map(|code| code.to_string()).unwrap_or_default(),
            ]);
        }
        table.fmt(formatter)
    }
}

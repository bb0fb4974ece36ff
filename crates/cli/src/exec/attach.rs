//! `computer attach`: go on with a command that was left running.

use clap::Args;
use contract::client::Client;
use contract::exec_session::ExecSession;
use contract::exec_stream::ExecStart;
use contract::id::{ExecSessionId, MachineId};

use super::detach::DetachKeys;
use crate::error::CliError;

/// Which command.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  computer attach box
  computer attach box 01jdg6y3n8x4c2v9k7q5t1r0zb

The output that the guest still keeps comes first. Whoever was attached before is told, and leaves.")]
pub(crate) struct AttachArguments {
    /// The machine.
    pub(crate) machine: MachineId,
    /// The session; not needed when only one command runs.
    pub(crate) session: Option<ExecSessionId>,
    /// Do not pass standard input.
    #[arg(long, short)]
    pub(crate) no_stdin: bool,
    /// The keys that leave it running, where it has a terminal: like ctrl-p,ctrl-q, or `none`.
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    pub(crate) detach_keys: DetachKeys,
}

/// The session that is meant.
pub(super) async fn find(
    client: &Client,
    arguments: &AttachArguments,
) -> Result<ExecSession, CliError> {
    let sessions = client.exec_sessions(&arguments.machine).await?;
    choose(sessions, arguments)
}

fn choose(
    sessions: Vec<ExecSession>,
    arguments: &AttachArguments,
) -> Result<ExecSession, CliError> {
    let machine = arguments.machine.clone();
    if let Some(id) = &arguments.session {
        let found = sessions.into_iter().find(|session| session.id == *id);
        return found.ok_or_else(|| CliError::NoSession { machine, session: id.clone() });
    }
    let mut running: Vec<ExecSession> =
        sessions.into_iter().filter(|session| session.exit_code.is_none()).collect();
    match (running.pop(), running.len()) {
        (Some(session), 0) => Ok(session),
        (last, others) => {
            Err(CliError::WhichSession { machine, running: others + usize::from(last.is_some()) })
        }
    }
}

/// What the daemon is asked for.
pub(super) fn start(session: &ExecSession) -> ExecStart {
    ExecStart { session_id: Some(session.id.clone()), offset: None, ..ExecStart::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str, exit_code: Option<i32>) -> ExecSession {
        ExecSession {
            id: id.parse().unwrap(),
            program: "bash".into(),
            user: "node".into(),
            pid: 7,
            tty: true,
            stdin: true,
            output_bytes: 0,
            started_at: jiff::Timestamp::UNIX_EPOCH,
            exit_code,
            duration_ms: None,
        }
    }

    fn arguments(session: Option<&str>) -> AttachArguments {
        AttachArguments {
            machine: "box".parse().unwrap(),
            session: session.map(|id| id.parse().unwrap()),
            no_stdin: false,
            detach_keys: DetachKeys::default(),
        }
    }

    #[test]
    fn the_only_command_that_runs_is_meant_unless_one_is_named() {
        let both = || vec![session("s1", Some(0)), session("s2", None)];
        assert_eq!(choose(both(), &arguments(None)).unwrap().id.as_str(), "s2");
        assert_eq!(choose(both(), &arguments(Some("s1"))).unwrap().id.as_str(), "s1");
        let error = choose(both(), &arguments(Some("s3"))).unwrap_err();
        assert_eq!(error.to_string(), "no session s3 in box");
        let three = [both(), vec![session("s3", None)]].concat();
        let error = choose(three, &arguments(None)).unwrap_err();
        assert!(error.to_string().starts_with("2 commands run in box"), "{error}");
        choose(vec![], &arguments(None)).unwrap_err();
    }
}

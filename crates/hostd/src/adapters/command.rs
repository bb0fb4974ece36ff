//! Commands as the agent takes them, and what became of them.

use std::time::Duration;

use contract::exec::{DEFAULT_USER, ExecRequest};
use engine::record::CommandOutcome;
use guest::client::{Command, Output};

/// The command of a request, killed with all that it started after `timeout`.
pub(crate) fn to_command(request: &ExecRequest, timeout: Duration) -> Command {
    let mut command = Command::new(request.command.iter().cloned())
        .user(request.user.as_deref().unwrap_or(DEFAULT_USER))
        .timeout(timeout);
    if let Some(cwd) = &request.cwd {
        command = command.cwd(cwd);
    }
    request.env.iter().fold(command, |command, (name, value)| command.env(name, value))
}

/// What is kept of an output. A command that ran out of time, in the guest or here, has no exit code.
pub(crate) fn outcome(output: Output, waited: Duration) -> CommandOutcome {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
    let duration_ms = output.exit.as_ref().map_or(waited_ms, |exit| exit.duration_ms);
    let in_time = output.exit.filter(|exit| !exit.timed_out);
    CommandOutcome {
        exit_code: in_time.map(|exit| exit.exit_code),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        is_truncated: output.is_truncated,
        duration_ms,
    }
}

#[cfg(test)]
mod tests {
    use guest::proto::SessionExit;

    use super::*;

    #[test]
    fn a_command_that_ran_out_of_time_has_what_it_had_written_and_no_exit_code() {
        let exit = SessionExit { timed_out: true, duration_ms: 30_000, ..SessionExit::default() };
        let output = Output { stdout: b"half".to_vec(), exit: Some(exit), ..Output::default() };
        let late = outcome(output, Duration::ZERO);
        assert_eq!(
            (late.exit_code, late.stdout.as_str(), late.duration_ms),
            (None, "half", 30_000)
        );
        let silent = outcome(Output::default(), Duration::from_secs(9));
        assert_eq!((silent.exit_code, silent.duration_ms), (None, 9000));
    }

    #[test]
    fn output_that_is_no_text_is_kept_as_text() {
        let exit = SessionExit { exit_code: 3, ..SessionExit::default() };
        let output = Output { stdout: vec![b'a', 0xff], exit: Some(exit), ..Output::default() };
        let ended = outcome(output, Duration::ZERO);
        assert_eq!((ended.exit_code, ended.stdout.as_str()), (Some(3), "a\u{fffd}"));
    }
}

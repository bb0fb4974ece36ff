//! A command and its output in one answer.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use contract::error::PartialOutput;
use contract::exec::{DEFAULT_TIMEOUT_MS, DEFAULT_USER, ExecRequest, ExecResponse, MAX_TIMEOUT_MS};
use contract::{ErrorCode, MachineId};
use guest::client::{Command, Output};

use crate::http::answer::{Answered, json, of_operation};
use crate::http::api::Api;
use crate::http::decode::{At, Sent};
use crate::http::error::Failure;

/// How much longer than the command's own timeout the agent is waited for.
const ANSWER_GRACE: Duration = Duration::from_secs(5);

pub(in crate::http) async fn exec(
    State(api): State<Api>,
    At(id): At<MachineId>,
    sent: Sent<ExecRequest>,
) -> Answered {
    let request = sent.body;
    if request.command.is_empty() {
        return Err(Failure::malformed("there is no command"));
    }
    let timeout = Duration::from_millis(match request.timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS) {
        longer if longer > MAX_TIMEOUT_MS => {
            let reason = format!("timeout_ms is at most {MAX_TIMEOUT_MS}");
            return Err(Failure::new(ErrorCode::Refused, reason));
        }
        timeout => timeout,
    });
    let reached = api.reach(&id).await?;
    // The name of the session in the guest; nothing of it is journalled, since nothing of this host changes.
    let operation = api.mint.operation_id();
    let running = reached.client.run(
        operation.as_str(),
        command(request, timeout),
        timeout + ANSWER_GRACE,
        api.limits.exec_output_bytes,
    );
    let started = api.host().clock.monotonic();
    let output = running.await.map_err(|error| Failure::from(error).of(&operation))?;
    let waited = api.host().clock.monotonic().saturating_sub(started);
    drop(reached.permit);
    let response = response(output, waited).map_err(|failure| failure.of(&operation))?;
    Ok(of_operation(&operation, json(StatusCode::OK, response)))
}

fn command(request: ExecRequest, timeout: Duration) -> Command {
    let mut command = Command::new(request.command)
        .user(request.user.as_deref().unwrap_or(DEFAULT_USER))
        .timeout(timeout);
    if let Some(cwd) = request.cwd {
        command = command.cwd(cwd);
    }
    request.env.into_iter().fold(command, |command, (name, value)| command.env(name, value))
}

/// The answer; a command that ran out of time is a failure that carries what it had written.
fn response(output: Output, waited: Duration) -> Result<ExecResponse, Failure> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    match output.exit {
        Some(exit) if !exit.timed_out => Ok(ExecResponse {
            exit_code: exit.exit_code,
            stdout,
            stderr,
            duration_ms: exit.duration_ms,
        }),
        ended => {
            let waited = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            let duration_ms = ended.map_or(waited, |exit| exit.duration_ms);
            Err(Failure {
                partial: Some(PartialOutput { stdout, stderr, duration_ms }),
                ..Failure::new(ErrorCode::Deadline, "the command ran out of time")
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use guest::proto::SessionExit;

    use super::*;

    #[test]
    fn a_command_that_ran_out_of_time_answers_what_it_had_written() {
        let exit = SessionExit { timed_out: true, duration_ms: 30_000, ..SessionExit::default() };
        let output = Output { stdout: b"half".to_vec(), exit: Some(exit), ..Output::default() };
        let failure = response(output, Duration::ZERO).unwrap_err();
        assert_eq!(failure.code, ErrorCode::Deadline);
        let partial = failure.partial.unwrap();
        assert_eq!((partial.stdout.as_str(), partial.duration_ms), ("half", 30_000));
        let silent = response(Output::default(), Duration::from_secs(9)).unwrap_err();
        assert_eq!(silent.partial.unwrap().duration_ms, 9000);
    }

    #[test]
    fn output_that_is_no_text_is_answered_all_the_same() {
        let exit = SessionExit { exit_code: 3, ..SessionExit::default() };
        let output = Output { stdout: vec![b'a', 0xff], exit: Some(exit), ..Output::default() };
        let response = response(output, Duration::ZERO).unwrap();
        assert_eq!((response.exit_code, response.stdout.as_str()), (3, "a\u{fffd}"));
    }
}

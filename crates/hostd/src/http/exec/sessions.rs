//! The commands of a guest: which there are, and the end of one.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use contract::exec_session::{ExecSession, ExecSessionsAnswer};
use contract::{ExecSessionId, MachineId};
use guest::proto::SessionSummary;
use jiff::{SignedDuration, Timestamp};

use crate::http::answer::{Answered, json, of_operation};
use crate::http::api::Api;
use crate::http::decode::At;

/// Of a program's or user's name.
const MOST_CHARACTERS: usize = 100;
/// One call to the agent.
const CALL_DEADLINE: Duration = Duration::from_secs(20);

pub(in crate::http) async fn list(State(api): State<Api>, At(id): At<MachineId>) -> Answered {
    let summaries = api.agent(&id).await?.list_sessions(CALL_DEADLINE).await?;
    let now = api.host().clock.now();
    let sessions = summaries.into_iter().filter_map(|summary| session(summary, now)).collect();
    Ok(json(StatusCode::OK, ExecSessionsAnswer { sessions }))
}

pub(in crate::http) async fn end(
    State(api): State<Api>,
    At((id, session)): At<(MachineId, ExecSessionId)>,
) -> Answered {
    let client = api.agent(&id).await?;
    // Nothing of this host changes: the name is only this answer's.
    let operation = api.mint.operation_id();
    client.session(session.as_str(), 0, 0).remove(CALL_DEADLINE).await?;
    Ok(of_operation(&operation, StatusCode::NO_CONTENT.into_response()))
}

/// As the guest tells it; what has no name of ours is left out.
fn session(summary: SessionSummary, now: Timestamp) -> Option<ExecSession> {
    let age_ms = i64::try_from(summary.started_ms_ago).unwrap_or(i64::MAX);
    let started_at = now.checked_sub(SignedDuration::from_millis(age_ms));
    Some(ExecSession {
        id: summary.session_id.parse().ok()?,
        program: shown(&summary.program),
        user: if summary.user.is_empty() { "root".to_owned() } else { shown(&summary.user) },
        pid: summary.pid,
        tty: summary.terminal,
        stdin: summary.stdin_open,
        output_bytes: summary.stdout_bytes.saturating_add(summary.stderr_bytes),
        started_at: started_at.unwrap_or(Timestamp::MIN),
        exit_code: summary.exit.as_ref().map(|exit| exit.exit_code),
        duration_ms: summary.exit.map(|exit| exit.duration_ms),
    })
}

/// A guest's words stay short, and are no commands to a terminal.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MOST_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use guest::proto::SessionExit;

    use super::*;

    #[test]
    fn a_guest_cannot_name_a_session_or_a_time_that_is_none_promise_p10() {
        let now = Timestamp::UNIX_EPOCH;
        let hostile = SessionSummary { session_id: "../x".into(), ..SessionSummary::default() };
        assert_eq!(session(hostile, now), None);
        let ancient = SessionSummary {
            session_id: "s-1".into(),
            program: "\u{1b}[2Jsh\n".into(),
            started_ms_ago: u64::MAX,
            stdout_bytes: u64::MAX,
            stderr_bytes: 5,
            exit: Some(SessionExit { exit_code: 3, duration_ms: 7, ..SessionExit::default() }),
            ..SessionSummary::default()
        };
        let shown = session(ancient, now).unwrap();
        assert_eq!((shown.program.as_str(), shown.user.as_str()), ("[2Jsh", "root"));
        assert_eq!((shown.exit_code, shown.duration_ms), (Some(3), Some(7)));
        assert_eq!((shown.started_at, shown.output_bytes), (Timestamp::MIN, u64::MAX));
    }
}

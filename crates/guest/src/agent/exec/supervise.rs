//! The tasks of a session, from its start to its end.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::pump::{discard, pump_output, pump_stdin};
use super::session::{Ended, Session};
use super::spawn::Streams;
use crate::agent::nonblocking::Nonblocking;
use crate::agent::reaper::{Ending, Running};
use crate::proto::OutputStream;

/// Starts the tasks. They end with the session, but for the reading of what background processes still write.
pub(super) fn supervise(
    session: &Arc<Session>,
    running: Running,
    streams: Streams,
    lingering: &Arc<Semaphore>,
) {
    match streams {
        Streams::Pipes { stdin, stdout, stderr } => {
            follow_output(session, Arc::new(stdout), OutputStream::Stdout, lingering);
            follow_output(session, Arc::new(stderr), OutputStream::Stderr, lingering);
            if let Some(stdin) = stdin {
                follow_stdin(session, Arc::new(stdin));
            }
        }
        Streams::Terminal(terminal) => {
            follow_output(session, terminal.clone(), OutputStream::Stdout, lingering);
            if session.request.stdin {
                follow_stdin(session, terminal);
            }
        }
    }
    tokio::spawn(follow_process(session.clone(), running));
}

fn follow_output(
    session: &Arc<Session>,
    source: Arc<Nonblocking>,
    stream: OutputStream,
    lingering: &Arc<Semaphore>,
) {
    let (session, lingering) = (session.clone(), lingering.clone());
    tokio::spawn(async move {
        pump_output(&session, &source, stream).await;
        drop(session);
        // Beyond the limit the stream closes: a guest cannot pile up descriptors here (promise P10).
        if let Ok(permit) = lingering.try_acquire_owned() {
            discard(source, permit).await;
        }
    });
}

fn follow_stdin(session: &Arc<Session>, stream: Arc<Nonblocking>) {
    let session = session.clone();
    tokio::spawn(async move { pump_stdin(&session, &stream).await });
}

async fn follow_process(session: Arc<Session>, mut running: Running) {
    let timeout_ms = session.request.timeout_ms;
    let timeout = async {
        match timeout_ms {
            0 => pending().await,
            timeout_ms => sleep(Duration::from_millis(timeout_ms)).await,
        }
    };
    let ending = tokio::select! {
        ending = &mut running.ending => ending,
        () = timeout => {
            session.change(|state| state.timed_out = true);
            if let Err(error) = session.kill_tree() {
                tracing::warn!(%error, session = session.request.session_id, "could not kill");
            }
            running.ending.await
        }
    };
    // Only a reaper that is gone drops the sender, and then the agent ends.
    let ending = ending.unwrap_or(Ending::Killed(libc::SIGKILL));
    session.change(|state| {
        state.ended = Some(Ended { ending, at: Instant::now() });
        state.stdin.break_off();
    });
}

//! Start and Connect: the events of a process, until it ends or the client leaves.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval_at};

use super::access;
use super::calls::size;
use super::codec::Codec;
use super::envelope;
use super::error::ConnectError;
use super::find::find;
use super::messages::{
    ConnectRequest, DataEvent, Empty, EndEvent, Event, EventResponse, Output, ProcessEvent,
    StartEvent, StartRequest,
};
use crate::agent::exec::{Attachment, Session};
use crate::agent::machine::Machine;
use crate::proto::attach_event::Event as Happened;
use crate::proto::{OutputPolicy, OutputStream, SessionExit, StartRequest as SessionRequest};

/// How often a silent process is told to be there, unless the client says: proxies end silent connections.
const KEEPALIVE: Duration = Duration::from_secs(90);
/// The seconds that a client may ask for.
const KEEPALIVE_SECONDS: std::ops::RangeInclusive<u64> = 1..=3600;
const KEEPALIVE_HEADER: &str = "keepalive-ping-interval";
const TIMEOUT_HEADER: &str = "connect-timeout-ms";

/// What is said to a client from now on.
pub(super) struct Telling {
    attachment: Attachment,
    pid: u32,
    has_terminal: bool,
    keepalive: Duration,
}

/// Starts a process as the user that the request names.
pub(super) async fn start(
    machine: &Machine,
    request: StartRequest,
    headers: &HeaderMap,
) -> Result<Telling, ConnectError> {
    let process = request.process.unwrap_or_default();
    let session_request = SessionRequest {
        session_id: request.tag.unwrap_or_else(|| machine.sessions.fresh_id("connect")),
        command: std::iter::once(process.cmd).chain(process.args).collect(),
        cwd: process.cwd.unwrap_or_default(),
        env: process.envs,
        user: access::user(headers)?,
        stdin: request.pty.is_some() || request.stdin.unwrap_or(true),
        terminal: size(request.pty),
        timeout_ms: number(headers, TIMEOUT_HEADER).unwrap_or(0),
        output_policy: OutputPolicy::WaitForReader.into(),
    };
    let thawed = machine.freezer.hold_thawed().await;
    let session = machine.sessions.start_anew(session_request, &thawed)?;
    drop(thawed);
    Ok(Telling::of(session, headers))
}

/// Goes on with a process from where it was last read.
pub(super) fn connect(
    machine: &Machine,
    request: ConnectRequest,
    headers: &HeaderMap,
) -> Result<Telling, ConnectError> {
    Ok(Telling::of(find(machine, request.process)?, headers))
}

impl Telling {
    fn of(session: Arc<Session>, headers: &HeaderMap) -> Telling {
        let seconds =
            number(headers, KEEPALIVE_HEADER).filter(|seconds| KEEPALIVE_SECONDS.contains(seconds));
        Telling {
            pid: session.process_id(),
            has_terminal: session.request.terminal.is_some(),
            keepalive: seconds.map_or(KEEPALIVE, Duration::from_secs),
            attachment: Attachment::open_unread(session),
        }
    }

    /// Tells until the end. A client that leaves ends the telling, not the process.
    pub(super) async fn tell(mut self, codec: Codec, client: mpsc::Sender<Bytes>) {
        let ended = tokio::select! {
            ended = self.tell_all(codec, &client) => ended,
            () = client.closed() => return,
        };
        // A client that is gone by now needs no end.
        drop(client.send(envelope::end(ended.err().as_ref())).await);
    }

    async fn tell_all(
        &mut self,
        codec: Codec,
        client: &mpsc::Sender<Bytes>,
    ) -> Result<(), ConnectError> {
        let first = Event::Start(StartEvent { pid: self.pid });
        send(codec, client, first).await?;
        let mut silence = interval_at(tokio::time::Instant::now() + self.keepalive, self.keepalive);
        silence.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let happened = tokio::select! {
                happened = self.attachment.next() => happened?,
                _ = silence.tick() => {
                    send(codec, client, Event::Keepalive(Empty {})).await?;
                    continue;
                }
            };
            silence.reset();
            let (event, is_last) = match happened {
                Happened::Chunk(chunk) => {
                    let output = match (self.has_terminal, chunk.stream()) {
                        (true, _) => Output::Pty(chunk.data),
                        (false, OutputStream::Stderr) => Output::Stderr(chunk.data),
                        (false, _) => Output::Stdout(chunk.data),
                    };
                    (Event::Data(DataEvent { output: Some(output) }), false)
                }
                // The protocol has no word for it.
                Happened::Lost(_) => continue,
                Happened::Exit(exit) => (Event::End(end(&exit)), true),
            };
            send(codec, client, event).await?;
            self.attachment.acknowledge();
            if is_last {
                return Ok(());
            }
        }
    }
}

/// Nobody hears it when the client is gone; then the telling ends too.
async fn send(
    codec: Codec,
    client: &mpsc::Sender<Bytes>,
    event: Event,
) -> Result<(), ConnectError> {
    let response = EventResponse { event: Some(ProcessEvent { event: Some(event) }) };
    let message = envelope::message(&codec.encode(&response)?);
    if client.send(message).await.is_err() {
        std::future::pending::<()>().await;
    }
    Ok(())
}

fn end(exit: &SessionExit) -> EndEvent {
    let (exit_code, status) = match exit.signal {
        0 => (exit.exit_code, format!("exit status {}", exit.exit_code)),
        _ if exit.timed_out => (-1, "signal: killed (it ran out of time)".to_owned()),
        libc::SIGKILL => (-1, "signal: killed".to_owned()),
        libc::SIGTERM => (-1, "signal: terminated".to_owned()),
        signal => (-1, format!("signal: {signal}")),
    };
    let error = (exit_code != 0).then(|| status.clone());
    EndEvent { exit_code, exited: exit.signal == 0, status, error }
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_in_the_words_that_clients_know() {
        let exit = |exit_code, signal| SessionExit { exit_code, signal, ..SessionExit::default() };
        let well = end(&exit(0, 0));
        assert_eq!((well.exit_code, well.exited, well.error), (0, true, None));
        let badly = end(&exit(3, 0));
        assert_eq!((badly.exit_code, badly.error.as_deref()), (3, Some("exit status 3")));
        let killed = end(&exit(137, libc::SIGKILL));
        assert_eq!((killed.exit_code, killed.exited), (-1, false));
        assert_eq!(killed.status, "signal: killed");
    }
}

//! The conversation with a command, over one connection or several.
//!
//! A connection that breaks is made again: the command goes on in the guest, output is read on from where it stopped, and
//! input that had not arrived is sent again.

use std::time::Duration;

use contract::ErrorCode;
use contract::client::{
    Client, ClientError, ExecConnection, ExecReceived, ExecReceiver, ExecSender, KEEP_ALIVE,
};
use contract::exec_stream::{ExecChannel, ExecControl, ExecEvent, ExecFrame, ExecStart};
use contract::id::{ExecSessionId, MachineId};
use tokio::io::{AsyncWriteExt as _, stderr, stdout};
use tokio::time::{Instant, MissedTickBehavior};

use super::detach::{Typed, Watch};
use super::input::Input;
use super::sent::Sent;
use super::signals::Signals;
use crate::error::CliError;

/// For how long a broken connection is tried again, long enough for a daemon to be started anew.
const ATTACH_DEADLINE: Duration = Duration::from_secs(30);
/// How long to wait between tries.
const ATTACH_PAUSE: Duration = Duration::from_millis(500);

/// How a conversation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// The command ended so.
    Exited(i32),
    /// It goes on without us.
    Left(ExecSessionId),
}

/// What this side says to the command.
#[derive(Debug)]
pub(super) struct Speaker {
    pub(super) input: Input,
    pub(super) signals: Signals,
    /// Looks for the keys that leave, where a person types.
    pub(super) watch: Option<Watch>,
    /// Said once the command is reached.
    pub(super) greeting: Option<ExecControl>,
    /// Whether it is left as soon as it runs.
    pub(super) leaves_at_once: bool,
    pub(super) sent: Sent,
}

/// One command.
#[derive(Debug)]
pub(super) struct Session<'a> {
    client: &'a Client,
    machine: MachineId,
    start: ExecStart,
    // How many bytes of output came, and when the connection broke if it did and nothing came since.
    received_bytes: u64,
    broken_since: Option<Instant>,
    is_known: bool,
}

impl<'a> Session<'a> {
    pub(super) fn new(client: &'a Client, machine: MachineId, start: ExecStart) -> Self {
        let received_bytes = start.offset.unwrap_or(0);
        Self { client, machine, start, received_bytes, broken_since: None, is_known: false }
    }

    /// Runs the command until it ends or is left.
    pub(super) async fn run(mut self, mut speaker: Speaker) -> Result<Ended, CliError> {
        loop {
            let lost = match self.client.exec_stream(&self.machine, &self.start).await {
                Ok(connection) => match self.converse(connection, &mut speaker).await {
                    Err(lost) => lost,
                    Ok(ended) => return Ok(ended),
                },
                Err(error) => error.into(),
            };
            if !self.may_attach_again(&lost) {
                return Err(lost);
            }
            tokio::time::sleep(ATTACH_PAUSE).await;
        }
    }

    /// A connection that broke is made again once the session is known.
    fn may_attach_again(&mut self, lost: &CliError) -> bool {
        let is_connection = match lost {
            CliError::CommandLost => true,
            CliError::Command { code, .. } => *code == ErrorCode::Unavailable,
            CliError::Daemon(error) => match error {
                ClientError::Connect { .. }
                | ClientError::Transport { .. }
                | ClientError::Deadline { .. }
                | ClientError::WebSocket(_) => true,
                ClientError::Refused(refusal) => refusal.status.as_u16() == 503,
                _ => false,
            },
            _ => false,
        };
        self.start.offset = Some(self.received_bytes);
        is_connection
            && self.is_known
            && self.broken_since.get_or_insert_with(Instant::now).elapsed() < ATTACH_DEADLINE
    }

    async fn converse(
        &mut self,
        connection: ExecConnection,
        speaker: &mut Speaker,
    ) -> Result<Ended, CliError> {
        let ExecConnection { mut sender, mut receiver } = connection;
        let id = self.reach(&mut sender, &mut receiver, speaker).await?;
        if speaker.leaves_at_once {
            sender.close().await?;
            return Ok(Ended::Left(id));
        }
        let ended = {
            let sending = speak(&mut sender, speaker);
            let receiving = self.receive(&mut receiver);
            tokio::pin!(sending, receiving);
            tokio::select! {
                ended = &mut receiving => ended.map(Ended::Exited),
                stopped = &mut sending => match stopped {
                    Ok(Leaving) => Ok(Ended::Left(id)),
                    // What cannot be sent any more may have ended already: the other direction knows.
                    Err(error) => match receiving.await {
                        Err(CliError::Daemon(_) | CliError::CommandLost) => Err(error),
                        ended => ended.map(Ended::Exited),
                    },
                },
            }
        };
        if ended.is_ok()
            && let Err(error) = sender.close().await
        {
            tracing::debug!(%error, "the connection was gone before it was closed");
        }
        ended
    }

    /// Waits for the command to run, and sends again what it has not taken.
    async fn reach(
        &mut self,
        sender: &mut ExecSender,
        receiver: &mut ExecReceiver,
        speaker: &mut Speaker,
    ) -> Result<ExecSessionId, CliError> {
        let (session_id, stdin_offset) = match receiver.next().await? {
            Some(ExecReceived::Event(ExecEvent::Started { session_id, stdin_offset })) => {
                (session_id, stdin_offset)
            }
            Some(ExecReceived::Event(ExecEvent::Error { error, code })) => {
                return Err(CliError::Command { message: error, code });
            }
            Some(_) | None => return Err(CliError::CommandLost),
        };
        if !self.is_known {
            speaker.sent.begin_at(stdin_offset.unwrap_or(0));
        }
        self.start = ExecStart { session_id: Some(session_id.clone()), ..ExecStart::default() };
        self.is_known = true;
        if let Some(taken) = stdin_offset {
            let again = speaker.sent.after(taken).ok_or(CliError::InputLost)?;
            sender.input(again).await?;
            if speaker.sent.is_closed() {
                sender.control(&ExecControl::StdinClose).await?;
            }
        }
        if let Some(greeting) = &speaker.greeting {
            sender.control(greeting).await?;
        }
        Ok(session_id)
    }

    async fn receive(&mut self, receiver: &mut ExecReceiver) -> Result<i32, CliError> {
        while let Some(received) = receiver.next().await? {
            self.broken_since = None;
            match received {
                ExecReceived::Output(frame) => {
                    write(&frame).await.map_err(CliError::Print)?;
                    self.received_bytes =
                        self.received_bytes.saturating_add(frame.data.len() as u64);
                }
                ExecReceived::Event(ExecEvent::Lost { bytes }) => {
                    eprintln!("computer: {bytes} bytes of its output are gone");
                    self.received_bytes = self.received_bytes.saturating_add(bytes);
                }
                ExecReceived::Event(ExecEvent::Started { .. }) => {}
                ExecReceived::Event(ExecEvent::Exited { exit_code, duration_ms: _ }) => {
                    return Ok(exit_code);
                }
                ExecReceived::Event(ExecEvent::Error { error, code }) => {
                    return Err(CliError::Command { message: error, code });
                }
            }
        }
        Err(CliError::CommandLost)
    }
}

async fn write(frame: &ExecFrame) -> std::io::Result<()> {
    match frame.channel {
        ExecChannel::Stderr => {
            let mut stderr = stderr();
            stderr.write_all(&frame.data).await?;
            stderr.flush().await
        }
        // Nobody sends us standard input.
        ExecChannel::Stdout | ExecChannel::Stdin => {
            let mut stdout = stdout();
            stdout.write_all(&frame.data).await?;
            stdout.flush().await
        }
    }
}

/// The keys that leave were typed.
struct Leaving;

/// Sends until something is wrong, or the command is to be left.
async fn speak(sender: &mut ExecSender, speaker: &mut Speaker) -> Result<Leaving, CliError> {
    let mut alive = tokio::time::interval(KEEP_ALIVE);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            piece = speaker.input.next() => {
                let Some(piece) = piece? else {
                    speaker.sent.close();
                    sender.control(&ExecControl::StdinClose).await?;
                    continue;
                };
                let (piece, leaves) = match speaker.watch.as_mut().map(|watch| watch.pass(piece.clone())) {
                    None => (piece, false),
                    Some(Typed::Input(piece)) => (piece, false),
                    Some(Typed::Leave(piece)) => (piece, true),
                };
                speaker.sent.note(&piece);
                sender.input(piece).await?;
                if leaves {
                    return Ok(Leaving);
                }
            }
            control = speaker.signals.next() => sender.control(&control).await?,
            _ = alive.tick() => sender.keep_alive().await?,
        }
    }
}

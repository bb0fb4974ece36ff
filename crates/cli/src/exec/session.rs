//! The conversation with a command: input, signals and sizes to it, output and end from it.

use std::time::Duration;

use contract::client::{
    Client, ClientError, ExecConnection, ExecReceived, ExecReceiver, ExecSender, KEEP_ALIVE,
};
use contract::exec_stream::{ExecChannel, ExecControl, ExecEvent, ExecFrame, ExecStart};
use contract::id::MachineId;
use tokio::io::{AsyncWriteExt as _, stderr, stdout};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior};

use super::input::Input;
use super::terminal;
use crate::error::CliError;

/// For how long a broken connection is tried again, long enough for a daemon to be started anew.
const ATTACH_DEADLINE: Duration = Duration::from_secs(30);
/// How long to wait between tries.
const ATTACH_PAUSE: Duration = Duration::from_millis(500);

/// One run of a command, over one connection or several.
#[derive(Debug)]
pub(super) struct Session<'a> {
    client: &'a Client,
    machine: MachineId,
    start: ExecStart,
    // How many bytes of output came, and when the connection broke if it did and nothing came since.
    received_bytes: u64,
    broken_since: Option<Instant>,
}

impl<'a> Session<'a> {
    pub(super) fn new(client: &'a Client, machine: MachineId, start: ExecStart) -> Self {
        Self { client, machine, start, received_bytes: 0, broken_since: None }
    }

    /// Runs the command to its end, and answers its exit code.
    pub(super) async fn run(
        mut self,
        mut input: Input,
        mut signals: Signals,
    ) -> Result<i32, CliError> {
        loop {
            let lost = match self.client.exec_stream(&self.machine, &self.start).await {
                Ok(connection) => match self.converse(connection, &mut input, &mut signals).await {
                    Err(lost) => lost,
                    Ok(code) => return Ok(code),
                },
                Err(error) => error.into(),
            };
            if !self.may_attach_again(&lost, &input) {
                return Err(lost);
            }
            tokio::time::sleep(ATTACH_PAUSE).await;
        }
    }

    /// A connection that broke is made again once the session is known and no input can have been lost with it.
    fn may_attach_again(&mut self, lost: &CliError, input: &Input) -> bool {
        let is_connection = match lost {
            CliError::CommandLost => true,
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
        if !is_connection || self.start.session_id.is_none() || !input.is_ended() {
            return false;
        }
        self.start.offset = Some(self.received_bytes);
        self.broken_since.get_or_insert_with(Instant::now).elapsed() < ATTACH_DEADLINE
    }

    async fn converse(
        &mut self,
        connection: ExecConnection,
        input: &mut Input,
        signals: &mut Signals,
    ) -> Result<i32, CliError> {
        let ExecConnection { mut sender, mut receiver } = connection;
        let sending = send(&mut sender, input, signals);
        let receiving = self.receive(&mut receiver);
        tokio::pin!(sending, receiving);
        tokio::select! {
            ended = &mut receiving => ended,
            // What cannot be sent any more may have ended already: the other direction knows.
            stopped = &mut sending => match receiving.await {
                Err(CliError::Daemon(_) | CliError::CommandLost) => Err(stopped),
                ended => ended,
            },
        }
    }

    async fn receive(&mut self, receiver: &mut ExecReceiver) -> Result<i32, CliError> {
        while let Some(received) = receiver.next().await? {
            self.broken_since = None;
            match received {
                ExecReceived::Output(frame) => {
                    write(&frame).await.map_err(CliError::Print)?;
                    self.received_bytes += frame.data.len() as u64;
                }
                ExecReceived::Event(ExecEvent::Started { session_id }) => {
                    self.start = ExecStart { session_id: Some(session_id), ..ExecStart::default() };
                }
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

/// Sends until something is wrong, and answers what.
async fn send(sender: &mut ExecSender, input: &mut Input, signals: &mut Signals) -> CliError {
    let mut alive = tokio::time::interval(KEEP_ALIVE);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let sent = tokio::select! {
            piece = input.next() => match piece {
                Ok(Some(piece)) => sender.input(piece).await,
                Ok(None) => sender.control(&ExecControl::StdinClose).await,
                Err(error) => return error,
            },
            control = signals.next() => sender.control(&control).await,
            _ = alive.tick() => sender.keep_alive().await,
        };
        if let Err(error) = sent {
            return error.into();
        }
    }
}

/// What this process is told by signals and the guest's command is to be told too.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    resize: Signal,
    has_terminal: bool,
}

impl Signals {
    /// Begins to listen. Sizes matter only when the command has a terminal.
    pub(super) fn listen(has_terminal: bool) -> Result<Self, CliError> {
        let listen = |kind| signal(kind).map_err(CliError::Signals);
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
            resize: listen(SignalKind::window_change())?,
            has_terminal,
        })
    }

    async fn next(&mut self) -> ExecControl {
        let number = |kind: SignalKind| ExecControl::Signal { signal: kind.as_raw_value() };
        tokio::select! {
            _ = self.interrupt.recv() => number(SignalKind::interrupt()),
            _ = self.terminate.recv() => number(SignalKind::terminate()),
            _ = self.hangup.recv() => number(SignalKind::hangup()),
            _ = self.resize.recv(), if self.has_terminal => ExecControl::Resize(terminal::size()),
        }
    }
}

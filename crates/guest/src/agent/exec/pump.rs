//! Moves bytes between a command's descriptors and its session's buffers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::session::Session;
use super::stdin::Next;
use crate::agent::nonblocking::Nonblocking;
use crate::proto::OutputStream;

/// Read at once; a pipe holds 64 KiB.
const READ_BYTES: usize = 16 * 1024;

/// What a terminal takes for the end of its input (control-D).
const END_OF_FILE: &[u8] = &[4];

enum Step {
    /// Bytes came, or room has to be waited for.
    Again,
    /// There is room, and nothing to read now.
    Readable,
    /// No more bytes come, or none that count.
    Complete,
}

/// Reads until the command has ended and all that it wrote is taken. What background processes write later is not
/// output of the session; see [`discard`].
pub(super) async fn pump_output(session: &Session, source: &Nonblocking, stream: OutputStream) {
    let mut changes = session.watch();
    loop {
        let (has_ended, is_removed, room, patience) = {
            let state = session.state();
            (state.ended.is_some(), state.is_removed, state.room(), state.patience())
        };
        if is_removed {
            break;
        }
        let step = if room == 0 { Step::Again } else { read_once(session, source, stream, room) };
        match step {
            Step::Again if room > 0 => tokio::task::yield_now().await,
            Step::Again => {
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { break },
                    () = patience_ends(patience) => {}
                }
            }
            // It had ended before that read: the pipe held all that it ever wrote.
            Step::Readable if has_ended => break,
            Step::Readable => {
                tokio::select! {
                    readable = source.readable() => if readable.is_err() { break },
                    changed = changes.changed() => if changed.is_err() { break },
                }
            }
            Step::Complete => break,
        }
    }
    session.change(|state| state.output.complete(stream));
}

async fn patience_ends(patience: Option<Duration>) {
    match patience {
        Some(patience) => tokio::time::sleep(patience).await,
        None => std::future::pending().await,
    }
}

fn read_once(session: &Session, source: &Nonblocking, stream: OutputStream, room: usize) -> Step {
    let mut buffer = [0; READ_BYTES];
    let length = room.min(READ_BYTES);
    match source.try_read(&mut buffer[..length]) {
        Ok(0) => Step::Complete,
        Ok(length) => {
            session.change(|state| state.output.push(stream, &buffer[..length]));
            Step::Again
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Step::Readable,
        // A terminal whose last user is gone says EIO.
        Err(_) => Step::Complete,
    }
}

/// Reads and forgets what processes that outlive their session still write, so that they do not end by SIGPIPE.
pub(super) async fn discard(stream: Arc<Nonblocking>, _permit: OwnedSemaphorePermit) {
    let mut buffer = vec![0; READ_BYTES / 4];
    loop {
        match stream.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => tokio::task::yield_now().await,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if stream.readable().await.is_err() {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

/// Writes what is queued until stdin is closed or the command takes no more.
pub(super) async fn pump_stdin(session: &Session, stream: &Nonblocking) {
    let mut changes = session.watch();
    loop {
        let next = session.state().stdin.next();
        match next {
            Next::Write(data) => {
                if write_all(session, stream, &data).await.is_err() {
                    break;
                }
                // There is room for those who wait.
                session.change(|_state| ());
            }
            Next::Close => {
                if session.terminal.is_some() && stream.write(END_OF_FILE).await.is_err() {
                    tracing::debug!("a terminal was gone before its end of file");
                }
                break;
            }
            Next::Wait => {
                if changes.changed().await.is_err() {
                    break;
                }
            }
            Next::Stop => break,
        }
    }
    session.change(|state| state.stdin.break_off());
}

/// Ends early with the command, which may never read.
async fn write_all(session: &Session, stream: &Nonblocking, mut data: &[u8]) -> io::Result<()> {
    let mut changes = session.watch();
    while !data.is_empty() {
        tokio::select! {
            written = stream.write(data) => data = &data[written?..],
            _ = changes.changed() => {
                let state = session.state();
                if state.is_removed || state.ended.is_some() {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
            }
        }
    }
    Ok(())
}

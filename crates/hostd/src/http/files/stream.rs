//! Bytes between a caller and a guest, each waiting for the other with a bound.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use contract::ErrorCode;
use futures_util::StreamExt;
use guest::client::{FileReader, FileWriter};
use guest::proto::files::WriteDone;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::failure::failed;
use super::reach::Held;
use crate::http::error::Failure;

/// How long either side may take for its next piece.
pub(super) const STALL: Duration = Duration::from_secs(600);
/// Pieces taken from the guest that the caller has not read: enough that neither waits for the other at every one.
const PIECES: usize = 16;

/// The next piece of an answer, or why there is none.
type Piece = io::Result<Bytes>;

/// A body of what a guest sends. `length` bytes of it, where that is known: then fewer are an error, and more are left out.
pub(super) fn body(reader: FileReader, length: Option<u64>, held: Held) -> Body {
    let (sender, pieces) = mpsc::channel::<Piece>(PIECES);
    tokio::spawn(async move {
        let _held = held;
        if let Err(error) = send_all(reader, length, &sender).await {
            // A caller that is gone, or takes nothing, is not told.
            drop(timeout(STALL, sender.send(Err(error))).await);
        }
    });
    Body::from_stream(futures_util::stream::unfold(pieces, async |mut pieces| {
        pieces.recv().await.map(|piece| (piece, pieces))
    }))
}

async fn send_all(
    mut reader: FileReader,
    length: Option<u64>,
    sender: &mpsc::Sender<Piece>,
) -> io::Result<()> {
    let mut left = length.unwrap_or(u64::MAX);
    while left > 0 {
        let chunk = reader.next_chunk(STALL).await.map_err(io::Error::other)?;
        let Some(mut chunk) = chunk else { break };
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= chunk.len() as u64;
        match timeout(STALL, sender.send(Ok(chunk))).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
    match length {
        Some(_) if left > 0 => Err(io::ErrorKind::UnexpectedEof.into()),
        Some(_) | None => Ok(()),
    }
}

/// Hands a caller's bytes to a guest, to their end, and adds them to the sum where one is wanted. A body that is cut short is no end.
pub(super) async fn take(
    body: Body,
    mut writer: FileWriter,
    sum: &mut Option<Sha256>,
) -> Result<WriteDone, Failure> {
    let mut pieces = body.into_data_stream();
    loop {
        let piece = timeout(STALL, pieces.next())
            .await
            .map_err(|_elapsed| Failure::malformed("the body did not come in time"))?;
        match piece {
            Some(Ok(data)) => {
                if let Some(sum) = sum {
                    sum.update(&data);
                }
                writer.write(data, STALL).await.map_err(failed)?;
            }
            Some(Err(error)) => {
                return Err(Failure::malformed(format!("the body ended early: {error}")));
            }
            None => break,
        }
    }
    let done = writer.finish(STALL).await.map_err(failed)?;
    if done.stat.is_none() {
        return Err(Failure::new(ErrorCode::Unavailable, "the guest said nothing of the file"));
    }
    Ok(done)
}

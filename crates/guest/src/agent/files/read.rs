//! Reads a file as a stream.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::change::to_stat;
use super::error::{FileError, resolve};
use crate::agent::places::Places;
use crate::limits;
use crate::proto::read_event::Event;
use crate::proto::{FileStat, ReadEvent, ReadRequest};

/// Chunks made but not taken by HTTP/2 yet.
const PENDING_CHUNKS: usize = 2;

/// A file at the offset that was asked for.
#[derive(Debug)]
pub(crate) struct Opened {
    file: io::Take<File>,
    stat: FileStat,
}

/// Opens a regular file; anything else (a pipe, a device) could block for ever.
pub(crate) fn open(places: &Places, request: &ReadRequest) -> Result<Opened, FileError> {
    let path = resolve(places, &request.path)?;
    let mut file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&path)
        .map_err(FileError::io("open", &path))?;
    let meta = file.metadata().map_err(FileError::io("stat", &path))?;
    if !meta.is_file() {
        return Err(FileError::NotAFile(path));
    }
    file.seek(SeekFrom::Start(request.offset)).map_err(FileError::io("seek in", &path))?;
    let length = if request.length == 0 { u64::MAX } else { request.length };
    Ok(Opened { file: file.take(length), stat: to_stat(&meta) })
}

/// The stat, then the data. Ends early when the host goes away.
pub(crate) fn stream(opened: Opened) -> ReceiverStream<Result<ReadEvent, Status>> {
    let (sender, events) = mpsc::channel(PENDING_CHUNKS);
    tokio::task::spawn_blocking(move || {
        let Opened { mut file, stat } = opened;
        let mut next = Ok(Some(Event::Stat(stat)));
        loop {
            let (message, is_last) = match next {
                Ok(Some(event)) => (Ok(ReadEvent { event: Some(event) }), false),
                Ok(None) => return,
                Err(error) => (Err(Status::internal(format!("read: {error}"))), true),
            };
            if sender.blocking_send(message).is_err() || is_last {
                return;
            }
            next = read_chunk(&mut file).map(|chunk| chunk.map(Event::Data));
        }
    });
    ReceiverStream::new(events)
}

fn read_chunk(file: &mut impl io::Read) -> io::Result<Option<Bytes>> {
    let mut chunk = vec![0; limits::CHUNK_BYTES];
    let mut filled = 0;
    while filled < chunk.len() {
        match file.read(&mut chunk[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    chunk.truncate(filled);
    Ok((filled > 0).then(|| chunk.into()))
}

//! A session's stdin: bytes by offset, so that a repeated write is harmless.

use std::collections::VecDeque;

use crate::limits;

/// Why a write or a close cannot be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum WriteError {
    #[error("the command was started without stdin")]
    None,
    #[error("bytes between {accepted} and {offset} are missing")]
    Gap { accepted: u64, offset: u64 },
    #[error("stdin was closed")]
    Closed,
}

/// Bytes that the command has not read, and how many were ever taken.
#[derive(Debug)]
pub(super) struct StdinQueue {
    state: State,
    accepted: u64,
    bytes: VecDeque<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The command was started without.
    None,
    Open,
    /// The host closes it after what is queued.
    Closing,
    /// The command reads no more.
    Broken,
}

/// What the pump does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Write(Vec<u8>),
    Close,
    Wait,
    Stop,
}

impl StdinQueue {
    /// Of a command that is given input.
    pub(super) fn open() -> StdinQueue {
        StdinQueue::new(State::Open)
    }

    /// Of one that is not.
    pub(super) fn none() -> StdinQueue {
        StdinQueue::new(State::None)
    }

    fn new(state: State) -> StdinQueue {
        StdinQueue { state, accepted: 0, bytes: VecDeque::new() }
    }

    pub(super) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// More may be written.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(super) fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// Takes what is new of `data` and fits; answers whether all was taken.
    pub(super) fn offer(&mut self, offset: u64, data: &[u8]) -> Result<bool, WriteError> {
        let end = offset.saturating_add(data.len() as u64);
        if self.state == State::None {
            return Err(WriteError::None);
        }
        let Some(known) = self.accepted.checked_sub(offset) else {
            return Err(WriteError::Gap { accepted: self.accepted, offset });
        };
        if self.state == State::Broken || end <= self.accepted {
            return Ok(true);
        }
        if self.state == State::Closing {
            return Err(WriteError::Closed);
        }
        let known = usize::try_from(known).unwrap_or(usize::MAX).min(data.len());
        let new = &data[known..];
        let taken = new.len().min(limits::STDIN_BYTES - self.bytes.len());
        self.bytes.extend(&new[..taken]);
        self.accepted += taken as u64;
        Ok(taken == new.len())
    }

    /// Closes after `offset` bytes in all.
    pub(super) fn close(&mut self, offset: u64) -> Result<(), WriteError> {
        match self.state {
            State::None => Err(WriteError::None),
            State::Broken | State::Closing => Ok(()),
            State::Open if offset != self.accepted => {
                Err(WriteError::Gap { accepted: self.accepted, offset })
            }
            State::Open => {
                self.state = State::Closing;
                Ok(())
            }
        }
    }

    /// The command reads no more.
    pub(super) fn break_off(&mut self) {
        if self.state != State::None {
            self.state = State::Broken;
            self.bytes = VecDeque::new();
        }
    }

    pub(super) fn next(&mut self) -> Next {
        match self.state {
            State::None | State::Broken => Next::Stop,
            State::Open if self.bytes.is_empty() => Next::Wait,
            State::Closing if self.bytes.is_empty() => Next::Close,
            State::Open | State::Closing => {
                let length = self.bytes.len().min(limits::CHUNK_BYTES);
                Next::Write(self.bytes.drain(..length).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_write_is_taken_once() {
        let mut queue = StdinQueue::open();
        assert_eq!(queue.offer(0, b"hello"), Ok(true));
        assert_eq!(queue.offer(0, b"hello"), Ok(true));
        assert_eq!(queue.offer(3, b"lo wor"), Ok(true));
        assert_eq!(queue.accepted(), 9);
        assert_eq!(queue.next(), Next::Write(b"hello wor".to_vec()));
        assert_eq!(queue.next(), Next::Wait);
    }

    #[test]
    fn a_gap_is_refused() {
        let mut queue = StdinQueue::open();
        assert_eq!(queue.offer(1, b"x"), Err(WriteError::Gap { accepted: 0, offset: 1 }));
        assert_eq!(queue.close(1), Err(WriteError::Gap { accepted: 0, offset: 1 }));
    }

    #[test]
    fn a_full_queue_takes_no_more_than_its_bound_promise_p10() {
        let mut queue = StdinQueue::open();
        let data = vec![1; limits::STDIN_BYTES + 5];
        assert_eq!(queue.offer(0, &data), Ok(false));
        assert_eq!(queue.accepted(), limits::STDIN_BYTES as u64);
        assert_eq!(queue.offer(0, &data), Ok(false));
        assert!(matches!(queue.next(), Next::Write(_)));
        assert_eq!(queue.offer(0, &data), Ok(true));
    }

    #[test]
    fn it_closes_after_what_was_written() {
        let mut queue = StdinQueue::open();
        assert_eq!(queue.offer(0, b"x"), Ok(true));
        assert_eq!(queue.close(1), Ok(()));
        assert_eq!(queue.offer(1, b"y"), Err(WriteError::Closed));
        assert_eq!(queue.offer(0, b"x"), Ok(true));
        assert_eq!(queue.next(), Next::Write(b"x".to_vec()));
        assert_eq!(queue.next(), Next::Close);
    }

    #[test]
    fn without_stdin_there_is_nothing_to_write_to() {
        let mut queue = StdinQueue::none();
        assert_eq!(queue.offer(0, b"x"), Err(WriteError::None));
        assert_eq!(queue.next(), Next::Stop);
    }
}

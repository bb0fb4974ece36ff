//! One output stream: the bytes that the host may still ask for.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::limits;
use crate::proto::OutputPolicy;

/// Bytes `[first, end)` of the stream.
#[derive(Debug)]
pub(super) struct OutputBuffer {
    policy: OutputPolicy,
    first: u64,
    bytes: VecDeque<u8>,
    is_complete: bool,
}

/// What a reader at some offset gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Data { offset: u64, data: Bytes },
    Lost { from: u64, to: u64 },
}

impl OutputBuffer {
    pub(super) fn new(policy: OutputPolicy) -> OutputBuffer {
        OutputBuffer { policy, first: 0, bytes: VecDeque::new(), is_complete: false }
    }

    /// The length of the stream so far.
    pub(super) fn end(&self) -> u64 {
        self.first + self.bytes.len() as u64
    }

    /// How much may be put in now.
    pub(super) fn room(&self) -> usize {
        match self.policy {
            OutputPolicy::Wait => limits::OUTPUT_BYTES.saturating_sub(self.bytes.len()),
            OutputPolicy::DropOldest => limits::OUTPUT_BYTES,
        }
    }

    /// Puts bytes in, at most [`OutputBuffer::room`].
    pub(super) fn push(&mut self, data: &[u8]) {
        let too_many = (self.bytes.len() + data.len()).saturating_sub(limits::OUTPUT_BYTES);
        self.forget(self.first + too_many as u64);
        self.bytes.extend(data);
    }

    /// Nothing more comes.
    pub(super) fn complete(&mut self) {
        self.is_complete = true;
    }

    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// From here on the oldest bytes go when there are too many.
    pub(super) fn drop_oldest(&mut self) {
        self.policy = OutputPolicy::DropOldest;
    }

    /// The host has everything below `offset`.
    pub(super) fn acknowledge(&mut self, offset: u64) {
        self.forget(offset.min(self.end()));
        if self.bytes.is_empty() {
            self.bytes = VecDeque::new();
        }
    }

    fn forget(&mut self, below: u64) {
        let count = below.saturating_sub(self.first);
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(self.bytes.len());
        self.bytes.drain(..count);
        self.first += count as u64;
    }

    /// What a reader that has everything below `offset` gets next; `None` when there is nothing yet.
    pub(super) fn piece(&self, offset: u64) -> Option<Piece> {
        if offset < self.first {
            return Some(Piece::Lost { from: offset, to: self.first });
        }
        let skipped = usize::try_from(offset - self.first).ok()?;
        let rest = self.bytes.len().checked_sub(skipped).filter(|rest| *rest > 0)?;
        let length = rest.min(limits::CHUNK_BYTES);
        // The buffer is a ring: what is asked for may lie in its first part, its second, or both.
        let (first, second) = self.bytes.as_slices();
        let mut data = BytesMut::with_capacity(length);
        let from_first = first.get(skipped..).unwrap_or_default();
        let from_first = &from_first[..from_first.len().min(length)];
        data.extend_from_slice(from_first);
        let skipped = skipped.saturating_sub(first.len());
        data.extend_from_slice(&second[skipped..][..length - from_first.len()]);
        Some(Piece::Data { offset, data: data.freeze() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(offset: u64, data: &'static [u8]) -> Option<Piece> {
        Some(Piece::Data { offset, data: Bytes::from_static(data) })
    }

    #[test]
    fn a_reader_gets_the_stream_from_its_offset() {
        let mut buffer = OutputBuffer::new(OutputPolicy::Wait);
        buffer.push(b"hello");
        assert_eq!(buffer.piece(0), data(0, b"hello"));
        assert_eq!(buffer.piece(3), data(3, b"lo"));
        assert_eq!(buffer.piece(5), None);
        assert_eq!(buffer.piece(9), None);
    }

    #[test]
    fn a_reader_gets_the_same_bytes_wherever_the_ring_turns() {
        let mut buffer = OutputBuffer::new(OutputPolicy::Wait);
        let mut expected = 0_u64;
        for round in 0..2000_u64 {
            let piece: Vec<u8> =
                (0..997).map(|index| ((round * 997 + index) % 251) as u8).collect();
            buffer.push(&piece);
            // The reader stays a little behind, and acknowledges a little less.
            while buffer.end() - expected > 5000 {
                let Some(Piece::Data { offset, data }) = buffer.piece(expected) else {
                    panic!("nothing at {expected}")
                };
                assert_eq!(offset, expected);
                let is_right =
                    |(index, byte): (usize, &u8)| u64::from(*byte) == (offset + index as u64) % 251;
                assert!(data.iter().enumerate().all(is_right), "at {offset}");
                expected += data.len() as u64;
                buffer.acknowledge(expected.saturating_sub(3));
            }
        }
        assert!(expected > 1_000_000);
    }

    #[test]
    fn acknowledged_bytes_are_forgotten_and_make_room() {
        let mut buffer = OutputBuffer::new(OutputPolicy::Wait);
        buffer.push(&vec![7; limits::OUTPUT_BYTES]);
        assert_eq!(buffer.room(), 0);
        buffer.acknowledge(10);
        assert_eq!(buffer.room(), 10);
        buffer.acknowledge(5);
        assert_eq!(buffer.room(), 10);
        assert_eq!(buffer.piece(4), Some(Piece::Lost { from: 4, to: 10 }));
        buffer.acknowledge(u64::MAX);
        assert_eq!(buffer.room(), limits::OUTPUT_BYTES);
        assert_eq!(buffer.end(), limits::OUTPUT_BYTES as u64);
    }

    #[test]
    fn dropping_keeps_the_newest_and_shows_the_gap_promise_p10() {
        let mut buffer = OutputBuffer::new(OutputPolicy::DropOldest);
        for _ in 0..10 {
            buffer.push(&vec![1; limits::OUTPUT_BYTES / 2]);
        }
        buffer.push(b"end");
        let end = buffer.end();
        assert_eq!(buffer.bytes.len(), limits::OUTPUT_BYTES);
        assert_eq!(
            buffer.piece(0),
            Some(Piece::Lost { from: 0, to: end - limits::OUTPUT_BYTES as u64 })
        );
        assert_eq!(buffer.piece(end - 3), data(end - 3, b"end"));
    }
}

//! What a command wrote, both streams together in the order in which it came, as far as a host may still ask for it.
//!
//! ```text
//!   forgotten | read, kept to be read again | unread          |
//!             first                         acknowledged      end       positions; at most OUTPUT_BYTES are kept
//!             [stdout......][stderr..][stdout..............]            runs
//! ```
//! A position counts the bytes of both streams; the runs say how many of each lie before it.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::limits;
use crate::proto::{OutputPolicy, OutputStream};

/// How much of each stream lies before a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) stdout: u64,
    pub(crate) stderr: u64,
}

/// Whether anybody reads, or soon will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Expected,
    Gone,
}

/// Bytes `[first, end)` of the output, and which stream each belongs to.
#[derive(Debug)]
pub(super) struct Output {
    policy: OutputPolicy,
    first: Cut,
    acknowledged: u64,
    bytes: VecDeque<u8>,
    runs: VecDeque<Run>,
    completed: Completed,
}

/// Bytes of one stream, from this cut to the start of the next run or the end.
#[derive(Clone, Copy, Debug)]
struct Run {
    stream: OutputStream,
    start: Cut,
}

#[derive(Clone, Copy, Debug, Default)]
struct Completed {
    stdout: bool,
    stderr: bool,
}

/// What a reader at some cut gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Data { stream: OutputStream, offset: u64, data: Bytes },
    Lost { stream: OutputStream, from: u64, to: u64 },
}

impl Cut {
    /// Bytes of both streams.
    pub(crate) fn position(self) -> u64 {
        self.stdout.saturating_add(self.stderr)
    }

    fn after(mut self, stream: OutputStream, bytes: u64) -> Cut {
        *self.of(stream) += bytes;
        self
    }

    pub(super) fn of(&mut self, stream: OutputStream) -> &mut u64 {
        match stream {
            OutputStream::Stderr => &mut self.stderr,
            OutputStream::Stdout | OutputStream::Unspecified => &mut self.stdout,
        }
    }
}

impl Output {
    pub(super) fn new(policy: OutputPolicy) -> Output {
        Output {
            policy,
            first: Cut::default(),
            acknowledged: 0,
            bytes: VecDeque::new(),
            runs: VecDeque::new(),
            completed: Completed::default(),
        }
    }

    /// All that came so far.
    pub(super) fn end(&self) -> Cut {
        match self.runs.back() {
            None => self.first,
            Some(last) => {
                last.start.after(last.stream, self.end_position() - last.start.position())
            }
        }
    }

    fn end_position(&self) -> u64 {
        self.first.position() + self.bytes.len() as u64
    }

    /// How much may be put in now.
    pub(super) fn room(&self, reader: Reader) -> usize {
        let waits = match self.policy {
            OutputPolicy::Wait => true,
            OutputPolicy::DropOldest => false,
            OutputPolicy::WaitForReader => reader == Reader::Expected,
        };
        if !waits {
            return limits::UNREAD_BYTES;
        }
        let unread_runs = self.runs.len() - self.run_index(self.acknowledged);
        if unread_runs >= limits::OUTPUT_RUNS {
            return 0;
        }
        let unread = self.end_position() - self.acknowledged.max(self.first.position());
        limits::UNREAD_BYTES.saturating_sub(usize::try_from(unread).unwrap_or(usize::MAX))
    }

    /// Whether the command ever waits for readers.
    pub(super) fn waits_for_reader(&self) -> bool {
        self.policy == OutputPolicy::WaitForReader
    }

    /// Puts bytes in, at most [`Output::room`].
    pub(super) fn push(&mut self, stream: OutputStream, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        if self.runs.back().is_none_or(|last| last.stream != stream) {
            self.runs.push_back(Run { stream, start: self.end() });
        }
        let too_many = (self.bytes.len() + data.len()).saturating_sub(limits::OUTPUT_BYTES);
        let mut below = self.first.position() + too_many as u64;
        let surplus_runs = self.runs.len().saturating_sub(2 * limits::OUTPUT_RUNS);
        if let Some(run) = self.runs.get(surplus_runs).filter(|_| surplus_runs > 0) {
            below = below.max(run.start.position());
        }
        self.bytes.extend(data);
        self.forget(below);
    }

    /// Nothing more comes of this stream.
    pub(super) fn complete(&mut self, stream: OutputStream) {
        match stream {
            OutputStream::Stderr => self.completed.stderr = true,
            OutputStream::Stdout | OutputStream::Unspecified => self.completed.stdout = true,
        }
    }

    /// Nothing more comes at all.
    pub(super) fn is_complete(&self) -> bool {
        self.completed.stdout && self.completed.stderr
    }

    /// From here on the oldest bytes go when there are too many.
    pub(super) fn drop_oldest(&mut self) {
        self.policy = OutputPolicy::DropOldest;
    }

    /// The host has everything before this cut.
    pub(super) fn acknowledge(&mut self, cut: Cut) {
        self.acknowledged = self.acknowledged.max(cut.position().min(self.end_position()));
    }

    /// Up to where some host has read.
    pub(super) fn acknowledged(&self) -> Cut {
        self.cut(self.acknowledged)
    }

    /// The cut at a position, or the next one that is still known; `None` beyond the end.
    pub(super) fn find(&self, position: u64) -> Option<Cut> {
        (position <= self.end_position()).then(|| self.cut(position))
    }

    /// These offsets are those of one moment, as far as that is still known.
    pub(super) fn is_cut(&self, cut: Cut) -> bool {
        let (first, position) = (self.first, cut.position());
        if cut.stdout <= first.stdout && cut.stderr <= first.stderr {
            return true;
        }
        position <= self.end_position() && self.cut(position) == cut
    }

    fn cut(&self, position: u64) -> Cut {
        if position <= self.first.position() {
            return self.first;
        }
        let Some(run) = self.run_index(position).checked_sub(1).map(|index| self.runs[index])
        else {
            return self.first;
        };
        run.start.after(run.stream, position.min(self.end_position()) - run.start.position())
    }

    /// The first run that starts at the position or after it.
    fn run_index(&self, position: u64) -> usize {
        self.runs.partition_point(|run| run.start.position() < position)
    }

    fn forget(&mut self, below: u64) {
        let cut = self.cut(below);
        let count = cut.position() - self.first.position();
        let Ok(count) = usize::try_from(count) else { return };
        if count == 0 {
            return;
        }
        self.bytes.drain(..count.min(self.bytes.len()));
        let started_before = self.run_index(below + 1);
        self.runs.drain(..started_before.saturating_sub(1));
        if let Some(run) = self.runs.front_mut() {
            run.start = cut;
        }
        self.first = cut;
        self.acknowledged = self.acknowledged.max(cut.position());
    }

    /// What a reader that has everything before `cut` gets next; `None` when there is nothing yet.
    pub(super) fn piece(&self, cut: Cut) -> Option<Piece> {
        let first = self.first;
        for (stream, from, to) in [
            (OutputStream::Stdout, cut.stdout, first.stdout),
            (OutputStream::Stderr, cut.stderr, first.stderr),
        ] {
            if from < to {
                return Some(Piece::Lost { stream, from, to });
            }
        }
        let position = cut.position();
        if position >= self.end_position() {
            return None;
        }
        let next = self.run_index(position + 1);
        let run = self.runs.get(next.checked_sub(1)?)?;
        let run_end = self.runs.get(next).map_or(self.end_position(), |run| run.start.position());
        let skipped = usize::try_from(position - first.position()).ok()?;
        let length = usize::try_from(run_end - position).ok()?.min(limits::CHUNK_BYTES);
        let offset = *self.cut(position).of(run.stream);
        Some(Piece::Data { stream: run.stream, offset, data: self.copy(skipped, length) })
    }

    /// The buffer is a ring: what is asked for may lie in its first part, its second, or both.
    fn copy(&self, skipped: usize, length: usize) -> Bytes {
        let (first, second) = self.bytes.as_slices();
        let mut data = BytesMut::with_capacity(length);
        let from_first = first.get(skipped..).unwrap_or_default();
        let from_first = &from_first[..from_first.len().min(length)];
        data.extend_from_slice(from_first);
        let skipped = skipped.saturating_sub(first.len());
        data.extend_from_slice(&second[skipped..][..length - from_first.len()]);
        data.freeze()
    }
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;

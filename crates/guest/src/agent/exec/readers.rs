//! Who reads a session: the newest attachment does, and a command may wait for one that left a moment ago.

use std::time::{Duration, Instant};

use super::output::Reader;

/// How long a reader that left is expected back: long enough for a host's daemon to be started anew.
const PATIENCE: Duration = Duration::from_secs(60);

/// The attachments of a session.
#[derive(Debug)]
pub(super) struct Readers {
    /// Attachments so far.
    newest: u64,
    /// Those that are still there.
    present: u64,
    /// Attachments up to this one do not count any more.
    forgotten: u64,
    absent: Absent,
}

/// What holds when nobody is there.
#[derive(Clone, Copy, Debug)]
enum Absent {
    Since(Instant),
    /// Whoever read will not come back.
    ForGood,
}

impl Readers {
    pub(super) fn new() -> Readers {
        Readers { newest: 0, present: 0, forgotten: 0, absent: Absent::Since(Instant::now()) }
    }

    /// The number of a new attachment.
    pub(super) fn enter(&mut self) -> u64 {
        self.newest += 1;
        self.present += 1;
        self.newest
    }

    pub(super) fn leave(&mut self, number: u64) {
        if number > self.forgotten {
            self.present = self.present.saturating_sub(1);
            self.absent = Absent::Since(Instant::now());
        }
    }

    /// Nobody who is here now, or was, is the one to wait for.
    pub(super) fn forget_all(&mut self) {
        self.present = 0;
        self.forgotten = self.newest;
        self.absent = Absent::ForGood;
    }

    pub(super) fn is_newest(&self, number: u64) -> bool {
        self.newest == number
    }

    pub(super) fn is_read(&self) -> bool {
        self.present > 0
    }

    /// How long one is still expected that left; `None` while one is there.
    pub(super) fn patience(&self) -> Option<Duration> {
        if self.present > 0 {
            return None;
        }
        match self.absent {
            Absent::Since(left) => Some(PATIENCE.saturating_sub(left.elapsed())),
            Absent::ForGood => Some(Duration::ZERO),
        }
    }

    pub(super) fn reader(&self) -> Reader {
        match self.patience() {
            Some(Duration::ZERO) => Reader::Gone,
            Some(_) | None => Reader::Expected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_left_is_expected_for_a_while_and_one_that_was_forgotten_is_not() {
        let mut readers = Readers::new();
        assert_eq!(readers.reader(), Reader::Expected);
        let (first, second) = (readers.enter(), readers.enter());
        assert!(readers.is_newest(second) && !readers.is_newest(first));
        readers.leave(first);
        assert_eq!((readers.is_read(), readers.patience()), (true, None));
        readers.leave(second);
        assert!(readers.patience().is_some_and(|left| left <= PATIENCE && !left.is_zero()));
        let third = readers.enter();
        readers.forget_all();
        readers.leave(third);
        assert_eq!(readers.reader(), Reader::Gone);
        readers.enter();
        readers.leave(third);
        assert_eq!((readers.is_read(), readers.reader()), (true, Reader::Expected));
    }
}

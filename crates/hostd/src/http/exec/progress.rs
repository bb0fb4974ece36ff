//! How far a client has read a session: its one offset over both streams, taken apart into one offset for each.
//!
//! A client counts all bytes that it was sent; the agent keeps stdout and stderr apart. So the order in which they were sent
//! is remembered here, as runs of one stream each, for sessions whose client may come back.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use contract::exec_stream::ExecChannel;

/// Sessions remembered at once; the oldest are forgotten first.
const SESSIONS: usize = 256;
/// Runs remembered of one session. Clients lag behind by what lies in sockets, far less than this.
const RUNS: usize = 1024;

/// How much of each stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Offsets {
    pub(super) stdout: u64,
    pub(super) stderr: u64,
}

impl Offsets {
    fn add(&mut self, channel: ExecChannel, bytes: u64) {
        match channel {
            ExecChannel::Stderr => self.stderr += bytes,
            ExecChannel::Stdout | ExecChannel::Stdin => self.stdout += bytes,
        }
    }

    fn total(self) -> u64 {
        self.stdout + self.stderr
    }
}

#[derive(Debug, Default)]
struct Sent {
    /// What came before the runs.
    base: Offsets,
    runs: std::collections::VecDeque<(ExecChannel, u64)>,
    age: u64,
}

/// What was sent of every session.
#[derive(Debug, Default)]
pub(in crate::http) struct Progress {
    sessions: Mutex<(u64, HashMap<String, Sent>)>,
}

impl Progress {
    /// A client was sent this much.
    pub(super) fn sent(&self, session: &str, channel: ExecChannel, bytes: usize) {
        let mut guard = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let (clock, sessions) = &mut *guard;
        *clock += 1;
        if !sessions.contains_key(session) && sessions.len() >= SESSIONS {
            let oldest = sessions.iter().min_by_key(|(_, sent)| sent.age);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                sessions.remove(&oldest);
            }
        }
        let sent = sessions.entry(session.to_owned()).or_default();
        sent.age = *clock;
        sent.push(channel, bytes as u64);
    }

    /// A client that has this much of both goes on here; from here on the session is counted anew.
    ///
    /// `None` when that is not known (any more), as after a restart of the daemon.
    pub(super) fn resume(&self, session: &str, offset: u64) -> Option<Offsets> {
        if offset == 0 {
            self.forget(session);
            return Some(Offsets::default());
        }
        let mut guard = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        guard.1.get_mut(session)?.cut(offset)
    }

    /// The session is over.
    pub(super) fn forget(&self, session: &str) {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).1.remove(session);
    }
}

impl Sent {
    fn push(&mut self, channel: ExecChannel, bytes: u64) {
        match self.runs.back_mut() {
            Some((last, length)) if *last == channel => *length += bytes,
            _ => self.runs.push_back((channel, bytes)),
        }
        while self.runs.len() > RUNS {
            if let Some((channel, bytes)) = self.runs.pop_front() {
                self.base.add(channel, bytes);
            }
        }
    }

    /// The offsets after this many bytes; what lies behind is forgotten, since it will be sent again, in any order.
    fn cut(&mut self, offset: u64) -> Option<Offsets> {
        let mut left = offset.checked_sub(self.base.total())?;
        let mut reached = self.base;
        for (channel, length) in &self.runs {
            let taken = left.min(*length);
            reached.add(*channel, taken);
            left -= taken;
        }
        (left == 0).then(|| {
            self.base = reached;
            self.runs.clear();
            reached
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_offset_is_taken_apart_in_the_order_in_which_it_was_sent() {
        let progress = Progress::default();
        for (channel, bytes) in
            [(ExecChannel::Stdout, 3), (ExecChannel::Stderr, 2), (ExecChannel::Stdout, 5)]
        {
            progress.sent("s", channel, bytes);
        }
        assert_eq!(progress.resume("s", 4), Some(Offsets { stdout: 3, stderr: 1 }));
        progress.sent("s", ExecChannel::Stderr, 1);
        assert_eq!(progress.resume("s", 5), Some(Offsets { stdout: 3, stderr: 2 }));
        assert_eq!(progress.resume("s", 3), None, "it was acknowledged before");
        assert_eq!(progress.resume("s", 99), None, "it was never sent");
        assert_eq!(progress.resume("s", 0), Some(Offsets::default()));
    }

    #[test]
    fn an_unknown_session_begins_anew_or_not_at_all() {
        let progress = Progress::default();
        assert_eq!(progress.resume("s", 0), Some(Offsets::default()));
        assert_eq!(progress.resume("s", 1), None);
    }

    #[test]
    fn promise_p10_what_is_remembered_is_bounded() {
        let progress = Progress::default();
        for number in 0..2 * SESSIONS {
            progress.sent(&number.to_string(), ExecChannel::Stdout, 1);
        }
        for _ in 0..2 * RUNS {
            progress.sent("s", ExecChannel::Stdout, 1);
            progress.sent("s", ExecChannel::Stderr, 1);
        }
        let guard = progress.sessions.lock().unwrap();
        assert_eq!(guard.1.len(), SESSIONS);
        assert_eq!(guard.1["s"].runs.len(), RUNS);
    }
}

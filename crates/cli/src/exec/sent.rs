//! The input that was sent, as far as it may have to be sent again over another connection.

use std::collections::VecDeque;

use bytes::Bytes;

/// How much is kept: more than lies in sockets and daemons between here and the guest.
const KEPT_BYTES: usize = 2 << 20;

/// What was sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    total: u64,
    tail: VecDeque<u8>,
    is_closed: bool,
}

impl Sent {
    /// This is about to be sent.
    pub(super) fn note(&mut self, piece: &Bytes) {
        self.total += piece.len() as u64;
        self.tail.extend(piece);
        let surplus = self.tail.len().saturating_sub(KEPT_BYTES);
        self.tail.drain(..surplus);
    }

    /// The end is about to be sent.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// A command that others have typed to stands here.
    pub(super) fn begin_at(&mut self, offset: u64) {
        self.total = offset;
        self.tail.clear();
    }

    /// What is to be sent again to a command that has taken this much; `None` when that is not known any more.
    pub(super) fn after(&self, taken: u64) -> Option<Bytes> {
        let missing = usize::try_from(self.total.checked_sub(taken)?).ok()?;
        let known = self.tail.len().checked_sub(missing)?;
        Some(self.tail.range(known..).copied().collect::<Vec<u8>>().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_has_not_taken_is_sent_again() {
        let mut sent = Sent::default();
        sent.note(&Bytes::from_static(b"hello "));
        sent.note(&Bytes::from_static(b"world"));
        assert_eq!(sent.after(11), Some(Bytes::new()));
        assert_eq!(sent.after(4), Some(Bytes::from_static(b"o world")));
        assert_eq!(sent.after(12), None, "more than was sent");
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_rest_is_lost() {
        let mut sent = Sent::default();
        for _ in 0..3 {
            sent.note(&Bytes::from(vec![1; KEPT_BYTES / 2]));
        }
        assert_eq!(sent.tail.len(), KEPT_BYTES);
        assert_eq!(sent.after(1), None);
        assert_eq!(sent.after((KEPT_BYTES / 2) as u64).map(|rest| rest.len()), Some(KEPT_BYTES));
        sent.begin_at(7);
        assert_eq!(sent.after(7), Some(Bytes::new()));
    }
}

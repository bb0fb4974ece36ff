//! What the daemon writes on the host's end of a slot's veth pair (its `ifalias`), as the last act of building it.
//!
//! A slot without a mark is half made, one with a mark of other content belongs to another generation: neither is
//! adopted.

use engine::record::Slot;

/// How far a finished slot has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Built ahead; no machine has used it.
    Warm,
    /// Given to a machine; never given again.
    Taken,
}

impl Mark {
    /// The text for this slot.
    pub(super) fn text(self, slot: &Slot) -> String {
        let state = match self {
            Self::Warm => "warm",
            Self::Taken => "taken",
        };
        format!(
            "computer v1 {state} host={} runtime={} uid={}",
            slot.host_address, slot.runtime_address, slot.uid
        )
    }

    /// The mark that `alias` is for exactly this slot.
    pub(super) fn read(slot: &Slot, alias: &str) -> Option<Self> {
        [Self::Warm, Self::Taken].into_iter().find(|mark| mark.text(slot) == alias)
    }
}

#[cfg(test)]
mod tests {
    use engine::record::AddressBlock;

    use super::*;

    #[test]
    fn a_mark_is_of_one_slot_with_its_addresses_and_uid() {
        let block = AddressBlock { first: [10, 213, 0, 0].into(), prefix_length: 16 };
        let slot = Slot::new("0123abcd", block, 200_000, 7);
        let other_uid = Slot::new("0123abcd", block, 300_000, 7);
        let text = Mark::Warm.text(&slot);
        assert_eq!(Mark::read(&slot, &text), Some(Mark::Warm));
        assert_eq!(Mark::read(&slot, &Mark::Taken.text(&slot)), Some(Mark::Taken));
        assert_eq!(Mark::read(&other_uid, &text), None);
        assert_eq!(Mark::read(&slot, ""), None);
    }
}

//! Slots built ahead, so that a create does not wait for the kernel.
//!
//! Planning chooses and records which slot a machine gets; the pool only makes sure that the slots it will choose next
//! are there already. A slot leaves the pool when a machine takes it, and never comes back: after use it is destroyed.

use std::collections::BTreeMap;

use engine::record::Slot;

/// Which slots are warm, by index.
#[derive(Debug, Default)]
pub(super) struct WarmPool {
    held: BTreeMap<u32, Slot>,
}

/// What makes the pool hold the wanted slots and no others.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Warm, but no longer wanted.
    pub(super) destroy: Vec<Slot>,
    /// Wanted, but not warm.
    pub(super) build: Vec<Slot>,
}

impl WarmPool {
    /// What is to be done so that the pool holds `wanted`.
    pub(super) fn changes(&self, wanted: &[Slot]) -> Changes {
        let is_held = |slot: &Slot| self.held.get(&slot.index) == Some(slot);
        let destroy = self.held.values().filter(|slot| !wanted.contains(slot));
        let build = wanted.iter().filter(|slot| !is_held(slot));
        Changes { destroy: destroy.cloned().collect(), build: build.cloned().collect() }
    }

    /// The slot is warm, or about to be.
    pub(super) fn hold(&mut self, slot: Slot) {
        self.held.insert(slot.index, slot);
    }

    /// The slot is a machine's now, or gone.
    pub(super) fn release(&mut self, index: u32) {
        self.held.remove(&index);
    }

    /// True when the slot of this index is warm.
    pub(super) fn holds(&self, index: u32) -> bool {
        self.held.contains_key(&index)
    }
}

#[cfg(test)]
mod tests {
    use engine::record::AddressBlock;

    use super::*;

    fn slot(index: u32) -> Slot {
        let block = AddressBlock { first: [10, 213, 0, 0].into(), prefix_length: 16 };
        Slot::new("0123abcd", block, 200_000, index)
    }

    #[test]
    fn the_pool_builds_what_is_wanted_and_destroys_what_no_longer_is() {
        let mut pool = WarmPool::default();
        pool.hold(slot(1));
        pool.hold(slot(2));
        assert_eq!(
            pool.changes(&[slot(2), slot(3)]),
            Changes { destroy: vec![slot(1)], build: vec![slot(3)] }
        );
    }

    #[test]
    fn a_slot_that_was_taken_is_no_longer_held() {
        let mut pool = WarmPool::default();
        pool.hold(slot(1));
        pool.release(1);
        assert!(!pool.holds(1));
        assert_eq!(pool.changes(&[]), Changes::default());
    }

    #[test]
    fn a_slot_of_another_generation_is_destroyed_and_built_again() {
        let mut pool = WarmPool::default();
        pool.hold(slot(1));
        let renumbered = Slot { uid: 300_000, ..slot(1) };
        let changes = pool.changes(std::slice::from_ref(&renumbered));
        assert_eq!(changes.destroy, [slot(1)]);
        assert_eq!(changes.build, [renumbered]);
    }
}

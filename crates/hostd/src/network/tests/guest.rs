//! A guest without a VMM: a namespace whose `eth0` is wired to the slot's tap by a thread that carries frames, which is
//! all that a VMM does for its guest's network.

use std::{
    fs::File,
    io::{Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use engine::record::Slot;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::place::Place;
use crate::network::{inner::TAP, sys};

pub(super) struct Guest {
    pub(super) place: Place,
    slot: Place,
    unplugged: Arc<AtomicBool>,
    wire: Option<JoinHandle<()>>,
}

impl Guest {
    /// Boots one behind the slot's tap.
    pub(super) fn plug(slot: &Slot) -> Self {
        let place = Place::new();
        let outside = Place::named(&slot.namespace).run(|| sys::open_tap(TAP).unwrap());
        let inside = place.run(|| sys::open_tap("eth0").unwrap());
        place.ip("link set eth0 address 06:00:ac:10:00:02 up");
        place.ip("address add 172.16.0.2/30 dev eth0");
        place.ip("route add default via 172.16.0.1");
        until_plugged(&Place::named(&slot.namespace));
        let unplugged = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&unplugged);
        Self {
            place,
            slot: Place::named(&slot.namespace),
            unplugged,
            wire: Some(std::thread::spawn(move || carry(&outside, &inside, &told))),
        }
    }
}

impl Guest {
    /// How many IP packets have arrived in the slot's namespace, whatever became of them.
    pub(super) fn arrived(&self) -> u64 {
        let text = self.slot.run(|| std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap());
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Ip: "));
        let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
        let counters = names.split(' ').zip(values.split(' '));
        let (_, count) = counters.into_iter().find(|(name, _)| *name == "InReceives").unwrap();
        count.parse().unwrap()
    }

    /// Waits until so many have: the wire is a thread, and takes its time.
    pub(super) fn until_arrived(&self, count: u64) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.arrived() < count {
            assert!(Instant::now() < deadline, "a packet does not arrive");
            std::thread::yield_now();
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.unplugged.store(true, Ordering::Relaxed);
        if let Some(wire) = self.wire.take() {
            wire.join().unwrap();
        }
    }
}

/// Waits until the kernel has noticed that something is plugged into the tap: what it sends before is lost, and a lost ARP
/// answer is asked for again only a second later, when a test that expects silence is over.
fn until_plugged(inside: &Place) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !inside.ip("-o link show tap0").contains("state UP") {
        assert!(Instant::now() < deadline, "the tap does not come up");
    }
}

/// Carries frames both ways until told to stop.
fn carry(one: &File, other: &File, told: &AtomicBool) {
    let pause = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    while !told.load(Ordering::Relaxed) {
        let mut taps = [PollFd::new(one, PollFlags::IN), PollFd::new(other, PollFlags::IN)];
        poll(&mut taps, Some(&pause)).unwrap();
        pass(one, other);
        pass(other, one);
    }
}

/// Carries what is waiting; a frame that the other side does not take is lost, as on a wire.
fn pass(mut from: &File, mut to: &File) {
    let mut frame = [0; 2_048];
    while let Ok(count) = from.read(&mut frame) {
        drop(to.write(&frame[..count]));
    }
}

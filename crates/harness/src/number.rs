//! A number of its own for each daemon on this machine, from which its addresses and uids follow.

use std::fs::File;

use camino::Utf8PathBuf;
use rustix::fs::FlockOperation;

use crate::error::HarnessError;

/// A number that no other test on this machine has until this is dropped.
#[derive(Debug)]
pub struct HostNumber {
    number: u32,
    _lock: File,
}

/// 10.87.0.0 to 10.87.255.255 in blocks of 256 addresses.
const COUNT: u32 = 256;
/// Ports of each kind: more than any test has machines.
const PORTS: u32 = 128;

impl HostNumber {
    /// The lowest that is free.
    pub fn take() -> Result<Self, HarnessError> {
        let dir = Utf8PathBuf::from("/run/lock");
        for number in 0..COUNT {
            let path = dir.join(format!("computer-harness-{number}"));
            let lock = File::create(&path).map_err(HarnessError::io(format!("make {path}")))?;
            match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { number, _lock: lock }),
                Err(rustix::io::Errno::WOULDBLOCK) => {}
                Err(error) => return Err(HarnessError::io(format!("lock {path}"))(error.into())),
            }
        }
        Err(HarnessError::value("a free address block", "all are in use"))
    }

    /// Its addresses.
    pub fn address_block(&self) -> String {
        format!("10.87.{}.0/24", self.number)
    }

    /// Settings of its ports: what another daemon of a test listens on is never taken for this one's.
    pub fn relay_ranges(&self) -> Vec<String> {
        let first = 20_000 + self.number % 64 * 4 * PORTS;
        let firsts = (first..).step_by(PORTS as usize);
        let range = |(kind, first)| {
            let last = first + PORTS - 1;
            [format!("relay.{kind}.first={first}"), format!("relay.{kind}.last={last}")]
        };
        ["published", "ssh", "vnc", "exec"].into_iter().zip(firsts).flat_map(range).collect()
    }

    /// The first of its uids.
    pub fn first_uid(&self) -> u32 {
        400_000 + self.number * 1000
    }
}

//! How fast the time stamp counter runs.
//!
//! A guest believes what its kernel command line says of it, for as long as it and its restored copies live. So the number must be the same
//! each time it is asked for: exact where CPU or hypervisor tell it, else measured and rounded.

use std::io;
use std::time::Duration;

use super::sys;

/// How long is measured. At this length the error of both ends is far below the rounding.
const MEASURED: Duration = Duration::from_millis(200);
/// Measured rates are rounded to this: four parts in a million, below what a guest's clock notices.
const ROUNDING_KHZ: u64 = 10;

/// The rate of the counter in kHz; 0 where the architecture has none.
pub(super) fn khz() -> io::Result<u64> {
    match sys::told_khz() {
        Some(khz) => Ok(khz),
        None => measure(),
    }
}

fn measure() -> io::Result<u64> {
    let Some(first) = Reading::take() else { return Ok(0) };
    std::thread::sleep(MEASURED);
    let Some(last) = Reading::take() else { return Ok(0) };
    let ticks = u128::from(last.counter.saturating_sub(first.counter));
    let nanoseconds = u128::from(last.nanoseconds.saturating_sub(first.nanoseconds)).max(1);
    let khz = u64::try_from(ticks * 1_000_000 / nanoseconds).map_err(io::Error::other)?;
    Ok((khz + ROUNDING_KHZ / 2) / ROUNDING_KHZ * ROUNDING_KHZ)
}

/// The counter and the raw clock at one moment.
struct Reading {
    counter: u64,
    nanoseconds: u64,
}

impl Reading {
    /// Of several tries the one that was disturbed least.
    fn take() -> Option<Self> {
        let tries = (0..16).filter_map(|_| {
            let before = sys::counter()?;
            let nanoseconds = raw_clock();
            let after = sys::counter()?;
            Some((after - before, Self { counter: before + (after - before) / 2, nanoseconds }))
        });
        tries.min_by_key(|(width, _)| *width).map(|(_, reading)| reading)
    }
}

/// The raw clock is not steered, so it runs evenly.
fn raw_clock() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicRaw);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measured_rate_agrees_with_the_told_one() {
        let measured = measure().unwrap();
        match sys::told_khz() {
            Some(told) => {
                assert!(measured.abs_diff(told) * 1000 < told, "measured {measured}, told {told}")
            }
            None => eprintln!(
                "skipped: nothing tells the rate of the counter here; measured {measured} kHz"
            ),
        }
    }
}

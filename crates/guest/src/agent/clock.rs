//! The guest's wall clock.

use std::io;

use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

const SECOND_NS: i64 = 1_000_000_000;

/// Now, in nanoseconds since 1970.
pub(crate) fn now_ns() -> i64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec.saturating_mul(SECOND_NS).saturating_add(now.tv_nsec)
}

/// Steps the clock, and answers by how much.
pub(crate) fn set(unix_time_ns: i64) -> io::Result<i64> {
    if unix_time_ns < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let time = Timespec {
        tv_sec: unix_time_ns.div_euclid(SECOND_NS),
        tv_nsec: unix_time_ns.rem_euclid(SECOND_NS),
    };
    let before = now_ns();
    clock_settime(ClockId::Realtime, time)?;
    Ok(unix_time_ns.saturating_sub(before))
}

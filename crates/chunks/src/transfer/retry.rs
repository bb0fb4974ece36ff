//! When to try again: exponential back-off with full jitter, a server's `Retry-After`, and an end.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use tokio::time::Instant;
use tracing::debug;

use super::error::TransferError;
use crate::limits::RetryPolicy;

/// The failures of one part, range or stream so far.
pub(super) struct Backoff<'policy> {
    policy: &'policy RetryPolicy,
    deadline: Instant,
    failures: u32,
}

impl<'policy> Backoff<'policy> {
    pub(super) fn new(policy: &'policy RetryPolicy, deadline: Instant) -> Self {
        Self { policy, deadline, failures: 0 }
    }

    /// Forgets earlier failures, since bytes have come since.
    pub(super) fn progressed(&mut self) {
        self.failures = 0;
    }

    /// Waits until another attempt is due; gives the error back when there is to be none.
    pub(super) async fn pause_after(&mut self, error: TransferError) -> Result<(), TransferError> {
        if !error.is_passing() {
            return Err(error);
        }
        self.failures += 1;
        let pause = match error.retry_after() {
            Some(asked) => asked.min(self.policy.max_retry_after),
            None => jittered(self.policy, self.failures, fastrand::f64()),
        };
        let attempts = self.failures;
        if attempts >= self.policy.attempts || Instant::now() + pause >= self.deadline {
            return Err(TransferError::GaveUp { attempts, source: Box::new(error) });
        }
        debug!(%error, attempts, ?pause, "trying again");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// The pause after so many failures, `fraction` (0 to 1) of the exponential ceiling.
fn jittered(policy: &RetryPolicy, failures: u32, fraction: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    policy.base_delay.saturating_mul(1 << doublings).min(policy.max_delay).mul_f64(fraction)
}

/// Reads `Retry-After`, in seconds or as a date.
pub(super) fn retry_after(headers: &HeaderMap, now: jiff::Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(until.duration_since(now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_its_limit_and_is_jittered_down_to_nothing() {
        let policy = RetryPolicy {
            base_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(1),
            ..RetryPolicy::default()
        };
        let ceilings: Vec<_> =
            [1, 2, 3, 4, 5, 40].map(|failures| jittered(&policy, failures, 1.0).as_millis()).into();
        assert_eq!(ceilings, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(jittered(&policy, 3, 0.5), Duration::from_millis(200));
        assert_eq!(jittered(&policy, 3, 0.0), Duration::ZERO);
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let now: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().expect("a header"));
            retry_after(&headers, now)
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Thu, 01 Jan 2026 00:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(read("Wed, 31 Dec 2025 00:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}

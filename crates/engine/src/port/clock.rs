//! Time, so that tests own it.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

/// Wall clock and waiting.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now, UTC.
    fn now(&self) -> Timestamp;
    /// Monotonic time since some fixed point, for measuring.
    fn monotonic(&self) -> Duration;
    /// Waits.
    async fn sleep(&self, duration: Duration);
}

//! Waiting on a condition, with a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::HarnessError;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(25);

/// Looks until there is something, or the deadline has passed.
pub async fn until<T>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> Result<T, HarnessError> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = look().await {
            return Ok(found);
        }
        if Instant::now() >= end {
            return Err(HarnessError::Deadline { what: what.to_owned(), deadline });
        }
        sleep(PAUSE).await;
    }
}

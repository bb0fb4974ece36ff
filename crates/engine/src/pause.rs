//! The time in which a guest stands still, and how long that may be.

use std::time::Duration;

use crate::host::Host;
use crate::port::{Fault, PortError};
use crate::step::Step;

/// A pause under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pause {
    began: Duration,
    limit: Option<Duration>,
}

impl Pause {
    /// The pause that a step begins, if it begins one.
    pub(crate) fn beginning(step: &Step, host: &Host) -> Option<Self> {
        let Step::Pause { limit_ms, .. } = step else { return None };
        let limit = limit_ms.map(Duration::from_millis);
        Some(Self { began: host.clock.monotonic(), limit })
    }

    /// Does a step of the pause. One that does not end within the limit is given up where it is: the undo lets the guest run
    /// before it does anything else (promise P3).
    pub(crate) async fn within<T>(
        self,
        host: &Host,
        doing: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        let Some(limit) = self.limit else { return doing.await };
        let stood_still = || host.clock.monotonic().saturating_sub(self.began);
        let left = limit.saturating_sub(stood_still());
        match tokio::time::timeout(left, doing).await {
            Ok(done) if stood_still() <= limit => done,
            Ok(Err(error)) => Err(error),
            Ok(Ok(_)) | Err(_) => Err(PortError::plain(
                Fault::PauseExceeded,
                format!(
                    "the machine would have stood still for more than {} ms",
                    limit.as_millis()
                ),
            )),
        }
    }
}

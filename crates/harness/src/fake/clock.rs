//! Time that tests own: a sleep passes at once, and moves the clock of the whole world.

use std::time::Duration;

use async_trait::async_trait;
use engine::port::Clock;
use jiff::Timestamp;

use super::life::Life;

/// The world's clock.
#[derive(Debug)]
pub struct FakeClock {
    life: Life,
}

impl FakeClock {
    /// The clock as this life sees it.
    pub fn new(life: Life) -> Self {
        Self { life }
    }
}

#[async_trait]
impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        self.life.world().lock().now()
    }

    fn monotonic(&self) -> Duration {
        self.life.world().lock().monotonic
    }

    async fn sleep(&self, duration: Duration) {
        if self.life.faults().is_dead() {
            std::future::pending::<()>().await;
        }
        self.life.world().advance(duration);
        tokio::task::yield_now().await;
    }
}

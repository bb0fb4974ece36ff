//! How one effect happens: judged by the gate, done in the world, and watched by the guests.

use engine::port::{Fault as Blame, PortError};

use super::faults::{How, Verdict};
use super::life::Life;
use super::world::State;

impl Life {
    /// One effect on the world, which the gate may fail or at which the daemon may die.
    pub(super) async fn effect<T>(
        &self,
        name: &str,
        act: impl FnOnce(&mut State) -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        let outcome = self.gated(name, act).await;
        // Every effect is a point at which other tasks run.
        tokio::task::yield_now().await;
        outcome
    }

    async fn gated<T>(
        &self,
        name: &str,
        act: impl FnOnce(&mut State) -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        match self.faults().judge(name) {
            Verdict::Pass => self.act(act),
            Verdict::Hit(How::FailsBefore) => Err(injected(name)),
            Verdict::Hit(How::FailsAfter) => self.act(act).and(Err(injected(name))),
            Verdict::Hit(How::CrashesBefore) => {
                self.faults().die();
                std::future::pending().await
            }
            Verdict::Hit(How::CrashesAfter) => {
                let outcome = self.act(act);
                self.faults().die();
                // Whatever came of it, nobody lives to see it.
                drop(outcome);
                std::future::pending().await
            }
            Verdict::Dead => std::future::pending().await,
        }
    }

    fn act<T>(&self, act: impl FnOnce(&mut State) -> Result<T, PortError>) -> Result<T, PortError> {
        let mut state = self.world().lock();
        let outcome = act(&mut state);
        state.live();
        outcome
    }
}

fn injected(name: &str) -> PortError {
    PortError::plain(Blame::Internal, format!("{name} (a fault of the test)"))
}

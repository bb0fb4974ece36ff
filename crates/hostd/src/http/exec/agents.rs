//! The way to the agent of a machine.

use contract::machine::GuestProtocol;
use contract::{ErrorCode, MachineId};
use engine::phase::Phase;
use engine::port::Launch;
use guest::client::Client;
use tokio::sync::OwnedSemaphorePermit;

use crate::http::api::Api;
use crate::http::error::Failure;

/// Leads to the agents of guests.
pub trait Agents: Send + Sync {
    /// The client of a run; the one that everybody uses, so that a channel has one user.
    fn client(&self, launch: &Launch) -> Client;
}

/// A guest that commands can be run in.
pub(super) struct Reached {
    pub(super) client: Client,
    /// Counts against the limit of commands at once.
    pub(super) permit: OwnedSemaphorePermit,
}

impl Api {
    /// The agent of a running machine, for something short.
    pub(super) async fn agent(&self, id: &MachineId) -> Result<Client, Failure> {
        let machine = self.machine(id).await?;
        match machine.guest_protocol {
            GuestProtocol::Agent => {}
            GuestProtocol::Mmds | GuestProtocol::None => {
                let reason = format!("the guest of machine {id} has no agent");
                return Err(Failure::new(ErrorCode::NoAgent, reason));
            }
        }
        let Phase::Running { run } = &machine.phase else {
            let reason = format!("machine {id} is {}", machine.phase.public().as_str());
            return Err(Failure::new(ErrorCode::WrongState, reason));
        };
        Ok(self.agents.client(&run.launch))
    }

    /// The same for a command, which counts.
    pub(super) async fn reach(&self, id: &MachineId) -> Result<Reached, Failure> {
        let client = self.agent(id).await?;
        let permit = std::sync::Arc::clone(&self.execs).try_acquire_owned().map_err(|_| {
            Failure::new(ErrorCode::TooManyRequests, "too many commands run at once")
        })?;
        Ok(Reached { client, permit })
    }
}

//! Calls about the machine as a whole.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::core::{Call, Client, known_version};
use super::error::ClientError;
use crate::proto::{
    ConfigureRequest, FreezeRequest, FreezeResponse, GrowFileSystemsRequest, HandshakeResponse,
    Identity, IdentityReport, InfoRequest, InfoResponse, RenewRequest, RenewResponse,
    ReseedRequest, SetClockRequest, ShutdownMode, ShutdownRequest, ThawRequest, ThawResponse,
};

/// What a clone gets before it runs.
#[derive(Clone)]
pub struct Renewal {
    /// 32 to 512 bytes from the host's random number generator, used for nothing else.
    pub seed: Bytes,
    /// Names and keys of the clone.
    pub identity: Identity,
    /// For each hook in the guest's /etc/computer/clone.d.
    pub hook_deadline: Duration,
}

impl fmt::Debug for Renewal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Renewal").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Client {
    /// Memory, root file system, names, number of sessions.
    ///
    /// # Errors
    /// As for every call.
    pub async fn info(&self, deadline: Duration) -> Result<InfoResponse, ClientError> {
        let call = Call::new("info", deadline);
        let mut control = self.control(&call).await?;
        Ok(call.answer(control.info(InfoRequest {})).await?.into_inner())
    }

    /// Sets what is present of the identity, and says what was done.
    ///
    /// # Errors
    /// As for every call. Repeatable.
    pub async fn configure(
        &self,
        identity: Identity,
        deadline: Duration,
    ) -> Result<IdentityReport, ClientError> {
        let call = Call::new("configure", deadline);
        let mut control = self.control(&call).await?;
        let request = ConfigureRequest { identity: Some(identity) };
        let response = call.answer(control.configure(request)).await?.into_inner();
        response
            .report
            .ok_or(ClientError::Answer { operation: call.operation, reason: "no report" })
    }

    /// Sets the guest's clock to the host's; answers by how many nanoseconds it stepped.
    ///
    /// # Errors
    /// As for every call. Repeatable.
    pub async fn set_clock(&self, deadline: Duration) -> Result<i64, ClientError> {
        let call = Call::new("set clock", deadline);
        let mut control = self.control(&call).await?;
        let request = SetClockRequest { unix_time_ns: unix_time_ns() };
        Ok(call.answer(control.set_clock(request)).await?.into_inner().stepped_ns)
    }

    /// Adds the host's randomness to the guest kernel's and makes it reseed.
    ///
    /// # Errors
    /// As for every call. Repeatable.
    pub async fn reseed(&self, seed: Bytes, deadline: Duration) -> Result<(), ClientError> {
        let call = Call::new("reseed", deadline);
        let mut control = self.control(&call).await?;
        call.answer(control.reseed(ReseedRequest { seed })).await.map(drop)
    }

    /// Freezes every process of the guest but the agent. Fails, and leaves the guest thawed, when that does not
    /// succeed within the deadline. The guest thaws by itself after `self_thaw` where no newer channel session came.
    ///
    /// # Errors
    /// As for every call; `DeadlineExceeded` from the agent when processes would not freeze.
    pub async fn freeze(
        &self,
        deadline: Duration,
        self_thaw: Duration,
    ) -> Result<FreezeResponse, ClientError> {
        let call = Call::new("freeze", deadline);
        let mut control = self.control(&call).await?;
        let request = FreezeRequest {
            // Its answer, or that it gave up, comes within the deadline.
            deadline_ms: milliseconds(deadline - deadline / 5),
            self_thaw_ms: milliseconds(self_thaw),
        };
        Ok(call.answer(control.freeze(request)).await?.into_inner())
    }

    /// Lets the guest's processes run. Repeatable, also when nothing is frozen.
    ///
    /// # Errors
    /// As for every call.
    pub async fn thaw(&self, deadline: Duration) -> Result<ThawResponse, ClientError> {
        let call = Call::new("thaw", deadline);
        let mut control = self.control(&call).await?;
        Ok(call.answer(control.thaw(ThawRequest {})).await?.into_inner())
    }

    /// Makes a clone a machine of its own, then thaws it (promise P8): reseed, the host's time, identity, hooks.
    /// When it fails the guest is still frozen. The agent goes on when the caller leaves; repeatable. It needs no handshake before: the
    /// answer is one too.
    ///
    /// # Errors
    /// As for every call; [`ClientError::Version`]; `Aborted` from the agent names the part that failed.
    pub async fn renew(
        &self,
        renewal: Renewal,
        deadline: Duration,
    ) -> Result<(HandshakeResponse, RenewResponse), ClientError> {
        let call = Call::new("renew", deadline);
        let mut control = self.control(&call).await?;
        // Read as late as can be: connecting may have taken long.
        let request = RenewRequest {
            seed: renewal.seed,
            unix_time_ns: unix_time_ns(),
            identity: Some(renewal.identity),
            hook_deadline_ms: milliseconds(renewal.hook_deadline),
        };
        let mut answer = call.answer(control.renew(request)).await?.into_inner();
        let who = answer
            .handshake
            .take()
            .ok_or(ClientError::Answer { operation: call.operation, reason: "no handshake" })?;
        Ok((known_version(who)?, answer))
    }

    /// Waits until the guest sees its `disk`th disk, from 0, as large as this, then grows every mounted file system to its disk;
    /// answers how many there are.
    ///
    /// # Errors
    /// As for every call; `Unimplemented` from an agent that is too old. Repeatable.
    pub async fn grow_file_systems(
        &self,
        disk: u32,
        size_bytes: u64,
        deadline: Duration,
    ) -> Result<u32, ClientError> {
        let call = Call::new("grow file systems", deadline);
        let mut control = self.control(&call).await?;
        // Its answer, or that it gave up, comes within the deadline.
        let deadline_ms = milliseconds(deadline - deadline / 5);
        let request = GrowFileSystemsRequest { disk, size_bytes, deadline_ms };
        Ok(call.answer(control.grow_file_systems(request)).await?.into_inner().file_systems)
    }

    /// Asks the guest to end; its processes get SIGTERM and, after `grace`, SIGKILL. The answer comes before the end.
    ///
    /// # Errors
    /// As for every call.
    pub async fn shutdown(
        &self,
        mode: ShutdownMode,
        grace: Duration,
        deadline: Duration,
    ) -> Result<(), ClientError> {
        let call = Call::new("shutdown", deadline);
        let mut control = self.control(&call).await?;
        let request = ShutdownRequest { mode: mode.into(), grace_ms: milliseconds(grace) };
        call.answer(control.shutdown(request)).await.map(drop)
    }
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

fn unix_time_ns() -> i64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

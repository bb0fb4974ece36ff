//! The port `Guest`: one lazily connected client for each run, shared by steps and by commands.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use contract::OperationId;
use engine::port::{
    Configured, Fault, Guest, GuestIdentity, Launch, PortError, Reach, Renewal, SshHostKeys,
};
use engine::record::VmmKind;
use guest::client::{Client, ClientError, Target};
use guest::proto::{
    AuthorizedKeys, Identity, IdentityReport, LoginWebhook, ShutdownMode, TrustedUserCaKeys,
};

use crate::http::Agents;

/// Bytes of randomness given to a guest's kernel, as much as its pool holds.
const SEED_BYTES: usize = 64;
/// One hook of `/etc/computer/clone.d`.
const HOOK: Duration = Duration::from_secs(10);
/// The port on which the agent listens where the channel is vsock.
const VSOCK_PORT: u32 = 1024;

/// The agents of all runs.
#[derive(Debug, Default)]
pub struct HostGuest {
    clients: Mutex<HashMap<OperationId, Client>>,
}

impl HostGuest {
    fn of(&self, launch: &Launch) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry(launch.operation.clone());
        client.or_insert_with(|| Client::new(target(launch))).clone()
    }

    fn take(&self, launch: &Launch) -> Option<Client> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).remove(&launch.operation)
    }
}

impl Agents for HostGuest {
    fn client(&self, launch: &Launch) -> Client {
        self.of(launch)
    }
}

#[async_trait]
impl Guest for HostGuest {
    async fn handshake(&self, reach: &Reach, deadline: Duration) -> Result<String, PortError> {
        let answer = self.of(&reach.launch).handshake(deadline).await;
        Ok(answer.map_err(failed("shake hands with", reach))?.agent_version)
    }

    async fn configure(
        &self,
        reach: &Reach,
        identity: &GuestIdentity,
        deadline: Duration,
    ) -> Result<Configured, PortError> {
        let client = self.of(&reach.launch);
        let error = failed("configure", reach);
        let version = client.handshake(deadline).await.map_err(&error)?.agent_version;
        // Keys that are made now must not be drawn from a pool that another guest's image shares.
        client.reseed(seed()?, deadline).await.map_err(&error)?;
        client.set_clock(deadline).await.map_err(&error)?;
        let report = client.configure(to_wire(identity), deadline).await.map_err(&error)?;
        Ok(configured(version, Some(&report)))
    }

    async fn renew(
        &self,
        reach: &Reach,
        renewal: &Renewal,
        deadline: Duration,
    ) -> Result<Configured, PortError> {
        let client = self.of(&reach.launch);
        let error = failed("renew", reach);
        let version = client.handshake(deadline).await.map_err(&error)?.agent_version;
        let renewal = guest::client::Renewal {
            seed: seed()?,
            identity: to_wire(&renewal.identity),
            hook_deadline: HOOK.min(deadline),
        };
        let answer = client.renew(renewal, deadline).await.map_err(&error)?;
        Ok(configured(version, answer.identity.as_ref()))
    }

    async fn freeze(
        &self,
        reach: &Reach,
        self_thaw: Duration,
        deadline: Duration,
    ) -> Result<(), PortError> {
        let frozen = self.of(&reach.launch).freeze(deadline, self_thaw).await;
        frozen.map(drop).map_err(failed("freeze", reach))
    }

    async fn thaw(&self, reach: &Reach, deadline: Duration) -> Result<(), PortError> {
        self.of(&reach.launch).thaw(deadline).await.map(drop).map_err(failed("thaw", reach))
    }

    async fn shut_down(&self, reach: &Reach, deadline: Duration) -> Result<(), PortError> {
        self.of(&reach.launch)
            .shutdown(ShutdownMode::PowerOff, deadline / 2, deadline)
            .await
            .map_err(failed("power off", reach))
    }

    async fn forget(&self, launch: &Launch) {
        if let Some(client) = self.take(launch) {
            client.disconnect().await;
        }
    }
}

fn target(launch: &Launch) -> Target {
    match launch.vmm {
        VmmKind::Qemu => Target::VirtioSerial {
            socket: launch.dir.join(vmm::qemu::AGENT_SOCKET).into_std_path_buf(),
        },
        VmmKind::Firecracker => Target::Vsock {
            socket: launch.dir.join("jail/vsock.sock").into_std_path_buf(),
            port: VSOCK_PORT,
        },
    }
}

fn to_wire(identity: &GuestIdentity) -> Identity {
    let login = &identity.login;
    let webhook = login.login_webhook.as_ref();
    Identity {
        hostname: login.hostname.as_ref().map(|name| name.as_str().to_owned()),
        machine_id: Some(identity.machine_id_hex.clone()),
        authorized_keys: Some(AuthorizedKeys { keys: login.authorized_keys.clone() }),
        trusted_user_ca_keys: Some(TrustedUserCaKeys { keys: login.trusted_user_ca_keys.clone() }),
        // An empty URL takes away what a clone's source had.
        login_webhook: Some(LoginWebhook {
            url: webhook.map(|webhook| webhook.url.clone()).unwrap_or_default(),
            bearer_token: webhook
                .map(|webhook| webhook.bearer_token.reveal().to_owned())
                .unwrap_or_default(),
        }),
        regenerate_ssh_host_keys: match identity.ssh_host_keys {
            SshHostKeys::Renew => true,
            SshHostKeys::Ensure => false,
        },
    }
}

fn configured(agent_version: String, report: Option<&IdentityReport>) -> Configured {
    let key = report.map(|report| report.ssh_host_public_key.clone());
    Configured { agent_version, ssh_host_public_key: key.filter(|key| !key.is_empty()) }
}

fn seed() -> Result<Bytes, PortError> {
    let mut seed = vec![0; SEED_BYTES];
    getrandom::fill(&mut seed).map_err(|error| PortError::internal("draw a seed", error))?;
    Ok(seed.into())
}

fn failed(action: &'static str, reach: &Reach) -> impl Fn(ClientError) -> PortError {
    let machine = reach.launch.machine.clone();
    move |error| {
        let fault = match &error {
            ClientError::Deadline { .. } => Fault::Deadline,
            ClientError::Connect { .. }
            | ClientError::Hello { .. }
            | ClientError::Http2 { .. }
            | ClientError::Version { .. }
            | ClientError::Broken { .. }
            | ClientError::Refused { .. }
            | ClientError::Answer { .. } => Fault::Internal,
        };
        PortError {
            action: format!("{action} the guest of {machine}"),
            fault,
            source: Some(error.into()),
        }
    }
}

//! The port `Guest`: one lazily connected client for each run, shared by steps and by commands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use camino::Utf8Path;
use contract::{MountId, OperationId};
use engine::port::{
    CommandJob, Configured, Fault, GrownDisk, Guest, GuestIdentity, Launch, Login, MountOrder,
    MountReport, PortError, Reach, Renewal, Renewed, SshHostKeys,
};
use engine::record::{CommandOutcome, VmmKind};
use guest::client::{Client, ClientError, Output, Target};
use guest::framing::HelloError;
use guest::proto::{
    AuthorizedKeys, ExecServer, Identity, IdentityReport, LoginWebhook, ShutdownMode,
    TrustedUserCaKeys,
};
use tracing::debug;

use serde_json::{Value, json};
use vmm::firecracker::{Firecracker, JailRoot, VSOCK_SOCKET};

use super::command::{outcome, to_command};
use super::{ExecTokens, mounts};
use crate::file_uses::FileUses;
use crate::http::{ANSWER_GRACE, Agents, is_the_callers};

/// Bytes of randomness given to a guest's kernel, as much as its pool holds.
const SEED_BYTES: usize = 64;
/// One hook of `/etc/computer/clone.d`.
const HOOK: Duration = Duration::from_secs(10);
/// The port on which the agent listens where the channel is vsock.
const VSOCK_PORT: u32 = 1024;

/// The agents of all runs.
#[derive(Debug, Default)]
pub struct HostGuest {
    clients: Mutex<HashMap<OperationId, Reached>>,
    firecracker: Option<Arc<Firecracker>>,
    uses: FileUses,
    exec_tokens: ExecTokens,
}

/// A client, and what its target's path leads through.
#[derive(Debug)]
struct Reached {
    client: Client,
    /// The jail that holds the socket; held open, the path keeps meaning this one.
    _root: Option<JailRoot>,
}

impl HostGuest {
    /// The agents of a host that runs Firecracker, or does not, with the tokens of their exec ports; those of stopped machines
    /// for as long as `uses` says.
    pub fn new(
        firecracker: Option<Arc<Firecracker>>,
        uses: FileUses,
        exec_tokens: ExecTokens,
    ) -> Self {
        Self { clients: Mutex::default(), firecracker, uses, exec_tokens }
    }

    fn identity(&self, reach: &Reach, identity: &GuestIdentity) -> Identity {
        let token = self.exec_tokens.of(&reach.launch.machine).reveal().to_owned();
        Identity { exec_server: Some(ExecServer { token }), ..to_wire(identity) }
    }

    fn of(&self, launch: &Launch) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reached) = clients.get(&launch.operation) {
            return reached.client.clone();
        }
        let (root, target) = match launch.vmm {
            VmmKind::Qemu => (None, virtio_serial(launch)),
            VmmKind::Firecracker => match self.jail_root(launch) {
                Some(root) => {
                    let target = vsock(&root.path());
                    (Some(root), target)
                }
                // Nothing lives: whoever connects is told so, and the next one looks again.
                None => return Client::new(vsock(&launch.dir.join("jail"))),
            },
        };
        let client = Client::new(target);
        let reached = Reached { client: client.clone(), _root: root };
        clients.insert(launch.operation.clone(), reached);
        client
    }

    fn jail_root(&self, launch: &Launch) -> Option<JailRoot> {
        self.firecracker.as_ref()?.run(launch).jail_root().ok()
    }

    fn take(&self, launch: &Launch) -> Option<Reached> {
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
    async fn connect_ahead(&self, reach: &Reach, deadline: Duration) -> Result<(), PortError> {
        let connected = self.of(&reach.launch).connect_ahead(deadline).await;
        connected.map_err(failed("connect ahead to", reach))
    }

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
        // Keys that are made now must not be drawn from a pool that another guest's image shares.
        client.reseed(seed()?, deadline).await.map_err(&error)?;
        client.set_clock(deadline).await.map_err(&error)?;
        let identity = self.identity(reach, identity);
        let report = client.configure(identity, deadline).await.map_err(&error)?;
        Ok(configured(Some(&report)))
    }

    async fn renew(
        &self,
        reach: &Reach,
        renewal: &Renewal,
        deadline: Duration,
    ) -> Result<Renewed, PortError> {
        let client = self.of(&reach.launch);
        let error = failed("renew", reach);
        let renewal = guest::client::Renewal {
            seed: seed()?,
            identity: self.identity(reach, &renewal.identity),
            hook_deadline: HOOK.min(deadline),
        };
        let (who, answer) = client.renew(renewal, deadline).await.map_err(&error)?;
        debug!(machine = %reach.launch.machine, in_guest_ms = answer.took_ms, stepped_ns = answer.clock_stepped_ns, "renewed");
        Ok(Renewed {
            agent_version: who.agent_version,
            configured: configured(answer.identity.as_ref()),
        })
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

    async fn grow_file_systems(
        &self,
        reach: &Reach,
        disk: GrownDisk,
        deadline: Duration,
    ) -> Result<(), PortError> {
        let index = u32::try_from(disk.index).unwrap_or(u32::MAX);
        let client = self.of(&reach.launch);
        match client.grow_file_systems(index, disk.size_bytes, deadline).await {
            Err(ClientError::Refused { code: guest::client::Code::Unimplemented, .. }) => {
                tracing::info!(machine = %reach.launch.machine, "its agent is older than online growth");
                Ok(())
            }
            grown => grown.map(drop).map_err(failed("grow file systems in", reach)),
        }
    }

    async fn shut_down(&self, reach: &Reach, deadline: Duration) -> Result<(), PortError> {
        self.of(&reach.launch)
            .shutdown(ShutdownMode::PowerOff, deadline / 2, deadline)
            .await
            .map_err(failed("power off", reach))
    }

    async fn mount(
        &self,
        reach: &Reach,
        order: &MountOrder,
        deadline: Duration,
    ) -> Result<(), PortError> {
        let request = mounts::to_wire(order);
        let mounted = self.of(&reach.launch).mount(request, deadline).await;
        mounted.map_err(failed("mount a store in", reach))
    }

    async fn unmount(
        &self,
        reach: &Reach,
        mount: &MountId,
        deadline: Duration,
    ) -> Result<(), PortError> {
        let unmounted = self.of(&reach.launch).unmount(mount.as_str(), deadline).await;
        unmounted.map_err(failed("unmount a store in", reach))
    }

    async fn mounts(
        &self,
        reach: &Reach,
        deadline: Duration,
    ) -> Result<Vec<MountReport>, PortError> {
        let reports = self.of(&reach.launch).mounts(deadline).await;
        let reports = reports.map_err(failed("ask for the mounts of", reach))?;
        Ok(reports.into_iter().filter_map(mounts::from_wire).collect())
    }

    async fn serve_files(&self, launch: &Launch) -> Result<(), PortError> {
        self.uses.serve(launch).await;
        Ok(())
    }

    async fn run_command(
        &self,
        reach: &Reach,
        operation: &OperationId,
        job: &CommandJob,
    ) -> Result<CommandOutcome, PortError> {
        let began = Instant::now();
        let timeout = Duration::from_millis(job.timeout_ms);
        let command = to_command(&job.request, timeout);
        let client = self.of(&reach.launch);
        let patience = timeout + ANSWER_GRACE;
        let ran = client.run(operation.as_str(), command, patience, job.most_bytes).await;
        let output = match ran {
            Err(ClientError::Deadline { .. }) => Output::default(),
            ran => ran.map_err(failed("run a command in", reach))?,
        };
        Ok(outcome(output, began.elapsed()))
    }

    async fn end_command(
        &self,
        reach: &Reach,
        operation: &OperationId,
        deadline: Duration,
    ) -> Result<(), PortError> {
        let session = self.of(&reach.launch).session(operation.as_str(), 0, 0);
        session.remove(deadline).await.map_err(failed("end a command in", reach))
    }

    async fn forget(&self, launch: &Launch) {
        if let Some(reached) = self.take(launch) {
            reached.client.disconnect().await;
        }
    }

    async fn announce(
        &self,
        reach: &Reach,
        login: &Login,
        deadline: Duration,
    ) -> Result<(), PortError> {
        let launch = &reach.launch;
        let action = format!("announce itself to the guest of {}", launch.machine);
        let Some(firecracker) = &self.firecracker else {
            return Err(PortError::plain(Fault::Internal, format!("{action} without Firecracker")));
        };
        let told = firecracker.tell(launch, &metadata(login, launch), deadline).await;
        told.map_err(|error| error.during(action))
    }
}

fn virtio_serial(launch: &Launch) -> Target {
    Target::VirtioSerial { socket: launch.dir.join(vmm::qemu::AGENT_SOCKET).into_std_path_buf() }
}

fn vsock(dir: &Utf8Path) -> Target {
    Target::Vsock { socket: dir.join(VSOCK_SOCKET).into_std_path_buf(), port: VSOCK_PORT }
}

/// What a guest of the protocol `mmds` is told, as contract.md fixes it.
fn metadata(login: &Login, launch: &Launch) -> Value {
    let hostname = login.hostname.as_ref();
    let hostname = hostname.map_or(launch.machine.as_str(), |hostname| hostname.as_str());
    let mut metadata = json!({ "version": "v1", "machine_id": hostname, "hostname": hostname });
    if !login.authorized_keys.is_empty() {
        metadata["authorized_keys"] = json!(login.authorized_keys);
    }
    if !login.trusted_user_ca_keys.is_empty() {
        metadata["trusted_user_ca_keys"] = json!(login.trusted_user_ca_keys);
    }
    if let Some(webhook) = &login.login_webhook {
        metadata["login_webhook"] =
            json!({ "url": webhook.url, "bearer_token": webhook.bearer_token.reveal() });
    }
    metadata
}

fn to_wire(identity: &GuestIdentity) -> Identity {
    let login = &identity.login;
    let webhook = login.login_webhook.as_ref();
    Identity {
        hostname: login.hostname.as_ref().map(|name| name.as_str().to_owned()),
        machine_id: Some(identity.machine_id_hex.clone()),
        authorized_keys: Some(AuthorizedKeys { keys: lines(&login.authorized_keys) }),
        trusted_user_ca_keys: Some(TrustedUserCaKeys { keys: lines(&login.trusted_user_ca_keys) }),
        // An empty URL takes away what a clone's source had.
        login_webhook: Some(LoginWebhook {
            url: webhook.map(|webhook| webhook.url.as_str().to_owned()).unwrap_or_default(),
            bearer_token: webhook
                .map(|webhook| webhook.bearer_token.reveal().to_owned())
                .unwrap_or_default(),
        }),
        regenerate_ssh_host_keys: match identity.ssh_host_keys {
            SshHostKeys::Renew => true,
            SshHostKeys::Ensure => false,
        },
        exec_server: None,
    }
}

fn lines<Key: ToString>(keys: &[Key]) -> Vec<String> {
    keys.iter().map(Key::to_string).collect()
}

fn configured(report: Option<&IdentityReport>) -> Configured {
    let key = report.map(|report| report.ssh_host_public_key.clone());
    Configured { ssh_host_public_key: key.filter(|key| !key.is_empty()) }
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
            ClientError::Deadline { .. }
            | ClientError::Hello { source: HelloError::Deadline, .. } => Fault::Deadline,
            ClientError::Refused { .. } if is_the_callers(&error) => Fault::Refused,
            ClientError::Refused { .. } => Fault::Internal,
            ClientError::Connect { .. }
            | ClientError::Hello { .. }
            | ClientError::Http2 { .. }
            | ClientError::Version { .. }
            | ClientError::Broken { .. }
            | ClientError::Answer { .. } => Fault::Internal,
        };
        PortError {
            action: format!("{action} the guest of {machine}"),
            fault,
            source: Some(error.into()),
        }
    }
}

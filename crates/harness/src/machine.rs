//! The language of the end-to-end tests: hosts launch machines, machines run commands.

use contract::artifact::SnapshotArtifact;
use contract::chunked::ChunkedSource;
use contract::client::{Client, ClientError};
use contract::exec::{ExecRequest, ExecResponse};
use contract::lazy::LazyRestore;
use contract::machine::{CreateMachineRequest, Egress, GuestProtocol, Machine as Record};
use contract::operation::{Wait, WaitQuery};
use contract::restore::{DurableSnapshot, LocalSnapshot, RestoreSnapshotRequest, RestoreSource};
use contract::snapshot::{CreateSnapshotRequest, SnapshotAnswer};
use contract::{MachineId, SnapshotId};

use crate::daemon::Daemon;
use crate::error::HarnessError;
use crate::guest_image::GuestImage;

/// RAM of the machines of tests: the least in which the minimal image is at ease.
pub const MEMORY_MIB: u64 = 192;

/// A machine on a host.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its name.
    pub id: MachineId,
    client: Client,
}

/// A request for a small machine of this image.
pub fn small(name: &str, image: &GuestImage) -> Result<CreateMachineRequest, HarnessError> {
    Ok(CreateMachineRequest {
        machine_id: machine_id(name)?,
        artifact: image.artifact()?,
        memory_mib: Some(MEMORY_MIB),
        storage_bytes: Some(1 << 30),
        user_volume_ids: vec![],
        guest_config: None,
        vcpus: Some(1),
        guest_protocol: GuestProtocol::Agent,
        ready_ports: vec![],
        egress: Egress::Open,
        rate_limits: None,
        cpu_template: None,
    })
}

/// A request to restore a snapshot that lies on the host that is asked.
pub fn restore_request(
    snapshot: &SnapshotId,
    name: &str,
    image: &GuestImage,
) -> Result<RestoreSnapshotRequest, HarnessError> {
    let source = RestoreSource::Local(LocalSnapshot { snapshot_id: snapshot.clone() });
    Ok(RestoreSnapshotRequest::named(machine_id(name)?, image.artifact()?, source))
}

/// A machine id.
pub fn machine_id(name: &str) -> Result<MachineId, HarnessError> {
    name.parse().map_err(|error| HarnessError::value(name, error))
}

/// A snapshot id.
pub fn snapshot_id(name: &str) -> Result<SnapshotId, HarnessError> {
    name.parse().map_err(|error| HarnessError::value(name, error))
}

/// Answered when the machine runs or has failed.
pub fn running() -> WaitQuery {
    WaitQuery { wait: Some(Wait::Running) }
}

impl Daemon {
    /// Makes a machine and waits until it runs.
    pub async fn launch(&self, request: CreateMachineRequest) -> Result<Machine, HarnessError> {
        let record = self.client().create_machine(&request, &running()).await?;
        self.machine(record)
    }

    /// Restores a snapshot of this host.
    pub async fn restore(
        &self,
        snapshot: &SnapshotId,
        name: &str,
        image: &GuestImage,
    ) -> Result<Machine, HarnessError> {
        let source = restore_request(snapshot, name, image)?.source;
        self.restore_from(snapshot, source, None, name, image).await
    }

    /// Restores a snapshot from pre-signed URLs.
    pub async fn restore_durable(
        &self,
        snapshot: &SnapshotId,
        artifacts: Vec<SnapshotArtifact>,
        name: &str,
        image: &GuestImage,
    ) -> Result<Machine, HarnessError> {
        let source = RestoreSource::Durable(DurableSnapshot {
            snapshot_id: Some(snapshot.clone()),
            artifacts,
            ..DurableSnapshot::default()
        });
        self.restore_from(snapshot, source, None, name, image).await
    }

    /// Restores a snapshot from its chunked form.
    pub async fn restore_chunked(
        &self,
        snapshot: &SnapshotId,
        chunked: ChunkedSource,
        name: &str,
        image: &GuestImage,
    ) -> Result<Machine, HarnessError> {
        let source = in_chunks(snapshot, chunked);
        self.restore_from(snapshot, source, None, name, image).await
    }

    /// Restores a snapshot from its chunked form; memory and disks come while it runs.
    pub async fn restore_lazily(
        &self,
        snapshot: &SnapshotId,
        chunked: ChunkedSource,
        lazy: LazyRestore,
        name: &str,
        image: &GuestImage,
    ) -> Result<Machine, HarnessError> {
        let source = in_chunks(snapshot, chunked);
        self.restore_from(snapshot, source, Some(lazy), name, image).await
    }

    async fn restore_from(
        &self,
        snapshot: &SnapshotId,
        source: RestoreSource,
        lazy: Option<LazyRestore>,
        name: &str,
        image: &GuestImage,
    ) -> Result<Machine, HarnessError> {
        let request =
            RestoreSnapshotRequest { source, lazy, ..restore_request(snapshot, name, image)? };
        let record = self.client().restore_snapshot(snapshot, &request, &running()).await?;
        self.machine(record)
    }

    /// A machine of this host that runs; one that does not is an error with the reason.
    pub fn machine(&self, record: Record) -> Result<Machine, HarnessError> {
        if record.phase == contract::machine::Phase::Running {
            return Ok(Machine { id: record.id, client: self.client() });
        }
        let reason = record.error.unwrap_or_else(|| record.phase.as_str().to_owned());
        Err(HarnessError::value(format!("machine {}", record.id), reason))
    }
}

/// The chunked form of a snapshot, as what is restored.
fn in_chunks(snapshot: &SnapshotId, chunked: ChunkedSource) -> RestoreSource {
    RestoreSource::Durable(DurableSnapshot {
        snapshot_id: Some(snapshot.clone()),
        chunked: Some(Box::new(chunked)),
        ..DurableSnapshot::default()
    })
}

impl Machine {
    /// Runs a shell command in the guest as root; its standard output, when it ends well.
    pub async fn exec(&self, command: &str) -> Result<String, HarnessError> {
        let response = self.run(&["sh", "-c", command]).await?;
        if response.exit_code == 0 {
            return Ok(response.stdout);
        }
        Err(HarnessError::Tool {
            command: format!("{}: {command}", self.id),
            status: response.exit_code.to_string(),
            output: response.stderr,
        })
    }

    /// Runs a command in the guest as root, whatever its end.
    pub async fn run(&self, command: &[&str]) -> Result<ExecResponse, ClientError> {
        let request = ExecRequest {
            command: command.iter().map(|&word| word.to_owned()).collect(),
            user: Some("root".into()),
            cwd: Some("/".into()),
            ..ExecRequest::default()
        };
        self.client.exec(&self.id, &request).await
    }

    /// Its record.
    pub async fn show(&self) -> Result<Record, ClientError> {
        self.client.show_machine(&self.id).await
    }

    /// Takes a snapshot of it.
    pub async fn snapshot(&self, name: &str) -> Result<SnapshotAnswer, HarnessError> {
        let request = CreateSnapshotRequest::named(snapshot_id(name)?);
        Ok(self.client.create_snapshot(&self.id, &request).await?)
    }

    /// The same machine, asked through another life of its daemon.
    pub fn through(&self, daemon: &Daemon) -> Self {
        Self { id: self.id.clone(), client: daemon.client() }
    }
}

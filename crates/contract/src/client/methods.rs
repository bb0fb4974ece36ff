//! A method for each call that our own programs make, with a deadline that suits it.

use std::time::Duration;

use super::{Client, ClientError};
use crate::endpoint::table::{
    CreateMachine, CreatePublishedPort, CreateSnapshot, DeleteMachine, DeletePublishedPort,
    DeleteSnapshot, EndExecSession, Exec, ForkMachine, ForkSnapshot, Health, ListExecSessions,
    ListMachineSnapshots, ListMachines, ListOperations, ListPublishedPorts, ListSnapshots,
    OpenExecRelay, OperateOnFiles, RestoreSnapshot, ShowMachine, ShowOperation, ShowSnapshot,
    StartMachine, StopMachine, UploadSnapshot,
};
use crate::exec::{DEFAULT_TIMEOUT_MS, ExecRequest, ExecResponse};
use crate::exec_session::ExecSession;
use crate::file::{FileOperationRequest, FileOperationResponse};
use crate::fork::{ForkAnswer, ForkRequest};
use crate::id::{ExecSessionId, MachineId, OperationId, PublishedPortId, SnapshotId};
use crate::machine::{CreateMachineRequest, Machine};
use crate::operation::{IdempotencyKey, Operation, OperationsQuery, WaitQuery};
use crate::published_port::{CreatePublishedPortRequest, PublishedPort};
use crate::restore::RestoreSnapshotRequest;
use crate::snapshot::{CreateSnapshotRequest, Snapshot, SnapshotAnswer};
use crate::upload::{UploadSnapshotRequest, UploadedArtifact};

/// The deadline of calls that only read records.
pub const QUICK: Duration = Duration::from_secs(30);
/// The deadline of calls that change something here.
pub const USUAL: Duration = Duration::from_secs(15 * 60);
/// The deadline of calls that move a whole snapshot to or from an object store.
pub const TRANSFER: Duration = Duration::from_secs(6 * 60 * 60);

/// Each fails with what kept the call from being answered with success.
impl Client {
    /// Asks whether the host serves.
    pub async fn health(&self) -> Result<(), ClientError> {
        self.call(Health, &()).deadline(QUICK).send().await.map(|_serves| ())
    }

    /// Makes a machine.
    pub async fn create_machine(
        &self,
        request: &CreateMachineRequest,
        wait: &WaitQuery,
    ) -> Result<Machine, ClientError> {
        let call = self.call(CreateMachine, &()).query(wait).body(request);
        Ok(call.send().await?.value.machine)
    }

    /// Lists the machines.
    pub async fn list_machines(&self) -> Result<Vec<Machine>, ClientError> {
        Ok(self.call(ListMachines, &()).deadline(QUICK).send().await?.value.machines)
    }

    /// Shows a machine.
    pub async fn show_machine(&self, machine: &MachineId) -> Result<Machine, ClientError> {
        Ok(self.call(ShowMachine, machine).deadline(QUICK).send().await?.value.machine)
    }

    /// Boots a stopped machine.
    pub async fn start_machine(
        &self,
        machine: &MachineId,
        wait: &WaitQuery,
    ) -> Result<Machine, ClientError> {
        Ok(self.call(StartMachine, machine).query(wait).send().await?.value.machine)
    }

    /// Stops a machine.
    pub async fn stop_machine(&self, machine: &MachineId) -> Result<(), ClientError> {
        self.call(StopMachine, machine).send().await.map(|_done| ())
    }

    /// Removes a machine.
    pub async fn delete_machine(&self, machine: &MachineId) -> Result<(), ClientError> {
        self.call(DeleteMachine, machine).send().await.map(|_done| ())
    }

    /// Lists the commands of a guest.
    pub async fn exec_sessions(
        &self,
        machine: &MachineId,
    ) -> Result<Vec<ExecSession>, ClientError> {
        Ok(self.call(ListExecSessions, machine).deadline(QUICK).send().await?.value.sessions)
    }

    /// Opens the exec port of a machine, unless it is open.
    pub async fn open_exec_relay(&self, machine: &MachineId) -> Result<Machine, ClientError> {
        Ok(self.call(OpenExecRelay, machine).send().await?.value.machine)
    }

    /// Ends a command of a guest.
    pub async fn end_exec_session(
        &self,
        machine: &MachineId,
        session: &ExecSessionId,
    ) -> Result<(), ClientError> {
        let path = (machine.clone(), session.clone());
        self.call(EndExecSession, &path).deadline(QUICK).send().await.map(|_done| ())
    }

    /// Runs a command in a guest and waits for its end.
    pub async fn exec(
        &self,
        machine: &MachineId,
        request: &ExecRequest,
    ) -> Result<ExecResponse, ClientError> {
        let timeout = Duration::from_millis(request.timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS));
        let call = self.call(Exec, machine).body(request).deadline(timeout + QUICK);
        Ok(call.send().await?.value)
    }

    /// Reads or changes files of a guest.
    pub async fn operate_on_files(
        &self,
        machine: &MachineId,
        request: &FileOperationRequest,
    ) -> Result<FileOperationResponse, ClientError> {
        Ok(self.call(OperateOnFiles, machine).body(request).send().await?.value)
    }

    /// Takes a snapshot of a machine.
    pub async fn create_snapshot(
        &self,
        machine: &MachineId,
        request: &CreateSnapshotRequest,
    ) -> Result<SnapshotAnswer, ClientError> {
        Ok(self.call(CreateSnapshot, machine).body(request).send().await?.value)
    }

    /// Lists all snapshots.
    pub async fn list_snapshots(&self) -> Result<Vec<Snapshot>, ClientError> {
        Ok(self.call(ListSnapshots, &()).deadline(QUICK).send().await?.value.snapshots)
    }

    /// Lists the snapshots of a machine, which may be gone.
    pub async fn list_machine_snapshots(
        &self,
        machine: &MachineId,
    ) -> Result<Vec<Snapshot>, ClientError> {
        let call = self.call(ListMachineSnapshots, machine).deadline(QUICK);
        Ok(call.send().await?.value.snapshots)
    }

    /// Shows a snapshot and its files.
    pub async fn show_snapshot(
        &self,
        snapshot: &SnapshotId,
    ) -> Result<SnapshotAnswer, ClientError> {
        Ok(self.call(ShowSnapshot, snapshot).deadline(QUICK).send().await?.value)
    }

    /// Removes a snapshot.
    pub async fn delete_snapshot(&self, snapshot: &SnapshotId) -> Result<(), ClientError> {
        self.call(DeleteSnapshot, snapshot).send().await.map(|_done| ())
    }

    /// Sends files of a snapshot to an object store.
    pub async fn upload_snapshot(
        &self,
        snapshot: &SnapshotId,
        request: &UploadSnapshotRequest,
    ) -> Result<Vec<UploadedArtifact>, ClientError> {
        let call = self.call(UploadSnapshot, snapshot).body(request).deadline(TRANSFER);
        Ok(call.send().await?.value.artifacts)
    }

    /// Makes a machine from a snapshot.
    pub async fn restore_snapshot(
        &self,
        snapshot: &SnapshotId,
        request: &RestoreSnapshotRequest,
        wait: &WaitQuery,
    ) -> Result<Machine, ClientError> {
        let call = self.call(RestoreSnapshot, snapshot).query(wait).body(request);
        Ok(call.deadline(TRANSFER).send().await?.value.machine)
    }

    /// Makes machines that go on from where a running machine is.
    pub async fn fork_machine(
        &self,
        machine: &MachineId,
        request: &ForkRequest,
        wait: &WaitQuery,
    ) -> Result<ForkAnswer, ClientError> {
        Ok(self.call(ForkMachine, machine).query(wait).body(request).send().await?.value)
    }

    /// Makes machines that go on from a snapshot.
    pub async fn fork_snapshot(
        &self,
        snapshot: &SnapshotId,
        request: &ForkRequest,
        wait: &WaitQuery,
    ) -> Result<ForkAnswer, ClientError> {
        Ok(self.call(ForkSnapshot, snapshot).query(wait).body(request).send().await?.value)
    }

    /// Publishes a port of a machine.
    pub async fn publish_port(
        &self,
        machine: &MachineId,
        request: &CreatePublishedPortRequest,
    ) -> Result<PublishedPort, ClientError> {
        Ok(self.call(CreatePublishedPort, machine).body(request).send().await?.value.port)
    }

    /// Lists the published ports of a machine.
    pub async fn list_published_ports(
        &self,
        machine: &MachineId,
    ) -> Result<Vec<PublishedPort>, ClientError> {
        let call = self.call(ListPublishedPorts, machine).deadline(QUICK);
        Ok(call.send().await?.value.ports)
    }

    /// Takes a published port back.
    pub async fn remove_published_port(
        &self,
        machine: &MachineId,
        port: &PublishedPortId,
    ) -> Result<(), ClientError> {
        let path = (machine.clone(), port.clone());
        self.call(DeletePublishedPort, &path).send().await.map(|_done| ())
    }

    /// Lists operations: all, or those of one key.
    pub async fn list_operations(
        &self,
        key: Option<IdempotencyKey>,
    ) -> Result<Vec<Operation>, ClientError> {
        let call = self.call(ListOperations, &()).query(&OperationsQuery { key }).deadline(QUICK);
        Ok(call.send().await?.value.operations)
    }

    /// Shows an operation.
    pub async fn show_operation(&self, operation: &OperationId) -> Result<Operation, ClientError> {
        Ok(self.call(ShowOperation, operation).deadline(QUICK).send().await?.value.operation)
    }
}

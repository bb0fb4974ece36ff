//! A method for each call about disks: volumes, sizes, and what takes how much room.

use super::methods::QUICK;
use super::{Client, ClientError};
use crate::endpoint::table::{
    AttachVolume, CreateVolume, DeleteVolume, DetachVolume, GrowVolume, ListVolumes, ReportStorage,
    ResizeMachine, ShowVolume,
};
use crate::id::{MachineId, VolumeId};
use crate::machine::{Machine, ResizeMachineRequest};
use crate::storage::StorageReport;
use crate::volume::{
    AttachVolumeRequest, CreateVolumeRequest, DetachVolumeRequest, GrowVolumeRequest, Volume,
};

/// Each fails with what kept the call from being answered with success.
impl Client {
    /// Lists the volumes.
    pub async fn list_volumes(&self) -> Result<Vec<Volume>, ClientError> {
        Ok(self.call(ListVolumes, &()).deadline(QUICK).send().await?.value.volumes)
    }

    /// Makes a volume.
    pub async fn create_volume(
        &self,
        request: &CreateVolumeRequest,
    ) -> Result<Volume, ClientError> {
        Ok(self.call(CreateVolume, &()).body(request).send().await?.value.volume)
    }

    /// Shows a volume.
    pub async fn show_volume(&self, volume: &VolumeId) -> Result<Volume, ClientError> {
        Ok(self.call(ShowVolume, volume).deadline(QUICK).send().await?.value.volume)
    }

    /// Removes a volume.
    pub async fn delete_volume(&self, volume: &VolumeId) -> Result<(), ClientError> {
        self.call(DeleteVolume, volume).send().await.map(|_done| ())
    }

    /// Makes a volume larger.
    pub async fn grow_volume(
        &self,
        volume: &VolumeId,
        request: &GrowVolumeRequest,
    ) -> Result<Volume, ClientError> {
        Ok(self.call(GrowVolume, volume).body(request).send().await?.value.volume)
    }

    /// Attaches a volume to a machine.
    pub async fn attach_volume(
        &self,
        volume: &VolumeId,
        request: &AttachVolumeRequest,
    ) -> Result<Volume, ClientError> {
        Ok(self.call(AttachVolume, volume).body(request).send().await?.value.volume)
    }

    /// Takes a volume from its machine.
    pub async fn detach_volume(
        &self,
        volume: &VolumeId,
        request: &DetachVolumeRequest,
    ) -> Result<Volume, ClientError> {
        Ok(self.call(DetachVolume, volume).body(request).send().await?.value.volume)
    }

    /// Gives a machine another size.
    pub async fn resize_machine(
        &self,
        machine: &MachineId,
        request: &ResizeMachineRequest,
    ) -> Result<Machine, ClientError> {
        Ok(self.call(ResizeMachine, machine).body(request).send().await?.value.machine)
    }

    /// Says what takes how much room.
    pub async fn report_storage(&self) -> Result<StorageReport, ClientError> {
        Ok(self.call(ReportStorage, &()).deadline(QUICK).send().await?.value.report)
    }
}

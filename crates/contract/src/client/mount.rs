//! A method for each call about mounts.

use super::methods::QUICK;
use super::{Client, ClientError};
use crate::endpoint::table::{CreateMount, DeleteMount, ListMounts};
use crate::id::{MachineId, MountId};
use crate::mount::{CreateMountRequest, Mount};

/// Each fails with what kept the call from being answered with success.
impl Client {
    /// Lists the mounts of a machine.
    pub async fn list_mounts(&self, machine: &MachineId) -> Result<Vec<Mount>, ClientError> {
        Ok(self.call(ListMounts, machine).deadline(QUICK).send().await?.value.mounts)
    }

    /// Mounts a store in a guest.
    pub async fn create_mount(
        &self,
        machine: &MachineId,
        request: &CreateMountRequest,
    ) -> Result<Mount, ClientError> {
        Ok(self.call(CreateMount, machine).body(request).send().await?.value.mount)
    }

    /// Takes a mount away.
    pub async fn delete_mount(
        &self,
        machine: &MachineId,
        mount: &MountId,
    ) -> Result<(), ClientError> {
        let path = (machine.clone(), mount.clone());
        self.call(DeleteMount, &path).send().await.map(|_done| ())
    }
}

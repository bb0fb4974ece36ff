//! A method for the call about files that are filled while a machine runs.

use super::methods::QUICK;
use super::{Client, ClientError};
use crate::endpoint::table::ShowFilling;
use crate::id::MachineId;
use crate::lazy::Filling;

impl Client {
    /// How far the files of a lazily restored machine are. Fails with what kept the call from being answered with success.
    pub async fn show_filling(&self, machine: &MachineId) -> Result<Filling, ClientError> {
        Ok(self.call(ShowFilling, machine).deadline(QUICK).send().await?.value.filling)
    }
}

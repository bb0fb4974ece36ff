//! The outside, as the engine sees it: one value that holds every port.

use std::collections::HashMap;
use std::sync::Arc;

use crate::plan::Settings;
use crate::port::{Chunks, Clock, Fault, Files, Guest, Journal, Network, PortError, Vmm};
use crate::record::VmmKind;
use crate::watch::Watch;

/// All ports of a daemon. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    /// Records and journal.
    pub journal: Arc<dyn Journal>,
    /// VMMs by kind. A machine runs under the kind that its record names.
    pub vmms: HashMap<VmmKind, Arc<dyn Vmm>>,
    /// Directories and disks.
    pub files: Arc<dyn Files>,
    /// Namespaces.
    pub network: Arc<dyn Network>,
    /// The agent.
    pub guest: Arc<dyn Guest>,
    /// Snapshot bytes.
    pub chunks: Arc<dyn Chunks>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Is told of every step.
    pub watch: Arc<dyn Watch>,
    /// Names, limits and deadlines.
    pub settings: Arc<Settings>,
}

impl Host {
    /// The VMM of this kind.
    pub fn vmm(&self, kind: VmmKind) -> Result<&dyn Vmm, PortError> {
        self.vmms.get(&kind).map(AsRef::as_ref).ok_or_else(|| {
            PortError::plain(
                Fault::Internal,
                format!("use the VMM {kind:?}, which this host lacks"),
            )
        })
    }
}

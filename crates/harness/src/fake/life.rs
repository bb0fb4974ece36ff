//! One run of a daemon on the fake host, from its start to its end or crash.

use std::collections::HashMap;
use std::sync::Arc;

use engine::host::Host;
use engine::plan::Settings;
use engine::port::{Clock, Vmm};
use engine::watch::StepLog;

use super::chunks::FakeChunks;
use super::clock::FakeClock;
use super::faults::Faults;
use super::files::FakeFiles;
use super::guest::FakeGuest;
use super::journal::MemoryJournal;
use super::network::FakeNetwork;
use super::vmm::FakeVmm;
use super::world::World;

/// One life of a daemon. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Life {
    world: Arc<World>,
    faults: Arc<Faults>,
}

impl Life {
    /// A daemon starts on this host; these faults await it.
    pub fn begin(world: &Arc<World>, faults: Arc<Faults>) -> Self {
        // Listeners end with the process that has them.
        world.lock().relays.clear();
        Self { world: Arc::clone(world), faults }
    }

    /// The host that it runs on.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// What goes wrong in it.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// All ports of this life.
    pub fn host(&self, settings: &Arc<Settings>) -> Host {
        let clock: Arc<dyn Clock> = Arc::new(FakeClock::new(self.clone()));
        let vmm: Arc<dyn Vmm> = Arc::new(FakeVmm::new(self.clone(), settings.vmm));
        Host {
            watch: Arc::new(StepLog),
            journal: Arc::new(MemoryJournal::new(self.clone(), Arc::clone(&clock))),
            vmms: HashMap::from([(settings.vmm, vmm)]),
            files: Arc::new(FakeFiles::new(self.clone(), settings.layout.clone())),
            network: Arc::new(FakeNetwork::new(self.clone())),
            guest: Arc::new(FakeGuest::new(self.clone())),
            chunks: Arc::new(FakeChunks::new(self.clone())),
            clock,
            settings: Arc::clone(settings),
        }
    }
}

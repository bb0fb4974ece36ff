//! Guests of the fake host, as their suite sees them.

use std::time::Duration;

use async_trait::async_trait;
use engine::port::{Reach, Vmm};
use engine::record::VmmKind;
use engine::testing::guest::GuestHost;
use harness::fake::guest::FakeGuest;
use harness::fake::process::{Agent, GuestState};
use harness::fake::vmm::FakeVmm;
use vmm::conformance::Fixture;

use super::FakeMachines;

struct FakeGuests {
    machines: FakeMachines,
}

impl FakeGuests {
    async fn launched(&self) -> Reach {
        let spec = self.machines.cold().await;
        let vmm = FakeVmm::new(self.machines.life.clone(), VmmKind::Qemu);
        vmm.launch(&spec).await.expect("it is launched");
        Reach { launch: spec.launch }
    }

    /// What `look` sees of a guest; `None` when it has ended.
    fn with<T>(&self, reach: &Reach, look: impl FnOnce(&mut GuestState) -> T) -> Option<T> {
        let mut state = self.machines.life.world().lock();
        state.process(&reach.launch.operation).map(|process| look(&mut process.guest))
    }
}

#[async_trait]
impl GuestHost for FakeGuests {
    async fn answering(&self) -> Reach {
        let reach = self.launched().await;
        // It boots.
        self.pass(Duration::from_secs(1)).await;
        reach
    }

    async fn silent(&self) -> Reach {
        let reach = self.answering().await;
        self.with(&reach, |guest| guest.agent = Agent::Deaf);
        reach
    }

    async fn machine_id(&self, reach: &Reach) -> Option<String> {
        self.with(reach, |guest| guest.identity.clone()).flatten()
    }

    async fn is_frozen(&self, reach: &Reach) -> bool {
        self.with(reach, |guest| guest.is_frozen).expect("it runs")
    }

    async fn has_ended(&self, reach: &Reach) -> bool {
        self.with(reach, |_| ()).is_none()
    }

    async fn pass(&self, time: Duration) {
        self.machines.life.world().advance(time);
    }

    fn has_ssh_server(&self) -> bool {
        true
    }

    fn has_rclone(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn the_fake_guest_passes_the_suite_of_the_real_one() {
    let machines = FakeMachines::new(super::life());
    let life = machines.life.clone();
    engine::testing::guest::conforms(&FakeGuest::new(life.clone()), &FakeGuests { machines }).await;
    assert_eq!(life.world().lock().defects, std::collections::BTreeSet::new());
}

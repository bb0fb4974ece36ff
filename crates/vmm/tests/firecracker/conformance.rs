//! The conformance suite.

use vmm::conformance;

use super::support::TestHost;

#[tokio::test]
async fn firecracker_does_what_every_vmm_must_do() {
    let Some(host) = TestHost::open("all").await else { return };

    conformance::all(&host.firecracker, &host).await;
}

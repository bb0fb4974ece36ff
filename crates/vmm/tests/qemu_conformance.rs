//! The conformance suite, run by QEMU with a guest of our own.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use support::TestHost;
use vmm::conformance;

#[tokio::test]
async fn qemu_does_what_every_vmm_must_do() {
    let Some(host) = TestHost::open("all") else { return };

    conformance::all(&host.qemu, &host).await;
}

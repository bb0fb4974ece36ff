//! Devices as one machine asks for them: Firecracker takes them, and they outlive a snapshot.

use contract::machine::RateLimits;
use engine::port::Vmm;
use engine::record::Tuning;
use serde_json::Value;
use vmm::conformance::Fixture;

use super::snapshots::{goes_on_from, snapshot};
use super::support::TestHost;

#[tokio::test]
async fn a_machine_has_the_limits_that_it_asked_for_and_a_balloon_where_hosts_give_one() {
    let Some(host) = TestHost::open_with("tune", |config| config.devices.has_balloon = true).await
    else {
        return;
    };
    let mut spec = host.cold().await;
    spec.tuning = Tuning {
        rate_limits: RateLimits {
            disk_bytes_per_second: Some(1 << 20),
            disk_operations_per_second: Some(5000),
            network_bytes_per_second: Some(2 << 20),
        },
        cpu_template: None,
    };

    let handle = host.launch(&spec).await;

    let config = std::fs::read(format!("/proc/{}/root/config.json", handle.pid)).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    let bucket = |size: u64| serde_json::json!({ "size": size, "refill_time": 1000 });
    assert_eq!(config["drives"][0]["rate_limiter"]["bandwidth"], bucket(1 << 20));
    assert_eq!(config["drives"][0]["rate_limiter"]["ops"], bucket(5000));
    assert_eq!(config["network-interfaces"][0]["tx_rate_limiter"]["bandwidth"], bucket(2 << 20));
    assert_eq!(config["balloon"]["deflate_on_oom"], true);
    host.wait_for_tick(&spec, 5).await;
    let (next, counter) = snapshot(&host, &spec).await;
    host.launch_and_resume(&next).await;
    goes_on_from(counter, host.first_tick(&next).await);
    host.firecracker.end(&next.launch).await.unwrap();
    host.firecracker.end(&spec.launch).await.unwrap();
}

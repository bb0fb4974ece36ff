//! The daemon keeps one client per machine: what that costs it.

use guest::client::Client;

use crate::support::*;

const CLIENTS: usize = 100;

/// Of the 200 KiB that a machine may cost the daemon in all.
const MOST_KIB_EACH: usize = 100;

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("this process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
    line.split_whitespace().next().and_then(|text| text.parse().ok()).expect("a number")
}

#[tokio::test]
async fn a_connected_client_costs_the_daemon_little() {
    let agent = Agent::start(Transport::Plain);
    agent.client().await;
    let before = resident_kib();
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(agent.client().await);
    }
    let each = (resident_kib() - before) / CLIENTS;
    println!("{each} KiB for each connected client");
    assert!(each <= MOST_KIB_EACH, "{each} KiB for each connected client");
}

//! The host and the internet of one test.
//!
//! ```text
//!  host: wan0 192.0.2.2 and 45.33.32.156 ---- internet: 192.0.2.1, every other address, public or not
//! ```

use std::{net::Ipv4Addr, path::Path, time::Duration};

use engine::record::{AddressBlock, Slot};

use super::place::{Place, Senders};
use crate::network::{LinuxNetwork, NetworkSettings, RelayLimits, namespace, nft::Nft};

/// A public server.
pub(super) const PUBLIC: Ipv4Addr = Ipv4Addr::new(93, 184, 215, 14);
/// The resolver of the internet, at a private address.
pub(super) const RESOLVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 53);
/// The host's address towards the internet.
pub(super) const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// A public address of the host.
pub(super) const HOST_PUBLIC: Ipv4Addr = Ipv4Addr::new(45, 33, 32, 156);
/// Addresses that the host reaches and no guest may.
pub(super) const FORBIDDEN: [Ipv4Addr; 7] = [
    Ipv4Addr::new(10, 99, 0, 1),
    Ipv4Addr::new(100, 64, 0, 1),
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(172, 20, 0, 1),
    Ipv4Addr::new(192, 168, 77, 1),
    Ipv4Addr::new(192, 0, 2, 1),
];
/// The port of every server but the resolver.
pub(super) const PORT: u16 = 8_080;
/// The port of another server at the public address, which answers over UDP too.
pub(super) const UDP_PORT: u16 = 8_081;

/// Runs a test inside the host of a world of its own; on a machine that cannot, says why not.
pub(super) fn in_world(test: impl AsyncFnOnce(&World) + Send) {
    if let Some(reason) = lacking() {
        println!("skipped: {reason}");
        return;
    }
    let world = World::make();
    world.host.run(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(test(&world));
    });
}

fn lacking() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root");
    }
    if !Path::new("/dev/net/tun").exists() {
        return Some("needs /dev/net/tun");
    }
    if Nft::find().is_none() {
        return Some("needs the program nft");
    }
    let has_ip = std::process::Command::new("ip").arg("-V").output().is_ok();
    (!has_ip).then_some("needs the program ip")
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) internet: Place,
    pub(super) host: Place,
    pub(super) settings: NetworkSettings,
    /// Who sent UDP to the public server.
    pub(super) senders: Senders,
}

impl World {
    pub(super) fn network(&self) -> LinuxNetwork {
        LinuxNetwork::new(self.settings.clone()).unwrap()
    }

    pub(super) fn slot(&self, index: u32) -> Slot {
        Slot::new(&self.settings.host_id, self.settings.block, 200_000, index)
    }

    /// The names of this test's namespaces and links that are there.
    pub(super) fn remains(&self) -> Vec<String> {
        let mut names = namespace::names_with_prefix(&self.prefix()).unwrap();
        let links = self.host.ip("-o link");
        names.extend(links.lines().filter(|line| line.contains(&self.prefix())).map(str::to_owned));
        names
    }

    pub(super) fn prefix(&self) -> String {
        format!("c{}-", &self.settings.host_id[..5])
    }

    fn make() -> Self {
        let (host, internet) = (Place::new(), Place::new());
        let senders = wire(&host, &internet);
        Self {
            internet,
            host,
            senders,
            settings: NetworkSettings {
                host_id: format!("{:08x}", fastrand::u32(..)),
                block: AddressBlock { first: Ipv4Addr::new(10, 213, 0, 0), prefix_length: 24 },
                egress_interface: None,
                resolvers: vec![RESOLVER],
                allowed: vec![],
                relays: RelayLimits {
                    address: Ipv4Addr::LOCALHOST.into(),
                    connect_timeout: Duration::from_secs(5),
                    idle_timeout: Duration::from_secs(60),
                    connections_per_port: 8,
                    connections: 16,
                },
            },
        }
    }
}

impl Drop for World {
    /// A failed test leaves nothing either.
    fn drop(&mut self) {
        let names = namespace::names_with_prefix(&self.prefix()).unwrap();
        for name in names {
            namespace::Namespace::named(&name).remove().unwrap();
        }
    }
}

/// Connects the two, and gives the internet its addresses and servers.
fn wire(host: &Place, internet: &Place) -> Senders {
    host.connect("wan0", internet, "wan1");
    host.ip("address add 192.0.2.2/24 dev wan0");
    host.ip("address add 45.33.32.156/32 dev wan0");
    host.ip("link set wan0 up");
    host.ip("route add default via 192.0.2.1");
    internet.ip("address add 192.0.2.1/24 dev wan1");
    internet.ip("link set wan1 up");
    internet.ip("route add 45.33.32.156 via 192.0.2.2");
    for address in [PUBLIC, RESOLVER].iter().chain(&FORBIDDEN[..6]) {
        internet.ip(&format!("address add {address}/32 dev lo"));
    }
    internet.echo_peer(Ipv4Addr::UNSPECIFIED, PORT);
    internet.echo_peer(RESOLVER, 53);
    host.echo_peer(Ipv4Addr::UNSPECIFIED, PORT);
    internet.echo_peer(PUBLIC, UDP_PORT)
}

//! Who answers guests' name queries: what is configured, else the host's own resolvers.
//!
//! The kernel leads the queries there (see [`super::rules::HostRules`]), not a relay in the daemon, because machines go on
//! when the daemon dies. One kind of resolver cannot be reached that way: systemd-resolved binds its stub, 127.0.0.53
//! and 127.0.0.54, to the loopback device and refuses what comes in elsewhere. But it writes down whom it asks, and
//! guests ask those. Any other resolver on the loopback is reached through `route_localnet` on our interfaces.

use std::{io, net::Ipv4Addr};

use camino::Utf8Path;

use super::error::NetworkError;

/// As many as the C library reads (resolv.conf(5)).
const LIMIT: usize = 3;

const STUBS: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 53), Ipv4Addr::new(127, 0, 0, 54)];

/// The host's resolvers that speak IPv4, in their order; empty when there are none.
pub(super) fn read() -> Result<Vec<Ipv4Addr>, NetworkError> {
    let own = read_file(Utf8Path::new("/etc/resolv.conf"))?;
    let behind_stub = read_file(Utf8Path::new("/run/systemd/resolve/resolv.conf"))?;
    Ok(choose(&own, &behind_stub))
}

/// The name servers of `own`; in place of systemd's stub those of `behind_stub`, whom the stub asks.
fn choose(own: &str, behind_stub: &str) -> Vec<Ipv4Addr> {
    let mut chosen = Vec::new();
    for server in name_servers(own) {
        let servers = match STUBS.contains(&server) {
            true => name_servers(behind_stub).filter(|server| !STUBS.contains(server)).collect(),
            false => vec![server],
        };
        for server in servers {
            if chosen.len() < LIMIT && !chosen.contains(&server) {
                chosen.push(server);
            }
        }
    }
    chosen
}

fn name_servers(resolv_conf: &str) -> impl Iterator<Item = Ipv4Addr> + '_ {
    resolv_conf.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
    })
}

/// The file's text; of a file that is not there, nothing.
fn read_file(path: &Utf8Path) -> Result<String, NetworkError> {
    match std::fs::read_to_string(path) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        result => {
            result.map_err(|source| NetworkError::Resolvers { path: path.to_owned(), source })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_resolvers_that_speak_ipv4_are_chosen_once_each() {
        let own = "# comment\nsearch a\nnameserver fd00::1\n nameserver 10.0.0.1\nnameserver 10.0.0.1\n\
                   nameserver 9.9.9.9\nnameserver 127.0.0.1\nnameserver 8.8.8.8\n";
        assert_eq!(
            choose(own, ""),
            [[10, 0, 0, 1], [9, 9, 9, 9], [127, 0, 0, 1]].map(Ipv4Addr::from)
        );
    }

    #[test]
    fn the_stub_of_systemd_is_replaced_by_whom_it_asks() {
        let upstream = "nameserver 192.0.2.1\nnameserver 127.0.0.53\n";
        assert_eq!(
            choose("nameserver 127.0.0.53\noptions edns0\n", upstream),
            [Ipv4Addr::new(192, 0, 2, 1)]
        );
        assert!(choose("nameserver 127.0.0.53\n", "").is_empty());
    }
}

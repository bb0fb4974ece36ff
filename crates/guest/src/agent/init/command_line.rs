//! The network as the kernel's command line gives it:
//! `computer.ip=172.16.0.2/30 computer.gateway=172.16.0.1 computer.dns=172.16.0.1[,...]`.

use std::net::Ipv4Addr;

/// Name servers that resolv.conf takes.
const NAME_SERVERS: usize = 3;

/// What eth0 gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) address: Ipv4Addr,
    pub(super) prefix: u8,
    pub(super) gateway: Option<Ipv4Addr>,
    pub(super) name_servers: Vec<Ipv4Addr>,
}

impl Network {
    /// `None` when there is no address, or none that can be read.
    pub(super) fn parse(command_line: &str) -> Option<Network> {
        let (address, prefix) = value(command_line, "computer.ip")?.split_once('/')?;
        let name_servers = value(command_line, "computer.dns").unwrap_or_default();
        Some(Network {
            address: address.parse().ok()?,
            prefix: prefix.parse().ok().filter(|prefix| *prefix <= 32)?,
            gateway: value(command_line, "computer.gateway").and_then(|text| text.parse().ok()),
            name_servers: name_servers
                .split(',')
                .filter_map(|text| text.parse().ok())
                .take(NAME_SERVERS)
                .collect(),
        })
    }
}

/// The vsock port on which the agent is to be reached: `computer.vsock=1024`. Without it the channel is a virtio-serial port.
pub(super) fn vsock_port(command_line: &str) -> Option<u32> {
    value(command_line, "computer.vsock")?.parse().ok()
}

/// The guest is up for its files only: `computer.files`.
pub(super) fn is_for_files(command_line: &str) -> bool {
    command_line.split_ascii_whitespace().any(|word| word == "computer.files")
}

/// The last value counts, as in the kernel.
fn value<'a>(command_line: &'a str, key: &str) -> Option<&'a str> {
    command_line
        .split_ascii_whitespace()
        .filter_map(|word| word.split_once('='))
        .rfind(|(name, _)| *name == key)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_are_read() {
        let line = "console=ttyS0 computer.ip=172.16.0.2/30 computer.gateway=172.16.0.1 computer.dns=172.16.0.1,9.9.9.9 quiet\n";
        let expected = Network {
            address: Ipv4Addr::new(172, 16, 0, 2),
            prefix: 30,
            gateway: Some(Ipv4Addr::new(172, 16, 0, 1)),
            name_servers: vec![Ipv4Addr::new(172, 16, 0, 1), Ipv4Addr::new(9, 9, 9, 9)],
        };
        assert_eq!(Network::parse(line), Some(expected));
    }

    #[test]
    fn without_a_readable_address_there_is_no_network() {
        for line in ["", "computer.ip=1.2.3.4", "computer.ip=1.2.3.4/33", "computer.ip=x/8"] {
            assert_eq!(Network::parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_vsock_port_is_read_where_there_is_one() {
        assert_eq!(vsock_port("quiet computer.vsock=1024 ip=off"), Some(1024));
        for line in ["", "computer.vsock=", "computer.vsock=x", "vsock=1024"] {
            assert_eq!(vsock_port(line), None, "{line}");
        }
    }

    #[test]
    fn the_last_of_two_values_counts() {
        let network = Network::parse("computer.ip=10.0.0.1/8 computer.ip=10.0.0.2/8");
        assert_eq!(network.map(|network| network.address), Some(Ipv4Addr::new(10, 0, 0, 2)));
    }
}

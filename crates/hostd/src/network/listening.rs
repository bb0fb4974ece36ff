//! On which TCP ports of the host anybody listens.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

/// The kernel's tables of TCP sockets, as this thread's namespace sees them; listening ones come first in each.
const TABLES: [&str; 2] = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];
/// The state `TCP_LISTEN` (`include/net/tcp_states.h`), as the tables write it.
const LISTEN: &str = "0A";

/// The ports, of any address.
pub(super) fn ports() -> io::Result<BTreeSet<u16>> {
    let mut ports = BTreeSet::new();
    for table in TABLES {
        match File::open(table) {
            Ok(file) => ports.extend(read(BufReader::new(file))?),
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(ports)
}

/// Reads as far as sockets listen: a host has many more that are connected.
fn read(table: impl BufRead) -> io::Result<Vec<u16>> {
    let mut ports = Vec::new();
    for line in table.lines().skip(1) {
        let line = line?;
        let mut words = line.split_ascii_whitespace().skip(1);
        let (Some(local), Some(state)) = (words.next(), words.nth(1)) else { continue };
        if state != LISTEN {
            break;
        }
        let port = local.rsplit_once(':').and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
        ports.extend(port);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_are_read_and_the_connected_ones_behind_them_are_not() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n\
            0: 0100007F:9C40 00000000:0000 0A 00000000:00000000 00:00000000\n\
            1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000\n\
            2: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000\n";
        assert_eq!(read(table.as_bytes()).unwrap(), [40_000, 22]);
    }

    #[test]
    fn a_port_on_which_this_test_listens_is_among_them() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(ports().unwrap().contains(&port));
    }
}

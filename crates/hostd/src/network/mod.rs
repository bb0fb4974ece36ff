//! Linux networking for machines: one namespace each, NAT at its edge, deny by default.
//!
//! ```text
//!          one namespace per machine, all alike inside                     the host
//!  guest 172.16.0.2 == tap0 172.16.0.1 [SlotRules] uplink == host interface [HostRules] egress interface
//!                      fixed MAC, DNS              runtime address
//! ```
//! It needs Linux 5.4 or newer with nftables (NAT in family `inet`, `fib`, `ct count`), veth and tun, and the program
//! `nft`. Whatever it makes is found again by name: namespaces and interfaces are called `c<host>-<index>`, the host's
//! table `computer_<host id>`. Requests never name any of these (promise P1).
//!
//! - [`LinuxNetwork`]: the `Network` port; [`NetworkSettings`] configure it.
//! - [`rules`]: what passes, as data. [`facts`]: whether the host fits the configuration.
//! - [`Relay`]: from a port of the host to a port of a guest, within [`RelayLimits`].
//! - [`conformance`]: what every `Network` must do.
//!
//! Inside: `build` makes and removes one slot by way of `namespace` (threads and names), `link` (tap and veth through
//! `netlink`), `setting` (/proc/sys) and `nft`; `mark` tells a finished slot from a half made one; `pool` keeps some
//! ready; `relay_table` holds the relays and `listening` tells which ports are taken; `resolver` finds who answers names.

mod build;
pub mod conformance;
mod error;
pub mod facts;
pub mod inner;
mod link;
mod linux;
mod listening;
mod mark;
mod namespace;
mod netlink;
mod nft;
mod pool;
mod relay;
mod relay_table;
mod resolver;
pub mod rules;
mod setting;
mod sys;
#[cfg(test)]
mod tests;

pub use error::NetworkError;
pub use linux::{LinuxNetwork, NetworkSettings};
pub use relay::{Relay, RelayError, RelaySettings};
pub use relay_table::RelayLimits;

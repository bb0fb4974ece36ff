//! The nftables rules, as data: what each namespace and the host let through. Nothing here touches the kernel.
//!
//! ```text
//!  guest -> tap0 [namespace: whose address? which policy? NAT to the runtime address] uplink
//!        -> host interface [host: not the host, not a neighbour, only public addresses; masquerade] -> egress interface
//! ```
//! The namespace holds the policy of one machine, the host's table the same bounds for all of them again, so that a VMM
//! that breaks out of its guest, and speaks from inside the namespace itself, meets them too.
//!
//! [`SlotRules`] write the table inside a namespace, for a policy; whether the namespace forwards at all is the kernel's
//! switch beside them. [`HostRules`] write the one table on the host, which speaks of our own interfaces only. `reserved` says which addresses are not public.

mod expression;
mod host;
mod range;
mod reserved;
mod slot;
mod table;
#[cfg(test)]
mod tests;

pub use host::{HostRules, host_table_name, no_host_rules};
pub use range::Ipv4Range;
pub use slot::SlotRules;

//! The few system calls that no safe wrapper offers. The only modules of this crate with `unsafe`.

pub(crate) mod child;
pub(crate) mod entropy;
pub(crate) mod grow;
pub(crate) mod interface;
pub(crate) mod poll;
pub(crate) mod vsock;

//! Both ends of the agent channel: the protocol, the host's client and the agent.
//!
//! See [`client`] for the host's side, [`agent`] for the guest's, [`framing`] for what carries bytes between them
//! where the channel is a virtio-serial port.

pub mod agent;
pub mod client;
pub mod framing;
pub mod limits;
pub mod proto;
mod sys;

//! The operator's hand: machines and snapshots through the daemon, object stores without a control plane, images.

mod byte_size;
pub mod doctor;
pub mod image;
pub mod setup;
mod tool;

pub use byte_size::{ByteSize, InvalidByteSize};

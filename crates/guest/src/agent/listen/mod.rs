//! The ways to the host. Each hands connections to one gRPC server.

mod connection;
mod socket;
mod virtio_port;

pub(crate) use connection::Connection;
pub(crate) use socket::{listen_unix, listen_unix_framed, listen_vsock};
pub(crate) use virtio_port::serve_port;

/// Connections that wait for the server to take them.
pub(crate) const PENDING_CONNECTIONS: usize = 8;

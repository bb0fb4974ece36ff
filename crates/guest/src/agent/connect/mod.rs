//! Commands for clients that know nothing of this host: Connect RPC over HTTP at port 49983, service `process.Process`, as
//! E2B's clients speak it.
//!
//! ```text
//!  client -> host's relay -> TCP -> HTTP/1.1 or 2 -> access: token, user -> calls  (one answer)
//!                                                                         -> stream (events of a session)
//!                                                                         -> input  (a stream of input)
//! ```
//! A process is a session like any other: it outlives the connection, and the host lists it too. Its tag is the session's
//! name. Connecting again takes it over from where it was last read. Protocol: <https://connectrpc.com/docs/protocol>.

mod access;
mod body;
mod calls;
mod codec;
mod envelope;
mod error;
mod find;
mod input;
mod messages;
mod route;
mod server;
mod stream;

pub(crate) use access::Access;
pub(crate) use server::{Place, serve};

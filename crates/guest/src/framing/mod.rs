//! A byte stream over a virtio-serial port, which is reliable only while both ends live.
//!
//! After a restore the port may begin with the second half of a frame, and the first half of another may lie in
//! the guest's memory; neither end is told (measured: no disconnect is seen). So both ends resynchronise in band:
//!
//! - every frame is byte-stuffed (COBS) and stands between zero bytes, which occur nowhere else. Half a frame costs
//!   itself and nothing more, and no payload, whatever it holds, can be taken for a frame. A length prefix behind a
//!   magic number has neither property: half a frame swallows the hello that follows it.
//! - every frame names its session by a nonce and ends in a CRC32. `Hello` with a new nonce starts a session anew;
//!   frames of any other session are ignored.
//!
//! ```text
//!  host                                        agent
//!   | Hello{nonce}      (again until answered)   |  drops the session before it
//!   | ------------------------------------------>|
//!   |                            HelloAck{nonce} |
//!   |<------------------------------------------ |
//!   |<============ Data{nonce, bytes} ==========>|  a `SessionStream` at each end; HTTP/2 runs over it
//!   |<---------- Probe{nonce} / ProbeAnswer ---- |  "are you still the host of this session?"
//!   | Close{nonce}                               |
//! ```
//!
//! Nothing here counts credits: HTTP/2 above bounds what is under way, and a session whose peer sends more than
//! [`QUEUE_BYTES`] beyond what was read is closed.

mod cobs;
mod decoder;
mod frame;
mod guest_end;
mod host_end;
mod link;
mod session;
#[cfg(test)]
mod tests;

pub use decoder::Decoder;
pub use frame::{Frame, Kind, MAX_PAYLOAD_BYTES, encode};
pub use guest_end::{LinkStatus, Presence, serve};
pub use host_end::{HelloError, hello, open};
pub use session::{QUEUE_BYTES, SessionStream};

//! One frame.
//!
//! Before stuffing, in little endian: magic `u8`, kind `u8`, length `u16`, session nonce `u64`, the payload, CRC32
//! `u32` over all before it.

use bytes::{BufMut, Bytes, BytesMut};

use super::cobs;

/// The most that one frame carries.
pub const MAX_PAYLOAD_BYTES: usize = 16 * 1024;

const MAGIC: u8 = 0xc1;
const HEADER_BYTES: usize = 12;
const CHECKSUM_BYTES: usize = 4;

/// The longest stuffed frame, without its delimiters.
pub(super) const MAX_STUFFED_BYTES: usize =
    cobs::stuffed_bytes(HEADER_BYTES + MAX_PAYLOAD_BYTES + CHECKSUM_BYTES);

/// The byte around every frame and never inside one.
pub(super) const DELIMITER: u8 = 0;

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The host starts a session; the payload is the framing's version.
    Hello,
    /// The agent has it.
    HelloAck,
    /// Bytes of the session.
    Data,
    /// The sender has no such session any more.
    Close,
    /// The agent asks whether the host's end of this very session is alive.
    Probe,
    /// It is.
    ProbeAnswer,
}

impl Kind {
    const ALL: [(Kind, u8); 6] = [
        (Kind::Hello, 1),
        (Kind::HelloAck, 2),
        (Kind::Data, 3),
        (Kind::Close, 4),
        (Kind::Probe, 5),
        (Kind::ProbeAnswer, 6),
    ];

    fn code(self) -> u8 {
        match self {
            Kind::Hello => 1,
            Kind::HelloAck => 2,
            Kind::Data => 3,
            Kind::Close => 4,
            Kind::Probe => 5,
            Kind::ProbeAnswer => 6,
        }
    }

    fn from_code(code: u8) -> Option<Kind> {
        Self::ALL.iter().find(|(_, known)| *known == code).map(|(kind, _)| *kind)
    }
}

/// A frame that arrived whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it says.
    pub kind: Kind,
    /// The session it belongs to.
    pub nonce: u64,
    /// At most [`MAX_PAYLOAD_BYTES`].
    pub payload: Bytes,
}

impl Frame {
    /// A frame that only says its kind.
    pub(super) fn bare(kind: Kind, nonce: u64) -> Frame {
        Frame { kind, nonce, payload: Bytes::new() }
    }
}

/// Appends the frame as it goes over the wire, delimiters included.
///
/// # Panics
/// When the payload is longer than [`MAX_PAYLOAD_BYTES`].
pub fn encode(frame: &Frame, output: &mut BytesMut) {
    assert!(frame.payload.len() <= MAX_PAYLOAD_BYTES, "the payload fits a frame");
    let length = u16::try_from(frame.payload.len()).expect("16 KiB fit 16 bits");
    let mut plain = BytesMut::with_capacity(HEADER_BYTES + frame.payload.len() + CHECKSUM_BYTES);
    plain.put_u8(MAGIC);
    plain.put_u8(frame.kind.code());
    plain.put_u16_le(length);
    plain.put_u64_le(frame.nonce);
    plain.put_slice(&frame.payload);
    let checksum = crc32fast::hash(&plain);
    plain.put_u32_le(checksum);
    output.put_u8(DELIMITER);
    cobs::stuff(&plain, output);
    output.put_u8(DELIMITER);
}

/// The frame in what stood between two delimiters; `None` for anything else.
pub(super) fn decode(stuffed: &[u8]) -> Option<Frame> {
    let mut plain = Vec::with_capacity(stuffed.len());
    cobs::unstuff(stuffed, &mut plain)?;
    let (body, checksum) = plain.split_last_chunk::<CHECKSUM_BYTES>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let (header, payload) = body.split_first_chunk::<HEADER_BYTES>()?;
    let [magic, code, length @ .., n0, n1, n2, n3, n4, n5, n6, n7] = *header;
    if magic != MAGIC || usize::from(u16::from_le_bytes(length)) != payload.len() {
        return None;
    }
    Some(Frame {
        kind: Kind::from_code(code)?,
        nonce: u64::from_le_bytes([n0, n1, n2, n3, n4, n5, n6, n7]),
        payload: Bytes::copy_from_slice(payload),
    })
}

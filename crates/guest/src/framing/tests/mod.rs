//! Frames and sessions under everything that a port does to them.

mod frames;
mod golden;
mod sessions;

use bytes::{Bytes, BytesMut};

use super::{Decoder, Frame, Kind, encode};

/// A small generator, so that a failure comes again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        let length = self.next() % (most + 1);
        // Zeros are what delimits: have many of them.
        (0..length)
            .map(|_| if self.next().is_multiple_of(4) { 0 } else { self.next() as u8 })
            .collect()
    }
}

fn frame(kind: Kind, nonce: u64, payload: &[u8]) -> Frame {
    Frame { kind, nonce, payload: Bytes::copy_from_slice(payload) }
}

fn wire(frame: &Frame) -> Vec<u8> {
    let mut output = BytesMut::new();
    encode(frame, &mut output);
    output.to_vec()
}

fn decode_all<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Frame> {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.push(piece, |frame| frames.push(frame));
    }
    frames
}

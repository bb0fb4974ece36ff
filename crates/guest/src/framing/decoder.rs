//! Finds frames in bytes that may begin, end and break anywhere.

use super::frame::{DELIMITER, Frame, MAX_STUFFED_BYTES, decode};

/// Keeps at most one frame's length of unfinished input.
#[derive(Debug, Default)]
pub struct Decoder {
    block: Vec<u8>,
    is_overlong: bool,
    damaged: u64,
}

impl Decoder {
    /// Takes the next bytes of the stream and hands on each whole frame in them.
    pub fn push(&mut self, mut input: &[u8], mut on_frame: impl FnMut(Frame)) {
        while let Some(end) = input.iter().position(|byte| *byte == DELIMITER) {
            self.extend(&input[..end]);
            input = &input[end + 1..];
            if let Some(frame) = self.finish_block() {
                on_frame(frame);
            }
        }
        self.extend(input);
    }

    /// How many blocks were no frames: garbage, half frames, wrong checksums.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    fn extend(&mut self, piece: &[u8]) {
        if self.is_overlong || self.block.len() + piece.len() > MAX_STUFFED_BYTES {
            self.is_overlong = true;
            self.block = Vec::new();
        } else {
            self.block.extend_from_slice(piece);
        }
    }

    /// An idle decoder holds no memory: there is one for each machine.
    fn finish_block(&mut self) -> Option<Frame> {
        let block = std::mem::take(&mut self.block);
        let is_overlong = std::mem::take(&mut self.is_overlong);
        if block.is_empty() && !is_overlong {
            return None;
        }
        let frame = if is_overlong { None } else { decode(&block) };
        self.damaged += u64::from(frame.is_none());
        frame
    }
}

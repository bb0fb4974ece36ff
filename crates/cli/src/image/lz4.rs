//! The LZ4 legacy stream, as `lz4 -l` writes it and Linux wraps its kernels: a magic number, then blocks, each behind its size.
//!
//! Formats: the LZ4 block format and the "legacy frame" of the LZ4 frame format. Blocks are independent and hold at most 8 MiB.
//! The input is checked at every step, and the output is bounded by the caller.

/// What begins a legacy stream.
pub(crate) const MAGIC: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];

const SMALLEST_MATCH: usize = 4;

/// Why bytes are no LZ4 legacy stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLz4 {
    /// The stream does not begin with the magic number.
    #[error("the stream has no LZ4 legacy magic number")]
    Magic,
    /// The stream ends inside a block.
    #[error("the stream is cut short")]
    Truncated,
    /// A match reaches before the beginning of its block.
    #[error("a match reaches before the beginning of its block")]
    Offset,
    /// The stream holds more than was announced.
    #[error("the stream holds more than the announced {limit_bytes} bytes")]
    TooLong {
        /// The announced size.
        limit_bytes: usize,
    },
}

/// Decodes a legacy stream of exactly `size_bytes`; what follows the last block in `stream` is left alone.
pub(crate) fn decode_legacy(stream: &[u8], size_bytes: usize) -> Result<Vec<u8>, InvalidLz4> {
    let mut rest = stream.strip_prefix(&MAGIC).ok_or(InvalidLz4::Magic)?;
    let mut output = Vec::with_capacity(size_bytes.min(256 << 20));
    while output.len() < size_bytes {
        let (length, after) = rest.split_first_chunk::<4>().ok_or(InvalidLz4::Truncated)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (block, after) = after.split_at_checked(length).ok_or(InvalidLz4::Truncated)?;
        decode_block(block, &mut output, size_bytes)?;
        rest = after;
    }
    Ok(output)
}

/// Appends one decoded block to `output`, which never grows beyond `limit_bytes`.
fn decode_block(block: &[u8], output: &mut Vec<u8>, limit_bytes: usize) -> Result<(), InvalidLz4> {
    let start = output.len();
    let mut input = Input(block);
    while !input.0.is_empty() {
        let token = input.byte()?;
        let literals = input.length(token >> 4)?;
        let literals = input.bytes(literals)?;
        ensure_room(output, literals.len(), limit_bytes)?;
        output.extend_from_slice(literals);
        if input.0.is_empty() {
            break;
        }
        let offset = usize::from(u16::from_le_bytes([input.byte()?, input.byte()?]));
        let length = input.length(token & 15)? + SMALLEST_MATCH;
        if offset == 0 || offset > output.len() - start {
            return Err(InvalidLz4::Offset);
        }
        ensure_room(output, length, limit_bytes)?;
        copy_match(output, offset, length);
    }
    Ok(())
}

fn ensure_room(output: &[u8], more: usize, limit_bytes: usize) -> Result<(), InvalidLz4> {
    let fits = more <= limit_bytes - output.len();
    if fits { Ok(()) } else { Err(InvalidLz4::TooLong { limit_bytes }) }
}

/// Repeats what was written `offset` bytes ago; a match may overlap what it produces.
fn copy_match(output: &mut Vec<u8>, offset: usize, length: usize) {
    let mut left = length;
    while left > 0 {
        let from = output.len() - offset;
        let run = left.min(offset);
        output.extend_from_within(from..from + run);
        left -= run;
    }
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Result<u8, InvalidLz4> {
        let (byte, rest) = self.0.split_first().ok_or(InvalidLz4::Truncated)?;
        self.0 = rest;
        Ok(*byte)
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], InvalidLz4> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(InvalidLz4::Truncated)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// A length whose first part stands in a nibble: 15 means that bytes follow, to be added until one is not 255.
    fn length(&mut self, nibble: u8) -> Result<usize, InvalidLz4> {
        let mut length = usize::from(nibble);
        if nibble < 15 {
            return Ok(length);
        }
        loop {
            let more = self.byte()?;
            length += usize::from(more);
            if more < 255 {
                return Ok(length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(blocks: &[&[u8]]) -> Vec<u8> {
        let mut stream = MAGIC.to_vec();
        for block in blocks {
            stream.extend((block.len() as u32).to_le_bytes());
            stream.extend(*block);
        }
        stream
    }

    /// "abcd", then eight bytes from four ago, then the literal "!".
    const REPEATS: &[u8] = &[0x44, b'a', b'b', b'c', b'd', 4, 0, 0x10, b'!'];

    #[test]
    fn literals_and_overlapping_matches_are_decoded() {
        assert_eq!(decode_legacy(&stream(&[REPEATS]), 13).as_deref(), Ok(&b"abcdabcdabcd!"[..]));
        let run = [0x1f, b'x', 1, 0, 255, 1, 0x00];
        assert_eq!(decode_legacy(&stream(&[&run]), 276), Ok(vec![b'x'; 276]));
    }

    #[test]
    fn blocks_are_independent_and_a_tail_is_left_alone() {
        let mut two = stream(&[REPEATS, &[0x20, b'o', b'k']]);
        two.extend(15u32.to_le_bytes());
        assert_eq!(decode_legacy(&two, 15).as_deref(), Ok(&b"abcdabcdabcd!ok"[..]));
        let reaching_back = stream(&[REPEATS, &[0x10, b'x', 2, 0, 0x00]]);
        assert_eq!(decode_legacy(&reaching_back, 18), Err(InvalidLz4::Offset));
    }

    #[test]
    fn a_long_literal_has_its_length_in_more_bytes() {
        let text = vec![b'z'; 300];
        let mut block = vec![0xf0, 255, 30];
        block.extend(&text);
        assert_eq!(decode_legacy(&stream(&[&block]), 300), Ok(text));
    }

    #[test]
    fn damaged_streams_are_refused_and_never_read_past() {
        let good = stream(&[REPEATS]);
        assert_eq!(decode_legacy(b"no lz4 at all", 4), Err(InvalidLz4::Magic));
        for end in 4..good.len() {
            assert_eq!(decode_legacy(&good[..end], 13), Err(InvalidLz4::Truncated), "{end}");
        }
        assert_eq!(decode_legacy(&good, 12), Err(InvalidLz4::TooLong { limit_bytes: 12 }));
        assert_eq!(decode_legacy(&good, 14), Err(InvalidLz4::Truncated));
        let zero_offset = stream(&[&[0x10, b'a', 0, 0, 0x00]]);
        assert_eq!(decode_legacy(&zero_offset, 5), Err(InvalidLz4::Offset));
    }
}

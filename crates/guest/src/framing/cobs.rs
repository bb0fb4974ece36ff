//! Consistent overhead byte stuffing: any bytes become bytes without a zero, at most one in 254 longer.

use bytes::BytesMut;

const LONGEST_RUN: usize = 254;
const LONGEST_RUN_CODE: u8 = 255;

/// The most that `length` bytes grow to.
pub(super) const fn stuffed_bytes(length: usize) -> usize {
    length + length / LONGEST_RUN + 1
}

/// Appends `input` to `output` without any zero byte.
pub(super) fn stuff(input: &[u8], output: &mut BytesMut) {
    let start = output.len();
    output.resize(start + stuffed_bytes(input.len()), 0);
    let stuffed = &mut output[start..];
    // Where the current run's length goes once it is known, and where the next byte goes.
    let (mut code_at, mut at) = (0, 1);
    let mut code = 1_u8;
    for &byte in input {
        if code == LONGEST_RUN_CODE {
            stuffed[code_at] = code;
            (code_at, at, code) = (at, at + 1, 1);
        }
        if byte == 0 {
            stuffed[code_at] = code;
            (code_at, at, code) = (at, at + 1, 1);
        } else {
            stuffed[at] = byte;
            at += 1;
            code += 1;
        }
    }
    stuffed[code_at] = code;
    output.truncate(start + at);
}

/// Undoes [`stuff`]; `None` when `input` is not what it makes.
pub(super) fn unstuff(input: &[u8], output: &mut Vec<u8>) -> Option<()> {
    let mut rest = input;
    while let Some((&code, tail)) = rest.split_first() {
        let length = usize::from(code).checked_sub(1)?;
        let run = tail.get(..length)?;
        output.extend_from_slice(run);
        rest = &tail[length..];
        if length < LONGEST_RUN && !rest.is_empty() {
            output.push(0);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(input: &[u8]) -> Vec<u8> {
        let mut stuffed = BytesMut::new();
        stuff(input, &mut stuffed);
        assert!(!stuffed.contains(&0));
        assert!(stuffed.len() <= stuffed_bytes(input.len()));
        let mut output = Vec::new();
        unstuff(&stuffed, &mut output).expect("what stuff made");
        output
    }

    #[test]
    fn every_length_and_place_of_zeros_comes_back() {
        for length in 0..600 {
            for step in [1, 2, 3, 127, 253, 254, 255, 1000] {
                let input: Vec<u8> =
                    (0..length).map(|i| u8::from(i % step != step - 1) * 7).collect();
                assert_eq!(round_trip(&input), input, "length {length}, a zero every {step}");
            }
        }
    }

    #[test]
    fn a_run_that_ends_beyond_the_input_is_refused() {
        assert_eq!(unstuff(&[5, 1, 2], &mut Vec::new()), None);
        assert_eq!(unstuff(&[0], &mut Vec::new()), None);
    }
}

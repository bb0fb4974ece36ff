//! Consistent overhead byte stuffing: any bytes become bytes without a zero, at most one in 254 longer.

use bytes::{BufMut, BytesMut};

const LONGEST_RUN: usize = 254;

/// The most that `length` bytes grow to.
pub(super) const fn stuffed_bytes(length: usize) -> usize {
    length + length / LONGEST_RUN + 1
}

/// Appends `input` to `output` without any zero byte.
pub(super) fn stuff(input: &[u8], output: &mut BytesMut) {
    output.reserve(stuffed_bytes(input.len()));
    let mut rest = input;
    loop {
        let window = &rest[..rest.len().min(LONGEST_RUN)];
        match window.iter().position(|byte| *byte == 0) {
            Some(zero) => {
                put_run(&window[..zero], output);
                rest = &rest[zero + 1..];
            }
            None if window.len() == LONGEST_RUN => {
                output.put_u8(0xff);
                output.put_slice(window);
                rest = &rest[LONGEST_RUN..];
            }
            None => {
                put_run(window, output);
                return;
            }
        }
    }
}

/// A run shorter than the longest, which a zero (or the end) follows.
fn put_run(run: &[u8], output: &mut BytesMut) {
    let length = u8::try_from(run.len()).expect("a run is shorter than 254 bytes, its window is");
    output.put_u8(length + 1);
    output.put_slice(run);
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

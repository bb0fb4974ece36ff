//! The decoder.

use super::super::MAX_PAYLOAD_BYTES;
use super::*;

#[test]
fn frames_come_back_however_the_stream_is_cut() {
    let mut random = Random(1);
    for _ in 0..200 {
        let sent: Vec<Frame> =
            (0..5).map(|nonce| frame(Kind::Data, nonce, &random.bytes(700))).collect();
        let stream: Vec<u8> = sent.iter().flat_map(wire).collect();
        let cut = 1 + random.next() as usize % 97;
        assert_eq!(decode_all(stream.chunks(cut)), sent, "in pieces of {cut}");
    }
}

#[test]
fn the_longest_payload_fits_and_needs_no_more_than_the_bound() {
    for byte in [0, 1, 0xff] {
        let sent = frame(Kind::Data, u64::MAX, &vec![byte; MAX_PAYLOAD_BYTES]);
        assert_eq!(decode_all([wire(&sent).as_slice()]), [sent]);
    }
}

#[test]
fn a_hello_is_found_behind_any_garbage_promise_p8() {
    let mut random = Random(2);
    let hello = frame(Kind::Hello, 7, &[1]);
    for round in 0..2000 {
        let garbage = random.bytes(if round % 50 == 0 { 60_000 } else { 300 });
        let frames = decode_all([garbage.as_slice(), &wire(&hello)]);
        assert_eq!(frames.last(), Some(&hello), "round {round}");
        assert_eq!(frames.len(), 1, "garbage became a frame in round {round}");
    }
}

#[test]
fn half_a_frame_from_before_a_snapshot_costs_itself_and_nothing_more() {
    let mut random = Random(3);
    let hello = wire(&frame(Kind::Hello, 8, &[1]));
    for payload in [vec![], vec![0; 40], random.bytes(600), vec![5; 300]] {
        let old = wire(&frame(Kind::Data, 7, &payload));
        for cut in 0..old.len() - 1 {
            let frames = decode_all([&old[..cut], &hello]);
            assert_eq!(frames.len(), 1, "cut at {cut}");
            assert_eq!(frames[0].nonce, 8, "cut at {cut}");
            // And its second half, as a port that was restored begins.
            let frames = decode_all([&old[cut + 1..], &hello]);
            assert_eq!(frames.last().map(|frame| frame.nonce), Some(8), "cut at {cut}");
        }
    }
}

#[test]
fn a_payload_that_holds_a_whole_hello_is_no_hello() {
    let inner = wire(&frame(Kind::Hello, 99, &[1]));
    let outer = frame(Kind::Data, 7, &inner);
    let stream = wire(&outer);
    assert_eq!(decode_all([stream.as_slice()]), [outer]);
    for cut in 1..stream.len() {
        let frames = decode_all([&stream[..cut], &stream]);
        assert!(frames.iter().all(|frame| frame.nonce == 7), "cut at {cut}");
    }
}

#[test]
fn a_changed_bit_never_makes_another_frame() {
    let sent = frame(Kind::Data, 7, b"some bytes\0and more");
    let stream = wire(&sent);
    for index in 0..stream.len() {
        for bit in 0..8 {
            let mut changed = stream.clone();
            changed[index] ^= 1 << bit;
            for received in decode_all([changed.as_slice()]) {
                assert_eq!(received, sent, "bit {bit} of byte {index}");
            }
        }
    }
}

#[test]
fn a_block_without_end_is_held_to_a_bound_promise_p10() {
    let mut decoder = Decoder::default();
    for _ in 0..1000 {
        decoder.push(&[1; 10_000], |_frame| panic!("no frame in this"));
    }
    let hello = frame(Kind::Hello, 7, &[1]);
    let mut frames = Vec::new();
    decoder.push(&wire(&hello), |frame| frames.push(frame));
    assert_eq!(frames, [hello]);
    assert_eq!(decoder.damaged(), 1);
}

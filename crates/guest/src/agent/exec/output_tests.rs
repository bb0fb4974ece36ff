use super::*;
use OutputStream::{Stderr, Stdout};

fn data(stream: OutputStream, offset: u64, data: &'static [u8]) -> Option<Piece> {
    Some(Piece::Data { stream, offset, data: Bytes::from_static(data) })
}

fn cut(stdout: u64, stderr: u64) -> Cut {
    Cut { stdout, stderr }
}

#[test]
fn a_reader_gets_both_streams_in_the_order_in_which_they_came() {
    let mut output = Output::new(OutputPolicy::Wait);
    output.push(Stdout, b"hel");
    output.push(Stderr, b"oh");
    output.push(Stdout, b"lo");
    assert_eq!(output.piece(cut(0, 0)), data(Stdout, 0, b"hel"));
    assert_eq!(output.piece(cut(2, 0)), data(Stdout, 2, b"l"));
    assert_eq!(output.piece(cut(3, 0)), data(Stderr, 0, b"oh"));
    assert_eq!(output.piece(cut(3, 2)), data(Stdout, 3, b"lo"));
    assert_eq!(output.piece(cut(5, 2)), None);
    assert_eq!(output.piece(cut(9, 2)), None);
}

#[test]
fn every_position_has_its_cut() {
    let mut output = Output::new(OutputPolicy::Wait);
    output.push(Stdout, b"abc");
    output.push(Stderr, b"de");
    output.push(Stdout, b"f");
    let cuts = [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (3, 2), (4, 2)];
    for (position, (stdout, stderr)) in (0..).zip(cuts) {
        assert_eq!(output.find(position), Some(cut(stdout, stderr)), "{position}");
        assert!(output.is_cut(cut(stdout, stderr)));
    }
    assert_eq!(output.find(7), None);
    for (stdout, stderr) in [(2, 1), (4, 0), (0, 1), (4, 3)] {
        assert!(!output.is_cut(cut(stdout, stderr)), "{stdout} {stderr}");
    }
}

#[test]
fn a_reader_gets_the_same_bytes_wherever_the_ring_turns() {
    let mut output = Output::new(OutputPolicy::Wait);
    let mut reached = Cut::default();
    let (mut written, mut read) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 0..3000_u32 {
        let stream = if round % 3 == 0 { Stderr } else { Stdout };
        let piece: Vec<u8> = (0..(round * 7) % 997).map(|index| (round + index) as u8).collect();
        output.push(stream, &piece);
        written[usize::from(stream == Stderr)].extend_from_slice(&piece);
        // The reader stays a little behind, and acknowledges a little less.
        while output.end().position() - reached.position() > 5000 {
            let Some(Piece::Data { stream, offset, data }) = output.piece(reached) else {
                panic!("nothing at {reached:?}")
            };
            assert_eq!(offset, *reached.of(stream));
            *reached.of(stream) += data.len() as u64;
            read[usize::from(stream == Stderr)].extend_from_slice(&data);
            let known = reached.position().saturating_sub(3);
            let known = output.find(known).expect("it was read");
            output.acknowledge(known);
        }
    }
    assert!(reached.position() > 1_000_000);
    for (written, read) in written.iter().zip(&read) {
        assert!(written.starts_with(read), "{} of {}", read.len(), written.len());
    }
}

#[test]
fn what_was_read_makes_room_and_is_there_to_be_read_again() {
    let mut output = Output::new(OutputPolicy::Wait);
    output.push(Stdout, &vec![7; limits::UNREAD_BYTES]);
    assert_eq!(output.room(Reader::Gone), 0);
    output.acknowledge(cut(10, 0));
    assert_eq!(output.room(Reader::Gone), 10);
    output.acknowledge(cut(5, 0));
    assert_eq!(output.room(Reader::Gone), 10);
    assert!(matches!(output.piece(cut(4, 0)), Some(Piece::Data { offset: 4, .. })));
    output.acknowledge(cut(u64::MAX, u64::MAX));
    assert_eq!(output.room(Reader::Gone), limits::UNREAD_BYTES);
    assert_eq!(output.acknowledged(), cut(limits::UNREAD_BYTES as u64, 0));
}

#[test]
fn dropping_keeps_the_newest_and_shows_the_gap_promise_p10() {
    let mut output = Output::new(OutputPolicy::DropOldest);
    output.push(Stderr, b"early");
    for _ in 0..10 {
        output.push(Stdout, &vec![1; limits::OUTPUT_BYTES / 2]);
    }
    output.push(Stdout, b"end");
    let end = output.end();
    assert_eq!(output.bytes.len(), limits::OUTPUT_BYTES);
    let gap = end.stdout - limits::OUTPUT_BYTES as u64;
    let lost = |stream, to| Some(Piece::Lost { stream, from: 0, to });
    assert_eq!(output.piece(cut(0, 0)), lost(Stdout, gap));
    assert_eq!(output.piece(cut(gap, 0)), lost(Stderr, 5));
    assert!(matches!(output.piece(cut(gap, 5)), Some(Piece::Data { .. })));
    assert_eq!(output.piece(cut(end.stdout - 3, 5)), data(Stdout, end.stdout - 3, b"end"));
    assert_eq!(output.find(1), Some(cut(gap, 5)), "the first that is still known");
}

#[test]
fn output_that_changes_streams_with_every_byte_is_bounded_promise_p10() {
    for policy in [OutputPolicy::Wait, OutputPolicy::DropOldest] {
        let mut output = Output::new(policy);
        for _ in 0..4 * limits::OUTPUT_RUNS {
            if output.room(Reader::Gone) > 0 {
                output.push(Stdout, b"o");
                output.push(Stderr, b"e");
            }
        }
        assert!(output.runs.len() <= 2 * limits::OUTPUT_RUNS);
        let is_stopped = output.room(Reader::Gone) == 0;
        assert_eq!(is_stopped, policy == OutputPolicy::Wait);
    }
}

#[test]
fn a_command_waits_for_a_reader_only_while_one_is_expected() {
    let mut output = Output::new(OutputPolicy::WaitForReader);
    output.push(Stdout, &vec![7; limits::UNREAD_BYTES]);
    assert_eq!(output.room(Reader::Expected), 0);
    assert!(output.room(Reader::Gone) > 0);
}

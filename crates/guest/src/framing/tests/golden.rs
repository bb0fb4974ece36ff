//! Framing version 1 as it is on the wire. The file never changes: a new version gets a new one.

use super::*;

const VERSION_1: &str = include_str!("golden/version-1.txt");

fn frames() -> Vec<Frame> {
    vec![
        frame(Kind::Hello, 0x0102_0304_0506_0708, &[1]),
        frame(Kind::HelloAck, 0x0102_0304_0506_0708, &[]),
        frame(Kind::Data, 0x0102_0304_0506_0708, b"some\0data"),
        frame(Kind::Close, 0, &[]),
        frame(Kind::Probe, u64::MAX, &[]),
        frame(Kind::ProbeAnswer, u64::MAX, &[]),
    ]
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn version_1_is_written_and_read_as_ever() {
    let written: String = frames()
        .iter()
        .map(|frame| format!("{:?} {}\n", frame.kind, hexadecimal(&wire(frame))))
        .collect();
    assert_eq!(written, VERSION_1);
    for (line, expected) in VERSION_1.lines().zip(frames()) {
        let (_kind, digits) = line.split_once(' ').expect("a kind and its bytes");
        let bytes: Vec<u8> = (0..digits.len() / 2)
            .map(|index| u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).expect("a byte"))
            .collect();
        assert_eq!(decode_all([bytes.as_slice()]), [expected]);
    }
}

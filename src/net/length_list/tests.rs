//! Header blocks before and after.

use super::*;

/// A string literal of fewer than 127 bytes, in Huffman code or plain.
fn literal(is_huffman: bool, text: &[u8]) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    [&[if is_huffman { 0x80 | length } else { length }][..], text].concat()
}

/// A HEADERS frame that ends its block.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    FrameHeader { length: payload.len(), kind, flags, stream: [0, 0, 0, 1] }.write(&mut bytes);
    [bytes, payload.to_vec()].concat()
}

/// What comes out when these bytes arrive in pieces of `step` bytes, and leave in pieces of up to 5.
fn passed_on(bytes: &[u8], step: usize) -> Vec<u8> {
    let (mut lists, mut out) = (LengthLists::default(), Vec::new());
    for came in bytes.chunks(step) {
        let passed = lists.take(came);
        out.extend_from_slice(&came[..passed]);
        while lists.give(5, |given| out.extend_from_slice(given)) {}
    }
    lists.end();
    while lists.give(5, |given| out.extend_from_slice(given)) {}
    out
}

#[test]
fn a_repeated_length_becomes_one() {
    let indexed_name = |first: u8, value: &str| [vec![first], literal(false, value.as_bytes())].concat();
    let name = literal(false, b"content-length");
    let huffman_name = literal(true, CONTENT_LENGTH_HUFFMAN);
    let other = [vec![0x80 | 8, 0x0f, 0x0f], literal(false, b"image/webp")].concat();
    // `1024, 1024` and `1024`, as other encoders write them
    let (huffman, twice) = ([8, 4, 0xd7, 0xd2, 0x81, 0, 0x9a], "1024, 1024");
    for (list, one) in [
        (indexed_name(0x5c, twice), indexed_name(0x5c, "1024")),
        (
            [vec![0x0f, 0x0d], literal(false, twice.as_bytes())].concat(),
            [vec![0x0f, 0x0d], literal(false, b"1024")].concat(),
        ),
        ([vec![0x1f, 0x0d], literal(true, &huffman)].concat(), [vec![0x1f, 0x0d], literal(false, b"1024")].concat()),
        (
            [vec![0], name.clone(), literal(false, b"7,7 ,\t007")].concat(),
            [vec![0], name.clone(), literal(false, b"7")].concat(),
        ),
        (
            [vec![0x40], huffman_name.clone(), literal(true, &huffman)].concat(),
            [vec![0x40], huffman_name, literal(false, b"1024")].concat(),
        ),
        ([indexed_name(0x5c, twice), indexed_name(0x5c, twice)].concat(), indexed_name(0x5c, "1024").repeat(2)),
        (indexed_name(0x5c, "12345678901234567890, 12345678901234567890"), indexed_name(0x5c, "12345678901234567890")),
    ] {
        let fields = [&other[..], &list, &other].concat();
        let expected = [&other[..], &one, &other].concat();
        assert_eq!(without_lists(&fields), Some(expected.clone()), "{list:x?}");
        assert_eq!(without_lists(&expected), None, "{one:x?}");
    }
}

#[test]
fn other_fields_stay_as_they_are() {
    for fields in [
        &b"\x5c\x045, 6"[..],
        b"\x5c\x015",
        b"\x5c\x02+5",
        b"\x5c\x03+5,+5",
        b"\x5c\x045, ",
        b"\x5c\x03,5,",
        b"\x5d\x045, 5",
        b"\x00\x0eContent-length\x045, 5",
        b"\x5c\x84\xff\xff\xff\xff",
        b"\x3f\xe1\x1f\x88",
        b"\xff\xff\xff\xff\xff\xff",
        b"\x5c\x7f",
        b"",
    ] {
        assert_eq!(without_lists(fields), None, "{fields:x?}");
    }
}

#[test]
fn frames_pass_however_the_bytes_are_cut() {
    let (list, one) = (b"\x88\x5c\x045, 5\x82", b"\x88\x5c\x015\x82");
    let padded = [&[3][..], &[0; 5], list, &[0; 3]].concat();
    let data = frame(0, 0, &[1; 40]);
    let split = [
        frame(HEADERS, END_STREAM, &list[..4]),
        frame(CONTINUATION, 0, &list[4..5]),
        frame(CONTINUATION, END_HEADERS, &list[5..]),
    ];
    let long = frame(HEADERS, 0, &[0x82; MAX_BLOCK]);
    let foreign = [frame(HEADERS, 0, list), data.clone(), frame(CONTINUATION, END_HEADERS, list)].concat();
    let plain = frame(HEADERS, END_HEADERS, one);
    for (came, expected) in [
        (frame(HEADERS, END_HEADERS, list), plain.clone()),
        (frame(HEADERS, END_HEADERS | PADDED | PRIORITY, &padded), plain.clone()),
        (split.concat(), frame(HEADERS, END_HEADERS | END_STREAM, one)),
        (long.clone(), long),
        (foreign.clone(), foreign),
        (frame(HEADERS, END_HEADERS | PADDED, &[9, 0x88]), frame(HEADERS, END_HEADERS | PADDED, &[9, 0x88])),
        (frame(HEADERS, END_HEADERS, b""), frame(HEADERS, END_HEADERS, b"")),
    ] {
        let (before, after) = ([&data, &came[..], &data].concat(), [&data, &expected[..], &data].concat());
        for step in [1, 7, 48, 49, 50, before.len()] {
            assert!(passed_on(&before, step) == after, "{came:x?} by {step}");
        }
    }
}

#[test]
fn an_incomplete_block_passes_when_the_connection_ends() {
    let bytes = frame(HEADERS, END_HEADERS, b"\x88\x5c\x045, 5");
    for end in 0..bytes.len() {
        for step in [1, 5, 64] {
            assert_eq!(passed_on(&bytes[..end], step), bytes[..end]);
        }
    }
}

#[test]
fn a_long_block_is_written_in_several_frames() {
    let long = [b"\x5c\x045, 5".to_vec(), vec![0x82; 2 * MAX_PAYLOAD]].concat();
    let came: Vec<u8> = [
        frame(HEADERS, 0, &long[..MAX_PAYLOAD]),
        frame(CONTINUATION, 0, &long[MAX_PAYLOAD..2 * MAX_PAYLOAD]),
        frame(CONTINUATION, END_HEADERS, &long[2 * MAX_PAYLOAD..]),
    ]
    .concat();
    let short = [b"\x5c\x015".to_vec(), vec![0x82; 2 * MAX_PAYLOAD]].concat();
    let expected = [
        frame(HEADERS, 0, &short[..MAX_PAYLOAD]),
        frame(CONTINUATION, 0, &short[MAX_PAYLOAD..2 * MAX_PAYLOAD]),
        frame(CONTINUATION, END_HEADERS, &short[2 * MAX_PAYLOAD..]),
    ];
    assert!(passed_on(&came, 1_000) == expected.concat());
}

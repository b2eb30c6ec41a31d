//! Lets HTTP/2 accept a `content-length` that lists the same number several times.
//!
//! `Content-Length: 5, 5` is one length (RFC 9110 §8.6), and browsers take it as that over both versions of HTTP. hyper
//! does so over HTTP/1.1 only: the h2 crate rejects the list as malformed before anybody sees the response. So
//! [`LengthLists`] replaces such a value in the header blocks before h2 reads them: `5, 5` becomes `5`. Everything else
//! passes unchanged, and DATA frames pass without being copied.
//!
//! No header block is decoded; its fields are only walked (RFC 7541 §6). That is enough:
//! - The name is recognized as entry 28 of the static table or as a literal, plain or in Huffman code. Encoders do not
//!   use an entry of the dynamic table for a name that is in the static one.
//! - A shorter value makes a smaller entry in the dynamic table of h2 than in that of the peer. Entries are counted
//!   from the newest, so h2 only keeps some that the peer has dropped and will not name again.

use std::borrow::Cow;

/// Passes on the bytes of an HTTP/2 connection, with the lists in its header blocks replaced.
#[derive(Debug, Default)]
pub(super) struct LengthLists {
    /// Bytes that cannot be passed on yet: the start of a frame header or of a header block.
    held: Vec<u8>,
    /// Bytes to be passed on before any others.
    ready: Vec<u8>,
    /// Payload bytes of the current frame that are still to come. They pass unchanged.
    skip: usize,
}

impl LengthLists {
    /// Takes bytes that arrived. Returns how many of them, from the first, can be passed on as they are. The others are
    /// kept, and [`Self::give`] passes them on.
    pub(super) fn take(&mut self, came: &[u8]) -> usize {
        let mut passed = 0;
        if self.held.is_empty() && self.ready.is_empty() {
            loop {
                let skipped = self.skip.min(came.len() - passed);
                self.skip -= skipped;
                passed += skipped;
                match FrameHeader::parse(&came[passed..]) {
                    Some(frame) if frame.kind != HEADERS => {
                        passed += FrameHeader::LENGTH;
                        self.skip = frame.length;
                    }
                    _ => break,
                }
            }
        }
        self.held.extend_from_slice(&came[passed..]);
        self.release();
        passed
    }

    /// Takes the end of the connection: what is held will not be completed.
    pub(super) fn end(&mut self) {
        self.ready.append(&mut self.held);
    }

    /// Moves up to `most` bytes that were kept into `sink`. Returns whether there were any.
    pub(super) fn give(&mut self, most: usize, sink: impl FnOnce(&[u8])) -> bool {
        let given = self.ready.len().min(most);
        if given > 0 {
            sink(&self.ready[..given]);
            self.ready.drain(..given);
        }
        given > 0
    }

    /// Whether nothing is left to be passed on.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Moves what is complete from `held` to `ready`.
    fn release(&mut self) {
        loop {
            let skipped = self.skip.min(self.held.len());
            self.skip -= skipped;
            self.ready.extend(self.held.drain(..skipped));
            let Some(frame) = FrameHeader::parse(&self.held) else { return };
            if frame.kind != HEADERS {
                self.ready.extend(self.held.drain(..FrameHeader::LENGTH));
                self.skip = frame.length;
                continue;
            }
            match HeaderBlock::parse(&self.held) {
                Parsed::Incomplete => return,
                Parsed::Foreign => {
                    self.ready.extend(self.held.drain(..FrameHeader::LENGTH));
                    self.skip = frame.length;
                }
                Parsed::Complete { block, length } => {
                    match block.fields().and_then(|fields| without_lists(&fields)) {
                        Some(fields) => block.write(&fields, &mut self.ready),
                        None => self.ready.extend_from_slice(&self.held[..length]),
                    }
                    self.held.drain(..length);
                }
            }
        }
    }
}

/// The first nine bytes of a frame (RFC 9113 §4.1).
#[derive(Clone, Copy)]
struct FrameHeader {
    length: usize,
    kind: u8,
    flags: u8,
    /// The identifier of the stream, with the reserved bit.
    stream: [u8; 4],
}

impl FrameHeader {
    const LENGTH: usize = 9;

    fn parse(bytes: &[u8]) -> Option<Self> {
        let &[a, b, c, kind, flags, ref stream @ ..] = bytes.first_chunk::<{ Self::LENGTH }>()?;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        Some(Self { length, kind, flags, stream: *stream })
    }

    fn write(self, out: &mut Vec<u8>) {
        let [.., a, b, c] = self.length.to_be_bytes();
        out.extend([a, b, c, self.kind, self.flags]);
        out.extend(self.stream);
    }
}

/// A HEADERS frame and the CONTINUATION frames that follow it (RFC 9113 §6.2, §6.10).
struct HeaderBlock<'a> {
    first: FrameHeader,
    /// The payloads of the frames.
    payloads: Vec<&'a [u8]>,
}

enum Parsed<'a> {
    /// More bytes are needed.
    Incomplete,
    /// Longer than any block that is accepted, or not followed by its own CONTINUATION.
    Foreign,
    Complete {
        block: HeaderBlock<'a>,
        /// The length of all frames in bytes.
        length: usize,
    },
}

impl<'a> HeaderBlock<'a> {
    fn parse(bytes: &'a [u8]) -> Parsed<'a> {
        let (mut first, mut payloads, mut length) = (None, Vec::new(), 0);
        loop {
            let Some(frame) = FrameHeader::parse(&bytes[length..]) else { return Parsed::Incomplete };
            let head = *first.get_or_insert(frame);
            let is_next = payloads.is_empty() || (frame.kind == CONTINUATION && frame.stream == head.stream);
            let start = length + FrameHeader::LENGTH;
            if !is_next || start + frame.length > MAX_BLOCK {
                return Parsed::Foreign;
            }
            let Some(payload) = bytes.get(start..start + frame.length) else { return Parsed::Incomplete };
            payloads.push(payload);
            length = start + frame.length;
            if frame.flags & END_HEADERS != 0 {
                return Parsed::Complete { block: Self { first: head, payloads }, length };
            }
        }
    }

    /// The fields of the block, without padding and priority. `None` if the first frame is too short for them.
    fn fields(&self) -> Option<Vec<u8>> {
        let (&first, others) = self.payloads.split_first()?;
        let mut fragment = first;
        if self.first.flags & PADDED != 0 {
            let (&padding, rest) = fragment.split_first()?;
            fragment = rest.get(..rest.len().checked_sub(padding.into())?)?;
        }
        if self.first.flags & PRIORITY != 0 {
            fragment = fragment.get(PRIORITY_LENGTH..)?;
        }
        let mut fields = fragment.to_vec();
        others.iter().for_each(|other| fields.extend_from_slice(other));
        Some(fields)
    }

    /// Writes a block with these fields instead, in as many frames as it needs.
    fn write(&self, fields: &[u8], out: &mut Vec<u8>) {
        let last = fields.len().saturating_sub(1) / MAX_PAYLOAD;
        for (number, payload) in fields.chunks(MAX_PAYLOAD).enumerate() {
            let (kind, flags) = if number == 0 { (HEADERS, self.first.flags & END_STREAM) } else { (CONTINUATION, 0) };
            let flags = if number == last { flags | END_HEADERS } else { flags };
            FrameHeader { length: payload.len(), kind, flags, stream: self.first.stream }.write(out);
            out.extend_from_slice(payload);
        }
    }
}

/// The fields of a header block with each list of equal lengths replaced by the length. `None` if there is no such
/// list, or if the block cannot be walked.
fn without_lists(fields: &[u8]) -> Option<Vec<u8>> {
    let (mut written, mut copied, mut rest) = (Vec::new(), 0, fields);
    while let Some(&first) = rest.first() {
        let prefix_bits = match first {
            0x80.. => 7, // indexed field
            0x40.. => 6, // literal, added to the dynamic table
            0x20.. => 5, // new size of the dynamic table
            _ => 4,      // literal, not added
        };
        let index = integer(&mut rest, prefix_bits)?;
        if prefix_bits == 7 || prefix_bits == 5 {
            continue;
        }
        let is_length = match index {
            0 => string(&mut rest)?.is_content_length(),
            _ => index == CONTENT_LENGTH_INDEX,
        };
        let start = fields.len() - rest.len();
        let value = string(&mut rest)?;
        if let Some(number) = is_length.then(|| value.repeated_number()).flatten() {
            written.extend_from_slice(&fields[copied..start]);
            // The number has at most 20 digits, so its length fits in the prefix.
            written.push(number.len().to_le_bytes()[0]);
            written.extend_from_slice(number.as_bytes());
            copied = fields.len() - rest.len();
        }
    }
    written.extend_from_slice(&fields[copied..]);
    (copied > 0).then_some(written)
}

/// An integer with a prefix of this many bits (RFC 7541 §5.1).
fn integer(bytes: &mut &[u8], prefix_bits: u32) -> Option<usize> {
    let (&first, mut rest) = bytes.split_first()?;
    let mask = (1 << prefix_bits) - 1;
    let mut value = usize::from(first & mask);
    if first & mask == mask {
        for shift in [0, 7, 14] {
            let (&next, after) = rest.split_first()?;
            rest = after;
            value += usize::from(next & 0x7f) << shift;
            if next & 0x80 == 0 {
                *bytes = rest;
                return Some(value);
            }
        }
        return None;
    }
    *bytes = rest;
    Some(value)
}

/// A string literal (RFC 7541 §5.2).
fn string<'a>(bytes: &mut &'a [u8]) -> Option<Literal<'a>> {
    let is_huffman = bytes.first()? & 0x80 != 0;
    let length = integer(bytes, 7)?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(Literal { bytes: text, is_huffman })
}

struct Literal<'a> {
    bytes: &'a [u8],
    is_huffman: bool,
}

impl Literal<'_> {
    fn is_content_length(&self) -> bool {
        self.bytes == if self.is_huffman { CONTENT_LENGTH_HUFFMAN } else { b"content-length" }
    }

    /// The number that the value lists at least twice, without leading zeros. `None` for anything else.
    fn repeated_number(&self) -> Option<String> {
        let text = if self.is_huffman { Cow::Owned(list_from_huffman(self.bytes)?) } else { Cow::Borrowed(self.bytes) };
        let mut members = str::from_utf8(&text).ok()?.split(',').map(|member| {
            let digits = member.trim_matches([' ', '\t']);
            // `parse` alone would take a sign.
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten()
        });
        let number = members.next()??;
        let (mut others, mut count) = (members, 0);
        let is_same = others.all(|member| {
            count += 1;
            member == Some(number)
        });
        (is_same && count > 0).then(|| number.to_string())
    }
}

/// Decodes a Huffman string (RFC 7541, appendix B) that consists of digits, commas and spaces. `None` for any other.
fn list_from_huffman(bytes: &[u8]) -> Option<Vec<u8>> {
    let (mut text, mut code, mut bits) = (Vec::new(), 0_u8, 0);
    for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |shift| byte >> shift & 1)) {
        (code, bits) = (code << 1 | bit, bits + 1);
        let symbol = match (bits, code) {
            (5, 0..=2) => b'0' + code,
            (6, 0x14) => b' ',
            (6, 0x19..=0x1f) => b'3' + (code - 0x19),
            (8, 0xfa) => b',',
            (8, _) => return None,
            _ => continue,
        };
        text.push(symbol);
        (code, bits) = (0, 0);
    }
    // What is left is padding: fewer than eight ones.
    (u32::from(code) == (1 << bits) - 1).then_some(text)
}

const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
const PRIORITY_LENGTH: usize = 5;
/// The position of `content-length` in the static table (RFC 7541, appendix A).
const CONTENT_LENGTH_INDEX: usize = 28;
const CONTENT_LENGTH_HUFFMAN: &[u8] = &[0x21, 0xea, 0x49, 0x6a, 0x4a, 0xd4, 0x16, 0xa9, 0x93, 0x3f];
/// The largest payload that every peer may send (RFC 9113 §6.5.2).
const MAX_PAYLOAD: usize = 16 << 10;
/// The longest header block that is looked at, in bytes with its frame headers. h2 rejects longer heads.
const MAX_BLOCK: usize = 64 << 10;

#[cfg(test)]
mod tests;

//! Is the body coded? The request asks for no coding (`accept-encoding: identity`).

use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, TRANSFER_ENCODING},
};

use super::{Mismatch, fields::tokens, mismatch};
use crate::model::outcome::Outcome;

/// The codings that change a body: those of the IANA registry, their older names, and compressors that servers name in
/// the same way. Servers also write other words into content-encoding (`utf-8`, `none`, `binary`). Browsers ignore
/// them, and so does bandprobe.
const CONTENT_CODINGS: [&str; 16] = [
    "aes128gcm",
    "bzip2",
    "br",
    "compress",
    "dcb",
    "dcz",
    "deflate",
    "exi",
    "gzip",
    "lzma",
    "pack200-gzip",
    "x-bzip2",
    "x-compress",
    "x-gzip",
    "xz",
    "zstd",
];

/// S3's coding of uploads. Some stores decode the body and still send this word with the object. Others store the
/// coded body too.
const AWS_CHUNKED: &str = "aws-chunked";

/// Refuses content codings that change the body, and transfer codings other than `chunked`, which has to be the
/// outermost one (RFC 9112 §6.1).
pub(super) fn check(headers: &HeaderMap) -> Result<(), Mismatch> {
    let content = tokens(headers, &CONTENT_ENCODING).into_iter().find(|coding| CONTENT_CODINGS.contains(&&**coding));
    if let Some(coding) = content {
        return mismatch(Outcome::BodyInvalid, format!("content-encoding `{coding}`, which was not requested"));
    }
    let mut transfer = tokens(headers, &TRANSFER_ENCODING);
    // An empty element means nothing (RFC 9110 §5.6.1.2). But hyper, which reads the body, takes it for a coding other
    // than chunked.
    let last = headers.get_all(TRANSFER_ENCODING).iter().next_back().map(|line| line.as_bytes());
    if last.is_some_and(|line| matches!(line.trim_ascii_end(), [] | [.., b','])) {
        return mismatch(Outcome::BodyInvalid, "transfer-encoding ends with an empty element");
    }
    // Browsers treat a repeated `chunked` as one coding: a proxy has added the second one.
    while transfer.pop_if(|last| last == "chunked").is_some() {}
    match transfer.into_iter().find(|coding| coding != "identity") {
        Some(coding) => mismatch(Outcome::BodyInvalid, format!("transfer-encoding `{coding}` within other codings")),
        None => Ok(()),
    }
}

/// Checks whether a body with the content-encoding `aws-chunked` really has this coding. Such a body begins with the
/// length and the signature of its first chunk, as text (Amazon S3, "Signature Version 4: streaming upload").
#[derive(Debug)]
pub struct AwsChunkedCheck {
    begin: Vec<u8>,
}

impl AwsChunkedCheck {
    /// Starts a check. `first` is the offset of the body's first byte in the object. `None` when it is not 0, or when
    /// no header says `aws-chunked`.
    #[must_use]
    pub fn watch(headers: &HeaderMap, first: u64) -> Option<Self> {
        let is_said = tokens(headers, &CONTENT_ENCODING).iter().any(|coding| coding == AWS_CHUNKED);
        (is_said && first == 0).then(|| Self { begin: Vec::new() })
    }

    /// Takes the next bytes of the body.
    pub fn take(&mut self, bytes: &[u8]) {
        let room = MAX_CHUNK_HEAD - self.begin.len();
        self.begin.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Checks the beginning of the body.
    ///
    /// # Errors
    /// When the body is chunk-signed: a viewer would get these lines in the middle of the content.
    pub fn finish(&self) -> Result<(), Mismatch> {
        if !is_chunk_head(&self.begin) {
            return Ok(());
        }
        mismatch(Outcome::BodyInvalid, "the body is still `aws-chunked`: the store kept the framing of the upload")
    }
}

/// Is this `HEX;chunk-signature=…` up to the end of the line? With a checksum in the trailer it is `HEX` alone.
fn is_chunk_head(begin: &[u8]) -> bool {
    let Some(end) = begin.windows(2).position(|pair| pair == b"\r\n") else { return false };
    let mut parts = begin[..end].splitn(2, |byte| *byte == b';');
    let length = parts.next().unwrap_or_default();
    let extension = parts.next();
    let is_length = (1..=16).contains(&length.len()) && length.iter().all(u8::is_ascii_hexdigit);
    is_length && extension.is_none_or(|extension| extension.starts_with(b"chunk-signature="))
}

/// A length of 16 digits, `;chunk-signature=`, a signature of 64 digits, the end of the line.
const MAX_CHUNK_HEAD: usize = 16 + 17 + 64 + 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (CONTENT_ENCODING, line.parse().unwrap())).collect()
    }

    #[test]
    fn only_a_coding_changes_a_body() {
        for lines in [
            &["utf-8"][..],
            &["UTF-8"],
            &["none"],
            &["binary"],
            &["identity"],
            &["Identity, none"],
            &[""],
            &[",, ,"],
            &["aws-chunked"],
            &["aws-chunked, utf-8"],
            &["8bit"],
            &["base64"],
            &["video/mp4"],
            &["none", "utf-8"],
        ] {
            assert_eq!(check(&headers(lines)), Ok(()), "{lines:?}");
        }
        for lines in [
            &["gzip"][..],
            &["GZIP"],
            &["x-gzip"],
            &["deflate"],
            &["br"],
            &["zstd"],
            &["compress"],
            &["dcb"],
            &["dcz"],
            &["aws-chunked,gzip"],
            &["none, br"],
            &["identity", "gzip"],
            &["gzip;q=1"],
        ] {
            let outcome = check(&headers(lines)).map_err(|mismatch| mismatch.outcome);
            assert_eq!(outcome, Err(Outcome::BodyInvalid), "{lines:?}");
        }
    }

    #[test]
    fn a_signed_chunked_body_is_recognised_by_its_beginning() {
        let signature = "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497";
        let signed = format!("10000;chunk-signature={signature}\r\nRIFF");
        for (begin, coded) in [
            (signed.as_bytes(), true),
            (b"1F40\r\nRIFF", true),
            (b"RIFF\x10\0\0\0WEBP", false),
            (b"\0\0\0\x20ftypisom", false),
            (b"\xff\xd8\xff\xe0", false),
            (b"10000;other=1\r\n", false),
            (b"", false),
        ] {
            for step in [1, 7, 200] {
                let mut watch = AwsChunkedCheck::watch(&headers(&["AWS-Chunked"]), 0).unwrap();
                begin.chunks(step).for_each(|bytes| watch.take(bytes));
                assert_eq!(watch.finish().is_err(), coded, "{}", String::from_utf8_lossy(begin));
            }
        }
        assert!(AwsChunkedCheck::watch(&headers(&["aws-chunked"]), 5).is_none(), "the beginning is not there");
        assert!(AwsChunkedCheck::watch(&headers(&["none"]), 0).is_none());
    }
}

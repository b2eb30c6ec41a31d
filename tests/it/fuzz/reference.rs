//! A reference parser for HTTP/1.1 that follows RFC 9112 strictly. What the production code accepts must be valid here.

/// A final response head, and what follows it.
pub(super) struct Head<'a> {
    pub(super) status: u16,
    /// Names in lower case, values with or without space around them.
    fields: Vec<(String, String)>,
    pub(super) rest: &'a [u8],
}

/// The content of a body, as far as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) bytes: u64,
    /// Did it end?
    pub(super) is_whole: bool,
    /// By the letter? A recipient may take a line feed alone for the end of a line (§2.2), also among trailers.
    pub(super) is_strict: bool,
}

/// The head of the final answer (RFC 9112 §2.1, RFC 9110 §15.2); `None` when it is malformed or unfinished.
pub(super) fn head(mut rest: &[u8]) -> Option<Head<'_>> {
    loop {
        let mut first = line(&mut rest)?;
        while first.is_empty() {
            first = line(&mut rest)?;
        }
        let status = status(first)?;
        let fields = fields(&mut rest)?;
        if !matches!(status, 100 | 102..=199) {
            return Some(Head { status, fields, rest });
        }
    }
}

impl Head<'_> {
    /// All values of a field.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(is, _)| is == name).map(|(_, value)| value.trim())
    }

    /// The body (RFC 9112 §6.3), on a connection that its node closes or does not; `None` when its length is malformed.
    pub(super) fn body(&self, is_closed: bool) -> Option<Content> {
        if self.values("transfer-encoding").next().is_some() {
            let last = self.values("transfer-encoding").last()?.rsplit(',').next()?.trim();
            return last.eq_ignore_ascii_case("chunked").then(|| chunked(self.rest));
        }
        let here = self.rest.len() as u64;
        // A list of equal numbers is one number (RFC 9110 §8.6).
        let mut lengths =
            self.values("content-length").flat_map(|value| value.split(',')).map(|one| number(one.trim()));
        let Some(length) = lengths.next() else {
            return Some(Content { bytes: here, is_whole: is_closed, is_strict: true });
        };
        let length = length.filter(|_| lengths.all(|other| other == length))?;
        Some(Content { bytes: here.min(length), is_whole: here >= length, is_strict: true })
    }
}

/// A chunked body (RFC 9112 §7.1), whatever follows it.
pub(super) fn chunked(mut rest: &[u8]) -> Content {
    let mut bytes = 0;
    while let Some(size) = strict_line(&mut rest).and_then(chunk_size) {
        if size == 0 {
            let mut lines = std::iter::from_fn({
                let mut rest = rest;
                move || line(&mut rest)
            });
            let is_whole = lines.any(<[u8]>::is_empty);
            return Content { bytes, is_whole, is_strict: strict_fields(&mut rest) };
        }
        let here = size.min(rest.len() as u64);
        bytes += here;
        rest = &rest[usize::try_from(here).unwrap()..];
        match rest.strip_prefix(b"\r\n") {
            Some(next) if here == size => rest = next,
            _ => break,
        }
    }
    Content { bytes, is_whole: false, is_strict: false }
}

/// Hexadecimal digits, and extensions that are ignored (§7.1.1). Production lets pass space behind the digits, which old
/// servers fill up with, and any byte in extensions but the two that end lines: no other size can be meant.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii_end();
    let sound = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit) && !line.iter().any(is_line_end);
    u64::from_str_radix(str::from_utf8(digits).ok().filter(|_| sound)?, 16).ok()
}

fn status(line: &[u8]) -> Option<u16> {
    let code = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "))?;
    let (digits, reason) = code.split_at_checked(3)?;
    let sound = (reason.is_empty() || reason.starts_with(b" ")) && reason.iter().all(is_text);
    number(str::from_utf8(digits).ok().filter(|_| sound)?)?.try_into().ok()
}

/// Field lines up to the empty one. A line may end without a carriage return (§2.2), and be folded (§5.2).
fn fields(rest: &mut &[u8]) -> Option<Vec<(String, String)>> {
    let mut fields: Vec<(String, String)> = vec![];
    loop {
        let line = line(rest)?;
        if line.is_empty() {
            return Some(fields);
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            let (_, value) = fields.last_mut()?;
            value.push(' ');
            value.push_str(str::from_utf8(line.trim_ascii()).unwrap_or("?"));
        } else {
            fields.push(field(line)?);
        }
    }
}

fn field(line: &[u8]) -> Option<(String, String)> {
    let colon = line.iter().position(|byte| *byte == b':').filter(|at| *at > 0)?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let sound = name.iter().all(is_token) && value.iter().all(is_text) && !line.iter().any(is_line_end);
    sound.then(|| (String::from_utf8_lossy(name).to_lowercase(), String::from_utf8_lossy(value).into_owned()))
}

/// Trailer fields as they should be, and the empty line behind them; no more of them than production takes.
fn strict_fields(rest: &mut &[u8]) -> bool {
    for _ in 0..=MAX_TRAILERS {
        match strict_line(rest) {
            None => return false,
            Some(b"") => return true,
            Some(line) if field(line).is_none() => return false,
            Some(_) => {}
        }
    }
    false
}

fn line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let line = &rest[..end];
    *rest = &rest[end + 1..];
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

fn strict_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.windows(2).position(|two| two == b"\r\n")?;
    let line = &rest[..end];
    *rest = &rest[end + 2..];
    Some(line)
}

/// Digits alone.
pub(super) fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn is_line_end(byte: &u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// RFC 9110 §5.5.
fn is_text(byte: &u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// RFC 9110 §5.6.2.
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

/// hyper's own limit.
const MAX_TRAILERS: usize = 100;

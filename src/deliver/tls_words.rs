//! TLS failures of the database's client in words: that client brings a rustls of its own, whose texts end in Rust's debug output.

/// The text with its TLS part, if it has one, in plain words.
pub(super) fn plain(text: &str) -> String {
    let found = MARKS.iter().find_map(|(mark, words)| Some((text.find(mark)?, *mark, *words)));
    let Some((at, mark, words)) = found else { return text.to_owned() };
    let detail = text[at + mark.len()..].split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let detail = CERTIFICATE.iter().find(|(name, _)| *name == detail && mark == MARKS[0].0);
    format!("{}{}", &text[..at], detail.map_or(words, |(_, words)| *words))
}

/// How the texts begin that end in debug output, and what each means.
const MARKS: &[(&str, &str)] = &[
    ("invalid peer certificate: ", "the server's certificate was not accepted"),
    ("received fatal alert: ", "the server refused the TLS handshake"),
    ("received corrupt message of type ", "what the server sends is not TLS"),
    ("received unexpected message: ", "the server sent a TLS message that has no place at this point"),
    ("received unexpected handshake message: ", "the server sent a TLS message that has no place at this point"),
    ("peer is incompatible: ", "the server and our client have no version of TLS or cipher suite in common"),
    ("peer misbehaved: ", "the server broke the rules of TLS"),
    ("invalid certificate timestamp: ", "the server's certificate was not accepted"),
];
/// What is said of a certificate.
const CERTIFICATE: &[(&str, &str)] = &[
    (
        "UnknownIssuer",
        "the server's certificate is of an authority that is not trusted here, or the server does not send its intermediate certificate",
    ),
    ("Expired", "the server's certificate has expired"),
    ("NotValidYet", "the server's certificate is not valid yet, or this machine's clock is wrong"),
    ("NotValidForName", "the server's certificate is for another name"),
    ("Revoked", "the server's certificate was revoked"),
    ("BadSignature", "the signature on the server's certificate is wrong, or its key is too weak"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_becomes_words() {
        for (text, expected) in [
            ("error trying to connect: tcp connect error", "error trying to connect: tcp connect error"),
            (
                "error trying to connect: invalid peer certificate: Expired",
                "error trying to connect: the server's certificate has expired",
            ),
            (
                "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
                "the server's certificate was not accepted",
            ),
            ("received fatal alert: HandshakeFailure", "the server refused the TLS handshake"),
            ("x: received corrupt message of type InvalidContentType", "x: what the server sends is not TLS"),
            (
                "received unexpected message: got Alert when expecting Handshake",
                "the server sent a TLS message that has no place at this point",
            ),
        ] {
            assert_eq!(plain(text), expected);
        }
    }
}

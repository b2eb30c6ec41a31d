//! Failures of the database's client in plain words. The client has its own HTTP library, whose texts are written for
//! programmers, and its own rustls, whose texts end in Rust's debug output.

/// The text before the reason why a name could not be resolved.
pub(super) const LOOKUP: &str = "name lookup: ";

/// The text of an error of the client in plain words.
pub(super) fn plain(text: &str) -> String {
    PHRASES.iter().fold(without_debug_output(text), |text, (phrase, words)| text.replace(phrase, words))
}

/// The text with its TLS part, if there is one, in plain words.
fn without_debug_output(text: &str) -> String {
    let found = MARKS.iter().find_map(|(mark, words)| Some((text.find(mark)?, *mark, *words)));
    let Some((at, mark, words)) = found else { return text.to_owned() };
    let detail = text[at + mark.len()..].split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let detail = CERTIFICATE.iter().find(|(name, _)| *name == detail && mark == MARKS[0].0);
    format!("{}{}", &text[..at], detail.map_or(words, |(_, words)| *words))
}

/// Phrases of the HTTP library, from the outermost to the innermost.
const PHRASES: &[(&str, &str)] = &[
    ("error sending request: ", ""),
    ("error sending request", "the request cannot be sent"),
    ("error trying to connect: ", "cannot connect: "),
    ("tcp connect error: ", ""),
    ("dns error: ", LOOKUP),
    ("connection closed before message completed", "the connection was closed before the answer was complete"),
    ("connection error: ", "the connection failed: "),
    ("error reading a body from connection: ", "the answer was cut off: "),
    ("request or response body error: ", ""),
    ("operation timed out", "no answer in time"),
];
/// The beginning of each text that ends in debug output, and its meaning.
const MARKS: &[(&str, &str)] = &[
    ("invalid peer certificate: ", "the server's certificate was not accepted"),
    ("received fatal alert: ", "the server refused the TLS handshake"),
    ("received corrupt message of type ", "the server does not answer with TLS"),
    ("received unexpected message: ", "the server sent an unexpected TLS message"),
    ("received unexpected handshake message: ", "the server sent an unexpected TLS message"),
    ("peer is incompatible: ", "the server and bandprobe have no TLS version or cipher suite in common"),
    ("peer misbehaved: ", "the server violated the TLS protocol"),
    ("invalid certificate timestamp: ", "the server's certificate was not accepted"),
];
/// What can be wrong with a certificate.
const CERTIFICATE: &[(&str, &str)] = &[
    (
        "UnknownIssuer",
        "the server's certificate was issued by an authority that is not trusted here, or the server does not send its intermediate certificate",
    ),
    ("Expired", "the server's certificate has expired"),
    ("NotValidYet", "the server's certificate is not valid yet, or this machine's clock is wrong"),
    ("NotValidForName", "the server's certificate is for another name"),
    ("Revoked", "the server's certificate has been revoked"),
    ("BadSignature", "the signature on the server's certificate is wrong, or its key is too weak"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_errors_become_plain_words() {
        for (text, expected) in [
            (
                "error sending request: error trying to connect: tcp connect error: Connection refused (os error 111)",
                "cannot connect: Connection refused (os error 111)",
            ),
            (
                "error trying to connect: dns error: there is no such host",
                "cannot connect: name lookup: there is no such host",
            ),
            (
                "error trying to connect: invalid peer certificate: Expired",
                "cannot connect: the server's certificate has expired",
            ),
            (
                "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
                "the server's certificate was not accepted",
            ),
            ("received fatal alert: HandshakeFailure", "the server refused the TLS handshake"),
            ("x: received corrupt message of type InvalidContentType", "x: the server does not answer with TLS"),
            (
                "received unexpected message: got Alert when expecting Handshake",
                "the server sent an unexpected TLS message",
            ),
        ] {
            assert_eq!(plain(text), expected);
        }
    }
}

//! A request that a client sends to one of our servers.

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpStream,
};

/// Reads one request with its body; returns its first line.
pub(crate) fn read_request(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut request, mut line, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut request).unwrap();
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        let header = line.to_ascii_lowercase();
        length = header.strip_prefix("content-length:").map_or(length, |value| value.trim().parse().unwrap());
        line.clear();
    }
    let _ = reader.take(length).read_to_end(&mut Vec::new());
    request
}

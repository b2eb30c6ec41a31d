//! The targets: the modules of `tests/it/fuzz`, which replays the corpora on stable.

#[path = "../it/fuzz/chunks.rs"]
mod chunks;
#[path = "../it/probe/consistent.rs"]
mod consistent;
#[path = "../it/fuzz/files.rs"]
mod files;
#[path = "../it/fuzz/frames.rs"]
mod frames;
#[path = "../it/fuzz/heads.rs"]
mod heads;
#[path = "../it/fuzz/lines.rs"]
mod lines;
#[path = "../it/fuzz/node.rs"]
mod node;
#[path = "../it/fuzz/reference.rs"]
mod reference;

/// Any bytes as a file of the archive.
pub fn archive_files(input: &[u8]) {
    files::archive_files(input);
}

/// Any bytes as the body behind a sound head that announces chunks.
pub fn chunked_bodies(input: &[u8]) {
    chunks::chunked_bodies(input);
}

/// Any bytes after a sound exchange of HTTP/2 settings.
pub fn h2_frames(input: &[u8]) {
    frames::h2_frames(input);
}

/// Any bytes as a line of line protocol.
pub fn record_lines(input: &[u8]) {
    lines::record_lines(input);
}

/// Any bytes as the answer of an HTTP/1.1 node.
pub fn response_heads(input: &[u8]) {
    heads::response_heads(input);
}

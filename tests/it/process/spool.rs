//! `bandprobe spool`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use bandprobe::archive::log::Writer;
use jiff::Timestamp;

use super::{Ended, World, bandprobe, sound};

mod export;
pub(crate) mod flush;
mod import;
mod list;

/// Seals a file of these lines.
pub(crate) fn seal(dir: &Path, opened: &str, lines: &str) {
    let mut writer = written(dir, opened, lines);
    writer.seal().unwrap().unwrap();
}

/// Writes a file that stays open.
fn written(dir: &Path, opened: &str, lines: &str) -> Writer {
    let mut writer = Writer::open(dir).unwrap();
    let points = lines.lines().count() as u64;
    writer.append(opened.parse::<Timestamp>().unwrap(), lines.as_bytes(), points).unwrap();
    writer
}

fn spool(command: &str, config: &Path, more: &[&str]) -> Ended {
    bandprobe(&[&["spool", command, "-c", config.to_str().unwrap()][..], more].concat())
}

/// A world without nodes to probe, for fixture files.
pub(crate) fn empty() -> World {
    World::new(vec![sound("a")])
}

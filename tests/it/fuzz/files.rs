//! `archive_files`: any bytes as a file of the archive.
//!
//! After a first byte of `0`, the rest is the file itself. After any other byte, the rest is lines that this test seals
//! as the archive does, because an input would not hit the right checksums by chance. All points of a sealed file must
//! be read. From any file, nothing may be read that is not in it, and a salvaged file must be free of damage.

use std::{fs, path::Path};

use bandprobe::archive::{
    self,
    format::{self, HEADER, Trailer},
    reader::lines,
    spool::Spool,
};

/// The target.
pub(super) fn archive_files(input: &[u8]) {
    let [kind, bytes @ ..] = input else { return };
    let points: Vec<_> = bytes.split(|byte| *byte == b'\n').filter(|line| format::is_point(line)).take(GROUP).collect();
    let file = if *kind == b'0' { bytes.to_vec() } else { sealed(&points) };
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    archive::create(dir).unwrap();
    fs::write(dir.join("spool").join(NAME), &file).unwrap();

    let (found, is_damaged) = read(dir);
    if *kind != b'0' {
        let texts = points.iter().filter_map(|line| str::from_utf8(line).ok());
        let good: Vec<_> = texts.filter(|text| !text.contains(char::is_control)).collect();
        assert_eq!(found, good);
        assert_eq!(is_damaged, good.len() < points.len());
    }
    let whole: Vec<_> = file.split(|byte| *byte == b'\n').collect();
    for line in &found {
        assert!(whole.contains(&line.as_bytes()), "{line:?} was never written");
    }
    // What only a newer version knows is left to it.
    let spool = Spool::lock(dir).unwrap();
    let Ok(salvaged) = spool.salvage(NAME) else { return };
    assert_eq!(salvaged.is_some(), is_damaged, "{salvaged:?}");
    assert!(salvaged.is_none_or(|salvaged| salvaged.kept == found.len() as u64));
    assert_eq!(spool.salvage(NAME).unwrap(), None, "once is enough");
    let again: Option<Vec<_>> = spool.open(NAME).unwrap().map(|file| file.map(Result::unwrap).collect());
    assert_eq!(again.unwrap_or_default(), found);
}

/// All lines of the archive, and whether there was anything else to say.
fn read(dir: &Path) -> (Vec<String>, bool) {
    let (mut found, mut is_damaged) = (vec![], false);
    for line in lines(dir, None).unwrap() {
        match line {
            Ok(line) => found.push(line),
            Err(_) => is_damaged = true,
        }
    }
    (found, is_damaged)
}

fn sealed(points: &[&[u8]]) -> Vec<u8> {
    let mut file = HEADER.as_bytes().to_vec();
    let sums: String = points.iter().map(|line| format!(" {:08x}", crc32c::crc32c(line))).collect();
    if !points.is_empty() {
        file.extend(format!("# sums{sums}\n").bytes());
    }
    points.iter().for_each(|line| file.extend([line, &b"\n"[..]].concat()));
    let trailer = Trailer { points: points.len() as u64, crc: crc32c::crc32c(&file) };
    [file, trailer.encode().into_bytes()].concat()
}

const NAME: &str = "2026-11-21T100000.000000000Z-17.lp";
/// How many sums the archive announces in one comment.
const GROUP: usize = 1_000;

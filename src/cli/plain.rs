//! Plain line protocol from files that the user names, as `spool export` writes it: without header and checksums,
//! compressed with gzip or not. Lines are read one by one, so memory is bounded for files of any size.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::Context;
use flate2::bufread::MultiGzDecoder;

use crate::{archive, record::line::MAX_LINE};

/// The lines of some files, one file after the other, without newlines. A line that is too long is cut, but stays too
/// long to be parsed as a point.
pub(super) struct Lines {
    files: VecDeque<PathBuf>,
    current: Option<(PathBuf, Box<dyn BufRead>)>,
}

/// Whether this is a file, a pipe, or a directory of files, and not a data directory of bandprobe.
pub(super) fn is_plain(path: &Path) -> bool {
    path.exists() && !(path.is_dir() && archive::has_any_folder(path))
}

impl Lines {
    /// The lines of a file or pipe, or of all files of a directory, sorted by name. Hidden files are skipped.
    pub(super) fn of(path: &Path) -> anyhow::Result<Self> {
        if !path.is_dir() {
            return Ok(Self { files: [path.to_owned()].into(), current: None });
        }
        let entries = fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))?;
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.is_file() && path.file_name().is_none_or(|name| name.as_encoded_bytes()[0] != b'.'))
            .collect();
        files.sort_unstable();
        let (path, hint) = (path.display(), "neither a data directory nor a directory with line protocol");
        anyhow::ensure!(!files.is_empty(), "{path} is {hint}");
        Ok(Self { files: files.into(), current: None })
    }

    /// The lines of these files. `-` or an empty list means standard input.
    pub(super) fn of_all(paths: &[PathBuf]) -> Self {
        let standard = [PathBuf::from(STDIN)];
        let paths = if paths.is_empty() { &standard[..] } else { paths };
        Self { files: paths.iter().cloned().collect(), current: None }
    }

    fn read(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        loop {
            let (path, reader) = match &mut self.current {
                Some(current) => current,
                None => {
                    let Some(path) = self.files.pop_front() else { return Ok(None) };
                    let reader = open(&path).with_context(|| format!("cannot read {}", path.display()))?;
                    self.current.insert((path, reader))
                }
            };
            match line(reader) {
                Ok(Some(line)) => return Ok(Some(line)),
                Ok(None) => self.current = None,
                Err(error) => {
                    let context = format!("cannot read the rest of {}", path.display());
                    self.current = None;
                    return Err(error).context(context);
                }
            }
        }
    }
}

impl Iterator for Lines {
    type Item = anyhow::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut reader: Box<dyn BufRead> = match path.as_os_str() == STDIN {
        true => Box::new(BufReader::new(io::stdin())),
        false => Box::new(BufReader::new(File::open(path)?)),
    };
    let start = reader.fill_buf()?;
    let is_compressed = start.starts_with(&GZIP);
    if start.starts_with(BYTE_ORDER_MARK) {
        reader.consume(BYTE_ORDER_MARK.len());
    }
    Ok(if is_compressed { Box::new(BufReader::new(MultiGzDecoder::new(reader))) } else { reader })
}

/// The next line without its newline; `None` at the end.
fn line(reader: &mut dyn BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let longest = MAX_LINE as u64 + 1;
    if reader.take(longest + 1).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > MAX_LINE {
        skip(reader)?;
    }
    Ok(Some(line))
}

/// Skips everything up to and including the next newline.
fn skip(reader: &mut dyn BufRead) -> io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let (used, is_end) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(used);
        if is_end {
            return Ok(());
        }
    }
}

const STDIN: &str = "-";
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// The first two bytes of gzip data (RFC 1952 §2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

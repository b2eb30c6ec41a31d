//! `bandprobe spool import`: puts points from plain line protocol into the spool, for delivery like points measured
//! here.

use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;

use super::super::{Exit, args::Import, eprint, plain, print};
use crate::{
    archive::{log, log::Writer, status::backlog},
    model::units::Bytes,
    record::{conform, parse::parse, reasons::Reasons, scan},
    term::figure::count,
};

/// Writes points into the data directory.
struct Importer {
    dir: PathBuf,
    /// The most bytes that may wait there.
    room: Bytes,
    writer: Writer,
    batch: String,
    points: u64,
    imported: u64,
    refused: Reasons,
}

/// Imports the lines that can be parsed, and prints why the others cannot.
pub(super) fn import(dir: &Path, room: Bytes, args: &Import) -> anyhow::Result<Exit> {
    let (writer, batch) = (Writer::open(dir)?, String::new());
    let mut importer =
        Importer { dir: dir.to_owned(), room, writer, batch, points: 0, imported: 0, refused: Reasons::default() };
    let read = plain::Lines::of_all(&args.files).try_for_each(|line| importer.take(&line?));
    // Points that were read before a file that cannot be read are kept.
    let flushed = importer.flush();
    let sealed = importer.writer.seal();
    importer.print(dir)?;
    read.and(flushed)?;
    sealed?;
    Ok(if importer.refused.total() > 0 { Exit::Failed } else { Exit::Done })
}

impl Importer {
    fn take(&mut self, line: &[u8]) -> anyhow::Result<()> {
        let text = match str::from_utf8(line) {
            Ok(text) => text.trim_ascii(),
            Err(_) => {
                self.refused.count(scan::problem(line));
                return Ok(());
            }
        };
        if text.is_empty() || text.starts_with('#') {
            return Ok(());
        }
        let wrong = match parse(text) {
            Some(point) => conform::problem(&point),
            None => Some(scan::problem(line)),
        };
        if let Some(wrong) = wrong {
            self.refused.count(wrong);
            return Ok(());
        }
        self.batch.push_str(text);
        self.batch.push('\n');
        self.points += 1;
        if self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        if self.points == 0 {
            return Ok(());
        }
        let (waiting, _) = backlog(&self.dir)?;
        let needed = Bytes(waiting.0 + self.batch.len() as u64);
        anyhow::ensure!(
            needed <= self.room,
            "the data directory would exceed its limit of {}: deliver the waiting points (`bandprobe spool flush`) or \
             raise `archive.max-size`, then import the same files again, which does no harm",
            self.room
        );
        let now = Timestamp::now();
        self.writer.append(now, self.batch.as_bytes(), self.points).context("cannot write the points")?;
        self.imported += std::mem::take(&mut self.points);
        self.batch.clear();
        if self.writer.needs_seal(now) {
            self.writer.seal()?;
        }
        Ok(())
    }

    fn print(&self, dir: &Path) -> anyhow::Result<()> {
        if self.refused.total() > 0 {
            eprint(&format!("{} refused: {}", count(self.refused.total(), "line"), self.refused));
        }
        print(&format!("{} imported, waiting for delivery in {}\n", count(self.imported, "point"), dir.display()))
    }
}

/// The most bytes written at once, which always fit in one file.
const BATCH: usize = 256 * 1024;
const _: () = assert!(BATCH as u64 <= log::SEAL_BYTES);

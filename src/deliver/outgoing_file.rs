//! A file that is being sent: read in batches, divided where the database refuses, moved when all lines are answered.

use std::collections::HashSet;

use super::event::Event;
use crate::archive::{
    Error,
    file_lines::FileLines,
    spool::{RejectedLine, Spool},
};

/// Series of which the database refused a point. It will probably refuse their next point too, so a refused batch is
/// first divided into these series and the others. A series with persistent errors then costs two requests per batch
/// instead of a search.
#[derive(Debug, Default)]
pub(super) struct SuspectSeries(HashSet<String>);

impl SuspectSeries {
    fn note(&mut self, line: &str) {
        // When the set is full, lines of further series are found by a search.
        if self.0.len() < MAX_SUSPECTS {
            self.0.insert(series(line).to_owned());
        }
    }

    fn has(&self, line: &str) -> bool {
        self.0.contains(series(line))
    }
}

/// Measurement and tags: the text up to the first unescaped space.
fn series(line: &str) -> &str {
    let mut escaped = false;
    let end = line.find(|c| {
        let ends = c == ' ' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    &line[..end.unwrap_or(line.len())]
}

/// A file that is being sent.
#[derive(Debug)]
pub(super) struct OutgoingFile {
    pub(super) name: String,
    pub(super) lines: FileLines,
    /// Batches that were read and are not answered yet. The last one is sent next.
    pub(super) pending: Vec<Batch>,
    rejected: Vec<RejectedLine>,
    /// Number of its points that the database has.
    pub(super) points: u64,
    /// Damage that was found while the file was read, after it was checked as intact.
    damage: Option<String>,
}

/// Lines that are sent in one request.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) lines: Vec<String>,
    pub(super) bytes: usize,
}

impl Batch {
    fn of(lines: Vec<String>) -> Self {
        Self { bytes: lines.iter().map(|line| line.len() + 1).sum(), lines }
    }

    fn push(&mut self, line: String) {
        self.bytes += line.len() + 1;
        self.lines.push(line);
    }

    /// Is it too small to be divided sensibly?
    pub(super) fn is_smallest(&self) -> bool {
        self.lines.len() == 1 || self.bytes <= MIN_BATCH_BYTES
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::with_capacity(self.bytes);
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

impl OutgoingFile {
    /// Starts at the file's first line.
    pub(super) fn new(name: String, lines: FileLines) -> Self {
        Self { name, lines, pending: Vec::new(), rejected: Vec::new(), points: 0, damage: None }
    }

    /// Reads the next lines of the file. `None` at its end.
    pub(super) fn read_batch(&mut self, max_bytes: usize) -> Option<Batch> {
        let mut batch = Batch::default();
        // The line that exceeds the limit is still part of the batch, so no line is read twice.
        while batch.lines.len() < BATCH_LINES && batch.bytes < max_bytes {
            match self.lines.next() {
                Some(Ok(line)) => batch.push(line),
                Some(Err(damage)) => {
                    self.damage.get_or_insert_with(|| damage.to_string());
                }
                None => break,
            }
        }
        (!batch.lines.is_empty()).then_some(batch)
    }

    /// Divides a refused batch. A single line is quarantined, and so is a batch of which the server says that it
    /// dropped all lines. Returns the number of quarantined lines.
    pub(super) fn divide(
        &mut self,
        batch: Batch,
        message: &str,
        dropped: Option<u64>,
        suspects: &mut SuspectSeries,
    ) -> u64 {
        let count = batch.lines.len();
        if count == 1 || dropped == Some(count as u64) {
            batch.lines.iter().for_each(|line| suspects.note(line));
            let rejected = batch.lines.into_iter().map(|line| RejectedLine { line, message: message.to_owned() });
            self.rejected.extend(rejected);
            return count as u64;
        }
        let (bad, good): (Vec<_>, Vec<_>) = batch.lines.into_iter().partition(|line| suspects.has(line));
        if bad.is_empty() || good.is_empty() {
            self.halve(Batch::of([bad, good].concat()));
        } else {
            self.pending.extend([Batch::of(bad), Batch::of(good)]);
        }
        0
    }

    /// Halves a batch that was too large, or that contains a refused line.
    pub(super) fn halve(&mut self, mut batch: Batch) {
        let later = batch.lines.split_off(batch.lines.len() / 2);
        self.pending
            .extend([Batch::of(later), Batch::of(batch.lines)].into_iter().filter(|half| !half.lines.is_empty()));
    }

    /// Moves the file out of the spool once all of it is answered. Quarantined lines are written before that.
    pub(super) fn finish(&self, spool: &Spool) -> Result<Event, Error> {
        let name = self.name.clone();
        if !self.rejected.is_empty() {
            spool.quarantine(&name, &self.rejected)?;
        }
        if let Some(damage) = self.damage.clone() {
            // The file stays in the spool. The next attempt salvages it first.
            return Ok(Event::SetAside { name, damage, kept: self.points, points: 0 });
        }
        spool.delivered(&name)?;
        let message = self.rejected.last().map(|last| last.message.clone());
        Ok(Event::Finished { name, points: self.points, rejected: self.rejected.len() as u64, message })
    }
}

/// The most lines of a batch.
const BATCH_LINES: usize = 5000;
/// The bytes at which a batch ends. The line that reaches them is still part of it.
pub(super) const BATCH_BYTES: usize = 1_000_000;
/// A server that refuses a batch of this size does not refuse it because of its size.
pub(super) const MIN_BATCH_BYTES: usize = 1000;
/// The most series that are remembered.
const MAX_SUSPECTS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_ends_at_the_first_unescaped_space() {
        for (line, expected) in [
            ("m,a=b v=1i 2", "m,a=b"),
            ("m,a=b\\ c,d=e v=\"x y\" 2", "m,a=b\\ c,d=e"),
            ("m,a=b\\\\ v=1i", "m,a=b\\\\"),
            ("nothing", "nothing"),
            ("", ""),
        ] {
            assert_eq!(series(line), expected, "{line}");
        }
    }
}

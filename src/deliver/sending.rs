//! One file on its way: read in batches, divided where the database refuses, moved when all of it is answered.

use super::drain::Event;
use crate::archive::{
    Error,
    file::FileLines,
    spool::{Rejected, Spool},
};

/// A file on its way.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) name: String,
    pub(super) lines: FileLines,
    /// What was read and is not answered yet, the next batch last.
    pub(super) pending: Vec<Batch>,
    rejected: Vec<Rejected>,
    /// Points of it that the database has.
    pub(super) points: u64,
    /// What happened to the file since it was found whole.
    damage: Option<String>,
}

/// Lines that go together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) lines: Vec<String>,
    pub(super) bytes: usize,
}

impl Batch {
    fn push(&mut self, line: String) {
        self.bytes += line.len() + 1;
        self.lines.push(line);
    }

    /// Can it not sensibly be smaller?
    pub(super) fn is_least(&self) -> bool {
        self.lines.len() == 1 || self.bytes <= LEAST_BATCH_BYTES
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

impl Sending {
    /// Starts with a file's first line.
    pub(super) fn new(name: String, lines: FileLines) -> Self {
        Self { name, lines, pending: Vec::new(), rejected: Vec::new(), points: 0, damage: None }
    }

    /// The next lines of the file.
    pub(super) fn read_batch(&mut self, most_bytes: usize) -> Option<Batch> {
        let mut batch = Batch::default();
        // The line that goes over the limit closes its batch, so no line is read twice.
        while batch.lines.len() < BATCH_LINES && batch.bytes < most_bytes {
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

    /// Splits a batch that was not taken; a line that is alone is quarantined, and so is a batch of which the server
    /// says that it dropped all. Returns how many lines that were.
    pub(super) fn divide(&mut self, mut batch: Batch, message: &str, dropped: Option<u64>) -> u64 {
        let count = batch.lines.len();
        if count == 1 || dropped == Some(count as u64) {
            let rejected = batch.lines.into_iter().map(|line| Rejected { line, message: message.to_owned() });
            self.rejected.extend(rejected);
            return count as u64;
        }
        let mut later = Batch::default();
        batch.lines.split_off(count / 2).into_iter().for_each(|line| later.push(line));
        batch.bytes -= later.bytes;
        self.pending.push(later);
        self.pending.push(batch);
        0
    }

    /// Moves the file to where it belongs once all of it is answered. Quarantined lines are safe before it moves.
    pub(super) fn finish(&self, spool: &Spool) -> Result<Event, Error> {
        let name = self.name.clone();
        if !self.rejected.is_empty() {
            spool.quarantine(&name, &self.rejected)?;
        }
        if let Some(damage) = self.damage.clone() {
            // It stays: taken up again, it is salvaged first.
            return Ok(Event::SetAside { name, damage, points: 0 });
        }
        spool.delivered(&name)?;
        Ok(Event::Finished { name, points: self.points, rejected: self.rejected.len() as u64 })
    }
}

/// Lines of a batch, at the most.
const BATCH_LINES: usize = 5000;
/// Bytes of a batch; the line that reaches them is still in it.
pub(super) const BATCH_BYTES: usize = 1_000_000;
/// A server that refuses even this is not about sizes.
pub(super) const LEAST_BATCH_BYTES: usize = 1000;

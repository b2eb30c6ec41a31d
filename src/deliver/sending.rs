//! One file on its way: read in batches, divided where the database refuses, moved when all of it is answered.

use std::collections::HashSet;

use super::event::Event;
use crate::archive::{
    Error,
    file::FileLines,
    spool::{Rejected, Spool},
};

/// Series of which the database refused a point: most likely it will refuse the next one too. So they are sent apart from
/// the others when a batch is refused, and a source that is bad for long costs two requests a batch instead of a search.
#[derive(Debug, Default)]
pub(super) struct Suspects(HashSet<String>);

impl Suspects {
    fn note(&mut self, line: &str) {
        // Whoever has that many bad sources is searched for the others.
        if self.0.len() < MOST_SUSPECTS {
            self.0.insert(series(line).to_owned());
        }
    }

    fn has(&self, line: &str) -> bool {
        self.0.contains(series(line))
    }
}

/// Measurement and tags: up to the first space that is not escaped.
fn series(line: &str) -> &str {
    let mut escaped = false;
    let end = line.find(|c| {
        let ends = c == ' ' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    &line[..end.unwrap_or(line.len())]
}

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
    fn of(lines: Vec<String>) -> Self {
        Self { bytes: lines.iter().map(|line| line.len() + 1).sum(), lines }
    }

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
    pub(super) fn divide(&mut self, batch: Batch, message: &str, dropped: Option<u64>, suspects: &mut Suspects) -> u64 {
        let count = batch.lines.len();
        if count == 1 || dropped == Some(count as u64) {
            batch.lines.iter().for_each(|line| suspects.note(line));
            let rejected = batch.lines.into_iter().map(|line| Rejected { line, message: message.to_owned() });
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

    /// Splits a batch that was too much at once, or that has to be searched.
    pub(super) fn halve(&mut self, mut batch: Batch) {
        let later = batch.lines.split_off(batch.lines.len() / 2);
        self.pending
            .extend([Batch::of(later), Batch::of(batch.lines)].into_iter().filter(|half| !half.lines.is_empty()));
    }

    /// Moves the file to where it belongs once all of it is answered. Quarantined lines are safe before it moves.
    pub(super) fn finish(&self, spool: &Spool) -> Result<Event, Error> {
        let name = self.name.clone();
        if !self.rejected.is_empty() {
            spool.quarantine(&name, &self.rejected)?;
        }
        if let Some(damage) = self.damage.clone() {
            // It stays: taken up again, it is salvaged first.
            return Ok(Event::SetAside { name, damage, kept: self.points, points: 0 });
        }
        spool.delivered(&name)?;
        let message = self.rejected.last().map(|last| last.message.clone());
        Ok(Event::Finished { name, points: self.points, rejected: self.rejected.len() as u64, message })
    }
}

/// Lines of a batch, at the most.
const BATCH_LINES: usize = 5000;
/// Bytes of a batch; the line that reaches them is still in it.
pub(super) const BATCH_BYTES: usize = 1_000_000;
/// A server that refuses even this is not about sizes.
pub(super) const LEAST_BATCH_BYTES: usize = 1000;
/// So many series are remembered as bad.
const MOST_SUSPECTS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_ends_at_the_first_free_space() {
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

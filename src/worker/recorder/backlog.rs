//! Encoded lines that are not in the archive yet, in the order in which they arrived, within a memory limit.
//!
//! At the limit, the oldest samples are dropped first. The line of a window represents many transfers, so windows and
//! other points are dropped last, also the oldest first.

use std::collections::{BTreeMap, VecDeque};

use crate::model::sample::Sample;

/// The lines that wait.
pub(super) struct Backlog {
    /// By turn, a number that increases with each line.
    lines: BTreeMap<u64, Waiting>,
    /// The turns of the samples among them, oldest first.
    samples: VecDeque<u64>,
    /// The turn of the next line.
    turn: u64,
    /// The memory that the lines use, and the limit, in bytes.
    bytes: usize,
    limit: usize,
}

/// One line that waits.
pub(super) struct Waiting {
    line: Box<str>,
    /// The sample that the line encodes; `None` for other points.
    pub(super) sample: Option<Box<Sample>>,
}

impl Backlog {
    /// An empty backlog that may use `limit` bytes.
    pub(super) const fn new(limit: usize) -> Self {
        Self { lines: BTreeMap::new(), samples: VecDeque::new(), turn: 0, bytes: 0, limit }
    }

    /// Adds a line with its newline; `sample` is `None` for points of windows and other points. Returns how many lines
    /// were dropped to stay within the limit.
    pub(super) fn push(&mut self, line: String, sample: Option<Box<Sample>>) -> u64 {
        let waiting = Waiting { line: line.into_boxed_str(), sample };
        self.bytes += waiting.bytes();
        if waiting.sample.is_some() {
            self.samples.push_back(self.turn);
        }
        self.lines.insert(self.turn, waiting);
        self.turn += 1;
        self.shed()
    }

    /// The first lines, up to this many bytes but at least one, and their number.
    pub(super) fn front(&self, bytes: usize) -> (String, usize) {
        let (mut lines, mut count) = (String::new(), 0);
        for waiting in self.lines.values() {
            if count > 0 && lines.len() + waiting.line.len() > bytes {
                break;
            }
            lines.push_str(&waiting.line);
            count += 1;
        }
        (lines, count)
    }

    /// Removes the first line.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let (_, waiting) = self.lines.pop_first()?;
        if waiting.sample.is_some() {
            self.samples.pop_front();
        }
        self.bytes -= waiting.bytes();
        Some(waiting)
    }

    /// Drops all lines. Returns how many there were.
    pub(super) fn clear(&mut self) -> u64 {
        let count = self.len();
        *self = Self::new(self.limit);
        count
    }

    /// The number of waiting lines.
    pub(super) fn len(&self) -> u64 {
        self.lines.len() as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The memory that the lines use, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops lines until the limit is met. Returns how many.
    fn shed(&mut self) -> u64 {
        let mut count = 0;
        while self.bytes > self.limit {
            let oldest = self.samples.pop_front();
            let given_up = match oldest {
                Some(turn) => self.lines.remove(&turn),
                None => self.lines.pop_first().map(|(_, waiting)| waiting),
            };
            let Some(given_up) = given_up else { break };
            self.bytes -= given_up.bytes();
            count += 1;
        }
        count
    }
}

impl Waiting {
    /// The memory that it uses, in bytes. The intervals and the curve of the sample have been removed already.
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.line.len() + self.sample.as_deref().map_or(0, sample_bytes)
    }
}

fn sample_bytes(sample: &Sample) -> usize {
    let trail = &sample.trail;
    let texts = [&sample.error, &trail.server, &trail.data_source, &trail.trace_id, &trail.request_id];
    size_of::<Sample>() + texts.into_iter().flatten().map(String::len).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::{super::tests::sample, *};

    /// Pushes the line of a sample or of a window.
    fn push(backlog: &mut Backlog, number: usize, is_sample: bool) -> u64 {
        backlog.push(format!("{number}\n"), is_sample.then(|| Box::new(sample(number as u64))))
    }

    fn numbers(lines: &str) -> Vec<usize> {
        lines.lines().map(|line| line.parse().unwrap()).collect()
    }

    #[test]
    fn batches_are_limited_and_never_empty() {
        let mut backlog = Backlog::new(usize::MAX);
        for line in ["12345\n", "1\n", "2\n", "123456\n", "3\n"] {
            assert_eq!(backlog.push(line.to_owned(), None), 0);
        }
        for (most, expected) in [(1, "12345\n"), (4, "1\n2\n"), (3, "123456\n"), (9, "3\n"), (9, "")] {
            let (lines, count) = backlog.front(most);
            assert_eq!((lines.as_str(), count), (expected, expected.lines().count()), "{most}");
            assert_eq!(backlog.front(most).0, lines, "it stays until it is taken out");
            (0..count).for_each(|_| assert!(backlog.pop().is_some()));
        }
        assert!(backlog.is_empty() && backlog.pop().is_none());
        assert_eq!(backlog.bytes(), 0);
    }

    proptest! {
        #[test]
        fn the_oldest_samples_are_dropped_first_then_windows(
            steps in vec((any::<bool>(), 0_usize..3), 1..200),
            limit in 0_usize..20_000,
        ) {
            let mut backlog = Backlog::new(limit);
            // The simplest model of a backlog: (number, is it a sample).
            let mut model: Vec<(usize, bool)> = Vec::new();
            for (number, (is_sample, pops)) in steps.into_iter().enumerate() {
                model.push((number, is_sample));
                for _ in 0..push(&mut backlog, number, is_sample) {
                    let oldest = model.iter().position(|(_, is_sample)| *is_sample).unwrap_or(0);
                    model.remove(oldest);
                }
                prop_assert!(backlog.bytes() <= limit);
                let (lines, count) = backlog.front(usize::MAX);
                let expected: Vec<usize> = model.iter().map(|(number, _)| *number).collect();
                prop_assert_eq!((numbers(&lines), count as u64), (expected, backlog.len()));
                for _ in 0..pops.min(model.len()) {
                    let (_, is_sample) = model.remove(0);
                    prop_assert_eq!(backlog.pop().unwrap().sample.is_some(), is_sample);
                }
            }
            prop_assert_eq!(backlog.clear(), model.len() as u64);
            prop_assert_eq!(backlog.bytes(), 0);
        }
    }

    #[test]
    fn lines_within_the_limit_are_kept() {
        let mut backlog = Backlog::new(usize::MAX);
        push(&mut backlog, 0, true);
        let one = backlog.bytes();
        let mut backlog = Backlog::new(3 * one);
        let given_up: Vec<u64> = (0..5).map(|number| push(&mut backlog, number, true)).collect();
        assert_eq!(given_up, [0, 0, 0, 1, 1]);
        assert_eq!(numbers(&backlog.front(usize::MAX).0), [2, 3, 4]);
    }
}

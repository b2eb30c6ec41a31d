//! Why lines and rows were not understood.

use std::{collections::BTreeMap, fmt};

/// Lines or rows that were not understood, counted by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons(BTreeMap<String, u64>);

impl Reasons {
    /// Counts one more of this reason.
    pub fn count(&mut self, reason: String) {
        *self.0.entry(reason).or_default() += 1;
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(reason, count)| *self.0.entry(reason.clone()).or_default() += count);
    }

    /// The reasons in alphabetical order, each with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(reason, count)| (reason.as_str(), *count))
    }

    /// The sum of all counts.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// `2 not line protocol, 1 no time at its end`.
impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (reason, count)) in self.iter().enumerate() {
            write!(f, "{}{count} {reason}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

//! Where the nodes of a round are on the chain.
//!
//! The fleet's median is that of the nodes that serve viewers and with which nothing else is wrong: switched-off nodes are often
//! left to themselves, and must not outvote the others. A node that is not among these is held against them; where there are
//! only two of them, the three together make a median. Storage nodes are held against the distributors too, and against each
//! other where there are not enough distributors.

use crate::model::{
    availability::{Report, Said, State, Subject},
    probe::Tolerance,
    target::Profile,
};

use super::{
    Finding, MIN_FLEET,
    words::{self, off},
};

/// What the nodes of a round tell of the chain.
pub(super) struct Fleet {
    tolerance: Tolerance,
    distributors: Numbers,
    /// Those of the storage nodes added.
    with_storage: Numbers,
    /// The median height of the chain.
    head: Option<u64>,
}

/// Sorted.
#[derive(Clone, Default)]
struct Numbers {
    blocks: Vec<u64>,
    heads: Vec<u64>,
}

/// Where a node is.
pub(super) struct Place {
    pub(super) blocks_behind: Option<i64>,
    pub(super) head_behind: Option<i64>,
    pub(super) findings: Vec<Finding>,
}

/// How far a number is behind the median, and of how many nodes that is.
#[derive(Clone, Copy)]
struct Behind {
    by: i64,
    nodes: usize,
}

impl Fleet {
    /// Of these nodes; with each goes whether nothing else is wrong with it.
    pub(super) fn of<'a>(
        subjects: impl Iterator<Item = (&'a Subject<'a>, bool)> + Clone,
        tolerance: Tolerance,
    ) -> Self {
        let all_heads = subjects.clone().filter_map(|(subject, _)| match &subject.answer.said {
            Said::Report(report) => report.chain_head,
            _ => None,
        });
        let mut all_heads: Vec<u64> = all_heads.collect();
        all_heads.sort_unstable();
        let sound = subjects.filter(|(subject, is_sound)| *is_sound && subject.distributing != Some(false));
        let of = |profile: Profile| {
            let mut numbers = Numbers::default();
            for (subject, _) in sound.clone().filter(|(subject, _)| subject.profile == profile) {
                let Said::Report(report) = &subject.answer.said else { continue };
                numbers.blocks.extend(report.blocks_processed);
                numbers.heads.extend(report.chain_head);
            }
            numbers
        };
        let (distributors, storage) = (of(Profile::Argus), of(Profile::Colossus));
        let mut with_storage = distributors.clone();
        with_storage.blocks.extend(storage.blocks);
        with_storage.heads.extend(storage.heads);
        let sorted = |mut numbers: Numbers| {
            numbers.blocks.sort_unstable();
            numbers.heads.sort_unstable();
            numbers
        };
        let (distributors, with_storage) = (sorted(distributors), sorted(with_storage));
        let head = [&distributors.heads, &with_storage.heads, &all_heads].into_iter().find_map(|heads| median(heads));
        Self { tolerance, distributors, with_storage, head }
    }

    /// The median height of the chain, however few tell it, and of nodes with which something is wrong where there are no others.
    pub(super) const fn head(&self) -> Option<u64> {
        self.head
    }

    /// Where a node is, and whether it is on the others' chain.
    pub(super) fn place(&self, subject: &Subject<'_>, report: &Report) -> Place {
        let blocks = self.behind(subject, report.blocks_processed, |numbers| &numbers.blocks);
        let head = self.behind(subject, report.chain_head, |numbers| &numbers.heads);
        let findings = self.findings(blocks, head);
        Place { blocks_behind: blocks.map(|behind| behind.by), head_behind: head.map(|behind| behind.by), findings }
    }

    fn behind(&self, subject: &Subject<'_>, own: Option<u64>, of: fn(&Numbers) -> &Vec<u64>) -> Option<Behind> {
        let own = own?;
        let distributors = compared(of(&self.distributors), own);
        match subject.profile {
            Profile::Colossus => distributors.or_else(|| compared(of(&self.with_storage), own)),
            Profile::Argus | Profile::Http => distributors,
        }
    }

    fn findings(&self, blocks: Option<Behind>, head: Option<Behind>) -> Vec<Finding> {
        let is_off = |behind: &Behind| !self.tolerates(behind.by);
        let (blocks_off, head_off) = (blocks.filter(is_off), head.filter(is_off));
        let far = head_off.filter(|behind| behind.by.unsigned_abs() > DAY_OF_BLOCKS);
        // The fleet is its median: several nodes behind one wrong query node are company, and wrong all the same.
        if let (Some(head), Some(_)) = (far, blocks) {
            return vec![match blocks_off {
                Some(_) => (State::Misconfigured, words::other_chain(head.by, head.nodes)),
                None => (State::Degraded, words::odd_head(head.by, head.nodes)),
            }];
        }
        let told_blocks = blocks_off.is_some();
        let tolerance = self.tolerance;
        let blocks = blocks_off.map(|behind| off("", behind.by, behind.nodes, tolerance, "query node", true));
        let head =
            head_off.map(|behind| off("chain head ", behind.by, behind.nodes, tolerance, "chain node", !told_blocks));
        blocks.into_iter().chain(head).map(|words| (State::Degraded, words)).collect()
    }

    const fn tolerates(&self, behind: i64) -> bool {
        let allowed = if behind > 0 { self.tolerance.behind } else { self.tolerance.ahead };
        behind.unsigned_abs() <= allowed
    }
}

/// How far a number is behind the median of these. Two of them and another one have a median too; where it is one of the two,
/// there are not enough.
fn compared(sorted: &[u64], own: u64) -> Option<Behind> {
    if sorted.len() >= MIN_FLEET {
        return Some(Behind { by: difference(median(sorted)?, own), nodes: sorted.len() });
    }
    let [one, other] = *sorted else { return None };
    let is_other = own != one && own != other;
    is_other.then(|| Behind { by: difference(own.clamp(one, other), own), nodes: MIN_FLEET })
}

/// Nearest rank, as everywhere.
fn median(sorted: &[u64]) -> Option<u64> {
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

/// `a − b`, as far as a number can say it.
fn difference(a: u64, b: u64) -> i64 {
    let difference = i128::from(a) - i128::from(b);
    i64::try_from(difference).unwrap_or(if difference < 0 { -i64::MAX } else { i64::MAX })
}

/// A day of the chain's blocks, one every 6 s.
const DAY_OF_BLOCKS: u64 = 14_400;

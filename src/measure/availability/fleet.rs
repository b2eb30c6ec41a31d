//! Where the nodes of a round are on the chain.
//!
//! Nobody here knows the height of the chain, so nodes are held against the median of the fleet:
//!
//! - Those vote that serve viewers and with which nothing else is wrong: switched-off nodes are often left to themselves, and must
//!   not outvote the others.
//! - A number that stands still from round to round, below one that changes, has no vote, however many there are.
//! - Of an even number the higher of the two middle ones counts: a node can miss blocks, and hardly have some that do not exist.
//! - For the same reason a node that is ahead is at fault only when its blocks are another chain's.
//!
//! A node that has no vote is held against them; where there are only two of them, the three together make a median. Storage
//! nodes are held against the distributors too, and against each other where there are not enough distributors.

use crate::model::{
    availability::{Motion, Report, Said, State, Subject},
    probe::Tolerance,
    target::Profile,
};

use super::{
    Finding, MIN_FLEET,
    words::{self, behind},
};

/// What the nodes of a round report of the chain.
pub(super) struct Fleet {
    tolerance: Tolerance,
    distributors: Numbers,
    /// Those of the storage nodes added.
    with_storage: Numbers,
    /// The median height of the chain.
    head: Option<u64>,
}

struct Numbers {
    blocks: Votes,
    heads: Votes,
}

/// The numbers of the nodes that have a vote.
struct Votes {
    sorted: Vec<u64>,
    /// Those that are known to change from round to round. No number below the highest is known to stand still.
    moving: Vec<u64>,
}

/// Where a node is.
pub(super) struct Place {
    pub(super) blocks_behind: Option<i64>,
    pub(super) head_behind: Option<i64>,
    pub(super) findings: Vec<Finding>,
    /// What is worth knowing and nobody's fault.
    pub(super) remark: Option<String>,
}

/// How far a number is behind the median.
#[derive(Clone, Copy)]
pub(super) struct Behind {
    /// Negative when it is ahead.
    pub(super) by: i64,
    /// Of how many nodes the median is.
    pub(super) nodes: usize,
    /// Is it known to stand still, below one that changes?
    pub(super) stands_still: bool,
    /// Are enough of the others, who agree, known to change?
    pub(super) others_move: bool,
    /// Do the others leave no doubt that one far ahead of them is on another chain?
    is_sure: bool,
}

impl Fleet {
    /// Of these nodes; with each goes whether nothing else is wrong with it.
    pub(super) fn of<'a>(
        subjects: impl Iterator<Item = (&'a Subject<'a>, bool)> + Clone,
        tolerance: Tolerance,
    ) -> Self {
        let votes = |profiles: &'static [Profile]| {
            let voters = subjects.clone().filter(|(subject, is_sound)| {
                *is_sound && subject.distributing != Some(false) && profiles.contains(&subject.profile)
            });
            numbers(voters.map(|(subject, _)| subject))
        };
        let distributors = votes(&[Profile::Argus]);
        let with_storage = votes(&[Profile::Argus, Profile::Colossus]);
        let all = numbers(subjects.map(|(subject, _)| subject));
        let heads = [&distributors.heads, &with_storage.heads, &all.heads];
        let head = heads.into_iter().find_map(Votes::median);
        Self { tolerance, distributors, with_storage, head }
    }

    /// The median height of the chain, however few report it, and of nodes with which something is wrong where there are no others.
    pub(super) const fn head(&self) -> Option<u64> {
        self.head
    }

    /// Where a node is, and whether it is on the others' chain.
    pub(super) fn place(&self, subject: &Subject<'_>, report: &Report) -> Place {
        let blocks = self.behind(subject, report.blocks_processed, subject.progress.blocks, |numbers| &numbers.blocks);
        let head = self.behind(subject, report.chain_head, subject.progress.head, |numbers| &numbers.heads);
        let findings = self.findings(blocks, head);
        let remark = if findings.is_empty() { self.remark(blocks, head) } else { None };
        let [blocks_behind, head_behind] = [blocks, head].map(|behind| behind.map(|behind| behind.by));
        Place { blocks_behind, head_behind, findings, remark }
    }

    fn behind(
        &self,
        subject: &Subject<'_>,
        own: Option<u64>,
        motion: Motion,
        of: fn(&Numbers) -> &Votes,
    ) -> Option<Behind> {
        let compared = |numbers| of(numbers).compare(own?, motion, self.tolerance);
        let distributors = compared(&self.distributors);
        match subject.profile {
            Profile::Colossus => distributors.or_else(|| compared(&self.with_storage)),
            Profile::Argus | Profile::Http => distributors,
        }
    }

    fn findings(&self, blocks: Option<Behind>, head: Option<Behind>) -> Vec<Finding> {
        let far = head.filter(|head| head.by.unsigned_abs() > DAY_OF_BLOCKS);
        // Several nodes behind one wrong query node are company, and wrong all the same.
        match (far, blocks) {
            (Some(head), Some(blocks)) if self.is_off(blocks.by) && (head.by > 0 || head.is_sure) => {
                return vec![(State::Misconfigured, words::other_chain(head))];
            }
            (Some(head), Some(blocks)) if head.by > 0 && !self.is_off(blocks.by) => {
                return vec![(State::Degraded, words::odd_head(head))];
            }
            _ => {}
        }
        let is_late = |number: &Behind| number.by > 0 && self.is_off(number.by);
        let (blocks, head) = (blocks.filter(is_late), head.filter(is_late));
        let allowed = self.tolerance.behind;
        let blocks_words = blocks.map(|blocks| behind("", blocks, allowed, "query node", true));
        let head_words = head.map(|head| behind("chain head ", head, allowed, "chain node", blocks.is_none()));
        blocks_words.into_iter().chain(head_words).map(|words| (State::Degraded, words)).collect()
    }

    /// What is said of a node that is ahead.
    fn remark(&self, blocks: Option<Behind>, head: Option<Behind>) -> Option<String> {
        let is_ahead = |number: &Behind| number.by < 0 && self.is_off(number.by);
        let blocks = blocks.filter(is_ahead).map(|blocks| words::ahead("", blocks));
        blocks.or_else(|| head.filter(is_ahead).map(|head| words::ahead("chain head ", head)))
    }

    const fn is_off(&self, behind: i64) -> bool {
        let allowed = if behind > 0 { self.tolerance.behind } else { self.tolerance.ahead };
        behind.unsigned_abs() > allowed
    }
}

/// What these nodes report, with no vote for what stands still where others move on.
fn numbers<'a>(subjects: impl Iterator<Item = &'a Subject<'a>>) -> Numbers {
    let (mut blocks, mut heads) = (Vec::new(), Vec::new());
    for subject in subjects {
        let Said::Report(report) = &subject.answer.said else { continue };
        blocks.extend(report.blocks_processed.map(|number| (number, subject.progress.blocks)));
        heads.extend(report.chain_head.map(|number| (number, subject.progress.head)));
    }
    Numbers { blocks: Votes::of(blocks), heads: Votes::of(heads) }
}

impl Votes {
    fn of(mut numbers: Vec<(u64, Motion)>) -> Self {
        let moving: Vec<u64> =
            numbers.iter().filter(|(_, motion)| *motion == Motion::Moves).map(|(number, _)| *number).collect();
        numbers.retain(|(number, motion)| !is_left_behind(*number, *motion, &moving));
        let mut sorted: Vec<u64> = numbers.into_iter().map(|(number, _)| number).collect();
        sorted.sort_unstable();
        Self { sorted, moving }
    }

    /// The higher of two middle ones.
    fn median(&self) -> Option<u64> {
        self.sorted.get(self.sorted.len() / 2).copied()
    }

    /// How far a number is behind the median. Two votes and another number have a median too; where it is one of the two, there
    /// are not enough. One that stands still is held against however few move on.
    fn compare(&self, own: u64, motion: Motion, tolerance: Tolerance) -> Option<Behind> {
        let nodes = self.sorted.len();
        let stands_still = is_left_behind(own, motion, &self.moving);
        let median = self.median()?;
        if nodes >= MIN_FLEET || stands_still {
            let others_move = within(&self.moving, median, tolerance.behind) >= MIN_FLEET;
            let is_sure = others_move || self.leave_alone(own, median, tolerance);
            return Some(Behind { by: difference(median, own), nodes, stands_still, others_move, is_sure });
        }
        let [one, other] = *self.sorted else { return None };
        let others_move = self.moving.len() == nodes;
        let is_other = own != one && own != other;
        let by = difference(own.clamp(one, other), own);
        is_other.then_some(Behind { by, nodes: MIN_FLEET, stands_still, others_move, is_sure: others_move })
    }

    /// Is a number alone where it is, while enough others agree? Only where nobody was seen to move: one that moves may be right.
    fn leave_alone(&self, own: u64, median: u64, tolerance: Tolerance) -> bool {
        let is_alone = within(&self.sorted, own, DAY_OF_BLOCKS) <= 1;
        self.moving.is_empty() && is_alone && within(&self.sorted, median, tolerance.behind) >= MIN_FLEET
    }
}

/// How many of these are no further away than that.
fn within(numbers: &[u64], of: u64, reach: u64) -> usize {
    numbers.iter().filter(|number| number.abs_diff(of) <= reach).count()
}

/// Does a number stand still below one that moves? When the whole chain stands still, a node that catches up moves below the others.
fn is_left_behind(number: u64, motion: Motion, moving: &[u64]) -> bool {
    matches!(motion, Motion::StandsStill(_)) && moving.iter().any(|moving| number < *moving)
}

/// `a − b`, as far as a number can say it.
fn difference(a: u64, b: u64) -> i64 {
    let difference = i128::from(a) - i128::from(b);
    i64::try_from(difference).unwrap_or(if difference < 0 { -i64::MAX } else { i64::MAX })
}

/// A day of the chain's blocks, one every 6 s.
const DAY_OF_BLOCKS: u64 = 14_400;

//! Compares the positions of the nodes of a round on the chain.
//!
//! bandprobe does not know the height of the chain, so each node is compared with the median of the fleet:
//!
//! - Only nodes that serve viewers and have no other problem vote. Switched-off nodes are often left unattended and
//!   must not outvote the others.
//! - A number that stands still from round to round has no vote if it is below a number that changes, however many such
//!   nodes there are. A number that is too far ahead of three nodes that agree and were seen to move does not take
//!   votes away: when the chain stands still, a node on another chain moves on.
//! - With an even number of votes, the higher of the two middle ones is the median: a node can miss blocks, but can
//!   hardly have blocks that do not exist.
//! - For the same reason, a node that is ahead is at fault only when its blocks are on another chain.
//!
//! A node without a vote is compared with the voters. If there are only two voters, the three numbers together form a
//! median. Storage nodes are compared with the distributors, or with distributors and storage nodes together if there
//! are not enough distributors.

use crate::model::{
    health::{AnswerContent, HealthState, Motion, NodeEvidence, StatusDocument},
    probe::Tolerance,
    target::Profile,
};

use super::{
    HealthProblem, MIN_FLEET,
    distance::MedianDistance,
    reasons::{self, behind},
};

/// What the nodes of a round report about the chain.
pub(super) struct Fleet {
    tolerance: Tolerance,
    distributors: Numbers,
    /// The distributors and the storage nodes.
    with_storage: Numbers,
    /// The median height of the chain.
    head: Option<u64>,
}

struct Numbers {
    blocks: Votes,
    heads: Votes,
}

/// The numbers of the nodes that vote.
struct Votes {
    sorted: Vec<u64>,
    /// The numbers that are known to change from round to round, up to the ceiling. No vote below the highest of them
    /// is known to stand still.
    moving: Vec<u64>,
    /// A number above this is certainly on another chain. `None` when too few nodes that were seen to move agree.
    ceiling: Option<u64>,
}

/// The position of a node compared with the fleet.
pub(super) struct ChainPosition {
    pub(super) blocks_behind: Option<i64>,
    pub(super) head_behind: Option<i64>,
    pub(super) problems: Vec<HealthProblem>,
    /// A remark that is worth reporting but is no fault.
    pub(super) remark: Option<String>,
}

impl Fleet {
    /// Builds the fleet from these nodes. The boolean next to each node says whether it has no other problem.
    pub(super) fn of<'a>(
        subjects: impl Iterator<Item = (&'a NodeEvidence<'a>, bool)> + Clone,
        tolerance: Tolerance,
    ) -> Self {
        let votes = |profiles: &'static [Profile]| {
            let voters = subjects.clone().filter(|(subject, is_sound)| {
                *is_sound && subject.distributing != Some(false) && profiles.contains(&subject.profile)
            });
            numbers(voters.map(|(subject, _)| subject), tolerance)
        };
        let distributors = votes(&[Profile::Argus]);
        let with_storage = votes(&[Profile::Argus, Profile::Colossus]);
        let all = numbers(subjects.map(|(subject, _)| subject), tolerance);
        let heads = [&distributors.heads, &with_storage.heads, &all.heads];
        let head = heads.into_iter().find_map(Votes::median);
        Self { tolerance, distributors, with_storage, head }
    }

    /// The median height of the chain, however few nodes report it. When no voting node reports one, all other nodes
    /// count.
    pub(super) const fn head(&self) -> Option<u64> {
        self.head
    }

    /// The position of a node, and whether it is on the same chain as the others.
    pub(super) fn position(&self, subject: &NodeEvidence<'_>, document: &StatusDocument) -> ChainPosition {
        let blocks =
            self.behind(subject, document.blocks_processed, subject.progress.blocks, |numbers| &numbers.blocks);
        let head = self.behind(subject, document.chain_head, subject.progress.head, |numbers| &numbers.heads);
        let problems = self.problems(blocks, head);
        let remark = if problems.is_empty() { self.remark(blocks, head) } else { None };
        let [blocks_behind, head_behind] = [blocks, head].map(|behind| behind.map(|behind| behind.by));
        ChainPosition { blocks_behind, head_behind, problems, remark }
    }

    fn behind(
        &self,
        subject: &NodeEvidence<'_>,
        own: Option<u64>,
        motion: Motion,
        of: fn(&Numbers) -> &Votes,
    ) -> Option<MedianDistance> {
        let compared = |numbers| of(numbers).compare(own?, motion, self.tolerance);
        let distributors = compared(&self.distributors);
        match subject.profile {
            Profile::Colossus => distributors.or_else(|| compared(&self.with_storage)),
            Profile::Argus | Profile::Http => distributors,
        }
    }

    fn problems(&self, blocks: Option<MedianDistance>, head: Option<MedianDistance>) -> Vec<HealthProblem> {
        let far = head.filter(|head| head.by.unsigned_abs() > DAY_OF_BLOCKS);
        // Several nodes that use the same wrong query node agree with each other, but they are still wrong.
        match (far, blocks) {
            (Some(head), Some(blocks)) if self.is_off(blocks.by) && (head.by > 0 || head.is_sure) => {
                return vec![(HealthState::Misconfigured, reasons::other_chain(head))];
            }
            (Some(head), Some(blocks)) if head.by > 0 && !self.is_off(blocks.by) => {
                return vec![(HealthState::Degraded, reasons::wrong_head(head))];
            }
            _ => {}
        }
        let is_late = |number: &MedianDistance| number.by > 0 && self.is_off(number.by);
        let (blocks, head) = (blocks.filter(is_late), head.filter(is_late));
        let allowed = self.tolerance.behind;
        let blocks_words = blocks.map(|blocks| behind("", blocks, allowed, "query node", true));
        let head_words = head.map(|head| behind("chain head ", head, allowed, "chain node", blocks.is_none()));
        blocks_words.into_iter().chain(head_words).map(|words| (HealthState::Degraded, words)).collect()
    }

    /// The remark for a node that is ahead.
    fn remark(&self, blocks: Option<MedianDistance>, head: Option<MedianDistance>) -> Option<String> {
        let is_ahead = |number: &MedianDistance| number.by < 0 && self.is_off(number.by);
        let blocks = blocks.filter(is_ahead).map(|blocks| reasons::ahead("", blocks));
        blocks.or_else(|| head.filter(is_ahead).map(|head| reasons::ahead("chain head ", head)))
    }

    const fn is_off(&self, behind: i64) -> bool {
        let allowed = if behind > 0 { self.tolerance.behind } else { self.tolerance.ahead };
        behind.unsigned_abs() > allowed
    }
}

/// The numbers that these nodes report. A number that stands still below one that changes gets no vote.
fn numbers<'a>(subjects: impl Iterator<Item = &'a NodeEvidence<'a>>, tolerance: Tolerance) -> Numbers {
    let (mut blocks, mut heads) = (Vec::new(), Vec::new());
    for subject in subjects {
        let AnswerContent::Document(document) = &subject.answer.content else { continue };
        blocks.extend(document.blocks_processed.map(|number| (number, subject.progress.blocks)));
        heads.extend(document.chain_head.map(|number| (number, subject.progress.head)));
    }
    Numbers { blocks: Votes::of(blocks, tolerance), heads: Votes::of(heads, tolerance) }
}

impl Votes {
    fn of(mut numbers: Vec<(u64, Motion)>, tolerance: Tolerance) -> Self {
        let ceiling = ceiling(&numbers, tolerance);
        let is_credible = |number: u64| ceiling.is_none_or(|ceiling| number <= ceiling);
        let moving = numbers.iter().filter(|(number, motion)| *motion == Motion::Moves && is_credible(*number));
        let moving: Vec<u64> = moving.map(|(number, _)| *number).collect();
        numbers.retain(|(number, motion)| !is_left_behind(*number, *motion, &moving));
        let mut sorted: Vec<u64> = numbers.into_iter().map(|(number, _)| number).collect();
        sorted.sort_unstable();
        Self { sorted, moving, ceiling }
    }

    /// The median; the higher of the two middle ones with an even number of votes.
    fn median(&self) -> Option<u64> {
        self.sorted.get(self.sorted.len() / 2).copied()
    }

    /// How far a number is behind the median. Two votes and a third number form a median too, but not when the number
    /// is one of the two votes. A number that stands still is compared even if only few others change.
    fn compare(&self, own: u64, motion: Motion, tolerance: Tolerance) -> Option<MedianDistance> {
        let nodes = self.sorted.len();
        let stands_still = is_left_behind(own, motion, &self.moving);
        let median = self.median()?;
        if nodes >= MIN_FLEET || stands_still {
            let others_move = within(&self.moving, median, tolerance.behind) >= MIN_FLEET;
            let is_too_high = self.ceiling.is_some_and(|ceiling| own > ceiling);
            let is_sure = others_move || is_too_high || self.is_outlier(own, median, tolerance);
            return Some(MedianDistance { by: difference(median, own), nodes, stands_still, others_move, is_sure });
        }
        let [one, other] = *self.sorted else { return None };
        let others_move = self.moving.len() == nodes;
        let is_other = own != one && own != other;
        let by = difference(own.clamp(one, other), own);
        is_other.then_some(MedianDistance { by, nodes: MIN_FLEET, stands_still, others_move, is_sure: others_move })
    }

    /// Whether a number is alone while enough others agree. Applies only when no number is known to change, because one
    /// that changes may be right.
    fn is_outlier(&self, own: u64, median: u64, tolerance: Tolerance) -> bool {
        let is_alone = within(&self.sorted, own, DAY_OF_BLOCKS) <= 1;
        self.moving.is_empty() && is_alone && within(&self.sorted, median, tolerance.behind) >= MIN_FLEET
    }
}

/// The highest number that the chain of these nodes can have reached: a day of blocks above the largest group of nodes
/// that agree and were seen to move, and what the chain makes while they stand still. `None` when no group is large
/// enough. Of groups of the same size, the highest counts.
fn ceiling(numbers: &[(u64, Motion)], tolerance: Tolerance) -> Option<u64> {
    let mut seen_to_move: Vec<(u64, u64)> = Vec::new();
    for (number, motion) in numbers {
        let still = match motion {
            Motion::Moves => 0,
            Motion::Stopped(still) => still.as_secs(),
            Motion::Unknown | Motion::StandsStill(_) => continue,
        };
        seen_to_move.push((*number, number.saturating_add(DAY_OF_BLOCKS + still / BLOCK_SECONDS)));
    }
    seen_to_move.sort_unstable();
    let groups = seen_to_move.chunk_by(|(one, _), (next, _)| next - one <= tolerance.behind);
    let largest = groups.max_by_key(|group| group.len()).filter(|group| group.len() >= MIN_FLEET)?;
    largest.iter().map(|(_, reach)| *reach).max()
}

/// How many of the numbers are at most `reach` away from `of`.
fn within(numbers: &[u64], of: u64, reach: u64) -> usize {
    numbers.iter().filter(|number| number.abs_diff(of) <= reach).count()
}

/// Whether a number stands still below one that moves. When the whole chain stands still, a node that catches up moves
/// too, but below the others.
fn is_left_behind(number: u64, motion: Motion, moving: &[u64]) -> bool {
    matches!(motion, Motion::StandsStill(_) | Motion::Stopped(_)) && moving.iter().any(|moving| number < *moving)
}

/// `a − b`, clamped to the range of the type.
fn difference(a: u64, b: u64) -> i64 {
    let difference = i128::from(a) - i128::from(b);
    i64::try_from(difference).unwrap_or(if difference < 0 { -i64::MAX } else { i64::MAX })
}

/// The chain makes a block every 6 s.
const BLOCK_SECONDS: u64 = 6;
/// The blocks that the chain makes in a day.
const DAY_OF_BLOCKS: u64 = 24 * 60 * 60 / BLOCK_SECONDS;

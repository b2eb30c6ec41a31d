//! A status round judged: each node against what it should be, and against the fleet's median of this very round.
//!
//! A node that lags is seen by comparison alone: nobody here knows the height of the chain. So at least three nodes
//! must tell a number before any of them is judged by it. The same number of nodes tells a dead vantage from dead nodes.

use crate::model::{
    availability::{Answer, Report, Said, State, Verdict},
    outcome::Outcome,
    probe::Tolerance,
};

use self::words::{off, refused};

mod words;

/// The reason of a node with which nothing is wrong, and of which nothing more is to be said.
pub const SOUND: &str = "nothing wrong";

/// What a round says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// One for each answer, in their order.
    pub verdicts: Vec<Verdict>,
    /// Is this vantage itself in order? `None` when too few were asked to tell a dead vantage from dead nodes.
    pub vantage_ok: Option<bool>,
}

/// What the nodes of a round tell of the chain; sorted.
struct Fleet {
    tolerance: Tolerance,
    blocks: Vec<u64>,
    heads: Vec<u64>,
}

/// One thing that is wrong with a node.
type Finding = (State, String);

/// Judges the answers of all nodes that were asked in a round.
#[must_use]
pub fn judge(answers: &[Answer], tolerance: Tolerance) -> Judgement {
    let fleet = Fleet::of(answers, tolerance);
    let vantage_ok = vantage(answers);
    let asked = answers.iter().filter(|answer| was_contacted(answer)).count();
    let verdict = |answer: &Answer| match vantage_ok {
        Some(false) if was_contacted(answer) => {
            let reason = match asked {
                1 => "this vantage itself is at fault".to_owned(),
                _ => format!("none of {asked} nodes answered: this vantage itself is most likely at fault"),
            };
            Verdict { state: State::Unknown, reason, up: None, blocks_behind: None, head_behind: None }
        }
        _ => fleet.verdict(answer),
    };
    Judgement { verdicts: answers.iter().map(verdict).collect(), vantage_ok }
}

/// The verdict on a node that our own policy refuses: it is never contacted.
#[must_use]
pub fn blocked(reason: &str) -> Verdict {
    let reason = format!("never contacted: {reason}");
    Verdict { state: State::Blocked, reason, up: Some(false), blocks_behind: None, head_behind: None }
}

fn was_contacted(answer: &Answer) -> bool {
    !matches!(answer.said, Said::Nothing { outcome: Outcome::Blocked, .. })
}

fn vantage(answers: &[Answer]) -> Option<bool> {
    if answers.iter().any(Answer::is_heard) {
        return Some(true);
    }
    let mut contacted = answers.iter().filter(|answer| was_contacted(answer) && !answer.is_frozen()).peekable();
    contacted.peek()?;
    let is_ours = |answer: &Answer| matches!(answer.said, Said::Nothing { outcome: Outcome::LocalFailed, .. });
    let all_ours = contacted.clone().all(is_ours);
    (all_ours || contacted.count() >= MIN_FLEET).then_some(false)
}

impl Fleet {
    fn of(answers: &[Answer], tolerance: Tolerance) -> Self {
        let sorted = |number: fn(&Report) -> Option<u64>| {
            let told = answers.iter().filter_map(|answer| match &answer.said {
                Said::Report(report) => number(report),
                _ => None,
            });
            let mut told: Vec<u64> = told.collect();
            told.sort_unstable();
            told
        };
        Self { tolerance, blocks: sorted(|report| report.blocks_processed), heads: sorted(|report| report.chain_head) }
    }

    fn verdict(&self, answer: &Answer) -> Verdict {
        let (mut blocks_behind, mut head_behind) = (None, None);
        let mut findings: Vec<Finding> = match &answer.said {
            Said::Report(report) => {
                blocks_behind = behind(&self.blocks, report.blocks_processed);
                head_behind = behind(&self.heads, report.chain_head);
                let env = report.node_env.as_deref().filter(|env| *env != PRODUCTION);
                let env = env.map(|env| {
                    let words = format!("nodeEnv is `{env}`, not `{PRODUCTION}`: it serves slowly");
                    (State::Misconfigured, words)
                });
                env.into_iter().chain(self.place(blocks_behind, head_behind)).collect()
            }
            Said::Present => Vec::new(),
            Said::Other(shape) => refused(answer.status, shape).into_iter().collect(),
            Said::Frozen(away) => {
                vec![(State::Unknown, format!("not judged: bandprobe itself did not run for {away}"))]
            }
            Said::Nothing { outcome, error } => vec![silent(answer.status, *outcome, error)],
        };
        // The sort is stable: what is equally bad keeps its order.
        findings.sort_by_key(|(state, _)| std::cmp::Reverse(*state));
        let state = findings.first().map_or(State::Ok, |(state, _)| *state);
        let reasons: Vec<_> = findings.into_iter().map(|(_, words)| words).collect();
        let reason = if reasons.is_empty() { sound(answer, blocks_behind) } else { reasons.join("; ") };
        Verdict { state, reason, up: is_up(answer, state), blocks_behind, head_behind }
    }

    /// Where the node is on the chain, and whether it is the others' chain.
    fn place(&self, blocks: Option<i64>, head: Option<i64>) -> Vec<Finding> {
        let blocks_off = blocks.filter(|behind| !self.tolerates(*behind));
        let head_off = head.filter(|behind| !self.tolerates(*behind));
        let far = head_off.filter(|behind| behind.unsigned_abs() > DAY_OF_BLOCKS);
        // The fleet is its median: several nodes behind one wrong query node are company, and wrong all the same.
        if let (Some(head), Some(_)) = (far, blocks) {
            return vec![match blocks_off {
                Some(_) => (State::Misconfigured, words::other_chain(head, self.heads.len())),
                None => (State::Degraded, words::odd_head(head, self.heads.len())),
            }];
        }
        let told_blocks = blocks_off.is_some();
        let blocks = blocks_off.map(|behind| off("", behind, self.blocks.len(), self.tolerance, "query node", true));
        let head = head_off
            .map(|behind| off("chain head ", behind, self.heads.len(), self.tolerance, "chain node", !told_blocks));
        blocks.into_iter().chain(head).map(|words| (State::Degraded, words)).collect()
    }

    const fn tolerates(&self, behind: i64) -> bool {
        let allowed = if behind > 0 { self.tolerance.behind } else { self.tolerance.ahead };
        behind.unsigned_abs() <= allowed
    }
}

/// What is said of a node with which nothing is wrong, as far as it was judged.
fn sound(answer: &Answer, blocks_behind: Option<i64>) -> String {
    let more = match &answer.said {
        Said::Report(report) if report.blocks_processed.is_none() => "; it tells no blocks, so these are not judged",
        Said::Report(_) if blocks_behind.is_none() => "; its blocks are not judged, which takes three nodes",
        _ => "",
    };
    format!("{SOUND}{more}")
}

/// How far a number is behind the median of all that were told; `None` when too few were.
fn behind(sorted: &[u64], own: Option<u64>) -> Option<i64> {
    // Nearest rank, as everywhere.
    let median = sorted.get(sorted.len().checked_sub(1)? / 2).filter(|_| sorted.len() >= MIN_FLEET)?;
    Some(difference(*median, own?))
}

/// `a − b`, as far as a number can say it.
fn difference(a: u64, b: u64) -> i64 {
    let difference = i128::from(a) - i128::from(b);
    i64::try_from(difference).unwrap_or(if difference < 0 { -i64::MAX } else { i64::MAX })
}

fn silent(status: Option<u16>, outcome: Outcome, error: &str) -> Finding {
    let meaning = outcome.meaning();
    match (outcome, status) {
        (Outcome::Blocked, _) => (State::Blocked, format!("never contacted: {error}")),
        (Outcome::LocalFailed, _) => (State::Unknown, format!("this vantage itself is at fault: {error}")),
        (Outcome::TlsUnsupported, _) => (State::Unknown, format!("cannot be judged from here: {error}")),
        (_, None) => (State::Dead, format!("cannot be reached: {meaning} ({error})")),
        (_, Some(status)) => (State::Dead, format!("answers {status} and breaks off: {meaning} ({error})")),
    }
}

/// A node that limits us works.
const fn is_up(answer: &Answer, state: State) -> Option<bool> {
    match (&answer.said, state) {
        (_, State::Unknown) => None,
        (Said::Report(_) | Said::Present, _) | (Said::Other(_), State::Degraded) => Some(true),
        (Said::Other(_) | Said::Nothing { .. } | Said::Frozen(_), _) => Some(false),
    }
}

/// The fewest nodes of which a median is one, and whose common silence is the vantage's fault.
const MIN_FLEET: usize = 3;
/// A day of the chain's blocks, one every 6 s.
const DAY_OF_BLOCKS: u64 = 14_400;
/// What `nodeEnv` has to be.
const PRODUCTION: &str = "production";

#[cfg(test)]
mod tests;

//! Judges a status round: each node by its own answer, by how downloads from it end, and by comparison with the fleet's
//! median in the same round.
//!
//! A node that lags shows only by comparison, because bandprobe does not know the height of the chain. At least three
//! nodes must therefore report a number before any of them is judged by it. The exception is a number that stands still
//! while another node's number changes. The same minimum distinguishes a dead vantage from dead nodes.

use crate::model::{
    health::{AnswerContent, Health, HealthState, NodeEvidence, StatusAnswer},
    outcome::Outcome,
    probe::Tolerance,
};

use self::fleet::Fleet;

mod distance;
mod downloads;
mod environment;
mod fleet;
mod reasons;

/// The reason for a node with which nothing is wrong, when there is nothing else to report.
pub const NOTHING_WRONG: &str = "nothing wrong";

/// The health of all nodes after a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundHealth {
    /// The health of each node, in the order of the nodes.
    pub nodes: Vec<Health>,
    /// The fleet's median height of the chain; `None` when no node reports one.
    pub chain_head: Option<u64>,
}

/// One problem of a node: the state that it leads to, and the reason.
type HealthProblem = (HealthState, String);

/// Judges all nodes that were asked in a round.
#[must_use]
pub fn judge(subjects: &[NodeEvidence<'_>], tolerance: Tolerance) -> RoundHealth {
    let own: Vec<_> = subjects.iter().map(problems).collect();
    let fleet = Fleet::of(subjects.iter().zip(&own).map(|(subject, own)| (subject, own.is_empty())), tolerance);
    let answers = subjects.iter().map(|subject| subject.answer);
    let is_vantage_silent = vantage(answers.clone()) == Some(false);
    let asked = answers.filter(|answer| was_contacted(answer)).count();
    let health = |(subject, own): (&NodeEvidence<'_>, Vec<HealthProblem>)| {
        if is_vantage_silent && was_contacted(subject.answer) {
            let reason = match asked {
                1 => "this vantage itself is at fault".to_owned(),
                _ => format!("none of {asked} nodes answered: this vantage itself is most likely at fault"),
            };
            return Health { state: HealthState::Unknown, reason, up: None, blocks_behind: None, head_behind: None };
        }
        health(subject, own, &fleet)
    };
    RoundHealth { nodes: subjects.iter().zip(own).map(health).collect(), chain_head: fleet.head() }
}

/// The health of a node that our address policy refuses. Such a node is never contacted.
#[must_use]
pub fn blocked(reason: &str) -> Health {
    let reason = format!("never contacted: {reason}");
    Health { state: HealthState::Blocked, reason, up: Some(false), blocks_behind: None, head_behind: None }
}

/// Whether this vantage itself works, judged by the answers of a round. `None` when too few nodes were asked to
/// distinguish a dead vantage from dead nodes.
pub fn vantage<'a>(answers: impl Iterator<Item = &'a StatusAnswer> + Clone) -> Option<bool> {
    if answers.clone().any(StatusAnswer::is_heard) {
        return Some(true);
    }
    let mut contacted = answers.filter(|answer| was_contacted(answer) && !answer.is_frozen()).peekable();
    contacted.peek()?;
    let is_ours =
        |answer: &StatusAnswer| matches!(answer.content, AnswerContent::Nothing { outcome: Outcome::LocalFailed, .. });
    let all_ours = contacted.clone().all(is_ours);
    (all_ours || contacted.count() >= MIN_FLEET).then_some(false)
}

const fn was_contacted(answer: &StatusAnswer) -> bool {
    !matches!(answer.content, AnswerContent::Nothing { outcome: Outcome::Blocked, .. })
}

/// The problems of a node that do not depend on the other nodes.
fn problems(subject: &NodeEvidence<'_>) -> Vec<HealthProblem> {
    let answer = subject.answer;
    let answered = match &answer.content {
        AnswerContent::Document(document) => environment::problem(document, subject.profile),
        AnswerContent::Present => None,
        AnswerContent::Frozen(away) => {
            Some((HealthState::Unknown, format!("not judged: bandprobe itself did not run for {away}")))
        }
        AnswerContent::Other(shape) => reasons::refused(answer.status, shape),
        AnswerContent::Nothing { outcome, error } => Some(silent(answer, *outcome, error)),
    };
    downloads::problems(answer, answered, &subject.downloads)
}

fn health(subject: &NodeEvidence<'_>, mut problems: Vec<HealthProblem>, fleet: &Fleet) -> Health {
    let answer = subject.answer;
    let (mut blocks_behind, mut head_behind, mut remark) = (None, None, None);
    if let AnswerContent::Document(document) = &answer.content {
        let position = fleet.position(subject, document);
        (blocks_behind, head_behind) = (position.blocks_behind, position.head_behind);
        problems.extend(position.problems);
        remark = position.remark;
    }
    // The sort is stable: equally bad problems keep their order.
    problems.sort_by_key(|(state, _)| std::cmp::Reverse(*state));
    let state = problems.first().map_or(HealthState::Ok, |(state, _)| *state);
    let reasons: Vec<_> = problems.into_iter().map(|(_, words)| words).collect();
    let mut reason = if reasons.is_empty() { nothing_wrong(answer, blocks_behind) } else { reasons.join("; ") };
    for more in remark.iter().chain(&answer.head_refusal) {
        reason += &format!("; {more}");
    }
    Health { state, reason, up: is_up(answer, state), blocks_behind, head_behind }
}

/// The reason for a node with which nothing is wrong, with a note of what could not be judged.
fn nothing_wrong(answer: &StatusAnswer, blocks_behind: Option<i64>) -> String {
    let more = match &answer.content {
        AnswerContent::Document(document) if document.blocks_processed.is_none() => {
            "; it reports no block height, so its blocks are not judged"
        }
        AnswerContent::Document(_) if blocks_behind.is_none() => {
            "; its blocks are not judged: that takes at least three nodes"
        }
        _ => "",
    };
    format!("{NOTHING_WRONG}{more}")
}

fn silent(answer: &StatusAnswer, outcome: Outcome, error: &str) -> HealthProblem {
    let meaning = outcome.meaning();
    match (outcome, answer.status) {
        (Outcome::Blocked, _) => (HealthState::Blocked, format!("never contacted: {error}")),
        (Outcome::LocalFailed, _) => (HealthState::Unknown, format!("this vantage itself is at fault: {error}")),
        (Outcome::TlsUnsupported, _) => (HealthState::Unknown, format!("cannot be judged from here: {error}")),
        // What the node did with the HEAD request is appended to the reason later.
        (_, None) if answer.head_refusal.is_some() => {
            (HealthState::Dead, format!("does not answer GET: {meaning} ({error})"))
        }
        (_, None) => (HealthState::Dead, format!("cannot be reached: {meaning} ({error})")),
        (_, Some(status)) => (HealthState::Dead, format!("answers {status} and breaks off: {meaning} ({error})")),
    }
}

/// A node that limits our requests works, and so does one that serves downloads while its status request fails.
const fn is_up(answer: &StatusAnswer, state: HealthState) -> Option<bool> {
    match (&answer.content, state) {
        (_, HealthState::Unknown) => None,
        (AnswerContent::Document(_) | AnswerContent::Present, _) | (_, HealthState::Degraded) => Some(true),
        (AnswerContent::Other(_) | AnswerContent::Nothing { .. } | AnswerContent::Frozen(_), _) => Some(false),
    }
}

/// Fewest nodes for a meaningful median, and fewest silent nodes that show that the vantage is at fault.
const MIN_FLEET: usize = 3;

#[cfg(test)]
mod tests;

//! Judges a status round: each node by its own answer, by how downloads from it end, and by comparison with the fleet's
//! median in the same round.
//!
//! A node that lags shows only by comparison, because bandprobe does not know the height of the chain. At least three
//! nodes must therefore report a number before any of them is judged by it. The exception is a number that stands still
//! while another node's number changes. The same minimum distinguishes a dead vantage from dead nodes.

use crate::model::{
    availability::{Answer, Said, State, Subject, Verdict},
    outcome::Outcome,
    probe::Tolerance,
};

use self::fleet::Fleet;

mod distance;
mod downloads;
mod environment;
mod fleet;
mod words;

/// The reason for a node with which nothing is wrong, when there is nothing else to report.
pub const SOUND: &str = "nothing wrong";

/// The result of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// One verdict for each node, in the order of the nodes.
    pub verdicts: Vec<Verdict>,
    /// The fleet's median height of the chain; `None` when no node reports one.
    pub chain_head: Option<u64>,
}

/// One problem of a node: the state that it leads to, and the reason.
type Finding = (State, String);

/// Judges all nodes that were asked in a round.
#[must_use]
pub fn judge(subjects: &[Subject<'_>], tolerance: Tolerance) -> Judgement {
    let own: Vec<_> = subjects.iter().map(findings).collect();
    let fleet = Fleet::of(subjects.iter().zip(&own).map(|(subject, own)| (subject, own.is_empty())), tolerance);
    let answers = subjects.iter().map(|subject| subject.answer);
    let is_vantage_silent = vantage(answers.clone()) == Some(false);
    let asked = answers.filter(|answer| was_contacted(answer)).count();
    let verdict = |(subject, own): (&Subject<'_>, Vec<Finding>)| {
        if is_vantage_silent && was_contacted(subject.answer) {
            let reason = match asked {
                1 => "this vantage itself is at fault".to_owned(),
                _ => format!("none of {asked} nodes answered: this vantage itself is most likely at fault"),
            };
            return Verdict { state: State::Unknown, reason, up: None, blocks_behind: None, head_behind: None };
        }
        verdict(subject, own, &fleet)
    };
    Judgement { verdicts: subjects.iter().zip(own).map(verdict).collect(), chain_head: fleet.head() }
}

/// The verdict on a node that our address policy refuses. Such a node is never contacted.
#[must_use]
pub fn blocked(reason: &str) -> Verdict {
    let reason = format!("never contacted: {reason}");
    Verdict { state: State::Blocked, reason, up: Some(false), blocks_behind: None, head_behind: None }
}

/// Whether this vantage itself works, judged by the answers of a round. `None` when too few nodes were asked to
/// distinguish a dead vantage from dead nodes.
pub fn vantage<'a>(answers: impl Iterator<Item = &'a Answer> + Clone) -> Option<bool> {
    if answers.clone().any(Answer::is_heard) {
        return Some(true);
    }
    let mut contacted = answers.filter(|answer| was_contacted(answer) && !answer.is_frozen()).peekable();
    contacted.peek()?;
    let is_ours = |answer: &Answer| matches!(answer.said, Said::Nothing { outcome: Outcome::LocalFailed, .. });
    let all_ours = contacted.clone().all(is_ours);
    (all_ours || contacted.count() >= MIN_FLEET).then_some(false)
}

const fn was_contacted(answer: &Answer) -> bool {
    !matches!(answer.said, Said::Nothing { outcome: Outcome::Blocked, .. })
}

/// The problems of a node that do not depend on the other nodes.
fn findings(subject: &Subject<'_>) -> Vec<Finding> {
    let answer = subject.answer;
    let answered = match &answer.said {
        Said::Report(report) => environment::finding(report, subject.profile),
        Said::Present => None,
        Said::Frozen(away) => Some((State::Unknown, format!("not judged: bandprobe itself did not run for {away}"))),
        Said::Other(shape) => words::refused(answer.status, shape),
        Said::Nothing { outcome, error } => Some(silent(answer, *outcome, error)),
    };
    downloads::findings(answer, answered, &subject.downloads)
}

fn verdict(subject: &Subject<'_>, mut findings: Vec<Finding>, fleet: &Fleet) -> Verdict {
    let answer = subject.answer;
    let (mut blocks_behind, mut head_behind, mut remark) = (None, None, None);
    if let Said::Report(report) = &answer.said {
        let place = fleet.place(subject, report);
        (blocks_behind, head_behind) = (place.blocks_behind, place.head_behind);
        findings.extend(place.findings);
        remark = place.remark;
    }
    // The sort is stable: equally bad findings keep their order.
    findings.sort_by_key(|(state, _)| std::cmp::Reverse(*state));
    let state = findings.first().map_or(State::Ok, |(state, _)| *state);
    let reasons: Vec<_> = findings.into_iter().map(|(_, words)| words).collect();
    let mut reason = if reasons.is_empty() { sound(answer, blocks_behind) } else { reasons.join("; ") };
    for more in remark.iter().chain(&answer.head_refused) {
        reason += &format!("; {more}");
    }
    Verdict { state, reason, up: is_up(answer, state), blocks_behind, head_behind }
}

/// The reason for a node with which nothing is wrong, with a note of what could not be judged.
fn sound(answer: &Answer, blocks_behind: Option<i64>) -> String {
    let more = match &answer.said {
        Said::Report(report) if report.blocks_processed.is_none() => {
            "; it reports no block height, so its blocks are not judged"
        }
        Said::Report(_) if blocks_behind.is_none() => "; its blocks are not judged, which takes three nodes",
        _ => "",
    };
    format!("{SOUND}{more}")
}

fn silent(answer: &Answer, outcome: Outcome, error: &str) -> Finding {
    let meaning = outcome.meaning();
    match (outcome, answer.status) {
        (Outcome::Blocked, _) => (State::Blocked, format!("never contacted: {error}")),
        (Outcome::LocalFailed, _) => (State::Unknown, format!("this vantage itself is at fault: {error}")),
        (Outcome::TlsUnsupported, _) => (State::Unknown, format!("cannot be judged from here: {error}")),
        // What the node did with the HEAD request is appended to the reason later.
        (_, None) if answer.head_refused.is_some() => {
            (State::Dead, format!("does not answer GET: {meaning} ({error})"))
        }
        (_, None) => (State::Dead, format!("cannot be reached: {meaning} ({error})")),
        (_, Some(status)) => (State::Dead, format!("answers {status} and breaks off: {meaning} ({error})")),
    }
}

/// A node that limits our requests works, and so does one that serves downloads while its status request fails.
const fn is_up(answer: &Answer, state: State) -> Option<bool> {
    match (&answer.said, state) {
        (_, State::Unknown) => None,
        (Said::Report(_) | Said::Present, _) | (_, State::Degraded) => Some(true),
        (Said::Other(_) | Said::Nothing { .. } | Said::Frozen(_), _) => Some(false),
    }
}

/// Fewest nodes for a meaningful median, and fewest silent nodes that show that the vantage is at fault.
const MIN_FLEET: usize = 3;

#[cfg(test)]
mod tests;

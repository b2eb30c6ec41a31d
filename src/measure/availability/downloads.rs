//! How the downloads of a node change its verdict: a node that answers and serves nothing is not well, and one that serves is
//! not dead.

use std::{collections::BTreeMap, fmt::Write};

use jiff::Timestamp;

use crate::model::{
    availability::{Answer, Downloads, Said, State},
    outcome::Outcome,
};

use super::Finding;

/// What is wrong with a node, given what its answer says (`None`: nothing) and how the last downloads ended.
pub(super) fn findings(answer: &Answer, answered: Option<Finding>, downloads: &Downloads) -> Vec<Finding> {
    let Downloads { ended, enough, fetch_failed } = downloads;
    let fetch = fetch_failed.as_ref().map(|why| (State::Degraded, format!("cannot fetch from storage: {why}")));
    let is_answered = matches!(answer.said, Said::Report(_) | Said::Present);
    let mut findings = Vec::new();
    match answered {
        Some((State::Dead | State::Misconfigured, words)) if !is_answered && contradict(answer, downloads) => {
            findings.push((State::Degraded, format!("{words}; yet {}", succeeded(ended))));
        }
        answered => findings.extend(answered),
    }
    let have_failed = ended.len() >= (*enough).max(1) && ended.iter().all(|(_, outcome)| !outcome.is_ok());
    if is_answered && have_failed {
        findings.push((State::Degraded, format!("status answers, but {}", failed(ended))));
    }
    // A dead node fetches nothing either, and a reason should name the cause.
    if findings.iter().all(|(state, _)| matches!(state, State::Degraded | State::Misconfigured)) {
        findings.extend(fetch);
    }
    findings
}

/// Does the last download show that the node serves, whatever its status says? One that cannot even be connected to has to have
/// served after that, or a node that just died would be said to serve.
fn contradict(answer: &Answer, downloads: &Downloads) -> bool {
    let Some((at, Outcome::Ok)) = downloads.ended.last() else { return false };
    let is_unreachable = matches!(&answer.said, Said::Nothing { outcome, .. } if outcome.is_before_request());
    !is_unreachable || *at > answer.at
}

/// `the last 3 downloads succeeded`
fn succeeded(ended: &[(Timestamp, Outcome)]) -> String {
    match ended.iter().rev().take_while(|(_, outcome)| outcome.is_ok()).count() {
        0 | 1 => "the last download succeeded".to_owned(),
        more => format!("the last {more} downloads succeeded"),
    }
}

/// `the last 4 downloads failed: 3 http_5xx, 1 stalled`
fn failed(ended: &[(Timestamp, Outcome)]) -> String {
    let mut counts = BTreeMap::<Outcome, usize>::new();
    for (_, outcome) in ended {
        *counts.entry(*outcome).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut text = match ended.len() {
        1 => "the last download failed:".to_owned(),
        more => format!("the last {more} downloads failed:"),
    };
    for (index, (outcome, count)) in counts.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = match ended.len() {
            1 => write!(text, " {outcome}"),
            _ => write!(text, "{comma} {count} {outcome}"),
        };
    }
    text
}

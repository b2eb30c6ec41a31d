//! How the downloads from a node change its health. A node that answers but serves nothing is not healthy, and a node
//! that serves is not dead.

use std::{collections::BTreeMap, fmt::Write};

use crate::model::{
    health::{AnswerContent, EndedRun, HealthState, RecentDownloads, RunFault, StatusAnswer},
    units::BitRate,
};

use super::HealthProblem;

/// The problems of a node, from its answer and from how its last downloads ended. `answered` is the problem that the
/// answer shows, if any.
pub(super) fn problems(
    answer: &StatusAnswer,
    answered: Option<HealthProblem>,
    downloads: &RecentDownloads,
) -> Vec<HealthProblem> {
    let RecentDownloads { ended, enough, fetch_failed } = downloads;
    let fetch = fetch_failed.as_ref().map(|why| (HealthState::Degraded, format!("cannot fetch from storage: {why}")));
    let is_answered = matches!(answer.content, AnswerContent::Document(_) | AnswerContent::Present);
    let mut problems = Vec::new();
    match answered {
        Some((HealthState::Dead | HealthState::Misconfigured, words))
            if !is_answered && contradict(answer, downloads) =>
        {
            problems.push((HealthState::Degraded, format!("{words}; yet {}", succeeded(ended))));
        }
        answered => problems.extend(answered),
    }
    let faults: Option<Vec<RunFault>> = ended.iter().map(|run| run.fault).collect();
    if let Some(faults) = faults.filter(|faults| is_answered && faults.len() >= (*enough).max(1)) {
        problems.push((HealthState::Degraded, format!("status answers, but {}", not_good(&faults))));
    }
    // A dead node cannot fetch either, and the reason should name the cause.
    if problems.iter().all(|(state, _)| matches!(state, HealthState::Degraded | HealthState::Misconfigured)) {
        problems.extend(fetch);
    }
    problems
}

/// Whether the last download shows that the node serves, whatever its status says. When the node cannot even be
/// reached, only a download after the status request counts. Otherwise a node that just died would be reported as
/// serving.
fn contradict(answer: &StatusAnswer, downloads: &RecentDownloads) -> bool {
    let Some(EndedRun { at, fault: None }) = downloads.ended.last() else { return false };
    let is_unreachable =
        matches!(&answer.content, AnswerContent::Nothing { outcome, .. } if outcome.is_before_request());
    !is_unreachable || *at > answer.at
}

/// Formats `the last 3 downloads succeeded`.
fn succeeded(ended: &[EndedRun]) -> String {
    match ended.iter().rev().take_while(|run| run.fault.is_none()).count() {
        0 | 1 => "the last download succeeded".to_owned(),
        more => format!("the last {more} downloads succeeded"),
    }
}

/// Formats `the last 4 downloads failed: 3 http_5xx, 1 stalled`, or a shorter text when all faults are the same.
fn not_good(faults: &[RunFault]) -> String {
    if let Some(rate) = all_too_slow(faults) {
        let than = match rate {
            Some(rate) => format!("{rate} (`min-rate`)"),
            None => "the `min-rate` of their probes".to_owned(),
        };
        return match faults.len() {
            1 => format!("the last download was slower than {than}"),
            more => format!("all of the last {more} downloads were slower than {than}"),
        };
    }
    let mut counts = BTreeMap::<&str, usize>::new();
    faults.iter().for_each(|fault| *counts.entry(fault.label()).or_default() += 1);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut text = match faults.len() {
        1 => "the last download failed:".to_owned(),
        more => format!("the last {more} downloads failed:"),
    };
    for (index, (label, count)) in counts.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = match faults.len() {
            1 => write!(text, " {label}"),
            _ => write!(text, "{comma} {count} {label}"),
        };
    }
    text
}

/// `None` unless all runs were too slow. The inner value is the minimum rate that they missed, if it is the same for
/// all.
fn all_too_slow(faults: &[RunFault]) -> Option<Option<BitRate>> {
    let rate = |fault: &RunFault| match fault {
        RunFault::TooSlow(rate) => Some(*rate),
        RunFault::Failed(_) => None,
    };
    let rates: Vec<BitRate> = faults.iter().map(rate).collect::<Option<_>>()?;
    let first = rates.first().copied()?;
    Some(rates.iter().all(|rate| *rate == first).then_some(first))
}

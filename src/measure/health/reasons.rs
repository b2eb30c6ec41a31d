//! The reasons for the state of a node, written for its operator.

use crate::model::{
    health::{HealthState, OtherContent},
    units::grouped,
};

use super::{HealthProblem, distance::MedianDistance};

/// Reports a number that is too far behind. Only the first number is reported in full; a second one is short.
pub(super) fn behind(what: &str, distance: MedianDistance, allowed: u64, whose: &str, in_full: bool) -> String {
    let (by, allowed) = (grouped(distance.by.unsigned_abs()), grouped(allowed));
    // Blocks get a unit, because they are a count. A chain head is a position.
    let unit = if what.is_empty() { " blocks" } else { "" };
    if !in_full {
        return format!("{what}{by}{unit} behind ({allowed} allowed)");
    }
    let cause = if distance.stands_still { "stands still" } else { "is not keeping up" };
    format!("{what}{by}{unit} behind {} ({allowed} allowed): its {whose} {cause}", reference(distance))
}

/// Reports a number that is ahead of the others.
pub(super) fn ahead(what: &str, distance: MedianDistance) -> String {
    let unit = if what.is_empty() { " blocks" } else { "" };
    format!("{what}{}{unit} ahead of {}", grouped(distance.by.unsigned_abs()), reference(distance))
}

/// Reports a chain head that is far away, when the blocks differ from the fleet's too.
pub(super) fn other_chain(head: MedianDistance) -> String {
    let cause = match (head.by > 0, head.stands_still) {
        (true, true) => "its chain node stands still",
        (true, false) => "it follows another chain, or its chain node stands still",
        (false, _) if head.others_move => "it follows another chain",
        (false, _) => "it follows another chain, or the others stand still",
    };
    format!("{}, and its blocks are not the fleet's: {cause}", far(head))
}

/// Reports a chain head that is far behind, when the blocks agree with the fleet's.
pub(super) fn wrong_head(head: MedianDistance) -> String {
    format!("{}, though its blocks agree: its chain node is at fault", far(head))
}

fn far(head: MedianDistance) -> String {
    let side = if head.by > 0 { "behind" } else { "ahead of" };
    format!("chain head {} {side} {}", grouped(head.by.unsigned_abs()), reference(head))
}

fn reference(distance: MedianDistance) -> String {
    match distance.nodes {
        1 => "the only other node that advances".to_owned(),
        nodes => format!("the fleet's median of {nodes} nodes"),
    }
}

/// The problem for a complete answer that is not the expected one.
pub(super) fn refused(status: Option<u16>, shape: &OtherContent) -> Option<HealthProblem> {
    let status = status?;
    let said = |state, rest: &str| Some((state, format!("answers {status}{rest}{}", quoted(shape))));
    match (status, shape) {
        (200..=299, OtherContent::Page) => {
            said(HealthState::Misconfigured, " with a web page, not a status document: its endpoint leads elsewhere")
        }
        (200..=299, OtherContent::Empty) => {
            said(HealthState::Misconfigured, " with an empty body: the path of its endpoint is probably wrong")
        }
        (200..=299, _) => {
            said(HealthState::Misconfigured, ", but not with a status document: its endpoint leads elsewhere")
        }
        (300..=399, OtherContent::Redirect(to)) if !to.is_empty() => Some((
            HealthState::Misconfigured,
            format!("redirects ({status}) to {to}: its endpoint must be the final URL"),
        )),
        (300..=399, _) => said(HealthState::Misconfigured, ", a redirect: its endpoint must be the final URL"),
        (404, OtherContent::Error { is_typed: true, .. } | OtherContent::Page) => {
            said(HealthState::Misconfigured, ": the path of its endpoint is wrong")
        }
        (404, _) => said(HealthState::Misconfigured, ": the requested object is not there"),
        (401 | 403, _) => said(HealthState::Misconfigured, ": it refuses us"),
        (429, _) => said(HealthState::Degraded, ": it rate-limits us"),
        (400..=499, _) => said(HealthState::Misconfigured, " to a plain request"),
        // JSON with a message comes from the node itself, even behind a proxy.
        (502..=504, OtherContent::Error { .. }) => said(HealthState::Dead, ": it fails"),
        (502..=504, _) | (500..=599, OtherContent::Page) => {
            Some((HealthState::Dead, format!("its proxy answers {status}, but the node behind it does not answer")))
        }
        (500..=599, _) => said(HealthState::Dead, ": it fails"),
        _ => said(HealthState::Misconfigured, ", which does not answer this request"),
    }
}

/// The error text of the node, if it sent one.
fn quoted(shape: &OtherContent) -> String {
    match shape {
        OtherContent::Error { message, .. } if !message.trim().is_empty() => format!("; it says `{message}`"),
        _ => String::new(),
    }
}

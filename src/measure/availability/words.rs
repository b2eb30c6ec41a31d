//! The reasons of verdicts, written for the operator of a node.

use crate::model::{
    availability::{Shape, State},
    units::grouped,
};

use super::{Finding, distance::Behind};

/// Reports a number that is too far behind. Only the first number is reported in full; a second one is short.
pub(super) fn behind(what: &str, place: Behind, allowed: u64, whose: &str, in_full: bool) -> String {
    let (by, allowed) = (grouped(place.by.unsigned_abs()), grouped(allowed));
    // Blocks get a unit, because they are a count. A chain head is a position.
    let unit = if what.is_empty() { " blocks" } else { "" };
    if !in_full {
        return format!("{what}{by}{unit} behind ({allowed} allowed)");
    }
    let cause = if place.stands_still { "stands still" } else { "is not keeping up" };
    format!("{what}{by}{unit} behind {} ({allowed} allowed): its {whose} {cause}", others(place))
}

/// Reports a number that is ahead of the others.
pub(super) fn ahead(what: &str, place: Behind) -> String {
    let unit = if what.is_empty() { " blocks" } else { "" };
    format!("{what}{}{unit} ahead of {}", grouped(place.by.unsigned_abs()), others(place))
}

/// Reports a chain head that is far away, when the blocks differ from the fleet's too.
pub(super) fn other_chain(head: Behind) -> String {
    let cause = match (head.by > 0, head.stands_still) {
        (true, true) => "its chain node stands still",
        (true, false) => "it follows another chain, or its chain node stands still",
        (false, _) if head.others_move => "it follows another chain",
        (false, _) => "it follows another chain, or the others stand still",
    };
    format!("{}, and its blocks are not the fleet's: {cause}", far(head))
}

/// Reports a chain head that is far behind, when the blocks agree with the fleet's.
pub(super) fn odd_head(head: Behind) -> String {
    format!("{}, though its blocks agree: its chain node is at fault", far(head))
}

fn far(head: Behind) -> String {
    let side = if head.by > 0 { "behind" } else { "ahead of" };
    format!("chain head {} {side} {}", grouped(head.by.unsigned_abs()), others(head))
}

fn others(place: Behind) -> String {
    match place.nodes {
        1 => "the only other node that moves on".to_owned(),
        nodes => format!("the fleet's median of {nodes} nodes"),
    }
}

/// The finding for a complete answer that is not the expected one.
pub(super) fn refused(status: Option<u16>, shape: &Shape) -> Option<Finding> {
    let status = status?;
    let said = |state, rest: &str| Some((state, format!("answers {status}{rest}{}", quoted(shape))));
    match (status, shape) {
        (200..=299, Shape::Page) => {
            said(State::Misconfigured, " with a web page, not a status document: its endpoint leads elsewhere")
        }
        (200..=299, Shape::Empty) => {
            said(State::Misconfigured, " with an empty body: the path of its endpoint is probably wrong")
        }
        (200..=299, _) => said(State::Misconfigured, ", but not with a status document: its endpoint leads elsewhere"),
        (300..=399, Shape::Redirect(to)) if !to.is_empty() => {
            Some((State::Misconfigured, format!("redirects ({status}) to {to}: its endpoint has to be the final one")))
        }
        (300..=399, _) => said(State::Misconfigured, ", a redirect: its endpoint has to be the final one"),
        (404, Shape::Error { is_typed: true, .. } | Shape::Page) => {
            said(State::Misconfigured, ": the path of its endpoint is wrong")
        }
        (404, _) => said(State::Misconfigured, ": what was asked for is not there"),
        (401 | 403, _) => said(State::Misconfigured, ": it refuses us"),
        (429, _) => said(State::Degraded, ": it limits us"),
        (400..=499, _) => said(State::Misconfigured, " to a plain request"),
        // JSON with a message comes from the node itself, even behind a proxy.
        (502..=504, Shape::Error { .. }) => said(State::Dead, ": it fails"),
        (502..=504, _) | (500..=599, Shape::Page) => {
            Some((State::Dead, format!("its proxy answers {status}, the node behind it does not")))
        }
        (500..=599, _) => said(State::Dead, ": it fails"),
        _ => said(State::Misconfigured, ", which is no answer to this request"),
    }
}

/// The error text of the node, if it sent one.
fn quoted(shape: &Shape) -> String {
    match shape {
        Shape::Error { message, .. } if !message.trim().is_empty() => format!("; it says `{message}`"),
        _ => String::new(),
    }
}

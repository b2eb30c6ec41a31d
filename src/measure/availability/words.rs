//! The reasons of verdicts, for whoever runs the node.

use crate::model::{
    availability::{Shape, State},
    probe::Tolerance,
};

use super::Finding;

/// A number outside the tolerance. The whole of it is said once: a second number is told in short.
pub(super) fn off(what: &str, behind: i64, nodes: usize, tolerance: Tolerance, whose: &str, in_full: bool) -> String {
    let (side, allowed) = if behind > 0 { ("behind", tolerance.behind) } else { ("ahead", tolerance.ahead) };
    let (by, allowed) = (grouped(behind.unsigned_abs()), grouped(allowed));
    // A head is where it is; blocks are counted.
    let unit = if what.is_empty() { " blocks" } else { "" };
    if !in_full {
        return format!("{what}{by}{unit} {side} ({allowed} allowed)");
    }
    let of = if behind > 0 { "" } else { " of" };
    let cause = if behind > 0 { "is not keeping up" } else { "is wrong, or the others lag" };
    format!("{what}{by}{unit} {side}{of} the fleet's median of {nodes} nodes ({allowed} allowed): its {whose} {cause}")
}

/// A head far away, and blocks that are not the fleet's either.
pub(super) fn other_chain(behind: i64, nodes: usize) -> String {
    let cause = match behind > 0 {
        true => "it follows another chain, or its chain node stands still",
        false => "it follows another chain",
    };
    format!("{}, and its blocks are not the fleet's: {cause}", far(behind, nodes))
}

/// A head far away, and blocks like everybody's.
pub(super) fn odd_head(behind: i64, nodes: usize) -> String {
    format!("{}, though its blocks agree: its chain node is at fault", far(behind, nodes))
}

fn far(behind: i64, nodes: usize) -> String {
    let side = if behind > 0 { "behind" } else { "ahead of" };
    format!("chain head {} {side} the fleet's median of {nodes} nodes", grouped(behind.unsigned_abs()))
}

/// What a complete answer other than the wanted one means.
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
        // JSON with a message is the node's own, whatever stands before it.
        (502..=504, Shape::Error { .. }) => said(State::Dead, ": it fails"),
        (502..=504, _) | (500..=599, Shape::Page) => {
            Some((State::Dead, format!("its proxy answers {status}, the node behind it does not")))
        }
        (500..=599, _) => said(State::Dead, ": it fails"),
        _ => said(State::Misconfigured, ", which is no answer to this request"),
    }
}

/// The node's own words, where it has any.
fn quoted(shape: &Shape) -> String {
    match shape {
        Shape::Error { message, .. } if !message.trim().is_empty() => format!("; it says `{message}`"),
        _ => String::new(),
    }
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

//! The slowest and the failed transfers. The list is short, so that you can look up each in the logs and traces of its
//! node.
//!
//! It has at most two transfers per node. The first is the good download with the largest time to first byte, of an
//! object that the node held or whose cache state is unknown. The second is the last failure, or the last download
//! that was too slow for a viewer. Transfers that are not charged to the node are not shown.

use std::{cmp::Reverse, sync::Arc};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    config::trace_url::TraceUrl,
    model::{flag::Flag, outcome::Outcome, probe::PartName, sample::CacheState, units::Micros},
    record::{
        columns::HexId,
        schema::{NONE, transfer as schema},
        transfer_point::TransferPoint,
    },
    term::{
        Look, SEPARATOR,
        ink::Ink,
        table::{Cell, Column, Layout, choose, draw},
        wrap::flow,
    },
};

/// Collects the transfers, at most [`MAX_TRANSFERS`] of each of the two kinds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slowest {
    /// At most one per node, the largest time first.
    slow: Vec<ListedTransfer>,
    /// At most one per node, the latest first.
    failed: Vec<ListedTransfer>,
}

/// One transfer.
#[derive(Clone, Debug, PartialEq)]
struct ListedTransfer {
    at: Timestamp,
    vantage: Arc<str>,
    node: Arc<str>,
    probe: Option<Arc<str>>,
    part: Option<PartName>,
    listing: Listing,
    trace_id: Option<HexId>,
    request_id: Option<HexId>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Listing {
    /// A good download, with its time to first byte.
    Slow(Micros),
    Failed(Outcome),
    /// A good download with a rate below the probe's `min-rate`.
    TooSlow,
}

/// The most transfers that are shown.
pub const MAX_TRANSFERS: usize = 10;

impl Slowest {
    /// Adds one transfer.
    pub fn add(&mut self, point: &TransferPoint) {
        let is_excused = point.flags.iter().any(Flag::excuses);
        if point.outcome.is_ok() && point.flags.contains(Flag::TooSlow) {
            if !is_excused {
                keep(&mut self.failed, ListedTransfer::new(point, Listing::TooSlow));
            }
        } else if point.outcome.is_ok() {
            let download = point.part.is_some_and(|part| part != PartName::Check);
            let held = matches!(point.cache, CacheState::Hit | CacheState::Unknown);
            if let Some(ttfb) = point.ttfb.filter(|_| download && held) {
                keep(&mut self.slow, ListedTransfer::new(point, Listing::Slow(ttfb)));
            }
        } else if point.outcome.is_charged() && !is_excused {
            keep(&mut self.failed, ListedTransfer::new(point, Listing::Failed(point.outcome)));
        }
    }

    /// The failures, then the slow ones. Each kind gets at least half of the list, and the room that the other leaves.
    fn rows(&self) -> impl Iterator<Item = &ListedTransfer> {
        let failed = self.failed.len().min((MAX_TRANSFERS - self.slow.len()).max(MAX_TRANSFERS / 2));
        self.failed[..failed].iter().chain(self.slow.iter().take(MAX_TRANSFERS - failed))
    }

    /// The text with a final newline. Empty when there are no transfers. A link is on its own line and is never
    /// broken.
    #[must_use]
    pub fn render(&self, look: Look, trace_url: Option<&TraceUrl>) -> String {
        let rows: Vec<&ListedTransfer> = self.rows().collect();
        if rows.is_empty() {
            return String::new();
        }
        let cells: Vec<_> = rows.iter().map(|row| row.cells()).collect();
        let mut text = String::from("slowest and failed transfers\n");
        let layout = choose(&cells, &LAYOUTS, look);
        let table = layout.map(|layout| draw(&cells, layout, look));
        let mut lines = table.iter().flat_map(|table| table.lines());
        if let Some(header) = lines.next() {
            text += &format!("{}\n", header.trim_end());
        }
        for row in rows {
            text += &lines.next().map_or_else(|| row.paragraph(look), |line| line.trim_end().to_owned());
            text.push('\n');
            text += &row.trace_links(look, trace_url);
        }
        text
    }

    /// The same as JSON objects, in the units of the schema.
    #[must_use]
    pub fn json(&self, trace_url: Option<&TraceUrl>) -> Vec<Value> {
        self.rows().map(|row| row.json(trace_url)).collect()
    }
}

/// Keeps a transfer if it is worse than the one of the same node. A node that has dropped out of the first [`MAX_TRANSFERS`]
/// can only return with a worse transfer, so no more have to be kept.
fn keep(kept: &mut Vec<ListedTransfer>, new: ListedTransfer) {
    let rank = |single: &ListedTransfer| match single.listing {
        Listing::Slow(ttfb) => Reverse((i128::from(ttfb.0), single.at)),
        Listing::Failed(_) | Listing::TooSlow => Reverse((single.at.as_nanosecond(), single.at)),
    };
    let same = kept.iter().position(|single| single.node == new.node);
    let bar = same.map(|old| &kept[old]).or_else(|| kept.get(MAX_TRANSFERS - 1));
    if bar.is_some_and(|bar| rank(bar) <= rank(&new)) {
        return;
    }
    if let Some(old) = same {
        kept.remove(old);
    }
    kept.push(new);
    kept.sort_by_key(rank);
    kept.truncate(MAX_TRANSFERS);
}

impl ListedTransfer {
    fn new(point: &TransferPoint, listing: Listing) -> Self {
        Self {
            at: point.at,
            vantage: point.vantage.clone(),
            node: point.node.clone(),
            probe: point.probe.clone(),
            part: point.part,
            listing,
            trace_id: point.trace_id,
            request_id: point.request_id,
        }
    }

    fn time(&self) -> String {
        self.at.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// `probe/part`
    fn probe_and_part(&self) -> String {
        format!("{}/{}", self.probe.as_deref().unwrap_or(NONE), self.part.map_or(NONE, PartName::label))
    }

    fn result(&self) -> (String, Ink) {
        match self.listing {
            Listing::Slow(ttfb) => (format!("TTFB {ttfb}"), Ink::Doubtful),
            Listing::Failed(outcome) => (outcome.to_string(), Ink::Bad),
            Listing::TooSlow => (Flag::TooSlow.label().to_owned(), Ink::Bad),
        }
    }

    fn cells(&self) -> Vec<Cell> {
        let (result, ink) = self.result();
        let plain = |text: &str| Cell::new(text, None);
        let (time, probe_and_part) = (self.time(), self.probe_and_part());
        vec![
            plain(&time),
            plain(&self.vantage),
            plain(&self.node),
            plain(&probe_and_part),
            Cell::new(result, Some(ink)),
        ]
    }

    fn paragraph(&self, look: Look) -> String {
        let (result, ink) = self.result();
        let pieces = [self.time(), self.node.to_string(), self.probe_and_part(), ink.on(&result, look.colour)];
        flow(pieces.iter().map(String::as_str), " ", ("", "  "), look.width)
    }

    /// Where to find the transfer: the link, or the ids to search for.
    fn trace_links(&self, look: Look, trace_url: Option<&TraceUrl>) -> String {
        if let (Some(url), Some(id)) = (trace_url, self.trace_id) {
            return format!("  {}\n", url.of(&id.to_string()));
        }
        let ids = [("trace", self.trace_id), ("x-request-id", self.request_id)];
        let ids: Vec<_> = ids.into_iter().filter_map(|(name, id)| Some(format!("{name} {}", id?))).collect();
        if ids.is_empty() {
            return String::new();
        }
        flow(ids.iter().map(String::as_str), SEPARATOR, ("  ", "  "), look.width) + "\n"
    }

    fn json(&self, trace_url: Option<&TraceUrl>) -> Value {
        let mut object = Map::new();
        let mut put = |name: &str, value: Value| drop(object.insert(name.to_owned(), value));
        put("time", self.at.to_string().into());
        put(schema::VANTAGE.0, (*self.vantage).into());
        put(schema::NODE.0, (*self.node).into());
        put(schema::PROBE.0, self.probe.as_deref().unwrap_or(NONE).into());
        put(schema::PART.0, self.part.map_or(NONE, PartName::label).into());
        match self.listing {
            Listing::Slow(ttfb) => put(schema::TTFB.name, ttfb.0.into()),
            Listing::Failed(outcome) => put(schema::OUTCOME.0, outcome.label().into()),
            Listing::TooSlow => put(schema::FLAGS.name, Flag::TooSlow.label().into()),
        }
        for (field, id) in [(schema::TRACE_ID, self.trace_id), (schema::REQUEST_ID, self.request_id)] {
            if let Some(id) = id {
                put(field.name, id.to_string().into());
            }
        }
        if let (Some(url), Some(id)) = (trace_url, self.trace_id) {
            put("trace_url", url.of(&id.to_string()).into());
        }
        json!(object)
    }
}

const WHEN: Column = Column::words("when (UTC)", 0);
const FROM: Column = Column::words("from", 1);
const NODE: Column = Column::words("node", 2);
const PROBE_AND_PART: Column = Column::words("probe/part", 3);
const RESULT: Column = Column::words("what", 4);

/// The widest layout first.
const LAYOUTS: [Layout; 3] = [
    Layout { padding: 1, columns: &[WHEN, FROM, NODE, PROBE_AND_PART, RESULT] },
    Layout { padding: 0, columns: &[WHEN, FROM, NODE, PROBE_AND_PART, RESULT] },
    Layout { padding: 0, columns: &[WHEN, NODE, PROBE_AND_PART, RESULT] },
];

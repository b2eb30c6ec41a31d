//! What the day's bytes allow: a limit for this worker, and one for each node.
//!
//! A run is admitted only when all that it may download fits what is left, so that a limit is kept and not overrun by
//! the last run. What has been spent survives a restart: it can be written and read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::cold::ColdFetches;
use crate::model::{
    probe::Probe,
    target::{Asset, AssetKind, Node},
    units::Bytes,
};

mod cold;

/// What an image of unknown size is taken to have: thumbnails have 6 to 46 kB.
pub const ASSUMED_IMAGE: Bytes = Bytes(32_000);

/// The bytes of one UTC day.
#[derive(Clone, Debug)]
pub struct Budget {
    per_day: Bytes,
    per_node: Bytes,
    spent: Spent,
    /// Admitted and not yet settled: all, and by node.
    reserved: Tally,
}

/// What was downloaded on one UTC day: the state to keep over restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Days since 1970-01-01.
    pub day: u64,
    /// By this worker.
    pub total: u64,
    /// By this worker from each node, by its id.
    pub by_node: BTreeMap<String, u64>,
}

/// Whether a run may start.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// It may; what it really took is settled with the reservation.
    Go(Reservation),
    /// It would overrun the worker's bytes of the day.
    SkipDay,
    /// It would overrun the node's bytes of the day.
    SkipNode,
}

/// The planned bytes of an admitted run, held until they are settled with [`Budget::spend`].
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Reservation {
    day: u64,
    node: String,
    planned: u64,
}

#[derive(Clone, Debug, Default)]
struct Tally {
    total: u64,
    by_node: BTreeMap<String, u64>,
}

/// What a run of this probe on this asset may download at the most: the sum over its parts.
#[must_use]
pub fn planned_bytes(probe: &Probe, asset: &Asset) -> Bytes {
    let whole = asset.size.map_or_else(|| assumed(asset.kind), |size| size.0);
    let most = asset.size.map_or(u64::MAX, |size| size.0);
    let parts = probe.parts.iter().map(|part| part.extent.bytes().map_or(whole, |bytes| bytes.0.min(most)));
    Bytes(parts.fold(0, u64::saturating_add))
}

/// What a run of this probe against this node may download at the most, whichever asset it takes; `None` when the node has
/// none for it.
#[must_use]
pub fn planned_at_most(probe: &Probe, node: &Node) -> Option<Bytes> {
    probe.candidates(node).map(|asset| planned_bytes(probe, asset)).max()
}

impl Budget {
    /// With what was spent so far, of whichever day.
    #[must_use]
    pub fn new(per_day: Bytes, per_node: Bytes, spent: Spent) -> Self {
        Self { per_day, per_node, spent, reserved: Tally::default() }
    }

    /// May a run that downloads up to `planned` from `node` start on this day (since 1970-01-01, UTC)?
    pub fn admit(&mut self, day: u64, node: &str, planned: Bytes) -> Admission {
        self.turn(day);
        let fits = |spent: u64, reserved: u64, limit: Bytes| {
            spent.saturating_add(reserved).checked_add(planned.0).is_some_and(|sum| sum <= limit.0)
        };
        let of = |tally: &BTreeMap<String, u64>| tally.get(node).copied().unwrap_or(0);
        if !fits(self.spent.total, self.reserved.total, self.per_day) {
            return Admission::SkipDay;
        }
        if !fits(of(&self.spent.by_node), of(&self.reserved.by_node), self.per_node) {
            return Admission::SkipNode;
        }
        self.reserved.total += planned.0;
        *self.reserved.by_node.entry(node.to_owned()).or_default() += planned.0;
        Admission::Go(Reservation { day: self.spent.day, node: node.to_owned(), planned: planned.0 })
    }

    /// Settles a run: what it really downloaded counts for the day on which it ended.
    pub fn spend(&mut self, day: u64, reservation: Reservation, downloaded: Bytes) {
        self.turn(day);
        let Reservation { day: admitted, node, planned } = reservation;
        // What was reserved on another day went with that day.
        if admitted == self.spent.day {
            self.reserved.total = self.reserved.total.saturating_sub(planned);
            if let Some(reserved) = self.reserved.by_node.get_mut(&node) {
                *reserved = reserved.saturating_sub(planned);
            }
        }
        self.spent.total = self.spent.total.saturating_add(downloaded.0);
        let of_node = self.spent.by_node.entry(node).or_default();
        *of_node = of_node.saturating_add(downloaded.0);
    }

    /// The state to keep.
    #[must_use]
    pub const fn spent(&self) -> &Spent {
        &self.spent
    }

    /// A new day starts from nothing. A clock that steps back does not: that would give the day's bytes twice.
    fn turn(&mut self, day: u64) {
        if day > self.spent.day {
            self.spent = Spent { day, ..Spent::default() };
            self.reserved = Tally::default();
        }
    }
}

/// A video of unknown size is only ever asked for ranges: the configuration refuses the rest.
const fn assumed(kind: AssetKind) -> u64 {
    match kind {
        AssetKind::Image => ASSUMED_IMAGE.0,
        AssetKind::Video => 0,
    }
}

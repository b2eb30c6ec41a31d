//! What the day's bytes allow: a limit for this worker, and one for each node.
//!
//! A run is admitted only when all that it may download fits what is left, so that a limit is kept and not overrun by
//! the last run. Counted are the bytes of assets: not heads, nor the first 64 KiB of an error's page, nor what a node sends
//! beyond what it was asked for until the connection is closed. What has been spent survives a restart: it can be written
//! and read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::cold::ColdFetches;
use crate::model::{
    probe::Probe,
    target::{Asset, AssetKind, Node},
    units::Bytes,
};

mod cold;

/// What an image of unknown size is taken to have where costs are estimated: thumbnails have 6 to 46 kB.
pub const ASSUMED_IMAGE: Bytes = Bytes(32_000);
/// Whole assets beyond this are no sample images, and not downloaded.
pub const MAX_WHOLE: Bytes = Bytes(16 << 20);
/// The same for assets whose size nobody told: each run has to find room for so much.
pub const MAX_UNSIZED: Bytes = Bytes(1 << 20);

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

/// What a run of this probe on this asset is estimated to download: the sum over its parts.
#[must_use]
pub fn planned_bytes(probe: &Probe, asset: &Asset) -> Bytes {
    sum(probe, asset, asset.size.map_or_else(|| assumed(asset.kind), |size| size.stated().0))
}

/// What a run of this probe on this asset may download at the most.
#[must_use]
pub fn most_bytes(probe: &Probe, asset: &Asset) -> Bytes {
    let whole = match asset.size {
        Some(size) if size.least() > MAX_WHOLE => 0,
        Some(size) => size.most().0,
        // One byte beyond the limit shows that a body goes on.
        None => MAX_UNSIZED.0 + 1,
    };
    sum(probe, asset, whole)
}

/// The most of a whole asset that is downloaded, once it is known how large it is said to be.
#[must_use]
pub const fn whole_limit(asset: &Asset) -> Bytes {
    if asset.size.is_some() { MAX_WHOLE } else { MAX_UNSIZED }
}

/// What a run of this probe against this node may download at the most, whichever asset it takes; `None` when the node has
/// none for it.
#[must_use]
pub fn most_of_any(probe: &Probe, node: &Node) -> Option<Bytes> {
    probe.candidates(node).map(|asset| most_bytes(probe, asset)).max()
}

fn sum(probe: &Probe, asset: &Asset, whole: u64) -> Bytes {
    let most = asset.size.map_or(u64::MAX, |size| size.most().0);
    let parts = probe.parts.iter().map(|part| part.extent.bytes().map_or(whole, |bytes| bytes.0.min(most)));
    Bytes(parts.fold(0, u64::saturating_add))
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

    /// Takes over what others have spent on the same day, as they wrote it on top of what they knew of ours.
    pub fn learn(&mut self, day: u64, known: Spent) {
        self.turn(day);
        if known.day != self.spent.day {
            return;
        }
        self.spent.total = self.spent.total.max(known.total);
        for (node, bytes) in known.by_node {
            let of_node = self.spent.by_node.entry(node).or_default();
            *of_node = bytes.max(*of_node);
        }
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

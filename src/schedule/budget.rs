//! The download budgets of a day: one for this worker, and one for each node.
//!
//! A run is admitted only when everything that it may download fits into the rest of the budget, so that the last run
//! cannot exceed the limit. Only the bytes of assets are counted. Response heads, the first 64 KiB of an error page,
//! and what a node sends beyond the requested bytes until the connection is closed are not counted.
//!
//! Spent bytes count immediately in memory. The caller decides when to write them to disk ([`Budget::save`],
//! [`Budget::saved`]), where they are added to what other processes wrote. Nothing is counted twice or lost in between.

use std::{collections::BTreeMap, mem, sync::Arc};

use serde::{Deserialize, Serialize};

pub use self::{
    cold::ColdFetches,
    days::{Counts, Day, Days, day_of},
};
use crate::model::{
    probe::Probe,
    target::{Asset, AssetKind, Node},
    units::Bytes,
};

mod cold;
mod days;

/// Assumed size of an image of unknown size, for estimates. Thumbnails have 6 to 46 kB.
pub const ASSUMED_IMAGE: Bytes = Bytes(32_000);
/// Whole assets larger than this are not used as samples and not downloaded.
pub const MAX_WHOLE: Bytes = Bytes(16 << 20);
/// The same limit for assets of unknown size. Each run has to find room for this many bytes.
pub const MAX_UNSIZED: Bytes = Bytes(1 << 20);

/// The bytes of the UTC day: what is on disk, what is not there yet, and what runs in progress may still download.
#[derive(Clone, Debug)]
pub struct Budget {
    per_day: Bytes,
    per_node: Bytes,
    /// What is on disk, from all processes.
    kept: Days<Spent>,
    /// Spent by this process and being written now.
    saving: Arc<Vec<Day<Spent>>>,
    /// Spent by this process since then, one element per day, the last day at the end.
    unsaved: Vec<Day<Spent>>,
    /// Admitted but not settled yet.
    reserved: Spent,
}

/// Downloaded bytes: in total, and from each node by its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Bytes in total.
    pub total: u64,
    /// Bytes from each node, by its id.
    pub by_node: BTreeMap<String, u64>,
}

/// Whether a run may start.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// The run may start. What it really downloads is settled with the reservation.
    Go(Reservation),
    /// The run could exceed the worker's budget of the day.
    SkipDay,
    /// The run could exceed the node's budget of the day.
    SkipNode,
}

/// The planned bytes of an admitted run, held until they are settled with [`Budget::spend`].
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Reservation {
    node: String,
    planned: u64,
}

/// Estimated download of a run of this probe on this asset: the sum over its parts.
#[must_use]
pub fn planned_bytes(probe: &Probe, asset: &Asset) -> Bytes {
    sum(probe, asset, asset.size.map_or_else(|| assumed(asset.kind), |size| size.stated().0))
}

/// The most that a run of this probe on this asset may download.
#[must_use]
pub fn max_bytes(probe: &Probe, asset: &Asset) -> Bytes {
    let whole = match asset.size {
        Some(size) if size.least() > MAX_WHOLE => 0,
        Some(size) => size.most().0,
        // One byte more than the limit shows that the body continues.
        None => MAX_UNSIZED.0 + 1,
    };
    sum(probe, asset, whole)
}

/// The most that is downloaded of a whole asset. Depends on whether its size is known.
#[must_use]
pub const fn whole_limit(asset: &Asset) -> Bytes {
    if asset.size.is_some() { MAX_WHOLE } else { MAX_UNSIZED }
}

/// The most that a run of this probe against this node may download, whichever asset it takes; `None` when the node has
/// no asset for it.
#[must_use]
pub fn max_bytes_of_any(probe: &Probe, node: &Node) -> Option<Bytes> {
    probe.candidates(node).map(|asset| max_bytes(probe, asset)).max()
}

fn sum(probe: &Probe, asset: &Asset, whole: u64) -> Bytes {
    let most = asset.size.map_or(u64::MAX, |size| size.most().0);
    let parts = probe.parts.iter().map(|part| part.extent.bytes().map_or(whole, |bytes| bytes.0.min(most)));
    Bytes(parts.fold(0, u64::saturating_add))
}

impl Budget {
    /// Creates a budget with what was spent so far. `kept` may cover several days.
    #[must_use]
    pub fn new(per_day: Bytes, per_node: Bytes, kept: Days<Spent>) -> Self {
        Self { per_day, per_node, kept, saving: Arc::default(), unsaved: Vec::new(), reserved: Spent::default() }
    }

    /// Whether a run that downloads up to `planned` from `node` may start now. `now` is in seconds since 1970.
    pub fn admit(&mut self, now: i64, node: &str, planned: Bytes) -> Admission {
        let (total, of_node) = self.spent(now, node);
        let fits = |spent: u64, limit: Bytes| spent.checked_add(planned.0).is_some_and(|sum| sum <= limit.0);
        if !fits(total.saturating_add(self.reserved.total), self.per_day) {
            return Admission::SkipDay;
        }
        if !fits(of_node.saturating_add(self.reserved.of(node)), self.per_node) {
            return Admission::SkipNode;
        }
        self.reserved.count(node, planned.0);
        Admission::Go(Reservation { node: node.to_owned(), planned: planned.0 })
    }

    /// Settles a run: the bytes that it really downloaded count for the day on which it ended. `now` is in seconds
    /// since 1970.
    pub fn spend(&mut self, now: i64, reservation: Reservation, downloaded: Bytes) {
        let Reservation { node, planned } = reservation;
        self.reserved.release(&node, planned);
        let day = day_of(now);
        let known = self.unsaved.iter().position(|known| known.day == day);
        let mut today = known.map(|index| self.unsaved.remove(index)).unwrap_or_default();
        (today.day, today.used) = (day, now);
        today.counts.count(&node, downloaded.0);
        self.unsaved.push(today);
    }

    /// The bytes that were spent today: in total, and from this node. `now` is in seconds since 1970.
    pub fn spent(&mut self, now: i64, node: &str) -> (u64, u64) {
        let kept = self.kept.at(now);
        let (mut total, mut of_node) = (kept.total, kept.of(node));
        let day = day_of(now);
        for spent in self.saving.iter().chain(&self.unsaved).filter(|spent| spent.day == day) {
            total = total.saturating_add(spent.counts.total);
            of_node = of_node.saturating_add(spent.counts.of(node));
        }
        (total, of_node)
    }

    /// What was spent since the last call, to be written to disk. It counts as being written until [`Self::saved`] or
    /// [`Self::not_saved`] is called.
    pub fn save(&mut self) -> Arc<Vec<Day<Spent>>> {
        self.saving = Arc::new(mem::take(&mut self.unsaved));
        self.saving.clone()
    }

    /// Confirms that `kept` is on disk now and includes what was being written. Returns the previous state of the disk.
    pub fn saved(&mut self, kept: Days<Spent>) -> Days<Spent> {
        self.saving = Arc::default();
        mem::replace(&mut self.kept, kept)
    }

    /// Reports that what was being written is not on disk. It is tried again with the next [`Self::save`].
    pub fn not_saved(&mut self) {
        let mut unsaved = Arc::unwrap_or_clone(mem::take(&mut self.saving));
        for day in mem::take(&mut self.unsaved) {
            match unsaved.iter_mut().find(|known| known.day == day.day) {
                Some(known) => {
                    known.used = day.used;
                    known.counts.add(&day.counts);
                }
                None => unsaved.push(day),
            }
        }
        self.unsaved = unsaved;
    }
}

impl Spent {
    fn of(&self, node: &str) -> u64 {
        self.by_node.get(node).copied().unwrap_or(0)
    }

    fn count(&mut self, node: &str, bytes: u64) {
        self.total = self.total.saturating_add(bytes);
        match self.by_node.get_mut(node) {
            Some(of_node) => *of_node = of_node.saturating_add(bytes),
            None => _ = self.by_node.insert(node.to_owned(), bytes),
        }
    }

    /// Subtracts bytes that were counted.
    fn release(&mut self, node: &str, bytes: u64) {
        self.total = self.total.saturating_sub(bytes);
        if let Some(of_node) = self.by_node.get_mut(node) {
            *of_node = of_node.saturating_sub(bytes);
            if *of_node == 0 {
                self.by_node.remove(node);
            }
        }
    }
}

impl Counts for Spent {
    fn add(&mut self, other: &Self) {
        self.total = self.total.saturating_add(other.total);
        for (node, bytes) in &other.by_node {
            let of_node = self.by_node.entry(node.clone()).or_default();
            *of_node = of_node.saturating_add(*bytes);
        }
    }

    fn subtract(&mut self, before: &Self) {
        self.total = self.total.saturating_sub(before.total);
        for (node, bytes) in &before.by_node {
            if let Some(of_node) = self.by_node.get_mut(node) {
                *of_node = of_node.saturating_sub(*bytes);
            }
        }
    }
}

/// A video of unknown size is only ever asked for ranges: the configuration refuses anything else.
const fn assumed(kind: AssetKind) -> u64 {
    match kind {
        AssetKind::Image => ASSUMED_IMAGE.0,
        AssetKind::Video => 0,
    }
}

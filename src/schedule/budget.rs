//! What the day's bytes allow: a limit for this worker, and one for each node.
//!
//! A run is admitted only when all that it may download fits what is left, so that a limit is kept and not overrun by
//! the last run. Counted are the bytes of assets: not heads, nor the first 64 KiB of an error's page, nor what a node sends
//! beyond what it was asked for until the connection is closed.
//!
//! What is spent counts at once in memory. The caller writes it to disk when it likes ([`Budget::save`], [`Budget::saved`]), on
//! top of what other processes wrote there, and nothing is counted twice or lost in between.

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

/// What an image of unknown size is taken to have where costs are estimated: thumbnails have 6 to 46 kB.
pub const ASSUMED_IMAGE: Bytes = Bytes(32_000);
/// Whole assets beyond this are no sample images, and not downloaded.
pub const MAX_WHOLE: Bytes = Bytes(16 << 20);
/// The same for assets whose size nobody told: each run has to find room for so much.
pub const MAX_UNSIZED: Bytes = Bytes(1 << 20);

/// The bytes of the UTC day: what is on disk, what is not yet, and what runs under way may still take.
#[derive(Clone, Debug)]
pub struct Budget {
    per_day: Bytes,
    per_node: Bytes,
    /// What is on disk, by all processes.
    kept: Days<Spent>,
    /// Spent by this process and being written.
    saving: Arc<Vec<Day<Spent>>>,
    /// Spent by this process since then, a day each, the last one last.
    unsaved: Vec<Day<Spent>>,
    /// Admitted and not settled yet.
    reserved: Spent,
}

/// What was downloaded: in all, and from each node by its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// In all.
    pub total: u64,
    /// From each node.
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
    node: String,
    planned: u64,
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
    /// With what was spent so far, on whichever days.
    #[must_use]
    pub fn new(per_day: Bytes, per_node: Bytes, kept: Days<Spent>) -> Self {
        Self { per_day, per_node, kept, saving: Arc::default(), unsaved: Vec::new(), reserved: Spent::default() }
    }

    /// May a run that downloads up to `planned` from `node` start now, in seconds since 1970?
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

    /// Settles a run: what it really downloaded counts for the day on which it ended.
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

    /// What was spent today: in all, and from this node.
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

    /// What was spent since this was last called, to be written. It counts as being written until [`Self::saved`] or
    /// [`Self::not_saved`] is called.
    pub fn save(&mut self) -> Arc<Vec<Day<Spent>>> {
        self.saving = Arc::new(mem::take(&mut self.unsaved));
        self.saving.clone()
    }

    /// What is on disk now, with what was being written. Returns what was known of the disk before.
    pub fn saved(&mut self, kept: Days<Spent>) -> Days<Spent> {
        self.saving = Arc::default();
        mem::replace(&mut self.kept, kept)
    }

    /// What was being written is not on disk; it is tried again with the next [`Self::save`].
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

    /// Takes back what was counted.
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

/// A video of unknown size is only ever asked for ranges: the configuration refuses the rest.
const fn assumed(kind: AssetKind) -> u64 {
    match kind {
        AssetKind::Image => ASSUMED_IMAGE.0,
        AssetKind::Video => 0,
    }
}

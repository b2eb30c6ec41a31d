//! Remembers which asset each probe measured last on each node, so that the next run uses it again, even after a
//! restart.
//!
//! This is only a hint: without it, a run begins with the first asset of the list. It changes in memory, and the
//! [state writer](crate::worker::state_writer) writes only the changes, so that two processes on one archive keep each
//! other's entries.

use std::{
    collections::BTreeMap,
    mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    archive::{self, state},
    model::{
        multihash,
        probe::Probe,
        size::Size,
        target::{Asset, AssetKind, Node, Profile, is_object_id},
        units::Bytes,
    },
    probe::run::StickyAsset,
    worker::state_writer::{StateFile, StateWriter},
};

/// The remembered assets, by node and probe.
pub(super) struct StickyAssets {
    stored: StoredAssets,
    count: usize,
    changes: Arc<Changes>,
}

/// Changes that are not on disk yet. Written at most once a minute, and when the worker stops.
struct Changes {
    dir: PathBuf,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// By node id and probe name; `None` if the asset is forgotten.
    changed: BTreeMap<(String, String), Option<StoredAsset>>,
    /// When the first of these changes was made.
    since: Option<Instant>,
}

/// By node id, then by the probe's name.
type StoredAssets = BTreeMap<String, BTreeMap<String, StoredAsset>>;

/// An asset as stored. The file is ours, but it may be truncated or edited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredAsset {
    /// When it was last measured, in days since 1970-01-01.
    day: i64,
    kind: String,
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(default)]
    fixed: bool,
}

impl StickyAssets {
    /// Loads what the previous process left, and registers it with `state_writer`.
    pub(super) fn load(dir: &Path, state_writer: &StateWriter) -> Self {
        let assets = Self::read(dir);
        state_writer.register(assets.changes.clone());
        assets
    }

    fn read(dir: &Path) -> Self {
        let state::Loaded { value: mut stored, problem } = state::load::<StoredAssets>(dir, STATE);
        if let Some(problem) = problem {
            tracing::warn!("{problem}");
        }
        forget_old(&mut stored, today());
        let changes = Arc::new(Changes { dir: dir.to_owned(), waiting: Mutex::default() });
        Self { count: count(&stored), stored, changes }
    }

    /// The asset that the next run should use; `None` if there is none or the probe does not return to its asset.
    pub(super) fn get(&self, node: &Node, probe: &Probe) -> Option<Asset> {
        self.stored.get(&*node.id)?.get(&*probe.name)?.asset(node).filter(|_| probe.pick.is_sticky())
    }

    /// Updates the asset after a run.
    pub(super) fn note(&mut self, node: &Node, probe: &Probe, sticky: StickyAsset) {
        match sticky {
            _ if !probe.pick.is_sticky() => {}
            StickyAsset::Unchanged => {}
            StickyAsset::Measured(asset) => self.keep(node, probe, StoredAsset::of(&asset)),
            StickyAsset::Gone => self.forget(node, probe),
        }
    }

    fn keep(&mut self, node: &Node, probe: &Probe, stored_asset: StoredAsset) {
        let old = self.stored.get(&*node.id).and_then(|of_node| of_node.get(&*probe.name));
        if old == Some(&stored_asset) {
            return;
        }
        if old.is_none() {
            if self.count >= MAX_ENTRIES {
                make_room(&mut self.stored, stored_asset.day);
                self.count = count(&self.stored);
            }
            if self.count >= MAX_ENTRIES {
                tracing::debug!(node = %node.id, "no room to remember this node's asset");
                return;
            }
            self.count += 1;
        }
        self.stored.entry(node.id.to_string()).or_default().insert(probe.name.to_string(), stored_asset.clone());
        self.changes.note(node, probe, Some(stored_asset));
    }

    fn forget(&mut self, node: &Node, probe: &Probe) {
        let Some(of_node) = self.stored.get_mut(&*node.id) else { return };
        if of_node.remove(&*probe.name).is_some() {
            self.count -= 1;
            self.changes.note(node, probe, None);
        }
    }
}

impl Changes {
    fn note(&self, node: &Node, probe: &Probe, stored_asset: Option<StoredAsset>) {
        let mut waiting = self.waiting();
        waiting.changed.insert((node.id.to_string(), probe.name.to_string()), stored_asset);
        waiting.since.get_or_insert_with(Instant::now);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, changed: BTreeMap<(String, String), Option<StoredAsset>>) -> Result<(), archive::Error> {
        let _held = state::lock(&self.dir, STATE)?;
        let mut stored = state::load::<StoredAssets>(&self.dir, STATE).value;
        for ((node, probe), stored_asset) in changed {
            match stored_asset {
                Some(stored_asset) => _ = stored.entry(node).or_default().insert(probe, stored_asset),
                None => _ = stored.get_mut(&node).map(|of_node| of_node.remove(&probe)),
            }
        }
        forget_old(&mut stored, today());
        if count(&stored) > MAX_ENTRIES {
            make_room(&mut stored, today());
        }
        state::store_often(&self.dir, STATE, &stored)
    }
}

impl StateFile for Changes {
    fn save(&self, is_last: bool) {
        let changed = {
            let mut waiting = self.waiting();
            let is_due = waiting.since.is_some_and(|since| is_last || since.elapsed() >= WRITTEN_AFTER);
            if !is_due {
                return;
            }
            waiting.since = None;
            mem::take(&mut waiting.changed)
        };
        if let Err(error) = self.write(changed) {
            tracing::debug!("cannot save the assets to measure next time: {error}");
        }
    }
}

impl StoredAsset {
    fn of(asset: &Asset) -> Self {
        Self {
            day: today(),
            kind: asset.kind.label().to_owned(),
            id: asset.id.to_string(),
            size: asset.size.and_then(Size::exact).map(|size| size.0),
            hash: asset.hash.as_deref().map(str::to_owned),
            fixed: asset.fixed,
        }
    }

    /// The asset, if it can exist on this node. A Joystream node may have assets that are not on its list; an `http`
    /// node has only those of the config.
    fn asset(&self, node: &Node) -> Option<Asset> {
        let kind = AssetKind::of(&self.kind)?;
        // The list is newer than the stored entry. It also has rounded sizes, which are not stored.
        let listed = node.assets.iter().find(|asset| asset.kind == kind && *asset.id == *self.id);
        match node.listing.profile {
            Profile::Http => listed.cloned(),
            Profile::Argus | Profile::Colossus => {
                let hash = self.hash.as_deref().filter(|hash| multihash::is_blake3(hash)).map(Into::into);
                let size = self.size.filter(|size| *size > 0).map(|size| Bytes(size).into());
                let asset = Asset { kind, id: self.id.as_str().into(), size, hash, fixed: self.fixed };
                is_object_id(&asset.id).then(|| listed.cloned().unwrap_or(asset))
            }
        }
    }
}

/// Forgets assets that have not been measured for a long time. Days in the future stay, because today's date may be
/// wrong.
fn forget_old(stored: &mut StoredAssets, today: i64) {
    retain(stored, |day| day >= today - FORGOTTEN_AFTER_DAYS);
}

/// Forgets everything whose day may be wrong.
fn make_room(stored: &mut StoredAssets, today: i64) {
    retain(stored, |day| (today - FORGOTTEN_AFTER_DAYS..=today + 1).contains(&day));
}

fn retain(stored: &mut StoredAssets, stays: impl Fn(i64) -> bool) {
    for of_node in stored.values_mut() {
        of_node.retain(|_, stored_asset| stays(stored_asset.day));
    }
    stored.retain(|_, of_node| !of_node.is_empty());
}

fn count(stored: &StoredAssets) -> usize {
    stored.values().map(BTreeMap::len).sum()
}

/// Days since 1970-01-01, UTC.
fn today() -> i64 {
    Timestamp::now().as_second().div_euclid(86_400)
}

const STATE: &str = "settled";
/// Enough for two probes on 10,000 nodes, and some more.
const MAX_ENTRIES: usize = 30_000;
const WRITTEN_AFTER: Duration = Duration::from_secs(60);
const FORGOTTEN_AFTER_DAYS: i64 = 14;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::check::shipped,
        model::{
            probe::Pick,
            target::{Listing, Origin, Profile},
        },
    };

    fn asset(id: &str) -> Asset {
        let hash = Some("gW9TTQpRG9BRQhnhRCodv6JnTFFQbPtLkct2MnzsPVQD5G".into());
        Asset { kind: AssetKind::Image, id: id.into(), size: Some(Bytes(21_136).into()), hash, fixed: false }
    }

    fn node(id: &str) -> Node {
        Node {
            id: id.into(),
            endpoint: "http://n.example/".parse().unwrap(),
            listing: Listing::bare(Origin::Joystream, Profile::Argus),
            assets: vec![],
        }
    }

    #[test]
    fn a_measured_asset_is_remembered_over_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let (image, video) = (shipped("image").unwrap(), shipped("video").unwrap());
        let mut assets = StickyAssets::read(dir.path());
        assert_eq!(assets.get(&node("a"), &image), None);
        assets.note(&node("a"), &image, StickyAsset::Measured(asset("1")));
        assets.note(&node("a"), &video, StickyAsset::Measured(asset("2")));
        assets.note(&node("b"), &image, StickyAsset::Measured(asset("3")));
        assets.note(&node("b"), &image, StickyAsset::Measured(asset("4")));
        assets.note(&node("a"), &video, StickyAsset::Gone);
        assets.note(&node("c"), &video, StickyAsset::Gone);
        assets.note(&node("a"), &image, StickyAsset::Unchanged);
        assets.changes.save(true);
        let assets = StickyAssets::read(dir.path());
        assert_eq!((assets.get(&node("a"), &image), assets.get(&node("a"), &video)), (Some(asset("1")), None));
        assert_eq!((assets.get(&node("b"), &image), assets.count), (Some(asset("4")), 2));
        let rotating = Probe { pick: Pick::Rotate, ..image };
        assert_eq!(assets.get(&node("a"), &rotating), None, "its runs return to no asset");
    }

    #[test]
    fn an_edited_entry_counts_only_if_the_node_can_have_it() {
        let hash = asset("1").hash;
        let stored_asset = |id: &str, size, hash: Option<&str>| StoredAsset {
            id: id.to_owned(),
            size,
            hash: hash.map(str::to_owned),
            ..StoredAsset::of(&asset("1"))
        };
        let nodes = Profile::ALL.map(|profile| {
            let listing = Listing::bare(Origin::Static, profile);
            Node { listing, assets: vec![Asset { id: "/x.webp".into(), ..asset("1") }], ..node("n") }
        });
        for node in &nodes {
            let is_http = node.listing.profile == Profile::Http;
            for (id, is_object, is_listed) in [
                ("1343", true, false),
                ("../../../secret", false, false),
                ("1343/../../secret", false, false),
                ("", false, false),
                ("123456789012345678901", false, false),
                ("/x.webp", false, true),
            ] {
                let taken = stored_asset(id, Some(21_136), None).asset(node);
                assert_eq!(taken.is_some(), if is_http { is_listed } else { is_object }, "{id} {:?}", node.listing);
                assert!(taken.is_none_or(|taken| *taken.id == *id));
            }
        }
        let node = node("n");
        assert_eq!(
            stored_asset("1", Some(0), Some("gW0")).asset(&node),
            Some(Asset { size: None, hash: None, ..asset("1") })
        );
        assert_eq!(stored_asset("1", Some(21_136), hash.as_deref()).asset(&node), Some(asset("1")));
        assert_eq!(StoredAsset { kind: "sound".to_owned(), ..stored_asset("1", None, None) }.asset(&node), None);
    }

    #[tokio::test(start_paused = true)]
    async fn changes_are_written_at_most_once_a_minute() {
        let dir = tempfile::tempdir().unwrap();
        let image = shipped("image").unwrap();
        let mut assets = StickyAssets::read(dir.path());
        let written = || StickyAssets::read(dir.path()).get(&node("a"), &image);
        for (id, passes, on_disk) in
            [("1", 0, None), ("2", 59, None), ("3", 1, Some("3")), ("3", 600, Some("3")), ("4", 59, Some("3"))]
        {
            tokio::time::advance(Duration::from_secs(passes)).await;
            assets.note(&node("a"), &image, StickyAsset::Measured(asset(id)));
            assets.changes.save(false);
            assert_eq!(written(), on_disk.map(asset), "{id}");
        }
        let unchanged = tempfile::tempdir().unwrap();
        let mut assets = StickyAssets::read(unchanged.path());
        assets.note(&node("a"), &image, StickyAsset::Gone);
        assets.changes.save(true);
        assert!(!unchanged.path().join("state").exists());
    }

    #[test]
    fn two_processes_keep_each_others_entries() {
        let dir = tempfile::tempdir().unwrap();
        let image = shipped("image").unwrap();
        let [mut one, mut other] = [StickyAssets::read(dir.path()), StickyAssets::read(dir.path())];
        one.note(&node("a"), &image, StickyAsset::Measured(asset("1")));
        other.note(&node("b"), &image, StickyAsset::Measured(asset("2")));
        one.changes.save(true);
        other.changes.save(true);
        one.note(&node("a"), &image, StickyAsset::Gone);
        one.changes.save(true);
        let both = StickyAssets::read(dir.path());
        assert_eq!((both.get(&node("a"), &image), both.get(&node("b"), &image)), (None, Some(asset("2"))));
    }

    #[test]
    fn old_entries_are_forgotten_and_the_number_is_limited() {
        let stored_asset = |day| StoredAsset { day, ..StoredAsset::of(&asset("1")) };
        let of = |day| BTreeMap::from([("image".to_owned(), stored_asset(day))]);
        let mut stored: StoredAssets =
            [("old", 85), ("kept", 86), ("new", 101), ("ahead", 102)].map(|(id, day)| (id.to_owned(), of(day))).into();
        forget_old(&mut stored, 100);
        assert_eq!(stored.keys().collect::<Vec<_>>(), ["ahead", "kept", "new"]);
        make_room(&mut stored, 100);
        assert_eq!(stored.keys().collect::<Vec<_>>(), ["kept", "new"]);
        let dir = tempfile::tempdir().unwrap();
        let (mut assets, image) = (StickyAssets::read(dir.path()), shipped("image").unwrap());
        let fresh = |id: usize| (format!("n{id}"), of(today()));
        assets.stored = (0..MAX_ENTRIES).map(fresh).collect();
        assets.count = MAX_ENTRIES;
        assets.note(&node("one more"), &image, StickyAsset::Measured(asset("1")));
        assert_eq!(assets.get(&node("one more"), &image), None);
        assets.stored.insert("n0".to_owned(), of(today() - 99));
        assets.note(&node("one more"), &image, StickyAsset::Measured(asset("1")));
        assert_eq!(assets.get(&node("one more"), &image), Some(asset("1")), "an old one makes room");
    }
}

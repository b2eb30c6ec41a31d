//! Remembers which asset each probe measured last on each node, so that the next run uses it again, even after a
//! restart.
//!
//! This is only a hint: without it, a run begins with the first asset of the list. It changes in memory, and the
//! [keeper](super::keeper) writes only the changes, so that two processes on one archive keep each other's entries.

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
    probe::run::Settled,
};

use super::keeper::{Keep, Keeper};

/// The remembered assets, by node and probe.
pub(super) struct SettledAssets {
    kept: Kept,
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
    changed: BTreeMap<(String, String), Option<Memory>>,
    /// When the first of these changes was made.
    since: Option<Instant>,
}

/// By node id, then by the probe's name.
type Kept = BTreeMap<String, BTreeMap<String, Memory>>;

/// An asset as stored. The file is ours, but it may be truncated or edited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
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

impl SettledAssets {
    /// Loads what the previous process left, and registers it with `keeper`.
    pub(super) fn load(dir: &Path, keeper: &Keeper) -> Self {
        let settled = Self::read(dir);
        keeper.register(settled.changes.clone());
        settled
    }

    fn read(dir: &Path) -> Self {
        let state::Loaded { value: mut kept, problem } = state::load::<Kept>(dir, STATE);
        if let Some(problem) = problem {
            tracing::warn!("{problem}");
        }
        forget_old(&mut kept, today());
        let changes = Arc::new(Changes { dir: dir.to_owned(), waiting: Mutex::default() });
        Self { count: count(&kept), kept, changes }
    }

    /// The asset that the next run should use; `None` if there is none or the probe does not return to its asset.
    pub(super) fn get(&self, node: &Node, probe: &Probe) -> Option<Asset> {
        self.kept.get(&*node.id)?.get(&*probe.name)?.asset(node).filter(|_| probe.pick.is_sticky())
    }

    /// Updates the asset after a run.
    pub(super) fn note(&mut self, node: &Node, probe: &Probe, settled: Settled) {
        match settled {
            _ if !probe.pick.is_sticky() => {}
            Settled::Kept => {}
            Settled::On(asset) => self.keep(node, probe, Memory::of(&asset)),
            Settled::Forgotten => self.forget(node, probe),
        }
    }

    fn keep(&mut self, node: &Node, probe: &Probe, memory: Memory) {
        let old = self.kept.get(&*node.id).and_then(|of_node| of_node.get(&*probe.name));
        if old == Some(&memory) {
            return;
        }
        if old.is_none() {
            if self.count >= MAX_ENTRIES {
                make_room(&mut self.kept, memory.day);
                self.count = count(&self.kept);
            }
            if self.count >= MAX_ENTRIES {
                tracing::debug!(node = %node.id, "no room to remember this node's asset");
                return;
            }
            self.count += 1;
        }
        self.kept.entry(node.id.to_string()).or_default().insert(probe.name.to_string(), memory.clone());
        self.changes.note(node, probe, Some(memory));
    }

    fn forget(&mut self, node: &Node, probe: &Probe) {
        let Some(of_node) = self.kept.get_mut(&*node.id) else { return };
        if of_node.remove(&*probe.name).is_some() {
            self.count -= 1;
            self.changes.note(node, probe, None);
        }
    }
}

impl Changes {
    fn note(&self, node: &Node, probe: &Probe, memory: Option<Memory>) {
        let mut waiting = self.waiting();
        waiting.changed.insert((node.id.to_string(), probe.name.to_string()), memory);
        waiting.since.get_or_insert_with(Instant::now);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, changed: BTreeMap<(String, String), Option<Memory>>) -> Result<(), archive::Error> {
        let _held = state::hold(&self.dir, STATE)?;
        let mut kept = state::load::<Kept>(&self.dir, STATE).value;
        for ((node, probe), memory) in changed {
            match memory {
                Some(memory) => _ = kept.entry(node).or_default().insert(probe, memory),
                None => _ = kept.get_mut(&node).map(|of_node| of_node.remove(&probe)),
            }
        }
        forget_old(&mut kept, today());
        if count(&kept) > MAX_ENTRIES {
            make_room(&mut kept, today());
        }
        state::store_often(&self.dir, STATE, &kept)
    }
}

impl Keep for Changes {
    fn keep(&self, last: bool) {
        let changed = {
            let mut waiting = self.waiting();
            let is_due = waiting.since.is_some_and(|since| last || since.elapsed() >= WRITTEN_AFTER);
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

impl Memory {
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
fn forget_old(kept: &mut Kept, today: i64) {
    retain(kept, |day| day >= today - FORGOTTEN_AFTER_DAYS);
}

/// Forgets everything whose day may be wrong.
fn make_room(kept: &mut Kept, today: i64) {
    retain(kept, |day| (today - FORGOTTEN_AFTER_DAYS..=today + 1).contains(&day));
}

fn retain(kept: &mut Kept, stays: impl Fn(i64) -> bool) {
    for of_node in kept.values_mut() {
        of_node.retain(|_, memory| stays(memory.day));
    }
    kept.retain(|_, of_node| !of_node.is_empty());
}

fn count(kept: &Kept) -> usize {
    kept.values().map(BTreeMap::len).sum()
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
    fn an_asset_is_remembered_as_it_is_over_restarts_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let (image, video) = (shipped("image").unwrap(), shipped("video").unwrap());
        let mut settled = SettledAssets::read(dir.path());
        assert_eq!(settled.get(&node("a"), &image), None);
        settled.note(&node("a"), &image, Settled::On(asset("1")));
        settled.note(&node("a"), &video, Settled::On(asset("2")));
        settled.note(&node("b"), &image, Settled::On(asset("3")));
        settled.note(&node("b"), &image, Settled::On(asset("4")));
        settled.note(&node("a"), &video, Settled::Forgotten);
        settled.note(&node("c"), &video, Settled::Forgotten);
        settled.note(&node("a"), &image, Settled::Kept);
        settled.changes.keep(true);
        let settled = SettledAssets::read(dir.path());
        assert_eq!((settled.get(&node("a"), &image), settled.get(&node("a"), &video)), (Some(asset("1")), None));
        assert_eq!((settled.get(&node("b"), &image), settled.count), (Some(asset("4")), 2));
        let rotating = Probe { pick: Pick::Rotate, ..image };
        assert_eq!(settled.get(&node("a"), &rotating), None, "it comes back to none");
    }

    #[test]
    fn what_was_edited_is_taken_where_it_can_be_an_asset_of_the_nodes() {
        let hash = asset("1").hash;
        let memory = |id: &str, size, hash: Option<&str>| Memory {
            id: id.to_owned(),
            size,
            hash: hash.map(str::to_owned),
            ..Memory::of(&asset("1"))
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
                let taken = memory(id, Some(21_136), None).asset(node);
                assert_eq!(taken.is_some(), if is_http { is_listed } else { is_object }, "{id} {:?}", node.listing);
                assert!(taken.is_none_or(|taken| *taken.id == *id));
            }
        }
        let node = node("n");
        assert_eq!(
            memory("1", Some(0), Some("gW0")).asset(&node),
            Some(Asset { size: None, hash: None, ..asset("1") })
        );
        assert_eq!(memory("1", Some(21_136), hash.as_deref()).asset(&node), Some(asset("1")));
        assert_eq!(Memory { kind: "sound".to_owned(), ..memory("1", None, None) }.asset(&node), None);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_written_once_a_minute_at_most_and_only_when_it_changed() {
        let dir = tempfile::tempdir().unwrap();
        let image = shipped("image").unwrap();
        let mut settled = SettledAssets::read(dir.path());
        let written = || SettledAssets::read(dir.path()).get(&node("a"), &image);
        for (id, passes, on_disk) in
            [("1", 0, None), ("2", 59, None), ("3", 1, Some("3")), ("3", 600, Some("3")), ("4", 59, Some("3"))]
        {
            tokio::time::advance(Duration::from_secs(passes)).await;
            settled.note(&node("a"), &image, Settled::On(asset(id)));
            settled.changes.keep(false);
            assert_eq!(written(), on_disk.map(asset), "{id}");
        }
        let unchanged = tempfile::tempdir().unwrap();
        let mut settled = SettledAssets::read(unchanged.path());
        settled.note(&node("a"), &image, Settled::Forgotten);
        settled.changes.keep(true);
        assert!(!unchanged.path().join("state").exists());
    }

    #[test]
    fn two_processes_keep_what_the_other_one_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let image = shipped("image").unwrap();
        let [mut one, mut other] = [SettledAssets::read(dir.path()), SettledAssets::read(dir.path())];
        one.note(&node("a"), &image, Settled::On(asset("1")));
        other.note(&node("b"), &image, Settled::On(asset("2")));
        one.changes.keep(true);
        other.changes.keep(true);
        one.note(&node("a"), &image, Settled::Forgotten);
        one.changes.keep(true);
        let both = SettledAssets::read(dir.path());
        assert_eq!((both.get(&node("a"), &image), both.get(&node("b"), &image)), (None, Some(asset("2"))));
    }

    #[test]
    fn nodes_that_are_gone_for_long_are_forgotten_and_the_rest_is_bounded() {
        let memory = |day| Memory { day, ..Memory::of(&asset("1")) };
        let of = |day| BTreeMap::from([("image".to_owned(), memory(day))]);
        let mut kept: Kept =
            [("old", 85), ("kept", 86), ("new", 101), ("ahead", 102)].map(|(id, day)| (id.to_owned(), of(day))).into();
        forget_old(&mut kept, 100);
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["ahead", "kept", "new"]);
        make_room(&mut kept, 100);
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["kept", "new"]);
        let dir = tempfile::tempdir().unwrap();
        let (mut settled, image) = (SettledAssets::read(dir.path()), shipped("image").unwrap());
        let fresh = |id: usize| (format!("n{id}"), of(today()));
        settled.kept = (0..MAX_ENTRIES).map(fresh).collect();
        settled.count = MAX_ENTRIES;
        settled.note(&node("one more"), &image, Settled::On(asset("1")));
        assert_eq!(settled.get(&node("one more"), &image), None);
        settled.kept.insert("n0".to_owned(), of(today() - 99));
        settled.note(&node("one more"), &image, Settled::On(asset("1")));
        assert_eq!(settled.get(&node("one more"), &image), Some(asset("1")), "an old one makes room");
    }
}

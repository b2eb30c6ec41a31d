//! One run of one probe against one node: choose an asset, check it, fetch its parts in order.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::model::{
    flag::Flags,
    outcome::Outcome,
    phase::Phases,
    probe::{CachePolicy, PartName, Pick, Probe, Weight},
    sample::{CacheState, Labels, Path, Rates, Sample, Trail},
    target::{Asset, Node},
    units::{Bytes, Micros},
};

use super::{Prober, errand::Errand, transfer::Done, wanted::Wanted};

/// A run to be made.
#[derive(Clone, Debug)]
pub struct Run {
    /// Whom to ask.
    pub node: Arc<Node>,
    /// What to ask.
    pub probe: Arc<Probe>,
    /// How many runs of this probe against this node went before: what `rotate` turns by.
    pub turn: usize,
    /// When it was due; `None` when nothing was scheduled.
    pub due: Option<Instant>,
    /// Body bytes downloaded so far: known even of a run that is cut off.
    pub received: Arc<AtomicU64>,
}

/// How a run ended, for those who plan the next one. Its results went out as samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// The node limits us: no downloads from it for so long.
    pub leave_alone: Option<Duration>,
}

/// An asset that a run has settled on, and what is known of it.
struct Choice<'a> {
    asset: &'a Asset,
    size: Option<Bytes>,
    state: CacheState,
    due: Option<Instant>,
}

impl Run {
    /// Makes the run. Every transfer that was attempted goes to `emit` as it ends.
    pub async fn make(&self, prober: &Prober, mut emit: impl FnMut(Sample) + Send) -> Ended {
        let mut ended = Ended::default();
        let Some(choice) = self.choose(prober, &mut ended, &mut emit).await else { return ended };
        let (mut size, mut due, mut kept) = (choice.size, choice.due, None);
        for part in &self.probe.parts {
            let Some(wanted) = Wanted::of(part.extent, size) else {
                tracing::warn!(node = %self.node.id, probe = %self.probe.name, part = part.name.label(),
                    "part left out: it needs the asset's size, which the node does not tell");
                continue;
            };
            let url = self.node.asset_url(choice.asset);
            let errand = Errand {
                part: part.name,
                wanted,
                size,
                checked: choice.state,
                weight: self.probe.weight,
                due,
                ..self.errand(choice.asset, &url)
            };
            let done = errand.run(prober, kept.take()).await;
            let ok = done.sample.outcome.is_ok();
            (size, kept, due) = (done.size, ended.note(done, &mut emit), self.due.map(|_| Instant::now()));
            if !ok {
                break; // what failed once would mostly fail again, and cost the node and us another deadline
            }
        }
        ended
    }

    /// The first candidate whose cache state the probe measures. A node that tells nothing is measured as it is.
    async fn choose(
        &self,
        prober: &Prober,
        ended: &mut Ended,
        emit: &mut (impl FnMut(Sample) + Send),
    ) -> Option<Choice<'_>> {
        let mut due = self.due;
        let mut any_other_state = None;
        for asset in self.candidates() {
            if !self.node.listing.profile.is_checked() {
                return Some(Choice { asset, size: asset.size, state: CacheState::Unknown, due });
            }
            let url = self.node.asset_url(asset);
            let done = Errand { due, ..self.errand(asset, &url) }.run(prober, None).await;
            due = self.due.map(|_| Instant::now());
            let (outcome, state, size) = (done.sample.outcome, done.sample.labels.cache, done.size);
            let answered = done.sample.status.is_some();
            ended.note(done, emit);
            match outcome {
                Outcome::Ok if measures(self.probe.cache, state) => return Some(Choice { asset, size, state, due }),
                Outcome::Ok => any_other_state = Some((asset, state)),
                Outcome::RateLimited => return None,
                _ if !answered => break,
                _ => {}
            }
        }
        if let Some((asset, state)) = any_other_state {
            emit(self.not_measured(prober, asset, state));
        }
        None
    }

    /// The node's assets of the probe's kind, in the order in which they are tried.
    fn candidates(&self) -> impl Iterator<Item = &Asset> {
        let fitting: Vec<_> = self.node.assets.iter().filter(|asset| asset.kind == self.probe.kind).collect();
        let skip = match self.probe.pick {
            Pick::Sticky => 0,
            Pick::Rotate => self.turn % fitting.len().max(1),
        };
        let count = fitting.len();
        fitting.into_iter().cycle().skip(skip).take(count.min(MAX_CANDIDATES))
    }

    /// The check of an asset; parts differ from it in few fields.
    fn errand<'a>(&'a self, asset: &'a Asset, url: &'a url::Url) -> Errand<'a> {
        Errand {
            node: &self.node,
            probe: &self.probe.name,
            kind: Some(self.probe.kind),
            part: PartName::Check,
            asset,
            url,
            wanted: Wanted::Whole,
            size: asset.size,
            checked: CacheState::Unknown,
            weight: Weight::Light,
            deadlines: &self.probe.deadlines,
            limit: MAX_WHOLE,
            due: None,
            received: &self.received,
        }
    }

    /// The one sample of a run that found nothing in the cache state that it measures.
    fn not_measured(&self, prober: &Prober, asset: &Asset, state: CacheState) -> Sample {
        Sample {
            at: Timestamp::now(),
            labels: Labels {
                vantage: prober.vantage.id.clone(),
                node: self.node.id.clone(),
                region: self.node.listing.region.clone(),
                probe: self.probe.name.clone(),
                kind: Some(self.probe.kind),
                part: None,
                conn: None,
                http: None,
                family: None,
                cache: state,
            },
            outcome: Outcome::NotCached,
            failed_phase: None,
            error: None,
            lateness: Micros::ZERO,
            phases: Phases::default(),
            bytes: None,
            expected_bytes: None,
            status: None,
            rates: Rates::default(),
            intervals: vec![],
            curve: None,
            flags: Flags::NONE,
            distance_km: self.node.listing.distance_km(prober.vantage.location),
            path: Path::default(),
            trail: Trail { asset_id: Some(asset.id.clone()), ..Trail::default() },
        }
    }
}

impl Ended {
    /// Takes what matters beyond the sample, sends the sample out, and hands the connection on.
    fn note(&mut self, done: Done, emit: &mut impl FnMut(Sample)) -> Option<crate::net::http::Connection> {
        if done.sample.outcome == Outcome::RateLimited {
            self.leave_alone = Some(done.retry_after.unwrap_or_default().clamp(LEAVE_ALONE, LEAVE_ALONE_AT_MOST));
        }
        emit(done.sample);
        done.connection
    }
}

/// Does a probe of this policy measure an asset in this state?
const fn measures(policy: CachePolicy, state: CacheState) -> bool {
    match policy {
        CachePolicy::Hit => matches!(state, CacheState::Hit | CacheState::Unknown),
        CachePolicy::Miss => matches!(state, CacheState::Miss),
    }
}

/// How many assets are checked in search of a cached one.
const MAX_CANDIDATES: usize = 3;
/// Whole assets beyond this are no sample images.
const MAX_WHOLE: u64 = 16 << 20;
/// A node that limits us is left alone at least so long.
const LEAVE_ALONE: Duration = Duration::from_secs(600);
/// However long it asks for: a node cannot take itself off the list for ever.
const LEAVE_ALONE_AT_MOST: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hit_pending_and_miss_are_never_mixed() {
        use CacheState::{Hit, Miss, Pending, Unknown};
        for (policy, measured) in [(CachePolicy::Hit, &[Hit, Unknown][..]), (CachePolicy::Miss, &[Miss])] {
            for state in [Hit, Pending, Miss, Unknown] {
                assert_eq!(measures(policy, state), measured.contains(&state), "{policy:?} {state:?}");
            }
        }
    }
}

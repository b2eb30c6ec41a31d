//! One run of one probe against one node: choose an asset, check it, fetch its parts in order.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    model::{
        flag::Flags,
        outcome::Outcome,
        phase::Phases,
        probe::{CachePolicy, MAX_CANDIDATES, MAX_COLD_OBJECT, PartName, Probe, Weight},
        sample::{CacheState, Labels, NetworkPath, Rates, ReaderStats, Sample, TlsInfo, TraceInfo},
        size::Size,
        target::{Asset, Node, Profile},
        units::Micros,
    },
    schedule::budget::whole_limit,
};

use super::{
    Prober,
    candidates::{Candidate, ordered},
    request::TransferRequest,
    requested_bytes::RequestedBytes,
};

use self::results::Results;

mod results;

/// A run that is ready to start.
#[derive(Clone, Debug)]
pub struct Run {
    /// The node that is asked.
    pub node: Arc<Node>,
    /// The probe that is run.
    pub probe: Arc<Probe>,
    /// Number of earlier runs of this probe against this node. It selects the asset whose turn it is.
    pub turn: usize,
    /// The asset that the previous run measured. The node's list may no longer contain it.
    pub remembered: Option<Asset>,
    /// When the run was due. `None` when it was not scheduled.
    pub due: Option<Instant>,
    /// Body bytes downloaded so far. The caller can read it even when the run is cut off.
    pub received: Arc<AtomicU64>,
}

/// The result of a run, as far as the next one needs it. The measurements were emitted as samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunResult {
    /// How long to download nothing from the node, because it rate-limits us.
    pub cool_down: Option<Duration>,
    /// A cool-down of the node began before the run got its permit, so some or all of its transfers were not made.
    pub was_refused: bool,
    /// The asset to which the next run of this probe against this node returns.
    pub sticky: StickyAsset,
    /// The run requested an object that the node did not hold.
    pub made_it_fetch: bool,
    /// How long after its due time the first transfer began. `None` when none began.
    pub lateness: Option<Micros>,
}

/// What a run found out about the asset to which the runs of its probe return.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StickyAsset {
    /// Nothing, so the remembered asset stays.
    #[default]
    Unchanged,
    /// This asset was measured: return to it.
    Measured(Asset),
    /// The asset is gone, or the node does not hold it now, nor any other that was tried.
    Gone,
}

/// The asset that a run has chosen, and what is known about it.
struct ChosenAsset<'a> {
    asset: &'a Asset,
    size: Option<Size>,
    state: CacheState,
}

impl Run {
    /// Makes the run. Each attempted transfer is passed to `emit` when it ends.
    pub async fn make(&self, prober: &Prober, emit: impl FnMut(Sample) + Send) -> RunResult {
        let mut results = Results::new(emit);
        let mut due = self.due;
        let Some(choice) = self.choose(prober, &mut due, &mut results).await else { return results.result };
        let (mut size, mut kept) = (choice.size, None);
        // A node that is not checked gets its request without regard to the cache, so its first part counts for the
        // hit ratio.
        let mut to_count = !self.node.listing.profile.is_checked();
        for (index, part) in self.probe.parts.iter().enumerate() {
            let Some(wanted) = RequestedBytes::of(part.extent, size) else {
                tracing::warn!(node = %self.node.id, probe = %self.probe.name, part = part.name.label(),
                    "part skipped: it needs the asset's size, which is unknown");
                continue;
            };
            let url = self.node.asset_url(choice.asset);
            let request = TransferRequest {
                part: part.name,
                wanted,
                size,
                checked: choice.state,
                weight: self.probe.weight,
                due,
                ..self.request(choice.asset, &url)
            };
            let Some(mut done) = request.run_unless_cooling_down(prober, kept.take()).await else {
                results.result.was_refused = true;
                break;
            };
            if std::mem::take(&mut to_count) {
                done.sample.count_hit();
            }
            results.result.made_it_fetch |= choice.state == CacheState::Miss;
            if is_gone(&done.sample) {
                results.result.sticky = StickyAsset::Gone;
            }
            size = done.size;
            let parts_left = &self.probe.parts[index + 1..];
            // After a failure the next part would probably fail too, and cost the node and us another deadline.
            let is_last = !done.sample.outcome.is_ok()
                || parts_left.iter().all(|part| RequestedBytes::of(part.extent, size).is_none());
            (kept, due) = (results.take(done, is_last), self.due.map(|_| Instant::now()));
            if is_last {
                break;
            }
        }
        results.result
    }

    /// The first candidate whose cache state the probe measures. For a node that reports no cache state, the first
    /// candidate. The drawn candidate is checked in every case.
    async fn choose(
        &self,
        prober: &Prober,
        due: &mut Option<Instant>,
        results: &mut Results<impl FnMut(Sample) + Send>,
    ) -> Option<ChosenAsset<'_>> {
        let candidates = ordered(&self.probe, &self.node, self.remembered.as_ref(), self.turn, &mut rand::rng());
        let wants_hit = self.probe.cache == CachePolicy::Hit;
        if !self.node.listing.profile.is_checked() {
            let asset = candidates.first()?.asset;
            results.result.sticky = StickyAsset::Measured(asset.clone());
            return Some(ChosenAsset { asset, size: asset.size, state: CacheState::Unknown });
        }
        let mut to_draw = candidates.iter().any(|candidate| candidate.drawn);
        let (mut found, mut any_other_state) = (None, None);
        let last = candidates.len().min(MAX_CANDIDATES).saturating_sub(1);
        for (index, Candidate { asset, drawn }) in candidates.into_iter().take(MAX_CANDIDATES).enumerate() {
            if found.is_some() && !to_draw {
                break;
            }
            let url = self.node.asset_url(asset);
            let check = TransferRequest { due: *due, limit: self.check_limit(asset), ..self.request(asset, &url) };
            let Some(mut done) = check.run_unless_cooling_down(prober, None).await else {
                results.result.was_refused = true;
                return None;
            };
            if drawn {
                done.sample.count_hit();
                to_draw = false;
            }
            *due = self.due.map(|_| Instant::now());
            let (outcome, state, size) = (done.sample.outcome, done.sample.labels.cache, done.size);
            let (is_answered, is_gone) = (done.sample.status.is_some(), is_gone(&done.sample));
            let is_last = match outcome {
                Outcome::Ok => false,
                Outcome::RateLimited => true,
                // A node that did not answer for one asset will probably not answer for the next.
                _ => found.is_none() && (!is_answered || index == last && any_other_state.is_none()),
            };
            results.take(done, is_last);
            match outcome {
                Outcome::Ok if measures(self.probe.cache, self.node.listing.profile, state, size) => {
                    found.get_or_insert(ChosenAsset { asset, size, state });
                }
                Outcome::Ok => any_other_state = Some((asset, state)),
                Outcome::RateLimited => return None,
                _ if !is_answered && found.is_none() => break,
                _ => {}
            }
            if wants_hit && index == 0 && found.is_none() && (outcome.is_ok() || is_gone) {
                results.result.sticky = StickyAsset::Gone;
            }
        }
        match (&found, any_other_state) {
            (Some(choice), _) if wants_hit => results.result.sticky = StickyAsset::Measured(choice.asset.clone()),
            (None, Some((asset, state))) if wants_hit => results.emit(self.not_measured(prober, asset, state)),
            // A probe of misses that finds no missing object has not failed.
            _ => {}
        }
        found
    }

    /// The check of an asset. Parts differ from it in few fields.
    fn request<'a>(&'a self, asset: &'a Asset, url: &'a url::Url) -> TransferRequest<'a> {
        TransferRequest {
            node: &self.node,
            probe: &self.probe.name,
            kind: Some(self.probe.kind),
            part: PartName::Check,
            asset,
            url,
            wanted: RequestedBytes::Whole,
            types: &self.probe.types,
            size: asset.size,
            checked: CacheState::Unknown,
            weight: Weight::Light,
            min_rate: self.probe.min_rate,
            deadlines: &self.probe.deadlines,
            limit: whole_limit(asset).0,
            due: None,
            received: &self.received,
        }
    }

    /// When the probe would download the asset whole, an asset that is too large fails at its check. A probe of misses
    /// has its own size limit and skips larger objects.
    fn check_limit(&self, asset: &Asset) -> u64 {
        let asks_whole = self.probe.parts.iter().any(|part| part.extent.bytes().is_none());
        if asks_whole && self.probe.cache == CachePolicy::Hit { whole_limit(asset).0 } else { u64::MAX }
    }

    /// The sample of a run that found no asset in the cache state that the probe measures.
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
            hit: None,
            run_ok: None,
            flags: Flags::NONE,
            distance_km: self.node.listing.distance_km(prober.vantage.location),
            path: NetworkPath::default(),
            reader: ReaderStats::default(),
            tls: TlsInfo::default(),
            trail: TraceInfo { asset_id: Some(asset.id.clone()), ..TraceInfo::default() },
        }
    }
}

/// Does a probe with this cache policy measure an asset of this state and size on a node of this profile?
fn measures(policy: CachePolicy, profile: Profile, state: CacheState, size: Option<Size>) -> bool {
    // A storage node holds what it serves, whatever a proxy in front of it reports.
    let holds_all = profile == Profile::Colossus;
    match policy {
        CachePolicy::Hit => holds_all || matches!(state, CacheState::Hit | CacheState::Unknown),
        CachePolicy::Miss => {
            !holds_all && state == CacheState::Miss && size.is_some_and(|size| size.most() <= MAX_COLD_OBJECT)
        }
    }
}

/// Does the node no longer serve the asset? The object is unknown (404), gone (410), or served by another node (421).
fn is_gone(sample: &Sample) -> bool {
    matches!(sample.status, Some(404 | 410 | 421))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::units::Bytes;

    #[test]
    fn cache_states_are_never_mixed() {
        use CacheState::{Hit, Miss, Pending, Unknown};
        let small = Some(Size::from(MAX_COLD_OBJECT));
        for (policy, profile, size, measured) in [
            (CachePolicy::Hit, Profile::Argus, None, &[Hit, Unknown][..]),
            (CachePolicy::Hit, Profile::Colossus, None, &[Hit, Pending, Miss, Unknown]),
            (CachePolicy::Miss, Profile::Argus, small, &[Miss]),
            (CachePolicy::Miss, Profile::Argus, Some(Size::from(Bytes(MAX_COLD_OBJECT.0 + 1))), &[]),
            (CachePolicy::Miss, Profile::Argus, None, &[]),
            (CachePolicy::Miss, Profile::Colossus, small, &[]),
        ] {
            for state in [Hit, Pending, Miss, Unknown] {
                let is_measured = measures(policy, profile, state, size);
                assert_eq!(is_measured, measured.contains(&state), "{policy:?} {profile:?} {size:?} {state:?}");
            }
        }
    }
}

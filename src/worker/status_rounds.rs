//! Status rounds. A round asks all nodes for their status at once, as far as the limits allow (`checks`). Each answer
//! is logged when it arrives. When the last node has answered or timed out, all nodes are judged and recorded.
//!
//! Rounds start at fixed times, the first one at once. An extra round takes place between two slots when the transfers
//! suggest that this vantage itself has lost or regained its connection. If a round is still under way at the next
//! slot, that slot is skipped and not made up for. A round that is cut off records nothing.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    measure::{
        health::{self, RoundHealth, blocked},
        history::ENOUGH,
        standstill::ChainWatch,
    },
    model::{
        health::{AnswerContent, CheckedNode, NodeEvidence, StatusAnswer},
        outcome::Outcome,
        probe::StatusProbe,
        target::{Node, Targets},
    },
    probe::status,
    record::node::node_point,
};

use self::{checks::ConcurrentChecks, state_log::StateLog};
use super::{descriptors, pipeline::Pipeline};

mod checks;
mod state_log;

/// Makes status rounds over the current targets. The first one starts as soon as there are targets. Never returns.
pub async fn run(pipeline: &Pipeline, probe: &StatusProbe, mut targets: watch::Receiver<Arc<Targets>>) {
    if targets.wait_for(|targets| !targets.nodes.is_empty() || !targets.blocked.is_empty()).await.is_err() {
        // The sender is gone, so there will never be a target.
        std::future::pending().await
    }
    let mut state_log = StateLog::default();
    let (start, mut chain) = (Instant::now(), ChainWatch::default());
    let vantage_health = &pipeline.prober().vantage_health;
    at_slots(
        probe.every,
        async || vantage_health.doubted().await,
        async || {
            let now = targets.borrow().clone();
            pipeline.histories().keep(&now.nodes);
            let asked = ask(pipeline, &now, probe).await;
            let JudgedRound { checked, chain_head } = judge(pipeline, asked, probe, ENOUGH);
            state_log.log_changes(&checked);
            let still = chain.note(chain_head, start.elapsed());
            pipeline.tally().note_chain_still(still);
            state_log.log_chain(chain_head, still);
        },
        |took, missed| pipeline.tally().count_round(took, missed),
    )
    .await;
}

/// The answers of all nodes in a round, before they are judged.
pub struct RoundAnswers {
    targets: Targets,
    answers: Vec<StatusAnswer>,
    began: Timestamp,
}

/// The result of a round.
#[derive(Debug)]
pub struct JudgedRound {
    /// One entry per node; blocked nodes are last.
    pub checked: Vec<CheckedNode>,
    /// The median block height of the fleet; `None` when no node reported one.
    chain_head: Option<u64>,
}

/// Makes one round now: asks the nodes, judges them, and records a point for each.
pub async fn round(pipeline: &Pipeline, targets: &Targets, probe: &StatusProbe) -> Vec<CheckedNode> {
    let asked = ask(pipeline, targets, probe).await;
    judge(pipeline, asked, probe, ENOUGH).checked
}

/// Asks all nodes, and notes whether this vantage itself seems to work. Until the next round, failed transfers are
/// judged by that.
pub async fn ask(pipeline: &Pipeline, targets: &Targets, probe: &StatusProbe) -> RoundAnswers {
    let began = Timestamp::now();
    let prober = pipeline.checker();
    let checks = ConcurrentChecks {
        handle: pipeline.checks().handle().clone(),
        gate: prober.gate.clone(),
        clock: pipeline.checks().clock().clone(),
        at_once: descriptors::checks_at_once(pipeline.connections()),
    };
    let round = StatusRound { pipeline, nodes: &targets.nodes, probe: Arc::new(probe.clone()), checks, began };
    let start = Instant::now();
    let mut answers = round.answers().await;
    if was_interrupted(&answers, pipeline.checks().clock().away_since(start)) {
        answers = answers
            .into_iter()
            .zip(round.answers().await)
            .map(|(first, again)| later_unless_frozen(first, again))
            .collect();
    }
    let vantage_ok = health::vantage(answers.iter());
    if vantage_ok.is_some() || !answers.iter().any(StatusAnswer::is_frozen) {
        pipeline.tally().note_vantage(vantage_ok);
        prober.vantage_health.set_suspect(vantage_ok == Some(false));
    }
    RoundAnswers { targets: targets.clone(), answers, began }
}

/// Judges a round, and records a point for each node. The verdict also depends on the downloads of this process:
/// `enough` of them must fail before a node counts as serving nothing.
pub fn judge(pipeline: &Pipeline, asked: RoundAnswers, probe: &StatusProbe, enough: usize) -> JudgedRound {
    let RoundAnswers { targets, answers, began } = asked;
    let subjects = targets.nodes.iter().zip(&answers).map(|(node, answer)| NodeEvidence {
        answer,
        profile: node.listing.profile,
        distributing: node.listing.distributing,
        downloads: pipeline.histories().downloads(&node.id, enough),
        progress: pipeline.histories().note_round(&node.id, answer),
    });
    let RoundHealth { nodes, chain_head } = health::judge(&subjects.collect::<Vec<_>>(), probe.tolerance);
    let restarts = pipeline.restarts().note(targets.nodes.iter().map(|node| &**node).zip(&answers));
    let contacted = targets.nodes.iter().zip(answers).zip(nodes).zip(restarts);
    let contacted = contacted.map(|(((node, answer), mut health), restarted)| {
        if node.listing.distributing == Some(false) {
            health.reason += "; it is switched off in the registry";
        }
        let (listing, at) = (node.listing.clone(), answer.at);
        CheckedNode { node: node.id.clone(), listing, at, answer: Some(answer), health, restarted }
    });
    let refused = targets.blocked.iter().map(|target| CheckedNode {
        node: target.id.clone(),
        listing: target.listing.clone(),
        at: began,
        answer: None,
        health: blocked(&target.reason),
        restarted: None,
    });
    let checked: Vec<_> = contacted.chain(refused).collect();
    let vantage = &pipeline.prober().vantage;
    checked.iter().for_each(|checked| pipeline.record(node_point(vantage, checked)));
    JudgedRound { checked, chain_head }
}

/// The nodes of a round, and how they are asked.
struct StatusRound<'a> {
    pipeline: &'a Pipeline,
    nodes: &'a [Arc<Node>],
    probe: Arc<StatusProbe>,
    checks: ConcurrentChecks,
    began: Timestamp,
}

impl StatusRound<'_> {
    /// The answers of all nodes, in the order of the nodes.
    ///
    /// Names that the system does not answer keep their threads for long, so nodes that were silent come last.
    async fn answers(&self) -> Vec<StatusAnswer> {
        let dialer = &self.pipeline.checker().dialer;
        let mut progress = RoundProgress::of(self.pipeline, self.nodes);
        let mut indices: Vec<_> = (0..self.nodes.len()).collect();
        indices.sort_by_key(|&index| dialer.is_silent(&self.nodes[index].status_url()));
        let nodes: Vec<_> = indices.iter().map(|&index| self.nodes[index].clone()).collect();
        let (probe, prober) = (self.probe.clone(), Arc::new(self.pipeline.checker().clone()));
        let all_checks = nodes.into_iter().map(move |node| {
            let (probe, prober) = (probe.clone(), prober.clone());
            async move { status::ask(&node, &probe, &prober).await }
        });
        let note = |index: usize, answer: &StatusAnswer| progress.note(indices[index], answer);
        let answers = self.checks.clone().run(all_checks, || failed_check(self.began), note).await;
        let mut answers: Vec<_> = indices.iter().copied().zip(answers).collect();
        answers.sort_by_key(|(index, _)| *index);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }
}

/// The progress of a round.
struct RoundProgress<'a> {
    pipeline: &'a Pipeline,
    nodes: &'a [Arc<Node>],
    done: usize,
    reported: Instant,
}

impl<'a> RoundProgress<'a> {
    fn of(pipeline: &'a Pipeline, nodes: &'a [Arc<Node>]) -> Self {
        pipeline.checked().send_replace((0, nodes.len()));
        Self { pipeline, nodes, done: 0, reported: Instant::now() }
    }

    /// Notes that the node at `index` has answered or timed out.
    fn note(&mut self, index: usize, answer: &StatusAnswer) {
        self.done += 1;
        let (done, all) = (self.done, self.nodes.len());
        self.pipeline.checked().send_replace((done, all));
        let content = match &answer.content {
            AnswerContent::Nothing { outcome, .. } => outcome.label(),
            AnswerContent::Frozen(_) => "frozen",
            AnswerContent::Document(_) | AnswerContent::Present | AnswerContent::Other(_) => "answered",
        };
        tracing::debug!(node = %self.nodes[index].id, content, done, all, "status");
        if self.reported.elapsed() >= LOG_EVERY && done < all {
            self.reported = Instant::now();
            tracing::info!("status round in progress: {done} of {all} nodes have answered or timed out");
        }
    }
}

/// Calls `round` at once and then every `every`. Slots that pass while a round is under way are skipped. Between slots
/// it is also called when `doubt` completes, but at least [`MIN_PAUSE`] after the previous round. `note` gets the duration
/// of each round and the number of skipped slots.
async fn at_slots(
    every: Duration,
    mut doubt: impl AsyncFnMut(),
    mut round: impl AsyncFnMut(),
    note: impl Fn(Duration, u64),
) {
    let start = Instant::now();
    let mut slot: u32 = 0;
    let mut last = start;
    loop {
        let doubted = async {
            doubt().await;
            sleep_until(last + MIN_PAUSE).await;
        };
        tokio::select! {
            biased;
            () = sleep_until(start + every.saturating_mul(slot)) => slot = slot.saturating_add(1),
            () = doubted => {}
        }
        let began = Instant::now();
        round().await;
        last = Instant::now();
        let next = start.elapsed().as_nanos().div_ceil(every.as_nanos());
        let next = u32::try_from(next).unwrap_or(u32::MAX).max(slot);
        note(last - began, (next - slot).into());
        slot = next;
    }
}

/// The answer for a node whose check panicked. The node is not blamed for it.
fn failed_check(at: Timestamp) -> StatusAnswer {
    let error = "the check failed because of a bug in bandprobe".to_owned();
    let content = AnswerContent::Nothing { outcome: Outcome::LocalFailed, error };
    StatusAnswer { at, latency: None, status: None, content, head_refusal: None }
}

/// Returns whether this process was frozen during part of the round. Then some nodes were not heard, or the answers are
/// not from the same time: those from before the freeze lag by as many blocks as the chain produced during it.
fn was_interrupted(answers: &[StatusAnswer], away: Duration) -> bool {
    away >= BLOCK_TIME || answers.iter().any(StatusAnswer::is_frozen)
}

/// The later answer, unless it was frozen too. Then the first one cannot be worse.
fn later_unless_frozen(first: StatusAnswer, again: StatusAnswer) -> StatusAnswer {
    if again.is_frozen() { first } else { again }
}

/// The shortest time between the end of a round and an extra one. Without it, nodes that are really dead would cause
/// extra rounds all the time.
const MIN_PAUSE: Duration = Duration::from_secs(30);
/// How often the progress of a round is logged.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// The time in which the chain produces a block.
const BLOCK_TIME: Duration = Duration::from_secs(6);

#[cfg(test)]
mod tests;

//! Status rounds: all nodes are asked for their status at once, as far as there is room (`asking`). Each answer is logged as it
//! arrives; when the last node has answered or run out of time, all are judged and recorded.
//!
//! Rounds come at fixed times, the first one at the start, and one between them when the transfers say that this vantage itself
//! may have gone, or come back. A round that is still under way at the next slot takes that slot with it; none is made up for. A round that is cut off leaves nothing.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    measure::{
        availability::{self, Judgement, blocked},
        history::ENOUGH,
        standstill::ChainWatch,
    },
    model::{
        availability::{Answer, Checked, Said, Subject},
        outcome::Outcome,
        probe::StatusProbe,
        target::{Node, Targets},
    },
    probe::status,
    record::availability::node_point,
};

use self::{asking::Asking, changes::Known};
use super::{descriptors, pipeline::Pipeline};

mod asking;
mod changes;

/// Makes rounds over whatever targets there are at the time. The first one comes as soon as there are any; never returns.
pub async fn run(pipeline: &Pipeline, probe: &StatusProbe, mut targets: watch::Receiver<Arc<Targets>>) {
    if targets.wait_for(|targets| !targets.nodes.is_empty() || !targets.blocked.is_empty()).await.is_err() {
        // Nobody is left who could name one.
        std::future::pending().await
    }
    let mut known = Known::default();
    let (start, mut chain) = (Instant::now(), ChainWatch::default());
    let suspicion = &pipeline.prober().suspicion;
    at_slots(
        probe.every,
        async || suspicion.doubted().await,
        async || {
            let now = targets.borrow().clone();
            pipeline.health().keep(&now.nodes);
            let asked = ask(pipeline, &now, probe).await;
            let Judged { checked, chain_head } = judge(pipeline, asked, probe, ENOUGH);
            known.tell_changes(&checked);
            let still = chain.note(chain_head, start.elapsed());
            pipeline.tally().note_chain_still(still);
            known.tell_chain(chain_head, still);
        },
        |took, missed| pipeline.tally().count_round(took, missed),
    )
    .await;
}

/// The answers of all nodes in a round, not judged yet.
pub struct Asked {
    targets: Targets,
    answers: Vec<Answer>,
    began: Timestamp,
}

/// A round judged.
#[derive(Debug)]
pub struct Judged {
    /// What it found, the blocked nodes last.
    pub checked: Vec<Checked>,
    /// The fleet's median height of the chain.
    chain_head: Option<u64>,
}

/// Makes one round now: asks the nodes, judges them, and hands a point of each to be recorded.
pub async fn round(pipeline: &Pipeline, targets: &Targets, probe: &StatusProbe) -> Vec<Checked> {
    let asked = ask(pipeline, targets, probe).await;
    judge(pipeline, asked, probe, ENOUGH).checked
}

/// Asks all nodes, and notes whether this vantage itself seems to be in order: what fails from now on is judged by that.
pub async fn ask(pipeline: &Pipeline, targets: &Targets, probe: &StatusProbe) -> Asked {
    let began = Timestamp::now();
    let prober = pipeline.checker();
    let questions = || {
        let (probe, prober) = (Arc::new(probe.clone()), Arc::new(prober.clone()));
        targets.nodes.clone().into_iter().map(move |node| {
            let (probe, prober) = (probe.clone(), prober.clone());
            async move { status::ask(&node, &probe, &prober).await }
        })
    };
    let asking = Asking {
        handle: pipeline.checks().handle().clone(),
        gate: prober.gate.clone(),
        clock: pipeline.checks().clock().clone(),
        at_once: descriptors::checks_at_once(pipeline.connections()),
    };
    let ask = async || {
        let mut course = Course::of(pipeline, &targets.nodes);
        asking.clone().all(questions(), || bug(began), |place, answer| course.note(place, answer)).await
    };
    let start = Instant::now();
    let mut answers = ask().await;
    if is_torn(&answers, pipeline.checks().clock().away_since(start)) {
        answers = answers.into_iter().zip(ask().await).map(|(first, again)| better(first, again)).collect();
    }
    let vantage_ok = availability::vantage(answers.iter());
    if vantage_ok.is_some() || !answers.iter().any(Answer::is_frozen) {
        pipeline.tally().note_vantage(vantage_ok);
        prober.suspicion.note(vantage_ok == Some(false));
    }
    Asked { targets: targets.clone(), answers, began }
}

/// Judges a round, by the downloads of this process too, of which `enough` have to fail before a node is said to serve nothing.
/// Hands a point of each node to be recorded.
pub fn judge(pipeline: &Pipeline, asked: Asked, probe: &StatusProbe, enough: usize) -> Judged {
    let Asked { targets, answers, began } = asked;
    let subjects = targets.nodes.iter().zip(&answers).map(|(node, answer)| Subject {
        answer,
        profile: node.listing.profile,
        distributing: node.listing.distributing,
        downloads: pipeline.health().downloads(&node.id, enough),
        progress: pipeline.health().note_round(&node.id, answer),
    });
    let Judgement { verdicts, chain_head } = availability::judge(&subjects.collect::<Vec<_>>(), probe.tolerance);
    let restarts = pipeline.restarts().note(targets.nodes.iter().map(|node| &**node).zip(&answers));
    let contacted = targets.nodes.iter().zip(answers).zip(verdicts).zip(restarts);
    let contacted = contacted.map(|(((node, answer), mut verdict), restarted)| {
        if node.listing.distributing == Some(false) {
            verdict.reason += "; it is switched off in the registry";
        }
        let (listing, at) = (node.listing.clone(), answer.at);
        Checked { node: node.id.clone(), listing, at, answer: Some(answer), verdict, restarted }
    });
    let refused = targets.blocked.iter().map(|target| Checked {
        node: target.id.clone(),
        listing: target.listing.clone(),
        at: began,
        answer: None,
        verdict: blocked(&target.reason),
        restarted: None,
    });
    let checked: Vec<_> = contacted.chain(refused).collect();
    let vantage = &pipeline.prober().vantage;
    checked.iter().for_each(|checked| pipeline.record(node_point(vantage, checked)));
    Judged { checked, chain_head }
}

/// How far a round is.
struct Course<'a> {
    pipeline: &'a Pipeline,
    nodes: &'a [Arc<Node>],
    done: usize,
    reported: Instant,
}

impl<'a> Course<'a> {
    fn of(pipeline: &'a Pipeline, nodes: &'a [Arc<Node>]) -> Self {
        pipeline.checked().send_replace((0, nodes.len()));
        Self { pipeline, nodes, done: 0, reported: Instant::now() }
    }

    /// A node has answered, or run out of time.
    fn note(&mut self, place: usize, answer: &Answer) {
        self.done += 1;
        let (done, all) = (self.done, self.nodes.len());
        self.pipeline.checked().send_replace((done, all));
        let said = match &answer.said {
            Said::Nothing { outcome, .. } => outcome.label(),
            Said::Frozen(_) => "frozen",
            Said::Report(_) | Said::Present | Said::Other(_) => "answered",
        };
        tracing::debug!(node = %self.nodes[place].id, said, done, all, "status");
        if self.reported.elapsed() >= NOW_AND_THEN && done < all {
            self.reported = Instant::now();
            tracing::info!("status round in progress: {done} of {all} nodes have answered or timed out");
        }
    }
}

/// Calls `round` at once and then every so often; slots that pass meanwhile are gone. Between the slots it is called when
/// `doubt` ends, but not soon after the round before. `note` gets how long each round took, and how many slots passed.
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
            sleep_until(last + APART).await;
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

/// Stands for an answer that a bug of ours swallowed: nothing is said of the node.
fn bug(at: Timestamp) -> Answer {
    let error = "the check ended in a bug of ours".to_owned();
    let said = Said::Nothing { outcome: Outcome::LocalFailed, error };
    Answer { at, latency: None, status: None, said, head_refused: None }
}

/// Did this process not run for part of the round? Then some nodes were not heard, or the answers are of different times: those
/// from before the freeze lag behind the others by as many blocks as the chain grew meanwhile.
fn is_torn(answers: &[Answer], away: Duration) -> bool {
    away >= BLOCK || answers.iter().any(Answer::is_frozen)
}

/// The answer of the later round, unless that was frozen as well and the first one says more.
fn better(first: Answer, again: Answer) -> Answer {
    if again.is_frozen() { first } else { again }
}

/// A round that was not due comes no sooner after the one before: nodes that are really dead raise doubts for ever.
const APART: Duration = Duration::from_secs(30);
/// How often a round says how far it is.
const NOW_AND_THEN: Duration = Duration::from_secs(10);
/// The chain grows by a block in this time.
const BLOCK: Duration = Duration::from_secs(6);

#[cfg(test)]
mod tests;

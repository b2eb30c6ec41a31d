//! Judgements of rounds, and what the tests share.

use jiff::Timestamp;

use super::*;
use crate::model::{
    health::{ChainProgress, EndedRun, OtherContent, RecentDownloads, RunFault, StatusDocument},
    target::Profile,
    units::{BitRate, Micros},
};

mod answers;
mod downloads;
mod fleet;
mod vantage;

const USUAL: Tolerance = Tolerance { behind: 100, ahead: 2_000 };
const STRICT: Tolerance = Tolerance { behind: 10, ahead: 10 };
const HEAD: u64 = 5_678_901;
const AT: Timestamp = Timestamp::UNIX_EPOCH;

fn answer(status: Option<u16>, content: AnswerContent) -> StatusAnswer {
    StatusAnswer { at: AT, latency: Some(Micros(1)), status, content, head_refusal: None }
}

fn subject(answer: &StatusAnswer) -> NodeEvidence<'_> {
    NodeEvidence {
        answer,
        profile: Profile::Argus,
        distributing: None,
        downloads: RecentDownloads::default(),
        progress: ChainProgress::default(),
    }
}

/// Judges a round of distributors that have no other problem.
fn round(answers: &[StatusAnswer], tolerance: Tolerance) -> RoundHealth {
    judge(&answers.iter().map(subject).collect::<Vec<_>>(), tolerance)
}

/// The status document of a node at these numbers.
fn at(blocks: u64, head: u64) -> StatusAnswer {
    let document = StatusDocument {
        node_env: Some("production".into()),
        blocks_processed: Some(blocks),
        chain_head: Some(head),
        ..StatusDocument::default()
    };
    answer(Some(200), AnswerContent::Document(Box::new(document)))
}

fn with_document(mut answer: StatusAnswer, change: impl FnOnce(&mut StatusDocument)) -> StatusAnswer {
    let AnswerContent::Document(document) = &mut answer.content else { panic!("no document") };
    change(document);
    answer
}

fn healthy() -> StatusAnswer {
    at(HEAD - 2, HEAD)
}

fn other(status: u16, shape: OtherContent) -> StatusAnswer {
    answer(Some(status), AnswerContent::Other(shape))
}

fn nothing(outcome: Outcome) -> StatusAnswer {
    answer(None, AnswerContent::Nothing { outcome, error: "connect: no luck".into() })
}

fn run(at: Timestamp, outcome: Outcome) -> EndedRun {
    EndedRun { at, fault: (!outcome.is_ok()).then_some(RunFault::Failed(outcome)) }
}

/// The health of a distributor next to four healthy ones.
fn judged(node: &StatusAnswer, tolerance: Tolerance) -> Health {
    judged_as(&subject(node), tolerance)
}

/// The health of any node next to four healthy distributors.
fn judged_as(node: &NodeEvidence<'_>, tolerance: Tolerance) -> Health {
    let sound = healthy();
    let mut subjects = vec![subject(&sound); 4];
    subjects.push(node.clone());
    let mut round_health = judge(&subjects, tolerance);
    let health = round_health.nodes.pop().unwrap();
    for health in round_health.nodes {
        let fine = Health {
            state: HealthState::Ok,
            reason: "nothing wrong".into(),
            up: Some(true),
            blocks_behind: Some(0),
            head_behind: Some(0),
        };
        assert_eq!(health, fine, "next to {node:?}");
    }
    health
}

const UNJUDGED: &str = "nothing wrong; its blocks are not judged, which takes three nodes";

//! A plain web server: does it serve its first asset?
//!
//! The question is a HEAD request, which transfers no body. Some servers refuse HEAD, or never answer it, but answer
//! GET well. So when HEAD fails, a GET of one byte decides. Servers that need GET are remembered.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{HeaderMap, StatusCode, header::CONTENT_LENGTH};
use jiff::Timestamp;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use url::Url;

use crate::{
    model::{
        availability::{Answer, Said, Shape},
        outcome::Outcome,
        phase::Phase,
        units::Micros,
    },
    net::{
        failure::{Cause, Failure},
        http::{End, Received},
        run_clock::RunClock,
    },
};

use super::{Asked, Question};

/// The servers that are asked by GET, and why. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct HeadRefusals(Arc<Mutex<HashMap<Arc<str>, Refusal>>>);

/// How a server fails to answer HEAD.
#[derive(Clone, Debug)]
struct Refusal {
    url: Url,
    words: String,
}

/// Asks by HEAD, and by GET when HEAD fails. When HEAD gets no answer, both run concurrently and end at HEAD's own
/// deadline. So no server takes longer than one that hangs.
pub(super) async fn ask(question: &Question<'_>) -> Answer {
    let refusals = &question.prober.head_refusals;
    if let Some(words) = refusals.of(question) {
        let answer = question.put(Asked::FirstByte).await;
        if answer.said != Said::Present {
            // The next round tries HEAD again.
            refusals.lock().remove(&question.node.id);
        }
        return by_get(answer, &words);
    }
    let (headers, clock) = (question.probe.deadlines.headers, question.prober.dialer.clock());
    let patience = headers / 4;
    let opened = Notify::new();
    let mut head = pin!(question.put(Asked::Head(&opened)));
    let is_silent = async {
        opened.notified().await;
        sleep(patience).await;
    };
    let answered = tokio::select! {
        biased;
        answer = &mut head => Some(answer),
        () = is_silent => None,
    };
    let (words, answer) = match answered {
        Some(answer) => match refusal(&answer) {
            Some(words) => (words, within(clock, headers, question.put(Asked::FirstByte)).await),
            None => return answer,
        },
        None => {
            let mut get = pin!(within(clock, headers - patience, question.put(Asked::FirstByte)));
            let answer = tokio::select! {
                biased;
                answer = &mut head => match refusal(&answer) {
                    Some(_) => get.await,
                    None => return answer,
                },
                answer = &mut get => match answer.said {
                    Said::Present => answer,
                    _ => {
                        let late = head.await;
                        if refusal(&late).is_none() { return late }
                        answer
                    }
                },
            };
            (format!("does not answer HEAD in {}", Micros::from(patience)), answer)
        }
    };
    let answer = by_get(answer, &words);
    if answer.said == Said::Present {
        refusals.remember(question, words);
    }
    answer
}

/// Does this status mean that the asset exists?
pub(super) const fn is_there(status: StatusCode) -> bool {
    status.as_u16() < StatusCode::BAD_REQUEST.as_u16()
}

/// Interprets the answer to HEAD. An empty asset does not count.
pub(super) fn of_head(status: StatusCode, headers: &HeaderMap) -> Said {
    let is_empty = status == StatusCode::OK && headers.get(CONTENT_LENGTH).is_some_and(|length| length == "0");
    match (is_there(status), is_empty) {
        (true, false) => Said::Present,
        (true, true) => Said::Other(Shape::Empty),
        (false, _) => Said::Other(Shape::Unknown),
    }
}

/// Interprets the answer to the GET of one byte, once that byte has arrived.
pub(super) fn of_byte(status: StatusCode, received: Received) -> Result<Said, Failure> {
    match received.end {
        End::Failed(failure) if received.bytes == 0 => Err(failure),
        _ if received.bytes == 0 && matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) => {
            Ok(Said::Other(Shape::Empty))
        }
        _ => Ok(Said::Present),
    }
}

/// What is wrong with an answer to HEAD, if GET may succeed. `None` when it is good, when the server rate-limits us,
/// or when the server cannot be reached.
fn refusal(answer: &Answer) -> Option<String> {
    match (&answer.said, answer.status) {
        (Said::Other(Shape::Empty), _) => Some("answers HEAD with a length of 0".to_owned()),
        (Said::Other(_), Some(429)) => None,
        (Said::Other(_), Some(status)) => Some(format!("refuses HEAD ({status})")),
        (Said::Nothing { outcome: Outcome::Blocked | Outcome::LocalFailed, .. }, _) => None,
        (Said::Nothing { outcome, .. }, _) if outcome.is_before_request() => None,
        (Said::Nothing { outcome, .. }, _) => Some(format!("does not answer HEAD ({})", outcome.meaning())),
        _ => None,
    }
}

/// The answer to GET, with the reason why HEAD failed.
fn by_get(answer: Answer, words: &str) -> Answer {
    let answers = if answer.said == Said::Present { " and answers GET" } else { "" };
    Answer { head_refused: Some(format!("it {words}{answers}")), ..answer }
}

/// The answer, or a timeout when it has not arrived before the deadline.
async fn within(clock: &RunClock, deadline: Duration, answer: impl Future<Output = Answer>) -> Answer {
    let at = Timestamp::now();
    clock.within(Instant::now(), deadline, answer).await.unwrap_or_else(|| {
        let error = Cause::Deadline(deadline).during(Phase::Wait).to_string();
        let said = Said::Nothing { outcome: Outcome::HeadersTimeout, error };
        Answer { at, latency: None, status: None, said, head_refused: None }
    })
}

impl HeadRefusals {
    /// The remembered reason, if the URL is still the same.
    fn of(&self, question: &Question<'_>) -> Option<String> {
        let known = self.lock();
        known.get(&question.node.id).filter(|known| known.url == question.url).map(|known| known.words.clone())
    }

    fn remember(&self, question: &Question<'_>, words: String) {
        let mut known = self.lock();
        if known.len() < MAX_REFUSALS || known.contains_key(&question.node.id) {
            known.insert(question.node.id.clone(), Refusal { url: question.url.clone(), words });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Refusal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Further servers are not remembered: each round asks them by HEAD first.
const MAX_REFUSALS: usize = 10_000;

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
        health::{AnswerContent, OtherContent, StatusAnswer},
        outcome::Outcome,
        phase::Phase,
        units::Micros,
    },
    net::{
        body::{BodyEnd, ReceivedBody},
        failure::{Cause, Failure},
        run_clock::RunClock,
    },
};

use super::{CheckMethod, StatusCheck};

/// The servers that are asked by GET, and why. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct HeadRefusals(Arc<Mutex<HashMap<Arc<str>, Refusal>>>);

/// The URL of a server that is asked by GET.
#[derive(Clone, Debug)]
struct Refusal {
    url: Url,
    head: FailedHead,
}

/// How a server fails to answer HEAD.
#[derive(Clone, Debug)]
struct FailedHead {
    /// HTTP status of the response; `None` when there was none.
    status: Option<u16>,
    words: String,
}

/// Asks by HEAD, and by GET when HEAD fails. When HEAD gets no answer, both run concurrently and end at HEAD's own
/// deadline. So no server takes longer than one that hangs.
pub(super) async fn ask(question: &StatusCheck<'_>) -> StatusAnswer {
    let refusals = &question.prober.head_refusals;
    if let Some(head) = refusals.of(question) {
        let answer = question.put(CheckMethod::FirstByte).await;
        if answer.content != AnswerContent::Present {
            // The next round tries HEAD again.
            refusals.lock().remove(&question.node.id);
        }
        return by_get(answer, &head);
    }
    let (headers, clock) = (question.probe.deadlines.headers, question.prober.dialer.clock());
    let patience = headers / 4;
    let opened = Notify::new();
    let mut head = pin!(question.put(CheckMethod::Head(&opened)));
    let is_silent = async {
        opened.notified().await;
        sleep(patience).await;
    };
    let answered = tokio::select! {
        biased;
        answer = &mut head => Some(answer),
        () = is_silent => None,
    };
    let (failed, answer) = match answered {
        Some(answer) => match refusal(&answer) {
            Some(failed) => (failed, within(clock, headers, question.put(CheckMethod::FirstByte)).await),
            None => return answer,
        },
        None => {
            let mut get = pin!(within(clock, headers - patience, question.put(CheckMethod::FirstByte)));
            let answer = tokio::select! {
                biased;
                answer = &mut head => match refusal(&answer) {
                    Some(_) => get.await,
                    None => return answer,
                },
                answer = &mut get => match answer.content {
                    AnswerContent::Present => answer,
                    _ => {
                        let late = head.await;
                        if refusal(&late).is_none() { return late }
                        answer
                    }
                },
            };
            let words = format!("does not answer HEAD in {}", Micros::from(patience));
            (FailedHead { status: None, words }, answer)
        }
    };
    let answer = by_get(answer, &failed);
    if answer.content == AnswerContent::Present {
        refusals.remember(question, failed);
    }
    answer
}

/// Does this status mean that the asset exists? A redirect does not: transfers follow none.
pub(super) fn is_there(status: StatusCode) -> bool {
    status.is_success()
}

/// Interprets the answer to HEAD. An empty asset does not count.
pub(super) fn of_head(status: StatusCode, headers: &HeaderMap) -> AnswerContent {
    let is_empty = status == StatusCode::OK && headers.get(CONTENT_LENGTH).is_some_and(|length| length == "0");
    match (is_there(status), is_empty) {
        (true, false) => AnswerContent::Present,
        (true, true) => AnswerContent::Other(OtherContent::Empty),
        (false, _) => AnswerContent::Other(OtherContent::Unknown),
    }
}

/// Interprets the answer to the GET of one byte, once that byte has arrived.
pub(super) fn of_byte(status: StatusCode, received: ReceivedBody) -> Result<AnswerContent, Failure> {
    match received.end {
        BodyEnd::Failed(failure) if received.bytes == 0 => Err(failure),
        _ if received.bytes == 0 && matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) => {
            Ok(AnswerContent::Other(OtherContent::Empty))
        }
        _ => Ok(AnswerContent::Present),
    }
}

/// What is wrong with an answer to HEAD, if GET may succeed. `None` when it is good, when the server rate-limits us,
/// or when the server cannot be reached.
fn refusal(answer: &StatusAnswer) -> Option<FailedHead> {
    let words = match (&answer.content, answer.status) {
        (AnswerContent::Other(OtherContent::Empty), _) => "answers HEAD with a length of 0".to_owned(),
        (AnswerContent::Other(_), Some(429)) => return None,
        (AnswerContent::Other(_), Some(status)) => format!("refuses HEAD ({status})"),
        (AnswerContent::Nothing { outcome, .. }, _) if is_sent(*outcome) => {
            format!("does not answer HEAD ({})", outcome.meaning())
        }
        _ => return None,
    };
    Some(FailedHead { status: answer.status, words })
}

/// The answer to GET, with the reason why HEAD failed. When GET fails in the same way, or did not reach the server,
/// HEAD does not matter and is not mentioned.
fn by_get(answer: StatusAnswer, head: &FailedHead) -> StatusAnswer {
    let words = &head.words;
    let is_other = answer.status != head.status;
    let head_refusal = match &answer.content {
        AnswerContent::Present => Some(format!("it {words} and answers GET")),
        AnswerContent::Nothing { outcome, .. } if is_other && is_sent(*outcome) => Some(format!("it {words}")),
        AnswerContent::Other(_) if is_other => Some(format!("it {words}")),
        _ => None,
    };
    StatusAnswer { head_refusal, ..answer }
}

/// Whether a request that failed like this may have reached the server.
const fn is_sent(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Blocked | Outcome::LocalFailed) && !outcome.is_before_request()
}

/// The answer, or a timeout when it has not arrived before the deadline.
async fn within(clock: &RunClock, deadline: Duration, answer: impl Future<Output = StatusAnswer>) -> StatusAnswer {
    let at = Timestamp::now();
    clock.within(Instant::now(), deadline, answer).await.unwrap_or_else(|| {
        let error = Cause::Deadline(deadline).during(Phase::Wait).to_string();
        let content = AnswerContent::Nothing { outcome: Outcome::HeadersTimeout, error };
        StatusAnswer { at, latency: None, status: None, content, head_refusal: None }
    })
}

impl HeadRefusals {
    /// The remembered reason, if the URL is still the same.
    fn of(&self, question: &StatusCheck<'_>) -> Option<FailedHead> {
        let known = self.lock();
        known.get(&question.node.id).filter(|known| known.url == question.url).map(|known| known.head.clone())
    }

    fn remember(&self, question: &StatusCheck<'_>, head: FailedHead) {
        let mut known = self.lock();
        if known.len() < MAX_REFUSALS || known.contains_key(&question.node.id) {
            known.insert(question.node.id.clone(), Refusal { url: question.url.clone(), head });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Refusal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Further servers are not remembered: each round asks them by HEAD first.
const MAX_REFUSALS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: Option<u16>, content: AnswerContent) -> StatusAnswer {
        StatusAnswer { at: Timestamp::UNIX_EPOCH, latency: None, status, content, head_refusal: None }
    }

    #[test]
    fn head_is_mentioned_only_if_get_ended_differently() {
        let head = refusal(&answer(Some(405), AnswerContent::Other(OtherContent::Unknown))).unwrap();
        let nothing = |outcome| AnswerContent::Nothing { outcome, error: String::new() };
        for (status, content, mentioned) in [
            (Some(206), AnswerContent::Present, Some("it refuses HEAD (405) and answers GET")),
            (Some(404), AnswerContent::Other(OtherContent::Unknown), Some("it refuses HEAD (405)")),
            (Some(405), AnswerContent::Other(OtherContent::Unknown), None),
            (None, nothing(Outcome::HeadersTimeout), Some("it refuses HEAD (405)")),
            (None, nothing(Outcome::Reset), Some("it refuses HEAD (405)")),
            (None, nothing(Outcome::ConnectRefused), None),
            (None, nothing(Outcome::DnsTimeout), None),
            (None, nothing(Outcome::LocalFailed), None),
            (None, nothing(Outcome::Blocked), None),
            (None, AnswerContent::Frozen(Micros(1)), None),
        ] {
            let answer = by_get(answer(status, content), &head);
            assert_eq!(answer.head_refusal.as_deref(), mentioned, "{answer:?}");
        }
    }
}

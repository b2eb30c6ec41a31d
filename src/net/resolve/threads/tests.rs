//! Threads under load, and lookups that hang.

use std::{net::IpAddr, thread};

use super::*;

fn threads(transfers: usize) -> Threads {
    Threads::new(transfers, Box::new(|work| thread::Builder::new().spawn(work).map(drop)))
}

/// A lookup that returns once the sender is dropped.
fn stuck() -> (mpsc::Sender<()>, impl FnOnce() -> Result<Vec<IpAddr>, LookupError>) {
    let (release, released) = mpsc::channel();
    (release, move || {
        let _ = released.recv();
        Ok(vec![])
    })
}

async fn until(threads: &Threads, expected: Abandoned) {
    let mut seen = threads.abandoned();
    while seen != expected {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = threads.abandoned();
        seen = Abandoned { waiting: now.waiting, returned: seen.returned + now.returned };
    }
}

#[tokio::test]
async fn an_abandoned_lookup_counts_until_it_returns() {
    let threads = threads(1);
    let (release, question) = stuck();
    let thread = threads.take(LookupPurpose::Transfer, LONG).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_millis(50), thread.run("a.test", question)).await;
    assert!(ended.is_err());
    for _ in 0..2 {
        assert_eq!(threads.abandoned(), Abandoned { waiting: 1, returned: 0 }, "as long as its thread waits");
    }
    drop(release);
    until(&threads, Abandoned { waiting: 0, returned: 1 }).await;
    assert_eq!(threads.abandoned(), Abandoned::default());
    let thread = threads.take(LookupPurpose::Transfer, LONG).await.unwrap();
    assert_eq!(thread.run("a.test", || Ok(7)).await, Ok(7), "the thread is free again");
}

#[tokio::test]
async fn silent_and_hanging_names_are_tracked() {
    let threads = threads(1);
    let (release, question) = stuck();
    let thread = threads.take(LookupPurpose::Other, LONG).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(5), thread.run("a.test", question)).await.is_err());
    assert!(threads.is_hanging("a.test") && threads.is_silent("a.test"));
    assert!(!threads.is_hanging("b.test") && !threads.is_silent("b.test"));
    drop(release);
    until(&threads, Abandoned { waiting: 0, returned: 1 }).await;
    assert!(!threads.is_hanging("a.test") && threads.is_silent("a.test"));
    let thread = threads.take(LookupPurpose::Other, LONG).await.unwrap();
    assert_eq!(thread.run("a.test", || Ok(7)).await, Ok(7));
    assert!(!threads.is_silent("a.test"));
}

#[tokio::test]
async fn each_purpose_waits_for_its_own_answers_only() {
    let threads = threads(1);
    let thread = threads.take(LookupPurpose::Transfer, LONG).await.unwrap();
    assert_eq!(thread.run("a.test", || Ok(7)).await, Ok(7));
    assert!(threads.last_answer(LookupPurpose::Transfer).is_some());
    assert_eq!(threads.last_answer(LookupPurpose::Other), None);
}

#[tokio::test]
async fn other_lookups_leave_threads_for_transfers() {
    let threads = threads(2);
    let mut held = Vec::new();
    for _ in 0..OTHERS {
        held.push(threads.take(LookupPurpose::Other, LONG).await.unwrap());
    }
    let refused = threads.take(LookupPurpose::Other, Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(refused, LookupError::Local("all resolver threads are waiting".to_owned()));
    for _ in 0..2 {
        held.push(threads.take(LookupPurpose::Transfer, LONG).await.unwrap());
    }
    assert!(threads.take(LookupPurpose::Transfer, Duration::from_millis(20)).await.is_err());
    held.clear();
    assert!(threads.take(LookupPurpose::Other, LONG).await.is_ok());
}

#[tokio::test]
async fn few_threads_serve_many_lookups_while_answers_arrive() {
    let threads = threads(1);
    let lookups = (0..200).map(|number| {
        let threads = threads.clone();
        async move {
            // All lookups together take longer than the patience of one.
            let thread = threads.take(LookupPurpose::Other, Duration::from_millis(500)).await?;
            let question = move || {
                thread::sleep(Duration::from_millis(80));
                if number % 2 == 0 { Ok(()) } else { Err(LookupError::no_name()) }
            };
            thread.run("a.test", question).await
        }
    });
    let mut running = tokio::task::JoinSet::new();
    lookups.for_each(|lookup| drop(running.spawn(lookup)));
    let answered = running.join_all().await;
    let is_answer = |found: &&Result<(), LookupError>| matches!(found, Ok(()) | Err(LookupError::NotFound(_)));
    assert_eq!(answered.iter().filter(is_answer).count(), 200, "{answered:?}");
}

#[tokio::test]
async fn a_thread_that_cannot_start_is_a_local_failure() {
    let threads = Threads::new(1, Box::new(|_| Err(io::Error::from(io::ErrorKind::WouldBlock))));
    for _ in 0..OTHERS + 2 {
        let refused = threads.take(LookupPurpose::Transfer, Duration::from_millis(20)).await.unwrap_err();
        assert!(matches!(&refused, LookupError::Local(text) if text.contains("cannot start a thread")));
    }
}

#[tokio::test]
async fn a_panicking_lookup_returns_its_thread() {
    let threads = threads(0);
    for _ in 0..2 * OTHERS {
        let thread = threads.take(LookupPurpose::Other, LONG).await.unwrap();
        let ended: Result<(), _> = thread.run("a.test", || panic!("a panic that this test makes")).await;
        assert!(matches!(ended, Err(LookupError::Local(_))));
    }
    assert_eq!(threads.abandoned(), Abandoned::default());
    let thread = threads.take(LookupPurpose::Other, LONG).await.unwrap();
    assert_eq!(thread.run("a.test", || Ok(7)).await, Ok(7), "it looks names up again");
}

const LONG: Duration = Duration::from_secs(60);

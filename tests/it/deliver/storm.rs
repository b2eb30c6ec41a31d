//! Ten minutes at 200 points a second. The server accepts nothing for a long time, and then only faultless lines.
//! Delivery is dropped and restarted in between.

use std::{collections::BTreeMap, sync::Mutex};

use super::*;
use crate::record::parser::{Parsed, parse};

const SECONDS: u64 = 600;
const SOURCES: u64 = 200;

/// How often each number came in a request that was answered with 204.
type Stored = Arc<Mutex<BTreeMap<i64, u32>>>;

/// Ten seconds a file, as a busy worker seals them.
fn ten_minutes() -> TempDir {
    let dir = TempDir::new().unwrap();
    for seconds in (0..SECONDS).step_by(10) {
        let numbers = seconds * SOURCES..(seconds + 10) * SOURCES;
        let line = |n: u64| format!("m,source={} v={n}i {}\n", n % SOURCES, 1_763_719_200_000_000_000 + n);
        let time = format!("2026-11-21T10:{:02}:{:02}Z", seconds / 60, seconds % 60);
        append(dir.path(), &time, &numbers.map(line).collect::<String>(), 10 * SOURCES);
    }
    dir
}

/// Refuses in turn, and in between stores what it reads, sometimes without its answer getting through.
fn stormy(stored: Stored) -> Server {
    let mut requests = 0;
    Server::answering(move |body| {
        requests += 1;
        let busy = |status| Some(answer(status, r#"{"message":"not now"}"#));
        match requests {
            ..=20 => return busy(503),
            21..=40 => return busy(429),
            _ if requests % 7 == 0 => return busy(500),
            _ if requests % 11 == 0 => return Some("HTTP/1.1 503 Cut".to_owned()),
            _ => {}
        }
        let lines = parse(body);
        let mut stored = stored.lock().unwrap();
        for line in lines {
            let value = &line.fields[0].1;
            let Parsed::Integer(number) = value else { panic!("{value:?}") };
            assert_eq!((line.fields.len(), line.time), (1, 1_763_719_200_000_000_000 + number));
            *stored.entry(*number).or_default() += 1;
        }
        // Stored, but without an answer.
        Some(if requests % 13 == 0 { "HTTP/1.1 20".to_owned() } else { NO_CONTENT.to_owned() })
    })
}

#[tokio::test]
async fn every_point_arrives_whatever_the_server_does() {
    let (dir, stored) = (ten_minutes(), Stored::default());
    let server = stormy(stored.clone());
    let (mut lives, mut retries) = (0, 0);
    let mut sent = 0;
    loop {
        lives += 1;
        let mut drain = drain(dir.path(), &server.config()).with_dice(|| 0.0);
        drain.hurry();
        let ended = loop {
            let event = drain.step().await.unwrap();
            sent += u32::from(matches!(event, Event::Sent { .. }));
            match event {
                Event::Idle => break true,
                // Killed between the answer and the file's move.
                Event::Sent { .. } if sent % 17 == 0 => break false,
                _ => {}
            }
        };
        retries += drain.take_counters().retries;
        if ended {
            break;
        }
    }
    assert!(lives > 2 && retries > 50, "{lives} lives, {retries} retries");
    let stored = stored.lock().unwrap();
    assert_eq!(stored.len() as u64, SECONDS * SOURCES, "every point");
    assert_eq!(stored.keys().next_back(), Some(&(i64::try_from(SECONDS * SOURCES).unwrap() - 1)), "and no other");
    assert!(stored.values().any(|times| *times > 1), "lost answers made some come twice, as the same point");
    let left = status(dir.path()).unwrap();
    assert_eq!((left.spool.points, left.rejected.points, left.archived.points), (0, 0, SECONDS * SOURCES));
}

//! The process freezes in the middle of an exchange: the clock goes on, and nothing reads it.

use std::time::Duration;

use bandprobe::{
    model::{phase::Phase, probe::Deadlines, sample::HttpVersion},
    net::{body::BodyEnd, failure::Cause, run_clock::RunClock},
};
use tokio::time::{Instant, advance, sleep};

use super::link::{BOTH, Body, Link, Script, connect_by, fetch, ms};

const SEC: Duration = Duration::from_secs(1);
/// The process is frozen from here on.
const AT: Duration = SEC;
/// A freeze begins somewhere between two checks, and the frozen task gets a little more time at its end.
const SLACK: Duration = Duration::from_millis(400);

const LENGTHS: [Duration; 3] = [Duration::from_secs(6), Duration::from_secs(30), Duration::from_secs(120)];

/// What came of an exchange, and when it ended.
async fn exchange(
    http: HttpVersion,
    link: Link,
    length: Duration,
) -> (Result<Body, bandprobe::net::failure::Failure>, Duration) {
    let clock = RunClock::default();
    let began = Instant::now();
    let exchange = async {
        let _watching = clock.watch();
        let mut connection = connect_by(&clock, http, link).await;
        let fetched = fetch(&mut connection, &Deadlines::default(), 2_000).await;
        (fetched, began.elapsed())
    };
    let freeze = async {
        sleep(AT).await;
        advance(length).await;
        std::future::pending().await
    };
    tokio::select! {
        done = exchange => done,
        () = clock.tick(|_| {}) => unreachable!("it ticks for ever"),
        () = freeze => unreachable!("it never ends"),
    }
}

/// The link of a node that sends half of its body at the first of these times and half at the second one.
fn answers(http: HttpVersion, sends: Duration, head: Duration, rest: Duration) -> Link {
    let mut script = Script::new(http);
    script.head(head, 2_000, 1_000);
    script.last(rest, 1_000);
    Link::that_takes(sends, script)
}

#[tokio::test(start_paused = true)]
async fn bytes_that_arrive_during_a_freeze_are_in_time() {
    for length in LENGTHS {
        for http in BOTH {
            for (phase, sends, head, rest) in [
                ("send", AT + ms(500), AT + SEC, AT + SEC * 2),
                ("wait", ms(0), AT + SEC, AT + SEC * 2),
                ("receive", ms(0), ms(100), AT + SEC * 2),
                // After the freeze, within the time that is left.
                ("send, later", AT + length + SEC * 3, AT + length + SEC * 3, AT + length + SEC * 4),
                ("wait, later", ms(0), AT + length + SEC * 3, AT + length + SEC * 7),
                ("receive, later", ms(0), ms(100), AT + length + SEC * 3),
            ] {
                let (fetched, ended) = exchange(http, answers(http, sends, head, rest), length).await;
                let name = format!("{phase}, {length:?}, {http:?}");
                let body = fetched.unwrap_or_else(|failure| panic!("{name}: {failure}"));
                assert!(
                    matches!(body.received.end, BodyEnd::Enough | BodyEnd::Finished),
                    "{name}: {:?}",
                    body.received.end
                );
                assert_eq!(body.received.bytes, 2_000, "{name}");
                assert!(ended >= AT + length, "{name}: {ended:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_freeze_does_not_shorten_a_deadline() {
    const NEVER: Duration = Duration::from_secs(3_600);
    for length in LENGTHS {
        for http in BOTH {
            for (phase, sends, head, silent_from) in [
                (Phase::Send, NEVER, NEVER, ms(0)),
                (Phase::Wait, ms(0), NEVER, ms(0)),
                (Phase::Receive, ms(0), ms(100), ms(100)),
            ] {
                let (fetched, ended) = exchange(http, answers(http, sends, head, NEVER), length).await;
                let name = format!("{phase:?}, {length:?}, {http:?}");
                let failure = match fetched {
                    Err(failure) => failure,
                    Ok(Body { received, .. }) => match received.end {
                        BodyEnd::Failed(failure) => failure,
                        other => panic!("{name}: {other:?}"),
                    },
                };
                assert_eq!(failure.phase, phase, "{name}");
                assert!(matches!(failure.cause, Cause::Deadline(_) | Cause::Stall(_)), "{name}: {failure}");
                let due = silent_from + SEC * 5 + length;
                assert!((due..=due + SLACK).contains(&ended), "{name}: {ended:?} {due:?}");
            }
        }
    }
}

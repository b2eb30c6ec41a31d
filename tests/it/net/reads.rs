//! One socket read a turn: each chunk carries the stamp of the read that completed it.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use bandprobe::{
    model::{probe::Deadlines, sample::HttpVersion},
    net::{
        http::{Appetite, End},
        timing::Timing,
    },
};
use tokio::time::Instant;

use super::link::{BOTH, DATA, Eager, FRAME_HEADER, Script, ask, connect, frames};

/// The body bytes that each read completes: in HTTP/1.1 those that it brings, in HTTP/2 those of the frames that end in
/// it. `ends` are the offsets at which the reads end.
fn completed(http: HttpVersion, bytes: &[u8], ends: &[usize]) -> Vec<usize> {
    let mut of_read = vec![0; ends.len()];
    let mut complete = |end: usize, length| of_read[ends.partition_point(|&read| read < end)] += length;
    match http {
        HttpVersion::Http1 => {
            let body = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            (body..bytes.len()).for_each(|at| complete(at + 1, 1));
        }
        HttpVersion::Http2 => {
            let mut at = 0;
            for (kind, length) in frames(bytes) {
                at += FRAME_HEADER + length;
                complete(at, if kind == DATA { length } else { 0 });
            }
        }
    }
    of_read.retain(|bytes| *bytes > 0);
    of_read
}

#[tokio::test]
async fn chunks_carry_the_stamp_of_the_read_that_completed_them() {
    const BODY: usize = 600_000;
    for http in BOTH {
        for most in [1_000, 16_393, 50_000, 600_000] {
            let mut script = Script::new(http);
            script.head(Duration::ZERO, BODY, 0);
            script.chunk(Duration::ZERO, 7);
            script.chunk(Duration::ZERO, BODY / 2);
            script.last(Duration::ZERO, BODY - BODY / 2 - 7);
            let bytes = script.bytes();
            let (sent, ends) = (bytes.clone(), Arc::new(Mutex::new(vec![])));
            let (log, mut read) = (ends.clone(), 0);
            // All is there at once, but each read takes its time: on the real clock, so that each has another stamp.
            let mut connection = connect(
                http,
                Eager::new(move |buf| {
                    thread::sleep(Duration::from_micros(50));
                    let end = bytes.len().min(read + most.min(buf.remaining()));
                    buf.put_slice(&bytes[read..end]);
                    if end > read {
                        log.lock().unwrap().push(end);
                    }
                    read = end;
                }),
            )
            .await;
            let mut timing = Timing::start(Instant::now());
            let deadlines = Deadlines::default();
            let mut answer = ask(&mut connection, &deadlines, &mut timing).await.unwrap();
            let mut reads: Vec<(Instant, usize)> = vec![];
            let appetite = Appetite { bytes: BODY as u64, body: deadlines.body, stall: deadlines.stall };
            let received = connection
                .receive(&mut answer, appetite, |chunk, stamp| match reads.last_mut() {
                    Some((last, bytes)) if *last == stamp => *bytes += chunk.len(),
                    _ => reads.push((stamp, chunk.len())),
                })
                .await;
            assert!(matches!(received.end, End::Enough), "{http:?} {most}: {received:?}");
            assert!(reads.is_sorted(), "{http:?} {most}");
            let bytes: Vec<_> = reads.into_iter().map(|(_, bytes)| bytes).collect();
            let expected = completed(http, &sent, &ends.lock().unwrap());
            assert_eq!(bytes, expected, "{http:?} in reads of {most}");
        }
    }
}

//! One socket read per turn: each chunk carries the timestamp of the read that completed it.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use bandprobe::{
    model::{probe::Deadlines, sample::HttpVersion},
    net::{
        body::{BodyEnd, BodyLimit},
        timing::Timing,
    },
};
use tokio::{io::ReadBuf, time::Instant};

use super::link::{BOTH, DATA, Eager, FRAME_HEADER, HEADERS, Script, ask, connect, frames};

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

/// Where the first byte of the head (HTTP/1.1) or the whole of it (HTTP/2) ends.
fn head(http: HttpVersion, bytes: &[u8]) -> usize {
    match http {
        HttpVersion::Http1 => 1,
        HttpVersion::Http2 => {
            let before = frames(bytes).take_while(|(kind, _)| *kind != HEADERS);
            let at: usize = before.map(|(_, length)| FRAME_HEADER + length).sum();
            at + FRAME_HEADER + frames(&bytes[at..]).next().unwrap().1
        }
    }
}

/// Everything has arrived, but each read takes time and returns few bytes: on the real clock, so that each has
/// another stamp. Where each read ended, and when it was about to return, goes to the log.
fn one_by_one(bytes: Vec<u8>, most: usize, log: Arc<Mutex<Vec<(usize, Instant)>>>) -> impl FnMut(&mut ReadBuf<'_>) {
    let mut read = 0;
    move |buf| {
        thread::sleep(Duration::from_micros(50));
        let end = bytes.len().min(read + most.min(buf.remaining()));
        buf.put_slice(&bytes[read..end]);
        if end > read {
            log.lock().unwrap().push((end, Instant::now()));
        }
        read = end;
    }
}

#[tokio::test]
async fn heads_and_chunks_carry_the_stamp_of_their_read() {
    for (size, most) in [(300, 5), (600_000, 1_000), (600_000, 16_393), (600_000, 50_000), (600_000, 600_000)] {
        for http in BOTH {
            let name = format!("{size} in reads of {most}, {http:?}");
            let mut script = Script::new(http);
            script.head(Duration::ZERO, size, 0);
            script.chunk(Duration::ZERO, 7);
            script.chunk(Duration::ZERO, size / 2);
            script.last(Duration::ZERO, size - size / 2 - 7);
            let log = Arc::new(Mutex::new(vec![]));
            let link = Eager::new(one_by_one(script.bytes(), most, log.clone()));
            let mut connection = connect(http, link).await;
            let mut timing = Timing::start(Instant::now());
            let deadlines = Deadlines::default();
            let mut answer = ask(&mut connection, &deadlines, &mut timing).await.unwrap();
            let mut chunks: Vec<(Instant, usize)> = vec![];
            let limit = BodyLimit { bytes: size as u64, body: deadlines.body, stall: deadlines.stall };
            let received = connection
                .receive(&mut answer, limit, |chunk, stamp, _| match chunks.last_mut() {
                    Some((last, bytes)) if *last == stamp => *bytes += chunk.len(),
                    _ => chunks.push((stamp, chunk.len())),
                })
                .await;
            assert!(matches!(received.end, BodyEnd::Enough), "{name}: {received:?}");
            assert!(chunks.is_sorted(), "{name}");

            let reads = log.lock().unwrap().clone();
            let (ends, times): (Vec<_>, Vec<_>) = reads.into_iter().unzip();
            let bytes: Vec<_> = chunks.into_iter().map(|(_, bytes)| bytes).collect();
            assert_eq!(bytes, completed(http, &script.bytes(), &ends), "{name}");
            let of_head = ends.partition_point(|&end| end < head(http, &script.bytes()));
            let first_byte = timing.last() + Duration::from_micros(1); // boundaries are rounded down
            assert!(times[of_head] <= first_byte, "{name}");
            assert!(times.get(of_head + 1).is_none_or(|next| first_byte < *next), "{name}");
        }
    }
}

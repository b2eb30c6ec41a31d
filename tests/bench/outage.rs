//! The worker of `tests/bench/outage`: the real pipeline, fed with numbered samples in place of probes.
//!
//! Its only argument is a config file. It reads commands from stdin, one command a line, and ends with its stdin:
//!
//! | command | does |
//! |---|---|
//! | `feed FIRST COUNT RATE` | hands over samples FIRST to FIRST + COUNT − 1 at RATE per second |
//! | `stop SECONDS` | ends as `bandprobe run` does, delivering for at most this long |
//!
//! It prints one line to stdout for each event: `handed FIRST LAST` before it hands samples over, `told ID` once the
//! pipeline reports that a sample is in the archive, `fed ID` after the last sample of a command, and finally
//! `stopped DELIVERED REJECTED LOST WAITING`.
//!
//! A sample's number is its `asset_id`, and its time is that many times 5 ms after a fixed one: 200
//! points a second by their own clock, one a second from each of 200 nodes, however fast they are fed.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "its reader is a script, which sees whatever goes wrong")]

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, BufRead},
    path::Path,
    thread,
    time::Duration,
};

use bandprobe::{
    config::check::{Input, load},
    model::{outcome::Outcome, sample::Sample},
    worker::{discovery::Discovery, pipeline::Pipeline},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

#[path = "../it/record/samples.rs"]
mod samples;

#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let path = env::args_os().nth(1).expect("usage: outage CONFIG");
    let environment = BTreeMap::new();
    let input = Input { path: Path::new(&path), environment: &environment, read: &|path| fs::read(path) };
    let config = load(&input).unwrap_or_else(|problems| panic!("{problems}"));
    let told = |sample: &Sample| println!("told {}", sample.trail.asset_id.as_deref().unwrap());
    let discovery = Discovery::load(&config).unwrap();
    let pipeline =
        Pipeline::start(&config, discovery, Box::new(move |sample| told(sample)), Box::new(|| Ok(None))).unwrap();
    let mut sink = pipeline.sink();
    let mut commands = commands();
    let mut patience = 0;
    while let Some(command) = commands.recv().await {
        let words: Vec<&str> = command.split_ascii_whitespace().collect();
        let number = |index: usize| words[index].parse::<u64>().unwrap();
        match words[0] {
            "feed" => feed(&mut sink, number(1), number(2), number(3)).await,
            "stop" => {
                patience = number(1);
                break;
            }
            other => panic!("no command: {other}"),
        }
    }
    let stopped = pipeline.stop(Duration::from_secs(patience), std::future::pending()).await;
    let drained = &stopped.drained;
    println!("stopped {} {} {} {}", drained.delivered, drained.rejected, stopped.lost, stopped.waiting);
    if let Some(reason) = &drained.reason {
        tracing::warn!("points are still waiting: {reason}");
    }
}

/// Hands samples over at a steady rate, and catches up when it is late.
async fn feed(sink: &mut impl FnMut(Sample), first: u64, count: u64, rate: u64) {
    let begun = Instant::now();
    let mut handed = 0;
    while handed < count {
        sleep_until(begun + Duration::from_nanos(handed * 1_000_000_000 / rate)).await;
        let due = u64::try_from(begun.elapsed().as_nanos()).unwrap() * rate / 1_000_000_000 + 1;
        let batch = (due - handed).clamp(1, MOST_AT_ONCE).min(count - handed);
        println!("handed {} {}", first + handed, first + handed + batch - 1);
        (first + handed..first + handed + batch).for_each(|id| sink(sample(id)));
        handed += batch;
    }
    println!("fed {}", first + count - 1);
}

/// One of every kind of point: mostly images, some videos, some failed.
fn sample(id: u64) -> Sample {
    let node = format!("node-{}", id % NODES);
    let time = i64::try_from(id * 1_000_000_000 / NODES).unwrap();
    let image = samples::image(&node, time, 20_000 + id % 5_000);
    let mut sample = match id % 20 {
        7 => samples::failed(image, Outcome::ConnectTimeout),
        11 => Sample { at: samples::at(time), labels: image.labels, ..samples::video() },
        _ => image,
    };
    sample.trail.asset_id = Some(id.to_string().into());
    sample
}

/// Lines of stdin, until its end.
fn commands() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    thread::spawn(move || io::stdin().lock().lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    receiver
}

/// Sources of one point a second each.
const NODES: u64 = 200;
/// Limits a batch, so that a machine that fell behind does not hand over seconds' worth at a time.
const MOST_AT_ONCE: u64 = 200;

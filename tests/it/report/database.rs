//! `report` gives the same result for a database and for the archive that filled it.

use bandprobe::{
    archive::log::Writer,
    config::InfluxDb,
    model::{flag::Flag, health::HealthState, outcome::Outcome},
    record::{line, transfer::transfer},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    day,
    health::{FLEET, point, rounds},
};
use crate::{
    influxd::{self, old},
    process::{World, bandprobe, sound},
    record::samples::{at, failed, image},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[test]
fn the_database_and_the_archive_give_the_same_report() {
    // 2.x and 1.8 are different programs with the same query language.
    let databases = [influxd::shared().map(influxd::Influxd::bucket), old::shared().map(influxd::Influxd::database)];
    databases.into_iter().flatten().for_each(|database| says_the_same(&database));
}

fn says_the_same(database: &InfluxDb) {
    let world = World::new(vec![sound("a")]);
    let more = "[report]\ntrace-url = 'https://apm.example/trace/{trace_id}'";
    let config = world.config("config.toml", Some(database), more);
    let config = config.to_str().unwrap();
    let mut writer = Writer::open(&world.archive()).unwrap();
    let (lines, count) = lines(Timestamp::now() - SignedDuration::from_mins(50));
    writer.append(Timestamp::now(), lines.as_bytes(), count).unwrap();
    writer.seal().unwrap();
    drop(writer);
    let flushed = bandprobe(&["spool", "flush", "-c", config]);
    assert_eq!(flushed.code, Some(0), "{}", flushed.stderr);

    let report = |more: &[&str]| {
        let ended = bandprobe(&[&["report", "-c", config, "--since", "2h", "--format", "json"], more].concat());
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        serde_json::from_str::<Value>(&ended.stdout).unwrap()
    };
    let archive = world.archive();
    let (database, archive) = (report(&[]), report(&["--archive", archive.to_str().unwrap()]));
    for part in ["nodes", "slowest", "states"] {
        assert_eq!(database[part], archive[part], "{part}");
    }
    let states = database["states"].as_array().unwrap();
    assert_eq!(states.len(), 6);
    for (node, worst) in
        [(&FLEET[0], "dead"), (&FLEET[2], "misconfigured"), (&FLEET[4], "dead"), (&FLEET[5], "blocked")]
    {
        let state = states.iter().find(|state| state["node"] == node.node).unwrap();
        assert_eq!(state["worst_state"], worst, "{}", node.node);
    }
    let slowest = database["slowest"].as_array().unwrap();
    assert!(slowest.iter().any(|one| one["trace_url"] == format!("https://apm.example/trace/{TRACE}")), "{slowest:?}");
}

/// The day of transfers and the rounds of states, moved to begin at `start`.
fn lines(start: Timestamp) -> (String, u64) {
    let mut samples = day();
    let mut traced = [image("fra1", 500, 950_000), failed(image("fra1", 501, 1), Outcome::Http5xx)];
    traced.iter_mut().for_each(|sample| sample.trail.trace_id = Some(TRACE.into()));
    samples.extend(traced);
    let mut slow = image("slow1", 502, 120_000);
    slow.flags.raise(Flag::TooSlow);
    samples.extend([image("slow1", 503, 90_000), slow]);
    let moved = |time: Timestamp| start + time.duration_since(at(0));
    let mut text = String::new();
    let mut rounds = rounds();
    rounds.extend([point(&FLEET[4], 6, HealthState::Dead), point(&FLEET[5], 7, HealthState::Blocked)]);
    let count = (samples.len() + rounds.len()).try_into().unwrap();
    for mut sample in samples {
        sample.at = moved(sample.at);
        line::encode(&transfer(&sample), &mut text);
    }
    for point in rounds {
        let mut one = String::new();
        line::encode(&point, &mut one);
        let (body, _) = one.trim_end().rsplit_once(' ').unwrap();
        text += &format!("{body} {}\n", line::nanoseconds(moved(point.time())));
    }
    (text, count)
}

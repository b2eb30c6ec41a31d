//! One fetch a day detects a node that holds nothing and cannot fetch from storage. All workers on the archive know the
//! result.

use std::fs;

use bandprobe::{
    archive::reader,
    config::Dialect,
    demo::fleet::{Member, NodeCondition},
};

use super::{
    super::{Child, command, objects, until},
    Registered, tag, text,
};

const REASON: &str = "cannot fetch from storage: status 500: Failed to download object ";

impl Registered {
    /// A worker that makes runs and rounds every second.
    fn hurried_worker(&self) -> Child {
        let hurried = r#"{ probe = "image", every = "1s" }, { probe = "status", every = "1s" }"#;
        let text = self.text().replace(r#""image", "video", "status""#, hurried);
        let config = self.dir.path().join("hurried.toml");
        fs::write(&config, text.replace("[schedule]", "[schedule]\nspacing = \"fixed\"")).unwrap();
        Child::spawn(&mut command(&["run", "-c", config.to_str().unwrap()]))
    }

    /// A worker that makes rounds alone.
    fn asking_worker(&self) -> Child {
        let text = self.text().replace(r#""image", "video", "status""#, r#"{ probe = "status", every = "1s" }"#);
        let config = self.dir.path().join("asking.toml");
        fs::write(&config, text).unwrap();
        Child::spawn(&mut command(&["run", "-c", config.to_str().unwrap()]))
    }

    fn lines(&self) -> Vec<String> {
        let archive = self.dir.path().join("bandprobe-data");
        if !archive.is_dir() {
            return vec![];
        }
        reader::lines(&archive, None).unwrap().map(Result::unwrap).collect()
    }
}

/// What was fetched from a node.
fn fetched(member: &Member) -> usize {
    member.seen().iter().filter(|seen| seen.method == "GET" && seen.path.contains("/assets/")).count()
}

fn stop(worker: Child) -> String {
    worker.signal("TERM");
    let ended = worker.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stderr
}

#[test]
fn a_node_that_cannot_fetch_is_found_out_by_one_fetch_a_day() {
    let registered = Registered::new(Dialect::Orion);
    let starved = registered.condition(NodeCondition::Starved)[0];
    let of_starved = |line: &&String| line.contains(&format!(",node={},", tag(starved)));
    let degraded = format!("degraded: {REASON}");
    // One that finds it out, and one next to it, which makes no run.
    let (finder, next_to_it) = (registered.hurried_worker(), registered.asking_worker());
    for worker in [&finder, &next_to_it] {
        let told = worker.wait_for(&degraded);
        assert!(told.contains(&tag(starved)), "{told}");
    }
    assert!(registered.lines().iter().filter(of_starved).any(|line| line.contains(REASON)));
    // Many more runs find nothing.
    let seen = starved.seen().len();
    until("more runs", || starved.seen().len() > seen + 60);
    stop(finder);
    stop(next_to_it);
    assert_eq!(fetched(starved), 1);

    // After a restart it is known from the first round on.
    let again = registered.hurried_worker();
    again.wait_for(&degraded);
    let seen = starved.seen().len();
    until("more runs", || starved.seen().len() > seen + 30);
    assert!(!stop(again).contains("ok again"));
    let ended = registered.run(&["once", "--json", "--probe", "status"]);
    let points = objects(&ended.stdout);
    let state = points.iter().find(|point| text(point, "node") == tag(starved)).unwrap();
    assert_eq!(text(state, "state"), "degraded");
    assert!(text(state, "reason").starts_with(REASON), "{state:?}");
    assert_eq!(fetched(starved), 1);

    let lines = registered.lines();
    let cold = lines.iter().filter(|line| line.starts_with("bandprobe_transfer,") && line.contains("probe=cold-cache"));
    let cold: Vec<_> = cold.collect();
    assert!(cold.len() == 2 && cold.iter().all(|line| of_starved(line) && !line.contains("hit=")), "{cold:?}");
    assert_eq!(registered.fleet.fetches(), [].into(), "nobody else was made to fetch anything");
}

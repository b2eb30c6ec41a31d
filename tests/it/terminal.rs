//! What a person sees: the binary on a real pseudo-terminal.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use bandprobe::{
    archive::log::Writer,
    config::{InfluxDb, Secret},
    demo::{Behaviour, IMAGE_ID, NodePlan, VIDEO_ID},
    model::units::BitRate,
};

mod flush;
mod pty;

use crate::process::{World, sound};
use pty::{Seen, Terminal};

const UTF_8: (&str, &str) = ("LANG", "C.UTF-8");

/// A node whose link makes a video slow enough to draw.
fn limited() -> NodePlan {
    NodePlan { link: Some(BitRate(20_000_000)), ..sound("limited") }
}

/// A node that answers late, so that a round takes longer than one redraw.
fn slow(id: &'static str) -> NodePlan {
    NodePlan { behaviour: Behaviour::SlowBackEnd(Duration::from_millis(300)), ..sound(id) }
}

fn probe(world: &World, asset: &str, terminal: Terminal) -> Seen {
    let url = format!("{}api/v1/assets/{asset}", world.demo.nodes()[0].endpoint);
    terminal.run(&["probe", &url, "--range", "0-1048575"])
}

#[test]
fn a_probe_fits_narrow_and_wide_terminals() {
    let world = World::new(vec![limited()]);
    let mut widest = Vec::new();
    for columns in [40, 80, 200] {
        let seen = probe(&world, VIDEO_ID, Terminal::new(columns, 50).with(UTF_8));
        assert_eq!(seen.code, Some(0), "{}", seen.screen());
        for words in ["wait", "receive", "goodput over time", "peak", "ttfb", "longest gap", "│", "└┬"] {
            assert!(seen.screen().contains(words), "{columns}: {words}\n{}", seen.screen());
        }
        let longest = seen.plain().lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= columns.into(), "{columns}: {longest}\n{}", seen.plain());
        widest.push(longest);
    }
    assert!(widest[0] > 30 && widest[1] > 70 && widest[2] > 120, "the room is used: {widest:?}");
}

#[test]
fn a_failed_probe_fits_too() {
    let world = World::new(vec![limited()]);
    let missing = format!("{}api/v1/assets/999", world.demo.nodes()[0].endpoint);
    for (url, words) in [
        ("http://127.0.0.1:1/", &["connect_refused", "✗", "→ check the port"][..]),
        (&missing, &["object_not_found", "status 404", "does not exist"]),
    ] {
        let seen = Terminal::new(40, 50).with(UTF_8).run(&["probe", url]);
        assert_eq!(seen.code, Some(3));
        let longest = seen.plain().lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(40), "{}", seen.plain());
        let text = String::from_utf8(seen.bytes).unwrap();
        assert!(text.contains("\u{1b}[31m"), "failures are red: {text}");
        let unbroken = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(unbroken.contains(word), "{word}: {text}");
        }
    }
}

#[test]
fn colour_is_for_terminals_that_want_it() {
    let world = World::new(vec![limited()]);
    let terminal = || Terminal::new(80, 50).with(UTF_8);
    for (terminal, coloured) in
        [(terminal(), true), (terminal().with(("NO_COLOR", "1")), false), (terminal().with(("TERM", "dumb")), false)]
    {
        let seen = probe(&world, VIDEO_ID, terminal);
        assert_eq!(seen.bytes.contains(&0x1b), coloured, "{}", seen.screen());
        let text = String::from_utf8(seen.bytes).unwrap();
        // The node waits, then the body arrives.
        assert_eq!(text.contains("\u{1b}[35m█") && text.contains("\u{1b}[32m█"), coloured, "{text}");
    }
}

#[test]
fn a_locale_without_utf_8_gets_ascii() {
    let world = World::new(vec![limited()]);
    let config = world.config("here.toml", None, "");
    let config = config.to_str().unwrap();
    let archive = world.archive();
    let url = format!("{}api/v1/assets/{IMAGE_ID}", world.demo.nodes()[0].endpoint);
    for (args, words) in [
        (&["once", "-c", config][..], "goodput p50"),
        (&["report", "--archive", archive.to_str().unwrap()], "n: number of values"),
        (&["targets", "-c", config], "1 image, 1 video"),
        (&["probe", &url], "total"),
        (&["check", "-c", config], "is valid."),
        (&["probe", "http://127.0.0.1:1/"], "connect_refused"),
        (&["check", "-c", "/no/such/file"], "the config is invalid"),
    ] {
        let seen = Terminal::new(80, 50).with(("LC_ALL", "C")).run(args);
        assert!(seen.screen().contains(words), "{args:?}: {}", seen.screen());
        assert!(seen.bytes.is_ascii(), "{args:?}: {}", seen.plain());
    }
    let without = Terminal::new(80, 50).run(&["probe", &url]);
    assert!(without.bytes.is_ascii(), "no locale is that of C: {}", without.plain());
    let seen = Terminal::new(80, 50).with(UTF_8).run(&["probe", &url]);
    assert!(!seen.bytes.is_ascii(), "blocks where they can be shown");
}

#[test]
fn a_round_shows_every_node_and_leaves_only_the_table() {
    let world = World::new(vec![slow("near"), slow("far-away")]);
    let config = world.config("here.toml", None, "");
    for columns in [40, 80] {
        let seen = Terminal::new(columns, 60).with(UTF_8).run(&["once", "-c", config.to_str().unwrap()]);
        assert_eq!(seen.code, Some(0), "{}", seen.screen());
        let live = |words: &[&str]| {
            seen.screens().any(|screen| screen.lines().any(|line| words.iter().all(|word| line.contains(word))))
        };
        assert!(live(&["near", "0/2"]) && live(&["far-away", "0/2"]), "a line a node");
        assert!(live(&["near", "image"]) && live(&["far-away", "image"]), "with its last result");
        assert!(live(&["/4 runs", "transfer"]), "and one for all");
        let screen = seen.screen();
        assert!(screen.starts_with("downloads, seen from here\n"), "nothing remains above the table:\n{screen}");
        assert!(!screen.contains("/4 runs") && !screen.contains("waiting"), "{screen}");
        assert!(screen.contains("results are in"), "{screen}");
        assert!(!seen.is_wrapped(), "{screen}");
    }
}

#[test]
fn nodes_that_do_not_fit_share_one_line() {
    let world = World::new(vec![slow("a1"), slow("a2"), slow("a3"), slow("a4")]);
    let config = world.config("here.toml", None, "");
    for (rows, fits) in [(7, true), (6, false)] {
        let seen = Terminal::new(80, rows).with(UTF_8).run(&["once", "-c", config.to_str().unwrap()]);
        assert_eq!(seen.code, Some(0), "{}", seen.screen());
        assert!(seen.screens().any(|screen| screen.contains("/8 runs")));
        assert_eq!(seen.screens().any(|screen| screen.contains("waiting")), fits);
    }
}

#[test]
fn logs_stay_whole_next_to_progress() {
    let world = World::new(vec![slow("near")]);
    let database = InfluxDb::new("http://127.0.0.1:1/".parse().unwrap(), "o", "b", Secret::new("t"));
    let config = world.config("here.toml", Some(&database), "");
    // Old enough to be delivered during a heavy transfer.
    let mut writer = Writer::open(&world.archive()).unwrap();
    writer.append("2026-11-21T10:00:00Z".parse().unwrap(), b"m v=1i 1\n", 1).unwrap();
    writer.seal().unwrap();
    let seen = Terminal::new(200, 60).with(UTF_8).run(&["once", "-c", config.to_str().unwrap()]);
    let screen = seen.screen();
    for words in ["/2 runs", "delivering"] {
        assert!(seen.screens().any(|screen| screen.contains(words)), "{words}: {screen}");
    }
    let logged = screen.lines().take_while(|line| !line.starts_with("downloads, seen from here"));
    let logged: Vec<_> = logged.collect();
    assert!(!logged.is_empty() && logged.iter().all(|line| line.contains("delivery is waiting")), "{screen}");
    assert!(screen.contains(" points are waiting in "), "{screen}");
}

#[test]
fn json_stays_whole_next_to_progress() {
    let world = World::new(vec![slow("near")]);
    let config = world.config("here.toml", None, "");
    let seen = Terminal::new(4_000, 50).with(("LC_ALL", "C")).run(&["once", "-c", config.to_str().unwrap(), "--json"]);
    let objects: Vec<_> = seen.screen().lines().filter(|line| line.starts_with('{')).map(str::to_owned).collect();
    // Two checks, two images, three parts of a video.
    assert_eq!(objects.len(), 7, "{}", seen.screen());
    for object in objects {
        let value: serde_json::Value = serde_json::from_str(&object).unwrap();
        assert_eq!(value["node"], "near");
    }
}

#[test]
fn without_a_terminal_there_is_no_progress() {
    let world = World::new(vec![slow("near")]);
    let config = world.config("here.toml", None, "");
    let ended = crate::process::bandprobe(&["once", "-c", config.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.starts_with("bandprobe: results are in"), "{}", ended.stderr);
}

#[test]
fn the_narrowest_terminal_still_gets_every_figure() {
    let world = World::new(vec![limited()]);
    for columns in [1, 3, 15, 24, 39] {
        let seen = probe(&world, VIDEO_ID, Terminal::new(columns, 60).with(UTF_8));
        assert_eq!(seen.code, Some(0), "{columns}");
        let words: String = seen.plain().split_whitespace().collect();
        assert!(words.contains("goodput") && words.contains("Mbit/s"), "{columns}: {words}");
        assert!(!words.contains('│'), "a picture that has no room is left out: {words}");
    }
}

#[test]
fn the_demo_fits_a_narrow_terminal_without_utf_8() {
    let dir = tempfile::TempDir::new().unwrap();
    let archive = dir.path().join("kept");
    let args = ["demo", "--duration", "2s", "--archive", archive.to_str().unwrap()];
    let seen = Terminal::new(40, 100).with(("LC_ALL", "C")).run(&args);
    assert_eq!(seen.code, Some(0), "{}", seen.screen());
    assert!(seen.bytes.is_ascii(), "{}", seen.plain());
    assert!(seen.screens().any(|screen| screen.contains("/2 s")), "the time is shown");
    let screen = seen.screen();
    let (above, below) = screen.split_once("\ndownloads, seen from demo\n").unwrap_or_else(|| panic!("{screen}"));
    assert!(above.starts_with("6 nodes on loopback, probed for 2 s:\n"), "{screen}");
    assert!(!above.contains("/2 s") && !above.contains("waiting"), "nothing remains of the progress: {screen}");
    let table: Vec<_> = below.lines().take_while(|line| !line.is_empty()).collect();
    assert!(table.len() > 6 && table.iter().all(|line| line.len() <= 40), "{screen}");
}

//! `bandprobe spool flush` and `bandprobe spool list` as a person sees them.

use std::{fs, time::Duration};

use super::{UTF_8, pty::Terminal};
use crate::process::spool::{
    empty,
    flush::{STORED, scripted},
    seal,
};

#[test]
fn a_flush_shows_its_progress_and_leaves_only_its_summary() {
    for (columns, locale, has_bar) in [(40, UTF_8, false), (100, UTF_8, true), (100, ("LC_ALL", "C"), true)] {
        let world = empty();
        for second in 0..3 {
            seal(&world.archive(), &format!("2026-11-22T10:00:0{second}Z"), "m v=1i 1\nm v=2i 2\n");
        }
        // Longer than the time between two redraws.
        let (database, _requests) = scripted(Duration::from_millis(300), vec![STORED; 3]);
        let config = world.config("here.toml", Some(&database), "");
        let seen = Terminal::new(columns, 20).with(locale).run(&["spool", "flush", "-c", config.to_str().unwrap()]);
        let screen = seen.screen();
        assert_eq!(seen.code, Some(0), "{screen}");
        let shown: Vec<_> = seen.screens().filter(|screen| screen.contains("/6 points")).collect();
        let live = |words: &[&str]| shown.iter().any(|screen| words.iter().all(|word| screen.contains(word)));
        assert!(live(&["0/6 points"]) && live(&["4/6 points", "2 files", " left"]), "{columns}: {shown:#?}");
        assert_eq!(live(&["━"]) || live(&["=>"]), has_bar, "{shown:#?}");
        assert!(shown.iter().all(|screen| screen.trim_end().lines().count() == 1), "one line: {shown:#?}");
        assert!(locale == UTF_8 || seen.bytes.is_ascii(), "{screen}");
        assert!(screen.starts_with("6 points in 3 files delivered to"), "nothing remains above: {screen}");
        assert!(!screen.contains("/6 points") && !seen.is_wrapped(), "{screen}");
    }
}

#[test]
fn refused_lines_are_cut_at_the_width_of_the_terminal() {
    let world = empty();
    let config = world.config("here.toml", None, "");
    let line = format!("m,node=a v=\"{}\" 1", "long ".repeat(40));
    let rejected = world.archive().join("rejected");
    bandprobe::archive::create(&world.archive()).unwrap();
    fs::write(rejected.join("a.lp"), format!("# no \u{1b}[31mred\n{line}\n# {}\nm v=1i 1\n", "why ".repeat(30)))
        .unwrap();
    let seen = Terminal::new(60, 20).with(UTF_8).run(&["spool", "list", "-c", config.to_str().unwrap()]);
    let screen = seen.screen();
    assert!(seen.code == Some(0) && !seen.is_wrapped(), "{screen}");
    assert!(!seen.bytes.contains(&0x1b) && seen.plain().contains("  no \u{fffd}[31mred\r\n"), "{screen}");
    let cut = format!("\n    {}…\n", &line[..55]);
    assert!(screen.contains(&cut), "{screen}");
    assert!(screen.matches("why").count() == 30, "each reason is printed in full: {screen}");
}

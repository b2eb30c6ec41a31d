//! `bandprobe demo --fleet --serve`: a fleet that is found through its registry.

use std::path::Path;

use bandprobe::config::Dialect;
use tempfile::TempDir;

use super::{Child, bandprobe, command, serve::commands};

const NAMES: [&str; 19] = [
    "storage-0",
    "storage-1",
    "paris",
    "virginia",
    "singapore",
    "sao-paulo",
    "tokyo",
    "helsinki",
    "nairobi",
    "oregon",
    "warsaw",
    "lagos",
    "sydney",
    "inside",
    "invited",
    "unknown",
    "dublin",
    "cairo",
    "mumbai",
];

/// Starts it in a directory, with its config in a file, and reads its output up to the last hint.
fn serve(root: &TempDir, args: &[&str]) -> (Child, String) {
    let mut command = command(&["demo", "--fleet", "--serve", "-o", "fleet.toml"]);
    let mut child = Child::spawn(command.args(args).current_dir(root.path()));
    let mut said = String::new();
    while !said.contains(" probe http") {
        said += &child.line().unwrap_or_else(|| panic!("no hint: {said}"));
    }
    (child, said)
}

fn run_in(dir: &Path, args: &[&str]) -> super::Ended {
    Child::spawn(command(args).current_dir(dir)).end()
}

#[test]
fn the_served_fleet_works_in_each_dialect() {
    for dialect in Dialect::ALL {
        let root = TempDir::new().unwrap();
        let (served, said) = serve(&root, &["--dialect", dialect.label()]);
        assert!(NAMES.iter().all(|name| said.contains(&format!("\n  {name} "))), "{said}");
        let commands = commands(&said);
        let names: Vec<_> = commands.iter().map(|words| words[0]).collect();
        assert_eq!(names, ["check", "targets", "once", "run", "probe"], "{said}");
        for words in [&commands[0], &commands[4]] {
            let ended = run_in(root.path(), words);
            assert_eq!(ended.code, Some(0), "{words:?}: {ended:?}");
        }
        served.signal("INT");
        assert_eq!(served.end().code, Some(0));
    }
}

#[test]
fn a_dialect_is_one_of_a_fleets_registry() {
    for (args, words) in [(&["--dialect", "orion"][..], "--fleet"), (&["--fleet", "--dialect", "sql"], "storage-squid")]
    {
        let ended = bandprobe(&[&["demo"], args].concat());
        assert!(ended.code == Some(2) && ended.stderr.contains(words), "{args:?}: {ended:?}");
    }
}

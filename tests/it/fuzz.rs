//! The fuzz targets on stable: every input of the corpora in `tests/data/fuzz`, and some mutants of each.
//!
//! `tests/fuzz` makes programs for `cargo fuzz` out of the same modules; its `run` searches for hours where this test takes
//! seconds. An input that broke something belongs in the corpus of its target, under a name that says what it is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use self::mutant::Mutator;
use crate::{probe as consistent, rounds};

mod chunks;
mod files;
mod frames;
mod heads;
mod lines;
mod mutant;
mod node;
mod reference;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 5] = [
    ("archive_files", files::archive_files),
    ("chunked_bodies", chunks::chunked_bodies),
    ("h2_frames", frames::h2_frames),
    ("record_lines", lines::record_lines),
    ("response_heads", heads::response_heads),
];

/// The inputs of a target, in the order of their names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fuzz").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut inputs: Vec<_> = paths
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    inputs.sort();
    assert!(inputs.len() >= 20, "{}: {} inputs", folder.display(), inputs.len());
    inputs
}

/// Runs one input, and says which when it fails.
fn run(target: Target, name: &str, input: &[u8]) {
    let held = catch_unwind(AssertUnwindSafe(|| target(input)));
    assert!(held.is_ok(), "{name}: b\"{}\"", input.escape_ascii());
}

fn hold(wanted: &str, mutants: u32) {
    let (name, target) = TARGETS.into_iter().find(|(name, _)| *name == wanted).unwrap();
    let inputs = corpus(name);
    inputs.iter().for_each(|(file, input)| run(target, file, input));
    let mut mutator = Mutator::new(&inputs);
    for _ in 0..rounds(mutants, 100 * mutants) {
        let (file, mutant) = mutator.next();
        run(target, &format!("a mutant of {file}"), &mutant);
    }
}

#[test]
fn any_answer_of_http1_has_its_outcome() {
    hold("response_heads", 500);
}

#[test]
fn chunks_are_counted_to_the_byte() {
    hold("chunked_bodies", 500);
}

#[test]
fn any_frames_of_http2_have_their_outcome() {
    hold("h2_frames", 500);
}

#[test]
fn any_file_of_the_archive_is_read_for_what_it_holds() {
    hold("archive_files", 100);
}

#[test]
fn any_line_is_a_point_or_none() {
    hold("record_lines", 500);
}

/// What is searched is replayed, and the other way round.
#[test]
fn every_target_is_a_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    if !folder.exists() {
        return; // in a published package, which has no further packages in it
    }
    let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
    let programs = manifest["bin"].as_array().unwrap().iter().map(|bin| bin["name"].as_str().unwrap());
    assert_eq!(programs.collect::<Vec<_>>(), TARGETS.map(|(name, _)| name));
}

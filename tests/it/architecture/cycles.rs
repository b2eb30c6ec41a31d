//! Modules next to each other that import each other.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, named_paths};

/// The imports between the modules below one parent: each with a file that has it.
type Edges = BTreeMap<(String, String), String>;

/// Accepted cycles: (parent, their modules or nothing for all of them, why).
const EXCEPTIONS: [(&str, &[&str], &str); 3] = [
    ("config/check", &["probe", "status"], "a status probe is one of the probes, and inherits like them"),
    ("config/file", &["section", "value"], "a section reads values, and a table is a value"),
    ("demo", &[], "not untangled yet"),
];

/// A module and its neighbours may import each other's items in one direction only: a type that both need belongs into a
/// file of its own.
pub(super) fn cycles(sources: &[Source]) -> Vec<String> {
    let modules: BTreeSet<&str> = sources.iter().map(Source::module).collect();
    let mut parents: BTreeMap<String, Edges> = BTreeMap::new();
    for source in sources {
        let own: Vec<&str> = source.module().split('/').collect();
        for (line, path) in named_paths(source) {
            let other = deepest(&modules, &path);
            let shared = own.iter().zip(&other).take_while(|(a, b)| **a == b.as_str()).count();
            if let (Some(from), Some(to)) = (own.get(shared), other.get(shared)) {
                let edges = parents.entry(own[..shared].join("/")).or_default();
                edges.entry(((*from).to_owned(), to.clone())).or_insert_with(|| format!("{}:{line}", source.path));
            }
        }
    }
    parents.iter().flat_map(|(parent, edges)| in_cycles(parent, edges)).collect()
}

fn in_cycles(parent: &str, edges: &Edges) -> Vec<String> {
    let is_accepted = |module: &String| {
        let lists = |modules: &[&str]| modules.is_empty() || modules.contains(&module.as_str());
        EXCEPTIONS.iter().any(|(of, modules, _)| *of == parent && lists(modules))
    };
    let circular =
        edges.iter().filter(|((from, to), _)| reaches(edges, to, from) && !(is_accepted(from) && is_accepted(to)));
    let message = |((from, to), place): (&(String, String), &String)| {
        format!(
            "{place}: `{from}` imports `{to}`, which imports `{from}` in turn: move what both need into a file of its own"
        )
    };
    circular.map(message).collect()
}

fn reaches(edges: &Edges, from: &str, to: &str) -> bool {
    let (mut seen, mut next) = (BTreeSet::from([from]), vec![from]);
    while let Some(module) = next.pop() {
        if module == to {
            return true;
        }
        next.extend(
            edges.keys().filter(|(from, _)| from == module).map(|(_, to)| to.as_str()).filter(|to| seen.insert(to)),
        );
    }
    false
}

/// The longest beginning of a path that is a module.
fn deepest(modules: &BTreeSet<&str>, path: &[String]) -> Vec<String> {
    let is_module = |length: &usize| modules.contains(path[..*length].join("/").as_str());
    let length = (1..=path.len()).take_while(is_module).last().unwrap_or(0);
    path[..length].to_vec()
}

#[test]
fn neighbouring_modules_do_not_import_each_other() {
    let broken = cycles(&super::sources("src"));
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn a_cycle_is_found_and_a_chain_is_none() {
    let check = |files: &[(&str, &str)], expected: usize| {
        let source = |(path, text): &(&str, &str)| Source { path: (*path).to_owned(), text: (*text).to_owned() };
        let broken = cycles(&files.iter().map(source).collect::<Vec<_>>());
        assert_eq!(broken.len(), expected, "{files:?}: {broken:?}");
    };
    let parent = ("src/a.rs", "mod b;\nmod c;\nmod d;\nuse self::b::B;");
    check(&[parent, ("src/a/b.rs", "use super::c::C;"), ("src/a/c.rs", "use super::{d, A};"), ("src/a/d.rs", "")], 0);
    check(&[parent, ("src/a/b.rs", "use super::c::C;"), ("src/a/c.rs", "use crate::a::{x, b::{self, B}};")], 2);
    let far = ("src/a/d/e.rs", "fn f() { super::super::b::g() }");
    check(&[parent, ("src/a/b.rs", "use super::c;"), ("src/a/c.rs", "use super::d;"), ("src/a/d.rs", ""), far], 3);
    check(
        &[parent, ("src/a/b.rs", "#[cfg(test)]\nmod tests { use super::super::c; }"), ("src/a/c.rs", "use super::b;")],
        0,
    );
}

//! Environment variables that lie over the file.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use super::super::problem::{Place, Problem};

/// What every variable of ours starts with.
const PREFIX: &str = "BANDPROBE_";

/// Variables of ours that are no keys of the file: the tests' server and whether it must be there, the build's cache, the
/// log filter.
const NOT_KEYS: [&str; 4] = ["BANDPROBE_INFLUXD", "BANDPROBE_REQUIRE_INFLUXD", "BANDPROBE_CACHE", "BANDPROBE_LOG"];

/// The variables of the process that are ours, and which of them were asked for.
pub(in super::super) struct Environment<'a> {
    variables: Option<&'a BTreeMap<String, String>>,
    asked: RefCell<BTreeSet<String>>,
}

impl<'a> Environment<'a> {
    /// These variables; others than ours are ignored.
    pub(in super::super) fn new(variables: &'a BTreeMap<String, String>) -> Self {
        Self { variables: Some(variables), asked: RefCell::default() }
    }

    /// None: for probe files, which the environment does not reach.
    pub(in super::super) fn none() -> Self {
        Self { variables: None, asked: RefCell::default() }
    }

    /// The name and text of the variable for a key of a top-level section, where it is set.
    pub(super) fn variable(&self, section: &str, key: &str) -> Option<(String, &'a str)> {
        let name = format!("{PREFIX}{section}_{key}").to_uppercase().replace('-', "_");
        let text = self.variables?.get(&name).map(String::as_str);
        self.asked.borrow_mut().insert(name.clone());
        Some((name, text?))
    }

    /// Is any variable for this section set?
    pub(super) fn reaches(&self, section: &str) -> bool {
        let prefix = format!("{PREFIX}{section}_").to_uppercase().replace('-', "_");
        self.variables.is_some_and(|variables| variables.keys().any(|name| name.starts_with(&prefix)))
    }

    /// A problem for each variable of ours that is no key.
    pub(super) fn unused(&self, problems: &RefCell<Vec<Problem>>) {
        let asked = self.asked.borrow();
        let names = self.variables.into_iter().flat_map(BTreeMap::keys).filter(|name| name.starts_with(PREFIX));
        for name in names.filter(|name| !asked.contains(*name) && !NOT_KEYS.contains(&name.as_str())) {
            let hint = super::section::nearest(name, asked.iter().map(String::as_str));
            problems.borrow_mut().push(Problem {
                place: Place { origin: name.clone(), line: None, key: String::new() },
                message: "no such environment variable".to_owned(),
                hint: hint.map(|near| format!("did you mean `{near}`?")),
            });
        }
    }
}

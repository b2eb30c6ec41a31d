//! Environment variables that lie over the file.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use super::super::problem::{Place, Problem};

/// What every variable of ours starts with.
const PREFIX: &str = "BANDPROBE_";

/// The variables of the process that are ours, which of them were asked for, and what those of a known section start with.
pub(in super::super) struct Environment<'a> {
    variables: Option<&'a BTreeMap<String, String>>,
    asked: RefCell<BTreeSet<String>>,
    sections: RefCell<BTreeSet<String>>,
}

impl<'a> Environment<'a> {
    /// These variables; others than ours are ignored.
    pub(in super::super) fn new(variables: &'a BTreeMap<String, String>) -> Self {
        Self { variables: Some(variables), asked: RefCell::default(), sections: RefCell::default() }
    }

    /// None: for probe files, which the environment does not reach.
    pub(in super::super) fn none() -> Self {
        Self { variables: None, asked: RefCell::default(), sections: RefCell::default() }
    }

    /// The name and text of the variable for a key of a top-level section, where it is set.
    pub(super) fn variable(&self, section: &str, key: &str) -> Option<(String, &'a str)> {
        let variables = self.variables?;
        let prefix = prefix(section);
        let name = format!("{prefix}{key}").to_uppercase().replace('-', "_");
        let text = variables.get(&name).map(String::as_str);
        self.sections.borrow_mut().insert(prefix);
        self.asked.borrow_mut().insert(name.clone());
        Some((name, text?))
    }

    /// Is any variable for this section set?
    pub(super) fn reaches(&self, section: &str) -> bool {
        let prefix = prefix(section);
        self.variables.is_some_and(|variables| variables.keys().any(|name| name.starts_with(&prefix)))
    }

    /// A problem for each variable of a known section that is no key. Others may be anybody's: the log filter, the tests'
    /// server, or what Kubernetes sets for a Service named bandprobe (`BANDPROBE_SERVICE_HOST`, `BANDPROBE_PORT_80_TCP`).
    pub(super) fn unused(&self, problems: &RefCell<Vec<Problem>>) {
        let (asked, sections) = (self.asked.borrow(), self.sections.borrow());
        let is_ours = |name: &str| sections.iter().any(|prefix| name.starts_with(prefix));
        let names = self.variables.into_iter().flat_map(BTreeMap::keys);
        for name in names.filter(|name| is_ours(name) && !asked.contains(*name)) {
            let hint = super::section::nearest(name, asked.iter().map(String::as_str));
            problems.borrow_mut().push(Problem {
                place: Place { origin: name.clone(), line: None, key: String::new() },
                message: "no such environment variable".to_owned(),
                hint: hint.map(|near| format!("did you mean `{near}`?")),
            });
        }
    }
}

/// What the variables of a section start with.
fn prefix(section: &str) -> String {
    format!("{PREFIX}{section}_").to_uppercase().replace('-', "_")
}

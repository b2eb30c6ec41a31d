//! Environment variables that override keys of the file.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use super::super::problem::{Problem, SourceLocation};

/// The prefix of all variables of bandprobe.
const PREFIX: &str = "BANDPROBE_";

/// The environment variables, the names that were asked for, and the prefixes of the known sections.
pub(in super::super) struct Environment<'a> {
    variables: Option<&'a BTreeMap<String, String>>,
    asked: RefCell<BTreeSet<String>>,
    sections: RefCell<BTreeSet<String>>,
}

impl<'a> Environment<'a> {
    /// Uses these variables. Those without the prefix are ignored.
    pub(in super::super) fn new(variables: &'a BTreeMap<String, String>) -> Self {
        Self { variables: Some(variables), asked: RefCell::default(), sections: RefCell::default() }
    }

    /// Uses no variables. For probe files, whose keys no variable overrides.
    pub(in super::super) fn none() -> Self {
        Self { variables: None, asked: RefCell::default(), sections: RefCell::default() }
    }

    /// The name and text of the variable for a key of a top-level section, if it is set.
    pub(super) fn variable(&self, section: &str, key: &str) -> Option<(String, &'a str)> {
        let variables = self.variables?;
        let prefix = prefix(section);
        let name = format!("{prefix}{key}").to_uppercase().replace('-', "_");
        let text = variables.get(&name).map(String::as_str);
        self.sections.borrow_mut().insert(prefix);
        self.asked.borrow_mut().insert(name.clone());
        Some((name, text?))
    }

    /// Whether any variable for this section is set.
    pub(super) fn reaches(&self, section: &str) -> bool {
        let prefix = prefix(section);
        let is_ours = |name: &String| name.starts_with(&prefix) && !is_of_a_service(name);
        self.variables.is_some_and(|variables| variables.keys().any(is_ours))
    }

    /// Adds a problem for each variable of a known section that is not a key. Other variables may have another purpose:
    /// the log filter, the tests' server, or what Kubernetes sets for a Service named `bandprobe` or
    /// `bandprobe-influxdb`.
    pub(super) fn unused(&self, problems: &RefCell<Vec<Problem>>) {
        let (asked, sections) = (self.asked.borrow(), self.sections.borrow());
        let is_ours = |name: &str| sections.iter().any(|prefix| name.starts_with(prefix));
        let names = self.variables.into_iter().flat_map(BTreeMap::keys);
        for name in names.filter(|name| is_ours(name) && !asked.contains(*name) && !is_of_a_service(name)) {
            let hint = super::section::nearest(name, asked.iter().map(String::as_str));
            problems.borrow_mut().push(Problem {
                place: SourceLocation { origin: name.clone(), line: None, key: String::new() },
                message: "no config key belongs to this environment variable".to_owned(),
                hint: hint.map(|near| format!("did you mean `{near}`?")),
            });
        }
    }
}

/// Whether the name ends like one of those that Kubernetes sets for each Service of the namespace: `*_SERVICE_HOST`,
/// `*_SERVICE_PORT`, `*_SERVICE_PORT_<name>`, `*_PORT`, or `*_PORT_<n>_TCP` and the names that extend it, and the same
/// for UDP and SCTP. A key whose variable ends like this still works, because keys are looked up first.
fn is_of_a_service(name: &str) -> bool {
    if name.ends_with("_SERVICE_HOST") || name.ends_with("_SERVICE_PORT") || name.contains("_SERVICE_PORT_") {
        return true;
    }
    let is_of_a_port = |rest: &str| {
        let mut words = rest.split('_');
        let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        words.next().is_some_and(is_number)
            && matches!(words.next(), Some("TCP" | "UDP" | "SCTP"))
            && matches!((words.next(), words.next()), (None, _) | (Some("PROTO" | "PORT" | "ADDR"), None))
    };
    name.ends_with("_PORT") || name.match_indices("_PORT_").any(|(at, word)| is_of_a_port(&name[at + word.len()..]))
}

/// The prefix of the variables of a section.
fn prefix(section: &str) -> String {
    format!("{PREFIX}{section}_").to_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_services_are_recognized_by_suffix() {
        for (name, expected) in [
            ("BANDPROBE_INFLUXDB_SERVICE_HOST", true),
            ("BANDPROBE_INFLUXDB_SERVICE_PORT", true),
            ("BANDPROBE_INFLUXDB_SERVICE_PORT_HTTP_API", true),
            ("BANDPROBE_NETWORK_PORT", true),
            ("BANDPROBE_ARCHIVE_V2_PORT_8086_TCP", true),
            ("BANDPROBE_LIMITS_PORT_53_UDP_ADDR", true),
            ("BANDPROBE_RECORD_PORT_9_SCTP_PROTO", true),
            ("BANDPROBE_INFLUXDB_PORT_8086_TCP_PORT", true),
            ("BANDPROBE_PORT_SERVICE_PORT_80_TCP", true),
            ("BANDPROBE_INFLUXDB_URL", false),
            ("BANDPROBE_INFLUXDB_PORT_X_TCP", false),
            ("BANDPROBE_INFLUXDB_PORT_80", false),
            ("BANDPROBE_INFLUXDB_PORT_80_TCP_X", false),
            ("BANDPROBE_INFLUXDB_PORT_80_TCP_ADDR_X", false),
            ("BANDPROBE_INFLUXDB_SERVICE", false),
            ("BANDPROBE_INFLUXDB_PORTS", false),
            ("BANDPROBE_NETWORK_SUPPORT", false),
        ] {
            assert_eq!(is_of_a_service(name), expected, "{name}");
        }
    }
}

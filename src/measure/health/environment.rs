//! `nodeEnv`: the environment that a node runs in.
//!
//! When it is not set, Argus sends it empty, and Colossus leaves it out. Nodes of 2023 do not send it at all. A node
//! that leaves it out is therefore judged only if its version is known to report it.

use crate::model::{
    health::{HealthState, StatusDocument},
    target::Profile,
};

use super::HealthProblem;

/// The problem with the environment of a node, if there is one.
pub(super) fn problem(document: &StatusDocument, profile: Profile) -> Option<HealthProblem> {
    let Some(env) = document.node_env.as_deref() else {
        let version = document.version.as_deref()?;
        let reported = version_of(version)? >= reported_since(profile)?;
        return reported.then(|| {
            let words = format!("nodeEnv is not set, though version {version} reports it: {SLOW}");
            (HealthState::Misconfigured, words)
        });
    };
    let is_production = env == PRODUCTION || (env == "prod" && profile == Profile::Argus);
    let words = if env.trim().is_empty() { "nodeEnv is empty".to_owned() } else { format!("nodeEnv is `{env}`") };
    (!is_production).then(|| (HealthState::Misconfigured, format!("{words}, not `{PRODUCTION}`: {SLOW}")))
}

/// The first version that is known to report `nodeEnv`.
const fn reported_since(profile: Profile) -> Option<[u64; 3]> {
    match profile {
        // Version 1.2.0 does not report it. Versions between 1.2.0 and 2.0.0 are not judged.
        Profile::Argus => Some([2, 0, 0]),
        Profile::Colossus => Some([3, 7, 1]),
        Profile::Http => None,
    }
}

/// The numbers of a version such as `2.1.2`, `v2.1.2-rc1` or `2.1`.
fn version_of(text: &str) -> Option<[u64; 3]> {
    let text = text.trim().trim_start_matches(['v', 'V']);
    let text = &text[..text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len())];
    let mut numbers = text.split('.');
    let major = numbers.next()?.parse().ok()?;
    let mut rest = || numbers.next().and_then(|number| number.parse().ok()).unwrap_or(0);
    Some([major, rest(), rest()])
}

/// The value that `nodeEnv` should have.
const PRODUCTION: &str = "production";
/// The consequence of any other value.
const SLOW: &str = "it serves slowly";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_production_is_production() {
        use Profile::{Argus, Colossus, Http};
        for (profile, version, env, expected) in [
            (Argus, Some("2.1.2"), Some("production"), None),
            (Argus, Some("2.1.2"), Some("prod"), None),
            (Colossus, Some("4.5.0"), Some("production"), None),
            (Colossus, Some("4.5.0"), Some("prod"), Some("nodeEnv is `prod`, not `production`: it serves slowly")),
            (Argus, Some("2.1.2"), Some(""), Some("nodeEnv is empty, not `production`: it serves slowly")),
            (Argus, None, Some(" "), Some("nodeEnv is empty, not `production`: it serves slowly")),
            (Argus, None, Some("Production"), Some("nodeEnv is `Production`, not `production`: it serves slowly")),
            (Argus, Some("2.1.2"), None, Some("nodeEnv is not set, though version 2.1.2 reports it: it serves slowly")),
            (
                Colossus,
                Some("4.5.0"),
                None,
                Some("nodeEnv is not set, though version 4.5.0 reports it: it serves slowly"),
            ),
            (Argus, Some("1.2.0"), None, None),
            (Colossus, Some("3.7.0"), None, None),
            (Argus, Some("unknown"), None, None),
            (Argus, None, None, None),
            (Http, Some("9.9.9"), None, None),
        ] {
            let (version, node_env) = (version.map(str::to_owned), env.map(str::to_owned));
            let found = problem(&StatusDocument { version, node_env, ..StatusDocument::default() }, profile);
            let words = expected.map(|words| (HealthState::Misconfigured, words.to_owned()));
            assert_eq!(found, words, "{profile:?} {env:?}");
        }
    }

    #[test]
    fn versions_are_read_as_far_as_they_go() {
        for (text, numbers) in [
            ("2.1.2", Some([2, 1, 2])),
            ("v3.7.1-rc.2", Some([3, 7, 1])),
            ("2", Some([2, 0, 0])),
            ("10.0.0", Some([10, 0, 0])),
            ("", None),
            ("dev", None),
            ("99999999999999999999.1", None),
        ] {
            assert_eq!(version_of(text), numbers, "{text}");
        }
    }
}

//! The status probe, which asks nodes for their status in rounds.

use super::{super::file::Section, Bounds, deadlines, probe::ProbeDefaults};
use crate::model::probe::{StatusProbe, Tolerance};

/// Reads a status probe. The caller has already read its kind.
pub(super) fn status(root: Section<'_>, name: &str, inherited: &ProbeDefaults) -> StatusProbe {
    let own = root.duration("every", Bounds::EVERY);
    let every = inherited.imposed.or(own).unwrap_or(inherited.every);
    let tolerance = tolerance(&root);
    let deadlines = deadlines(&root, inherited.deadlines);
    for key in ["asset", "parts", "cache", "weight", "min-rate"] {
        if root.has(key) {
            root.refuse_with(key, "is not used with kind `status`, which downloads nothing", "remove it");
        }
    }
    for key in ["spacing", "jitter"] {
        if root.has(key) {
            root.refuse_with(key, "is not used with kind `status`: its rounds come at fixed times", "remove it");
        }
    }
    root.done();
    StatusProbe { name: name.into(), every, deadlines, tolerance }
}

fn tolerance(root: &Section<'_>) -> Tolerance {
    let section = root.section("blocks");
    let usual = Tolerance::default();
    let behind = section.whole("behind", BLOCKS).unwrap_or(usual.behind);
    let ahead = section.whole("ahead", BLOCKS).unwrap_or(usual.ahead);
    section.done();
    Tolerance { behind, ahead }
}

/// At most a day of the chain's blocks: a node that is further away is on another chain.
const BLOCKS: std::ops::RangeInclusive<u64> = 0..=14_400;

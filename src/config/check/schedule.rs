//! `[schedule]`, and the probes that it names.

use std::time::Duration;

use super::{
    super::{
        file::{Document, ListItem, Section},
        problem::SourceLocation,
    },
    Bounds, EVERY, Input, SPACINGS, compatibility,
    probe::{self, Definition, MAX_PROBES, ProbeDefaults},
    source::Sources,
};
use crate::model::probe::{Deadlines, Probe, Spacing, StatusProbe};

/// One entry of the list: a name or path, optionally with an `every` that replaces the probe's own.
struct ProbeEntry {
    probe: String,
    every: Option<Duration>,
    place: SourceLocation,
}

/// The probes read so far.
#[derive(Default)]
struct Probes {
    probes: Vec<Probe>,
    status: Option<StatusProbe>,
}

/// The probes to run: those that download, and the one that asks nodes for their status.
pub(super) fn probes(
    document: &Document<'_>,
    schedule: Section<'_>,
    input: &Input<'_>,
    deadlines: Deadlines,
    nodes: &Sources,
) -> (Vec<Probe>, Option<StatusProbe>) {
    let every = schedule.duration("every", Bounds::EVERY).unwrap_or(EVERY);
    let is_memoryless = schedule.choice("spacing", &SPACINGS).unwrap_or(true);
    let jitter = schedule.duration("jitter", Bounds::JITTER);
    if !is_memoryless && jitter > Some(every) {
        schedule.refuse_with("jitter", "is longer than `every`", probe::CHANGE_PLACES);
    }
    let written = entries(&schedule);
    let is_default = written.is_none();
    let place = schedule.place("probes");
    let shipped =
        || probe::default_names().map(|name| ProbeEntry { probe: name.into(), every: None, place: place.clone() });
    let entries = written.unwrap_or_else(|| shipped().collect());
    schedule.done();
    let mut probes = Probes::default();
    for entry in entries {
        let inherited = ProbeDefaults { every, imposed: entry.every, is_memoryless, jitter, deadlines };
        let refuse = |message, hint: String| document.refuse(entry.place.clone(), message, Some(hint));
        match probe::load(input, &entry.probe, entry.place.clone(), &inherited) {
            Err(problems) => document.refuse_all(problems),
            Ok(definition) => match probes.clash(&definition, &entry) {
                Some((message, hint)) => refuse(message, hint),
                None => match definition {
                    Definition::Status(probe) => probes.status = Some(probe),
                    Definition::Downloads(probe) => match unfit(&probe, nodes) {
                        None => probes.probes.push(probe),
                        // A default probe is left out without an error. When a node is missing or was refused, that
                        // problem is reported instead.
                        Some(_) if is_default || nodes.nodes.is_empty() || !nodes.complete => {}
                        Some((message, hint)) => refuse(message, hint),
                    },
                },
            },
        }
    }
    (probes.probes, probes.status)
}

impl Probes {
    /// Why a probe conflicts with the previous probes or with its entry, and what to do about it.
    fn clash(&self, definition: &Definition, entry: &ProbeEntry) -> Option<(String, String)> {
        let (own, jitter) = match definition {
            Definition::Status(probe) => (&probe.name, None),
            Definition::Downloads(Probe { name, spacing: Spacing::Fixed { jitter }, .. }) => (name, Some(*jitter)),
            Definition::Downloads(probe) => (&probe.name, None),
        };
        let name = &entry.probe;
        let mut names = self.probes.iter().map(|probe| &probe.name).chain(self.status.iter().map(|probe| &probe.name));
        if names.any(|other| other == own) {
            let message = format!("`{name}` is the second probe with the name `{own}`");
            return Some((message, "rename its file, or remove it".to_owned()));
        }
        if matches!(definition, Definition::Status(_))
            && let Some(first) = &self.status
        {
            let message = format!("`{name}` is the second probe of kind `status`, after `{}`", first.name);
            return Some((message, "one covers all nodes: remove the other".to_owned()));
        }
        entry
            .every
            .filter(|every| Some(*every) < jitter)
            .map(|_| (format!("`every` is less than the jitter of probe `{name}`"), probe::CHANGE_PLACES.to_owned()))
    }
}

/// Why no node can be used by a probe, and what to do about it.
fn unfit(probe: &Probe, nodes: &Sources) -> Option<(String, String)> {
    let name = &probe.name;
    if !nodes.registries.is_empty() {
        return None; // their nodes are not known yet
    }
    if !compatibility::can_miss(probe, nodes) {
        let message = format!("probe `{name}` measures misses, and no node of profile `argus` has an asset for it");
        return Some((message, "other nodes do not report what they have cached: remove it".to_owned()));
    }
    if !compatibility::is_asked_for(probe, nodes) {
        let message = format!("no node has an asset of kind `{}` for probe `{name}`", probe.kind.label());
        return Some((message, format!("add one to a node, or remove `{name}`")));
    }
    None
}

/// The entries of `probes`; `None` when the key is not set.
fn entries(schedule: &Section<'_>) -> Option<Vec<ProbeEntry>> {
    let items = schedule.items("probes")?;
    if items.is_empty() && schedule.is_empty_list("probes") {
        schedule.refuse_with("probes", "is empty: there is nothing to do", "remove the key to use the default probes");
    } else if items.len() > MAX_PROBES {
        schedule.refuse("probes", format!("{} probes are too many: at most {MAX_PROBES} are allowed", items.len()));
    }
    Some(items.into_iter().take(MAX_PROBES).filter_map(entry).collect())
}

fn entry(item: ListItem<'_>) -> Option<ProbeEntry> {
    match item {
        ListItem::Text(probe, place) => Some(ProbeEntry { probe, every: None, place }),
        ListItem::Table(section) => {
            let named = section.parse("probe", |text| Ok::<_, String>(text.to_owned()));
            let probe = section.required("probe", named, "the name of a shipped probe, or the path of your own");
            let place = section.place("probe");
            let every = section.duration("every", Bounds::EVERY);
            section.done();
            Some(ProbeEntry { probe: probe?, every, place })
        }
    }
}

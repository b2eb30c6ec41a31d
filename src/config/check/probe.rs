//! Probe definitions: the shipped ones and the user's own files.

use std::{path::Path, sync::Arc, time::Duration};

use super::{
    super::{
        file::{self, Document, Environment, Section, nearest},
        problem::{Problem, SourceLocation},
    },
    Bounds, Input, deadlines, display_name, resolve, source,
    status::status,
    word,
};
use crate::model::{
    media_type::{MediaRange, MediaRangeError},
    probe::{CachePolicy, Deadlines, Extent, MIN_RATE, Part, PartName, Pick, Probe, Spacing, StatusProbe, Weight},
    target::AssetKind,
    units::{BitRate, Bytes},
};

/// The probes that are compiled in, as (name, text of the file).
const SHIPPED: [(&str, &str); 4] = [
    ("image", include_str!("../../../probes/image.toml")),
    ("video", include_str!("../../../probes/video.toml")),
    ("status", include_str!("../../../probes/status.toml")),
    ("cold-cache", include_str!("../../../probes/cold-cache.toml")),
];
/// Probes that run only when the configuration names them, because they cost the nodes more than their downloads.
const ONLY_BY_NAME: [&str; 1] = ["cold-cache"];
pub(super) const MAX_PROBES: usize = 100;
const MAX_PARTS: usize = 10;
const MAX_TYPES: usize = 20;
/// The reason why `jitter` must not exceed `every`.
pub(super) const CHANGE_PLACES: &str = "two runs against the same node could swap places";
/// The kinds of probes: one for each kind of asset that is downloaded, and `status`, which downloads nothing.
const KINDS: [(&str, Option<AssetKind>); 3] = [
    (AssetKind::Image.label(), Some(AssetKind::Image)),
    (AssetKind::Video.label(), Some(AssetKind::Video)),
    ("status", None),
];
/// Parts of at least this size get a rate, so they need the uplink to themselves (see [`crate::measure::goodput`]).
const RATED_FROM: Bytes = Bytes(1 << 20);

/// The probe that a file defines.
pub(super) enum Definition {
    Downloads(Probe),
    Status(StatusProbe),
}

/// Values that a probe uses when it does not set its own.
pub(super) struct ProbeDefaults {
    pub(super) every: Duration,
    /// The `every` of the entry that names this probe. It takes precedence over the probe's own.
    pub(super) imposed: Option<Duration>,
    pub(super) is_memoryless: bool,
    pub(super) jitter: Option<Duration>,
    pub(super) deadlines: Deadlines,
}

/// A shipped probe that downloads, with all defaults, by name; `None` when there is none with this name.
#[must_use]
pub fn shipped(name: &str) -> Option<Probe> {
    match shipped_definition(name)? {
        Definition::Downloads(probe) => Some(probe),
        Definition::Status(_) => None,
    }
}

/// The shipped status probe, with all defaults.
#[must_use]
pub fn shipped_status() -> Option<StatusProbe> {
    match shipped_definition("status")? {
        Definition::Downloads(_) => None,
        Definition::Status(probe) => Some(probe),
    }
}

fn shipped_definition(name: &str) -> Option<Definition> {
    let (name, text) = SHIPPED.iter().find(|(other, _)| *other == name)?;
    read(name, name, text, &ProbeDefaults::default()).ok()
}

/// The names of the shipped probes.
pub(super) fn shipped_names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

/// The names of the probes that run when the configuration names none.
pub(super) fn default_names() -> impl Iterator<Item = &'static str> {
    shipped_names().filter(|name| !ONLY_BY_NAME.contains(name))
}

/// The probe of one entry of `schedule.probes`: a shipped name, or the path of a file.
pub(super) fn load(
    input: &Input<'_>,
    entry: &str,
    place: SourceLocation,
    inherited: &ProbeDefaults,
) -> Result<Definition, Vec<Problem>> {
    if let Some((name, text)) = SHIPPED.iter().find(|(name, _)| *name == entry) {
        return read(&format!("probes/{name}.toml"), name, text, inherited);
    }
    let refuse = |message: String, hint| vec![Problem { place: place.clone(), message, hint }];
    if !entry.contains('/') && !entry.ends_with(".toml") {
        let hint = match nearest(entry, shipped_names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let names: Vec<_> = shipped_names().collect();
                format!("shipped: {}; for a file of your own, write a path such as `./mine.toml`", names.join(", "))
            }
        };
        return Err(refuse(format!("`{entry}` is not a shipped probe"), Some(hint)));
    }
    let path = resolve(input.path, entry);
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = word::tag(stem).map_err(|error| refuse(format!("a probe is named after its file: {error}"), None))?;
    let bytes =
        (input.read)(&path).map_err(|error| refuse(format!("cannot read `{}`: {error}", path.display()), None))?;
    let shown = display_name(Path::new(entry));
    let text = file::utf8(&shown, &bytes, file::MAX_PROBE_BYTES, "is this the right file?")
        .map_err(|problem| vec![problem])?;
    read(&shown, &name, text, inherited)
}

impl Default for ProbeDefaults {
    fn default() -> Self {
        Self { every: super::EVERY, imposed: None, is_memoryless: true, jitter: None, deadlines: Deadlines::default() }
    }
}

fn read(shown: &str, name: &str, text: &str, inherited: &ProbeDefaults) -> Result<Definition, Vec<Problem>> {
    let document = Document::parse(shown, text, Environment::none())?;
    let definition = definition(document.root(), name, inherited);
    let (problems, _) = document.finish();
    match definition {
        Some(definition) if problems.is_empty() => Ok(definition),
        _ => Err(problems),
    }
}

fn definition(root: Section<'_>, name: &str, inherited: &ProbeDefaults) -> Option<Definition> {
    let kind = root.required("kind", root.choice("kind", &KINDS), "`image`, `video` or `status`");
    match kind {
        Some(None) => Some(Definition::Status(status(root, name, inherited))),
        kind => probe(root, kind.flatten(), name, inherited).map(Definition::Downloads),
    }
}

fn probe(root: Section<'_>, kind: Option<AssetKind>, name: &str, inherited: &ProbeDefaults) -> Option<Probe> {
    let own = root.duration("every", Bounds::EVERY);
    let every = inherited.imposed.or(own).unwrap_or(inherited.every);
    let spacing = spacing(&root, every, inherited);
    let default_weight = if kind == Some(AssetKind::Video) { Weight::Heavy } else { Weight::Light };
    let weight = root.choice("weight", &[("light", Weight::Light), ("heavy", Weight::Heavy)]).unwrap_or(default_weight);
    let cache = root.choice("cache", &[("hit", CachePolicy::Hit), ("miss", CachePolicy::Miss)]);
    let cache = cache.unwrap_or(CachePolicy::Hit);
    let (pick, types) = asset(&root, kind, cache);
    let parts = parts(&root);
    if cache == CachePolicy::Miss && kind == Some(AssetKind::Video) {
        let message = "on a miss the node fetches the whole asset, so misses are only measured with images";
        root.refuse_with("cache", message, "use `kind = \"image\"`, or `cache = \"hit\"`");
    }
    let min_rate = root.parse("min-rate", str::parse::<BitRate>).unwrap_or(MIN_RATE);
    let deadlines = deadlines(&root, inherited.deadlines);
    if weight == Weight::Light && parts.iter().any(|part| part.extent.bytes() >= Some(RATED_FROM)) {
        let message = "a light probe cannot have parts of 1 MiB or more, because other transfers run at the same time and spoil its rate";
        root.refuse_with("weight", message, "use `weight = \"heavy\"`, or make the parts smaller");
    }
    root.done();
    Some(Probe {
        name: Arc::from(name),
        kind: kind?,
        every,
        spacing,
        weight,
        pick,
        types,
        parts,
        cache,
        min_rate,
        deadlines,
    })
}

fn spacing(root: &Section<'_>, every: Duration, inherited: &ProbeDefaults) -> Spacing {
    let is_memoryless = root.choice("spacing", &super::SPACINGS).unwrap_or(inherited.is_memoryless);
    let own = root.duration("jitter", Bounds::JITTER);
    if is_memoryless {
        if own.is_some() {
            root.refuse_with(
                "jitter",
                "has no effect with memoryless spacing",
                "use `spacing = \"fixed\"`, or remove it",
            );
        }
        return Spacing::Memoryless;
    }
    let jitter = own.or(inherited.jitter).unwrap_or_else(|| super::JITTER.min(every / 3));
    // When `every` is imposed, `schedule` compares it with `jitter`.
    if jitter > every && inherited.imposed.is_none() {
        match own {
            Some(_) => root.refuse_with("jitter", "is longer than `every`", CHANGE_PLACES),
            None if root.has("every") => root.refuse_with("every", "is less than `schedule.jitter`", CHANGE_PLACES),
            // Both values come from the schedule, which has reported the problem already.
            None => {}
        }
    }
    Spacing::Fixed { jitter }
}

/// Reads the section `asset`: which asset to take, and which media types it may have.
fn asset(root: &Section<'_>, kind: Option<AssetKind>, cache: CachePolicy) -> (Pick, Vec<MediaRange>) {
    const PICKS: [(&str, Pick); 4] =
        [("sticky", Pick::Sticky), ("rotate", Pick::Rotate), ("random", Pick::Random), ("fixed", Pick::Fixed)];
    let asset = root.section("asset");
    let wanted = asset.choice("kind", &source::KINDS);
    if let (Some(kind), Some(wanted)) = (kind, wanted)
        && kind != wanted
    {
        asset.refuse(
            "kind",
            format!("a probe of kind `{}` cannot download assets of kind `{}`", kind.label(), wanted.label()),
        );
    }
    let pick = asset.choice("pick", &PICKS);
    if cache == CachePolicy::Miss && pick.is_some_and(Pick::is_sticky) {
        let message = "an asset that was fetched once is no longer a miss";
        asset.refuse_with("pick", message, "use `pick = \"random\"`, or `rotate`");
    }
    let types = types(&asset);
    asset.done();
    (pick.unwrap_or(if cache == CachePolicy::Miss { Pick::Random } else { Pick::Sticky }), types)
}

fn types(asset: &Section<'_>) -> Vec<MediaRange> {
    let named = asset.texts("types").unwrap_or_default();
    if named.len() > MAX_TYPES {
        asset.refuse("types", format!("{} types are too many: at most {MAX_TYPES} are allowed", named.len()));
    } else if named.is_empty() && asset.has("types") && asset.is_empty_list("types") {
        asset.refuse_with(
            "types",
            "is empty, so no answer would be accepted",
            "remove it, or list the types that you accept",
        );
    }
    let read = named.into_iter().filter_map(|(text, place)| match text.parse() {
        Ok(range) => Some(range),
        Err(error) => {
            asset.refuse_at(
                place,
                MediaRangeError::to_string(&error),
                "write a type such as `video/mp4`, or `video/*` for all of a kind",
            );
            None
        }
    });
    read.collect()
}

fn parts(root: &Section<'_>) -> Vec<Part> {
    let sections = root.sections("parts", MAX_PARTS);
    if !root.has("parts") {
        root.refuse_with("parts", "is missing", "`parts = [{ name = \"full\" }]` downloads the whole asset once");
    } else if sections.is_empty() && root.is_empty_list("parts") {
        root.refuse("parts", "is empty: there is nothing to download");
    }
    sections.into_iter().filter_map(part).collect()
}

fn part(section: Section<'_>) -> Option<Part> {
    const NAMES: [(&str, PartName); 4] = [
        (PartName::Full.label(), PartName::Full),
        (PartName::Start.label(), PartName::Start),
        (PartName::Tail.label(), PartName::Tail),
        (PartName::Seek.label(), PartName::Seek),
    ];
    let name = section.required("name", section.choice("name", &NAMES), "`full`, `start`, `tail` or `seek`");
    let (bytes, at) = (section.size("bytes"), section.number("at"));
    let at = at.filter(|at| {
        let is_inside = (0.0..1.0).contains(at);
        if !is_inside {
            section.refuse("at", format!("`{at}` is not a fraction of the asset: it must be at least 0 and below 1"));
        }
        is_inside
    });
    let refuse_surplus = |key: &'static str, name: &str| {
        if section.has(key) {
            section.refuse(key, format!("is not used with part `{name}`"));
        }
    };
    let need_bytes = || section.required("bytes", bytes, "how much to download, as in `bytes = \"1 MiB\"`");
    let extent = name.and_then(|name| match name {
        PartName::Full | PartName::Check => {
            refuse_surplus("bytes", name.label());
            refuse_surplus("at", name.label());
            Some(Extent::Full)
        }
        PartName::Start | PartName::Tail => {
            refuse_surplus("at", name.label());
            need_bytes().map(if name == PartName::Start { Extent::First } else { Extent::Last })
        }
        PartName::Seek => {
            let at = section.required("at", at, "where to seek to, as a fraction: `at = 0.5`");
            need_bytes().and_then(|bytes| Some(Extent::From { at: at?, bytes }))
        }
    });
    section.done();
    Some(Part { name: name?, extent: extent? })
}

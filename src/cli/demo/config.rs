//! The demo's configuration: the text that a user would write for its nodes, and the parsed config.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use anyhow::Context;

#[cfg(feature = "fleet")]
use crate::demo::{IMAGE_ID, VIDEO_ID, fleet::DemoFleet};
use crate::{
    config::{
        Config,
        check::{Input, load},
    },
    demo::DemoNodes,
    model::target::{Asset, Node},
};

/// How often a demo probes its nodes, and where the results are stored.
pub(super) struct DemoSettings<'a> {
    /// Mean time between two runs of the image probe, as a config writes it.
    pub(super) image_every: &'a str,
    /// The same for the video probe.
    pub(super) video_every: &'a str,
    /// The same for the status probe, which only a fleet has.
    #[cfg_attr(not(feature = "fleet"), expect(dead_code, reason = "only a fleet has this probe"))]
    pub(super) status_every: &'a str,
    /// The same for the probe of cache misses, which only a fleet has.
    #[cfg_attr(not(feature = "fleet"), expect(dead_code, reason = "only a fleet has this probe"))]
    pub(super) cold_every: &'a str,
    /// `memoryless` or `fixed`.
    pub(super) spacing: &'a str,
    /// The data directory.
    pub(super) archive: &'a str,
}

/// A complete config for these nodes.
pub(super) fn of_nodes(demo: &DemoNodes, settings: &DemoSettings<'_>) -> String {
    let network = format!("ca = \"\"\"\n{}\n\"\"\"", demo.ca_pem().trim_end());
    let mut text = frame(settings, "", &network);
    text += "kind = \"static\"\n";
    for (node, description) in demo.nodes().iter().zip(demo.descriptions()) {
        text += &source_node(node, description);
    }
    text
}

/// A complete config for this fleet, whose nodes are found through its registry.
#[cfg(feature = "fleet")]
pub(super) fn of_fleet(fleet: &DemoFleet, settings: &DemoSettings<'_>) -> String {
    let DemoSettings { status_every, cold_every, .. } = settings;
    let further = format!(
        ", {{ probe = \"status\", every = \"{status_every}\" }}, {{ probe = \"cold-cache\", every = \"{cold_every}\" }}"
    );
    let network =
        "allow-private = [\"127.0.0.1/32\"] # the addresses of the fleet; other private addresses are refused";
    let text = frame(settings, &further, network);
    format!(
        r#"{text}kind = "joystream"
url = {url}
refresh = "10s"
assets = [{{ kind = "image", id = "{IMAGE_ID}" }}, {{ kind = "video", id = "{VIDEO_ID}" }}]
"#,
        url = quoted(fleet.registry().as_str())
    )
}

/// Everything before the part that lists the nodes.
fn frame(settings: &DemoSettings<'_>, further_probes: &str, network: &str) -> String {
    let DemoSettings { image_every, video_every, spacing, archive, .. } = settings;
    let archive = quoted(archive);
    format!(
        r#"{HEADING}
[vantage]
id = "demo"
country = "DE"
latitude = 50.11
longitude = 8.68

[schedule] # far more often than real nodes should be asked
spacing = "{spacing}"
probes = [{{ probe = "image", every = "{image_every}" }}, {{ probe = "video", every = "{video_every}" }}{further_probes}]

[limits] # loopback costs nothing
vantages = 1
bytes-per-day = "1 TB"
bytes-per-node-per-day = "1 TB"
cold-fetches-per-node-per-day = 96

[deadline]
stall = "2s"

[network]
{network}

[archive]
dir = {archive}

# [influxdb] # to see it in Grafana
# url = "http://127.0.0.1:8086"
# org = "dwg"
# bucket = "bandprobe"
# token-file = "influxdb-token"

[[source]]
"#
    )
}

/// Parses a config as `-c FILE` would, but without environment variables and files.
pub(super) fn read(text: &str) -> anyhow::Result<Config> {
    let path = Path::new("demo.toml");
    let read = |asked: &Path| match asked == path {
        true => Ok(text.as_bytes().to_vec()),
        false => Err(std::io::ErrorKind::NotFound.into()),
    };
    let config = load(&Input { path, environment: &BTreeMap::new(), read: &read });
    config
        .map_err(|problems| anyhow::anyhow!("{problems}"))
        .context("this is a bug in the config of the demo, please report it")
}

fn source_node(node: &Node, description: &str) -> String {
    let mut text = format!("\n[[source.nodes]] # {description}\nid = {}\n", quoted(&node.id));
    let mut line = |key: &str, value: String| writeln!(text, "{key} = {value}").expect("invariant: a String takes all");
    line("endpoint", quoted(&node.endpoint.to_string()));
    line("profile", quoted(node.listing.profile.label()));
    for (key, word) in [("region", node.listing.region.as_deref()), ("country", node.listing.country.as_deref())] {
        word.into_iter().for_each(|word| line(key, quoted(word)));
    }
    if let Some(place) = node.listing.location {
        line("latitude", place.latitude().to_string());
        line("longitude", place.longitude().to_string());
    }
    let asset = |asset: &Asset| format!("{{ kind = {}, id = {} }}", quoted(asset.kind.label()), quoted(&asset.id));
    line("assets", format!("[{}]", node.assets.iter().map(asset).collect::<Vec<_>>().join(", ")));
    text
}

/// The first line of every demo config.
pub(super) const HEADING: &str = "# The nodes of a `bandprobe demo`. They exist only while it runs.";

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

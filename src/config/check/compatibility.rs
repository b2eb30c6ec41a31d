//! Checks whether probes, nodes and their assets fit together when each is valid by itself.

use super::{
    super::{HttpChoice, file::Document},
    source::{LocatedNode, Sources},
};
use crate::model::{
    probe::{CachePolicy, Extent, Part, Probe, StatusProbe},
    target::{Asset, AssetKind},
    units::Bytes,
};

/// Refuses parts that lie beyond the end of their assets, and nodes that cannot use the requested HTTP version.
pub(super) fn check(document: &Document<'_>, probes: &[Probe], nodes: &Sources, http: HttpChoice) {
    for located in &nodes.nodes {
        if http == HttpChoice::Http2 && located.node.endpoint.as_url().scheme() == "http" {
            let message = format!("`{}` has no TLS, and `network.http` is `2`, which needs it", located.node.endpoint);
            let hint = Some("use https here, or `http = \"auto\"`".to_owned());
            document.refuse(located.place.clone(), message, hint);
        }
        for (asset, place) in located.node.assets.iter().zip(&located.asset_places) {
            for probe in probes.iter().filter(|probe| probe.kind == asset.kind) {
                let fault = probe.parts.iter().find_map(|part| fault(located, asset, probe, part));
                if let Some((message, hint)) = fault {
                    document.refuse(place.clone(), message, Some(hint.to_owned()));
                }
            }
        }
    }
}

/// Refuses nodes that no probe would use.
pub(super) fn check_status(document: &Document<'_>, status: Option<&StatusProbe>, nodes: &Sources) {
    for located in nodes.nodes.iter().filter(|located| status.is_none() && located.node.assets.is_empty()) {
        let message = format!("`{}` has no assets, and no probe of kind `status` is scheduled", located.node.id);
        let hint = Some("name an asset, or add `\"status\"` to `schedule.probes`".to_owned());
        document.refuse(located.place.clone(), message, hint);
    }
}

/// Whether the probe can ever measure anything. Only Argus reports that it does not hold an asset.
pub(super) fn can_miss(probe: &Probe, nodes: &Sources) -> bool {
    probe.cache == CachePolicy::Hit || is_asked_for(probe, nodes)
}

/// Whether any node has an asset for this probe.
pub(super) fn is_asked_for(probe: &Probe, nodes: &Sources) -> bool {
    nodes.nodes.iter().any(|located| probe.candidates(&located.node).next().is_some())
}

fn fault(located: &LocatedNode, asset: &Asset, probe: &Probe, part: &Part) -> Option<(String, &'static str)> {
    let (node, id, probe) = (&located.node.id, &asset.id, &probe.name);
    let name = part.name.label();
    let Some(size) = asset.size else {
        // The cost of the download cannot be planned, and a video may have gigabytes.
        return (part.extent == Extent::Full && asset.kind == AssetKind::Video).then(|| {
            let message = format!(
                "part `{name}` of probe `{probe}` downloads the whole of `{id}` from `{node}`, whose size is unknown"
            );
            (message, "state its `size`, or download a range")
        });
    };
    let last = beyond(part.extent, size.most())?;
    let message = format!(
        "`{id}` on `{node}` is {}, but part `{name}` of probe `{probe}` asks for bytes up to {last}",
        size.stated()
    );
    Some((message, "name a larger asset, correct `size`, or use a probe of your own with fewer `bytes`"))
}

/// The end of the range, if it lies beyond the end of the asset.
fn beyond(extent: Extent, size: Bytes) -> Option<Bytes> {
    let end = match extent {
        Extent::Full => return None,
        Extent::First(bytes) | Extent::Last(bytes) => bytes.0,
        Extent::From { at, bytes } => offset(at, size).saturating_add(bytes.0),
        Extent::Exactly { last, .. } => last.saturating_add(1),
    };
    (end > size.0).then_some(Bytes(end))
}

/// Offset of the first byte of a range that begins at a fraction of the asset, rounded down.
#[expect(clippy::cast_possible_truncation, reason = "rounding down is wanted; the fraction is in [0, 1)")]
fn offset(at: f64, size: Bytes) -> u64 {
    (at * size.0 as f64) as u64
}

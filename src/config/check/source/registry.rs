//! A registry of nodes: Joystream's GraphQL API.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use url::Url;

use super::{
    super::{super::file::Section, word},
    KINDS,
};
use crate::{
    config::{Dialect, Registry},
    model::target::AssetKind,
};

/// Reads a source of kind `joystream`. The caller has already read its `exclude`.
pub(super) fn registry(section: Section<'_>, exclude: Vec<String>) -> Option<Registry> {
    let url = section.parse("url", url);
    let url = section.required("url", url, "the URL of its GraphQL API, as in `https://query.example.net/graphql`");
    let refresh = section.duration("refresh", REFRESH).unwrap_or(DEFAULT_REFRESH);
    let refresh_assets = section.duration("refresh-assets", REFRESH).unwrap_or(DEFAULT_REFRESH_ASSETS);
    let dialect = section.choice("dialect", &DIALECTS);
    let named = section.sections("assets", MAX_FIXED);
    let named: Vec<_> = named.into_iter().map(asset).collect();
    let named: Option<Vec<_>> = named.into_iter().collect();
    let is_default = !section.has("assets");
    section.done();
    let default = || DEFAULT_FIXED.iter().map(|(kind, id)| (*kind, Arc::from(*id))).collect();
    let fixed = if is_default { default() } else { named? };
    Some(Registry { url: url?, refresh, refresh_assets, dialect, exclude, fixed })
}

fn asset(section: Section<'_>) -> Option<(AssetKind, Arc<str>)> {
    let kind = section.required("kind", section.choice("kind", &KINDS), "`image` or `video`");
    let id = section.parse("id", word::object_id);
    let id = section.required("id", id, "the object id, as in `id = \"1343\"`");
    section.done();
    Some((kind?, Arc::from(id?)))
}

fn url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "is not a URL such as `https://query.example.net/graphql`".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        Err("is not an http or https URL with a host".to_owned())
    } else if !url.username().is_empty() || url.password().is_some() {
        Err("contains a user or password, which this version does not send".to_owned())
    } else {
        Ok(url)
    }
}

const DIALECTS: [(&str, Dialect); 3] = [
    (Dialect::Hydra.label(), Dialect::Hydra),
    (Dialect::Orion.label(), Dialect::Orion),
    (Dialect::StorageSquid.label(), Dialect::StorageSquid),
];
/// A refresh of the nodes costs the registry two short queries. A refresh of the assets costs it a scan of all objects
/// for each kind.
const REFRESH: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(86_400);
const DEFAULT_REFRESH: Duration = Duration::from_secs(600);
const DEFAULT_REFRESH_ASSETS: Duration = Duration::from_secs(3_600);
const MAX_FIXED: usize = 20;
/// The thumbnail and the video that the working group uses to judge its nodes.
const DEFAULT_FIXED: [(AssetKind, &str); 2] = [(AssetKind::Image, "1343"), (AssetKind::Video, "552149")];

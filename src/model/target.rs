//! Vantage, node and asset: where bandprobe measures from, which servers it measures, and what it downloads.

use std::sync::Arc;

use url::Url;

use super::{size::Size, units::BitRate};

pub use super::{
    coordinates::{Coordinates, InvalidCoordinates},
    endpoint::{Endpoint, EndpointError, without_user},
};

/// The place from which a worker measures.
#[derive(Clone, Debug, PartialEq)]
pub struct Vantage {
    /// The `vantage` tag of every point.
    pub id: Arc<str>,
    /// The `worker` tag of the worker's own points.
    pub worker: Arc<str>,
    /// Rate of the vantage's own uplink, if the operator stated one.
    pub uplink: Option<BitRate>,
    /// Two-letter country code (ISO 3166-1).
    pub country: Option<String>,
    /// Coordinates, used to compute distances.
    pub location: Option<Coordinates>,
}

/// The kind of server that a node runs. It determines paths, checks and headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Any web server. Assets are paths, and its cache state is unknown.
    Http,
    /// Joystream's distributor node: `api/v1/assets/{id}`. It reports its cache state.
    Argus,
    /// Joystream's storage node: `api/v1/files/{id}`. It always holds what it serves.
    Colossus,
}

/// One server that is probed. Nodes are unique by normalised URL.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The `node` tag: the id from the operator, or the host of the endpoint.
    pub id: Arc<str>,
    /// The root URL of everything that it serves.
    pub endpoint: Endpoint,
    /// What its source says about it.
    pub listing: Listing,
    /// The assets that can be downloaded from it. For a discovered node, the newest come first.
    pub assets: Vec<Asset>,
}

/// A discovered node that our address policy refuses. It is shown but never contacted.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockedNode {
    /// The `node` tag.
    pub id: Arc<str>,
    /// The endpoint as its source gives it, made printable and cut. May be any text, or empty.
    pub endpoint: Arc<str>,
    /// Why it is refused, for a reader.
    pub reason: Arc<str>,
    /// What its source says about it.
    pub listing: Listing,
}

/// What a source says about a node, apart from its endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// The kind of source that lists it.
    pub origin: Origin,
    /// The kind of server.
    pub profile: Profile,
    /// The region that its source states. This label is sometimes wrong.
    pub region: Option<Arc<str>>,
    /// Two-letter country code (ISO 3166-1).
    pub country: Option<String>,
    /// Coordinates, used to compute distances.
    pub location: Option<Coordinates>,
    /// Registry ids of its operators, sorted.
    pub operators: Vec<Arc<str>>,
    /// Whether the lead of its operators has switched it on; `None` when it has no such switch.
    pub distributing: Option<bool>,
    /// Registry ids of the switched-on buckets whose objects it must serve, sorted.
    pub buckets: Vec<Arc<str>>,
}

/// All nodes that are probed now, and all that must not be contacted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets {
    /// Nodes with unique ids and endpoints.
    pub nodes: Vec<Arc<Node>>,
    /// Refused nodes. Their ids are unique, also among the ids of `nodes`.
    pub blocked: Vec<BlockedNode>,
}

/// Who listed a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The user, in the config or on the command line. Trusted, even with a private address.
    Static,
    /// Joystream's registry, which untrusted parties write to.
    Joystream,
}

/// A file on a node that is downloaded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asset {
    /// Image or video.
    pub kind: AssetKind,
    /// Its path below the endpoint (profile http) or its object id (argus, colossus).
    pub id: Arc<str>,
    /// Its size, if a registry or the user states one.
    pub size: Option<Size>,
    /// Base58 BLAKE3 multihash of its content, if a registry states one.
    pub hash: Option<Arc<str>>,
    /// Whether the user named it. Otherwise it was discovered.
    pub fixed: bool,
}

/// The kinds of assets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AssetKind {
    /// A small file that is downloaded whole and dominated by latency, such as a thumbnail.
    Image,
    /// A large file that is downloaded in ranges and dominated by the rate, such as a progressive MP4.
    Video,
}

impl AssetKind {
    /// The value of the `kind` tag.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
        }
    }

    /// The kind with this label; `None` when there is none.
    #[must_use]
    pub fn of(label: &str) -> Option<Self> {
        [Self::Image, Self::Video].into_iter().find(|kind| kind.label() == label)
    }
}

/// Whether the text is a Joystream object id: a decimal whole number of at most 20 digits, as many as a `u64` can have.
#[must_use]
pub fn is_object_id(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 3] = [Self::Http, Self::Argus, Self::Colossus];

    /// The name in the config and in output.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Argus => "argus",
            Self::Colossus => "colossus",
        }
    }

    /// Whether this kind of server has a status document.
    #[must_use]
    pub const fn has_status(self) -> bool {
        !matches!(self, Self::Http)
    }

    /// Whether a HEAD check of an asset has no side effects and reports the cache state, so that it can precede a
    /// download.
    #[must_use]
    pub const fn is_checked(self) -> bool {
        !matches!(self, Self::Http)
    }
}

impl Origin {
    /// The name in output.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Joystream => "joystream",
        }
    }

    /// Whether the node was listed by someone other than the user. The address guard applies to such nodes.
    #[must_use]
    pub const fn is_untrusted(self) -> bool {
        !matches!(self, Self::Static)
    }
}

impl Listing {
    /// A listing without any optional information.
    #[must_use]
    pub const fn bare(origin: Origin, profile: Profile) -> Self {
        Self {
            origin,
            profile,
            region: None,
            country: None,
            location: None,
            operators: Vec::new(),
            distributing: None,
            buckets: Vec::new(),
        }
    }

    /// Great-circle distance from `here` in km; `None` when one of the two places is not known.
    #[must_use]
    pub fn distance_km(&self, here: Option<Coordinates>) -> Option<f64> {
        here.zip(self.location).map(|(here, there)| here.distance_km(there))
    }
}

impl Node {
    /// The URL of its status document, `api/v1/status`. For a server without one, the endpoint itself.
    #[must_use]
    pub fn status_url(&self) -> Url {
        let mut url = self.endpoint.as_url().clone();
        if self.listing.profile.has_status() {
            let path = format!("{}/api/v1/status", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        url
    }

    /// The URL of one of its assets: `api/v1/assets/{id}`, `api/v1/files/{id}`, or the asset's own path.
    #[must_use]
    pub fn asset_url(&self, asset: &Asset) -> Url {
        let mut url = self.endpoint.as_url().clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        let path = match self.listing.profile {
            Profile::Http => asset.id.trim_start_matches('/').to_owned(),
            Profile::Argus => format!("api/v1/assets/{}", asset.id),
            Profile::Colossus => format!("api/v1/files/{}", asset.id),
        };
        // A path from the user may contain a query: `img.webp?width=320`.
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path.as_str(), None),
        };
        url.set_path(&format!("{prefix}/{path}"));
        url.set_query(query);
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(endpoint: &str, profile: Profile) -> Node {
        Node {
            id: "n".into(),
            endpoint: endpoint.parse().unwrap(),
            listing: Listing::bare(Origin::Static, profile),
            assets: vec![],
        }
    }

    #[test]
    fn asset_urls_keep_the_endpoint_prefix() {
        for (endpoint, profile, id, url) in [
            (
                "https://a.example/distributor/",
                Profile::Argus,
                "1343",
                "https://a.example/distributor/api/v1/assets/1343",
            ),
            ("https://a.example/distributor", Profile::Colossus, "7", "https://a.example/distributor/api/v1/files/7"),
            ("http://a.example:8080", Profile::Http, "/img/1.webp?w=3", "http://a.example:8080/img/1.webp?w=3"),
        ] {
            let asset = Asset { kind: AssetKind::Image, id: id.into(), size: None, hash: None, fixed: true };
            assert_eq!(node(endpoint, profile).asset_url(&asset).as_str(), url);
        }
    }
}

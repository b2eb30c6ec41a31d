//! Where we stand, whom we ask, and what for: vantage, node, asset.

use std::sync::Arc;

use url::Url;

use super::{size::Size, units::BitRate};

pub use super::{
    endpoint::{Endpoint, EndpointError, without_user},
    place::{Coordinates, NotOnEarth},
};

/// The place that a worker measures from.
#[derive(Clone, Debug, PartialEq)]
pub struct Vantage {
    /// The tag on every point.
    pub id: Arc<str>,
    /// Tag of the worker's own points.
    pub worker: Arc<str>,
    /// Rate of the vantage's own uplink, where the operator stated one.
    pub uplink: Option<BitRate>,
    /// Two-letter country code.
    pub country: Option<String>,
    /// Where it is.
    pub location: Option<Coordinates>,
}

/// What kind of server a node runs: it decides paths, checks and headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Any web server: assets are paths, nothing is known of its cache.
    Http,
    /// Joystream's distributor node: `api/v1/assets/{id}`, tells its cache state.
    Argus,
    /// Joystream's storage node: `api/v1/files/{id}`, always holds what it serves.
    Colossus,
}

/// One serving endpoint, deduplicated by its normalised URL.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The tag: the id that the operator gave, or the endpoint's host.
    pub id: Arc<str>,
    /// The root of everything it serves.
    pub endpoint: Endpoint,
    /// What its source says of it.
    pub listing: Listing,
    /// What it can be asked for; of a discovered node the newest first.
    pub assets: Vec<Asset>,
}

/// A node that a stranger named and that our own policy refuses: shown, and never contacted.
#[derive(Clone, Debug, PartialEq)]
pub struct Blocked {
    /// The tag.
    pub id: Arc<str>,
    /// What was given as its endpoint, made printable and cut; anything, and maybe nothing.
    pub endpoint: Arc<str>,
    /// Why it is refused, for a person.
    pub reason: Arc<str>,
    /// What its source says of it.
    pub listing: Listing,
}

/// What a source says of a node, besides where it is served.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// Which kind of source names it.
    pub origin: Origin,
    /// What kind of server it is.
    pub profile: Profile,
    /// Where it says that it is; a label, known to be wrong at times.
    pub region: Option<Arc<str>>,
    /// Two-letter country code.
    pub country: Option<String>,
    /// Where it is.
    pub location: Option<Coordinates>,
    /// Who runs it: ids of a registry, sorted.
    pub operators: Vec<Arc<str>>,
    /// Is it switched on by whoever leads the operators? `None` where nobody can switch it.
    pub distributing: Option<bool>,
    /// The switched-on buckets whose objects it must serve: ids of a registry, sorted.
    pub buckets: Vec<Arc<str>>,
}

/// Everyone to be asked now, and everyone who must not be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets {
    /// Ids and endpoints unique.
    pub nodes: Vec<Arc<Node>>,
    /// Their ids are unique too, among the nodes' as well.
    pub blocked: Vec<Blocked>,
}

/// Who named a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The user, in the config or on the command line: trusted, private addresses included.
    Static,
    /// Joystream's registry, which strangers write to.
    Joystream,
}

/// What is downloaded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asset {
    /// Image or video.
    pub kind: AssetKind,
    /// Its path below the endpoint (profile http), or its object id (argus, colossus).
    pub id: Arc<str>,
    /// Size, where a registry or the user states it.
    pub size: Option<Size>,
    /// Base58 BLAKE3 multihash of its content, where a registry states it.
    pub hash: Option<Arc<str>>,
    /// Was it named by the user, rather than found?
    pub fixed: bool,
}

/// Kinds of sample objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AssetKind {
    /// Small, whole, latency-bound: a thumbnail.
    Image,
    /// Large, in ranges, rate-bound: a progressive MP4.
    Video,
}

impl AssetKind {
    /// The word that the outside sees.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
        }
    }

    /// The kind with this label.
    #[must_use]
    pub fn of(label: &str) -> Option<Self> {
        [Self::Image, Self::Video].into_iter().find(|kind| kind.label() == label)
    }
}

/// Is the text an object id of Joystream's: a whole number in decimal, `u64` at the most by its length?
#[must_use]
pub fn is_object_id(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Http, Self::Argus, Self::Colossus];

    /// The word that the outside sees.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Argus => "argus",
            Self::Colossus => "colossus",
        }
    }

    /// Does it tell how it fares in a status document?
    #[must_use]
    pub const fn has_status(self) -> bool {
        !matches!(self, Self::Http)
    }

    /// Is a HEAD check of an asset free of side effects and told apart by the node, so that it comes before a download?
    #[must_use]
    pub const fn is_checked(self) -> bool {
        !matches!(self, Self::Http)
    }
}

impl Origin {
    /// The word that the outside sees.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Joystream => "joystream",
        }
    }

    /// Was the node named by someone else than the user? Then the address guard stands before it.
    #[must_use]
    pub const fn is_stranger(self) -> bool {
        !matches!(self, Self::Static)
    }
}

impl Listing {
    /// Nothing but what it is and who named it.
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

    /// How far it is from `here`, as the great circle in km; `None` when one of the two places is not known.
    #[must_use]
    pub fn distance_km(&self, here: Option<Coordinates>) -> Option<f64> {
        here.zip(self.location).map(|(here, there)| here.distance_km(there))
    }
}

impl Node {
    /// Where it tells how it fares: `api/v1/status`, or the endpoint itself where there is no such thing.
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
        // A path of the user's own may carry a query: `img.webp?width=320`.
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

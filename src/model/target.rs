//! Where we stand, whom we ask, and what for: vantage, node, asset.

use std::{fmt, sync::Arc};

use thiserror::Error;
use url::Url;

use super::units::{BitRate, Bytes};

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

/// A point on Earth in degrees, checked: latitude ±90, longitude ±180.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coordinates {
    latitude: f64,
    longitude: f64,
}

/// The coordinates are not on Earth.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error("latitude {latitude}, longitude {longitude} is no place on Earth (±90, ±180)")]
pub struct NotOnEarth {
    latitude: f64,
    longitude: f64,
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
    /// What kind of server it is.
    pub profile: Profile,
    /// Where it says that it is; a label, known to be wrong at times.
    pub region: Option<Arc<str>>,
    /// Two-letter country code.
    pub country: Option<String>,
    /// Where it is.
    pub location: Option<Coordinates>,
    /// Was it named by the user, or by a stranger through discovery? The address guard covers the latter.
    pub origin: Origin,
    /// What it can be asked for.
    pub assets: Vec<Asset>,
}

/// Who named a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The user, in the config or on the command line: trusted, private addresses included.
    Named,
    /// A registry that strangers write to.
    Discovered,
}

/// The root URL of a node: http or https, with a host, without user, query and fragment, ending in `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint(Url);

/// Why a text is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EndpointError {
    /// Not a URL at all.
    #[error("`{0}` is not a URL: write it with its scheme, as in https://node.example.net/")]
    NotUrl(String),
    /// Another scheme than http or https.
    #[error("`{0}` has scheme `{1}`: only http and https can be probed")]
    Scheme(String, String),
    /// `http:///path` and the like.
    #[error("`{0}` has no host")]
    NoHost(String),
    /// A user, password, query or fragment, which an endpoint cannot have.
    #[error("`{0}` has a {1}: an endpoint is scheme, host, port and path prefix alone")]
    Surplus(String, &'static str),
}

/// What is downloaded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asset {
    /// Image or video.
    pub kind: AssetKind,
    /// Its path below the endpoint (profile http), or its object id (argus, colossus).
    pub id: Arc<str>,
    /// Size, where a registry or the user states it.
    pub size: Option<Bytes>,
    /// Base58 BLAKE3 multihash of its content, where a registry states it.
    pub hash: Option<Arc<str>>,
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

    /// Is a HEAD check of an asset free of side effects and told apart by the node, so that it comes before a download?
    #[must_use]
    pub const fn is_checked(self) -> bool {
        !matches!(self, Self::Http)
    }
}

impl Node {
    /// The URL of one of its assets: `api/v1/assets/{id}`, `api/v1/files/{id}`, or the asset's own path.
    #[must_use]
    pub fn asset_url(&self, asset: &Asset) -> Url {
        let mut url = self.endpoint.0.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        let path = match self.profile {
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

impl Endpoint {
    /// The URL, ending in `/`.
    #[must_use]
    pub const fn as_url(&self) -> &Url {
        &self.0
    }
}

impl std::str::FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let given = || without_user(text);
        let mut url = Url::parse(text).map_err(|_| EndpointError::NotUrl(given()))?;
        if !matches!(url.scheme(), "http" | "https") {
            // `node.example.net:8080` parses as scheme `node.example.net`.
            return Err(if text.contains("://") {
                EndpointError::Scheme(given(), url.scheme().to_owned())
            } else {
                EndpointError::NotUrl(given())
            });
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(EndpointError::NoHost(given()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            // The text may hold a password: show it without.
            let _ = url.set_username("***");
            let _ = url.set_password(None);
            return Err(EndpointError::Surplus(url.to_string(), "user"));
        }
        if url.query().is_some() {
            return Err(EndpointError::Surplus(given(), "query"));
        }
        if url.fragment().is_some() {
            return Err(EndpointError::Surplus(given(), "fragment"));
        }
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self(url))
    }
}

/// A text that may be a URL with a password in it, fit to be shown.
fn without_user(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((before, after)) => {
            let scheme = before.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
            format!("{scheme}***@{after}")
        }
        None => text.to_owned(),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.as_str())
    }
}

impl Coordinates {
    /// # Errors
    /// When the numbers are outside ±90 and ±180, or are no numbers.
    pub fn new(latitude: f64, longitude: f64) -> Result<Self, NotOnEarth> {
        if latitude.abs() <= 90.0 && longitude.abs() <= 180.0 {
            Ok(Self { latitude, longitude })
        } else {
            Err(NotOnEarth { latitude, longitude })
        }
    }

    /// Degrees north.
    #[must_use]
    pub const fn latitude(self) -> f64 {
        self.latitude
    }

    /// Degrees east.
    #[must_use]
    pub const fn longitude(self) -> f64 {
        self.longitude
    }

    /// Great-circle distance in km by the haversine formula (Sinnott, "Virtues of the Haversine", 1984) on a sphere of
    /// the Earth's mean radius: within 0.5 % of the ellipsoid's.
    #[must_use]
    pub fn distance_km(self, other: Self) -> f64 {
        const MEAN_RADIUS_KM: f64 = 6371.0088;
        let (lat1, lat2) = (self.latitude.to_radians(), other.latitude.to_radians());
        let half_lat = (lat2 - lat1) / 2.0;
        let half_lon = (other.longitude - self.longitude).to_radians() / 2.0;
        let h = half_lat.sin().powi(2) + lat1.cos() * lat2.cos() * half_lon.sin().powi(2);
        2.0 * MEAN_RADIUS_KM * h.clamp(0.0, 1.0).sqrt().asin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(endpoint: &str, profile: Profile) -> Node {
        Node {
            id: "n".into(),
            endpoint: endpoint.parse().unwrap(),
            profile,
            region: None,
            country: None,
            location: None,
            origin: Origin::Named,
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
            let asset = Asset { kind: AssetKind::Image, id: id.into(), size: None, hash: None };
            assert_eq!(node(endpoint, profile).asset_url(&asset).as_str(), url);
        }
    }

    #[test]
    fn endpoints_are_normalised_or_refused_with_the_reason() {
        for (text, normal) in
            [("HTTPS://Node.Example.NET:443/x", "https://node.example.net/x/"), ("http://[::1]:80//", "http://[::1]/")]
        {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), normal);
        }
        for (text, message) in [
            ("node.example.net", "is not a URL"),
            ("node.example.net:8080", "is not a URL"),
            ("ftp://node.example.net/", "only http and https"),
            ("https://u:secret@node.example.net/", "has a user"),
            ("https://node.example.net/?a=b", "has a query"),
            ("https//u:secret@node.example.net/", "***@node.example.net"),
            ("ftp://u:secret@node.example.net/", "ftp://***@node"),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains(message) && !error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn distances_are_great_circles() {
        let frankfurt = Coordinates::new(50.11, 8.68).unwrap();
        let sydney = Coordinates::new(-33.87, 151.21).unwrap();
        assert!((frankfurt.distance_km(sydney) - 16_480.0).abs() < 60.0, "{}", frankfurt.distance_km(sydney));
        assert!(frankfurt.distance_km(frankfurt) < 1e-6);
        assert!(Coordinates::new(91.0, 0.0).is_err() && Coordinates::new(f64::NAN, 0.0).is_err());
    }
}

//! The configuration: what a user wrote, read leniently ([`mod@file`]), turned once into checked types ([`check`]).
//!
//! The types here are the checked ones: whoever holds a [`Config`] needs no further "just in case" check. Precedence is
//! flag > environment > file > default; all problems are reported at once, each with file, key path and a hint.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ipnet::IpNet;
use url::{Host, Url};

use self::trace_url::TraceUrl;
use crate::model::{
    probe::{Probe, StatusProbe},
    target::{AssetKind, Node, Targets, Vantage},
    units::{BitRate, Bytes},
};

pub mod check;
pub mod file;
pub mod problem;
pub mod trace_url;

/// A configuration without problems.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where we stand.
    pub vantage: Vantage,
    /// What is downloaded, how often; names unique. Empty only where there is a status probe.
    pub probes: Vec<Probe>,
    /// How nodes fare, asked in rounds; its name is none of the others'.
    pub status: Option<StatusProbe>,
    /// Politeness and isolation.
    pub limits: Limits,
    /// How connections are made.
    pub network: Network,
    /// The nodes of all static sources; ids and endpoints unique.
    pub nodes: Vec<Node>,
    /// Where further nodes are found.
    pub registries: Vec<Registry>,
    /// Where results go; without it they stay in the archive.
    pub influxdb: Option<InfluxDb>,
    /// The flush interval of histograms.
    pub window: Duration,
    /// The data directory.
    pub archive: Archive,
    /// Where a trace id leads.
    pub trace_url: Option<TraceUrl>,
}

impl Config {
    /// The same, as if the user had named these nodes alone: what it costs to probe them.
    #[must_use]
    pub fn with_nodes(&self, targets: &Targets) -> Self {
        Self { nodes: targets.nodes.iter().map(|node| (**node).clone()).collect(), ..self.clone() }
    }
}

/// Politeness towards the nodes, and isolation of measurements from each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many workers probe the same nodes.
    pub vantages: u64,
    /// Download budget of this worker per UTC day.
    pub bytes_per_day: Bytes,
    /// Download budget of this worker per node and UTC day.
    pub bytes_per_node_per_day: Bytes,
    /// Objects that each node is made to fetch, per UTC day, by probes that measure misses.
    pub cold_fetches_per_node_per_day: u64,
    /// Heavy transfers at once.
    pub heavy_transfers: usize,
    /// Light transfers at once.
    pub light_transfers: usize,
    /// Transfers at once from one node.
    pub transfers_per_node: usize,
}

impl Limits {
    /// Transfers at once, heavy and light.
    #[must_use]
    pub const fn transfers(&self) -> usize {
        self.heavy_transfers.saturating_add(self.light_transfers)
    }
}

/// How connections are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Lets discovered endpoints be where strangers may not lead us: for labs.
    pub allow_private: AllowPrivate,
    /// Who looks names up.
    pub resolver: Resolver,
    /// Which HTTP version is asked for.
    pub http: HttpChoice,
    /// Which address family is dialled.
    pub family: FamilyChoice,
    /// PEM text of further trusted certificates, beside the system's.
    pub extra_ca: Option<Arc<str>>,
    /// Appended to the user agent, so that an operator can reach whoever probes: a URL or mail address.
    pub contact: Option<String>,
}

/// From which of the networks that strangers may not lead us into the address guard is lifted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowPrivate {
    /// It stands before all of them.
    #[default]
    Nowhere,
    /// It is lifted, as it is for ports.
    Everywhere,
    /// It is lifted for the addresses in these alone, as they are written: a mapped or embedded IPv4 address is not in an
    /// IPv4 network.
    In(Vec<IpNet>),
}

/// Who looks names up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolver {
    /// The system's servers and its hosts file.
    System,
    /// These servers alone.
    Servers(Vec<SocketAddr>),
}

/// Which HTTP version is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpChoice {
    /// By ALPN; HTTP/1.1 without TLS.
    #[default]
    Auto,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone, over TLS.
    Http2,
}

/// Which address family is dialled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FamilyChoice {
    /// The preferred one (RFC 6724) that this host has a route for.
    #[default]
    Any,
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
}

impl FamilyChoice {
    /// May an address of this family be dialled?
    #[must_use]
    pub const fn admits(self, address: &IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// A GraphQL endpoint of Joystream's, which knows the nodes and what each must serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// Where it answers.
    pub url: Url,
    /// How often it is asked for its nodes again.
    pub refresh: Duration,
    /// How often it is asked, together with the nodes, for what they must serve.
    pub refresh_assets: Duration,
    /// The shape of its schema; `None` to find it out by asking.
    pub dialect: Option<Dialect>,
    /// Nodes that are left out: by node, operator id or host, with or without its port and path.
    pub exclude: Vec<String>,
    /// Objects that are samples of every node that must serve them, by object id, before those that are found.
    pub fixed: Vec<(AssetKind, Arc<str>)>,
}

/// The shapes of Joystream's GraphQL schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The query node.
    Hydra,
    /// Orion, which player apps use.
    Orion,
    /// The squid beside storage and distributor nodes: it knows no object types but subtitles.
    StorageSquid,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hydra, Self::Orion, Self::StorageSquid];

    /// The word that the outside sees.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hydra => "hydra",
            Self::Orion => "orion",
            Self::StorageSquid => "storage-squid",
        }
    }
}

/// Where results go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfluxDb {
    /// Root of its HTTP API, ending in `/`: that of a server, or a path of it where a proxy stands in front.
    pub url: Url,
    /// Organisation.
    pub org: String,
    /// Bucket.
    pub bucket: String,
    /// API token, or `user:password` of 1.8.
    pub token: Secret,
    /// Where the token came from.
    pub token_from: TokenSource,
    /// PEM text of further trusted certificates, beside the system's.
    pub extra_ca: Option<Arc<str>>,
    /// Makes the bucket where it is missing, which the token must be allowed to.
    pub create_bucket: bool,
    /// Which of the waiting files goes first.
    pub order: Order,
    /// What delivery sends at the most, as compressed bodies.
    pub rate: BitRate,
}

impl InfluxDb {
    /// A bucket, and the defaults for how it is delivered to.
    #[must_use]
    pub fn new(url: Url, org: &str, bucket: &str, token: Secret) -> Self {
        Self {
            url,
            org: org.to_owned(),
            bucket: bucket.to_owned(),
            token,
            token_from: TokenSource::Unnamed,
            extra_ca: None,
            create_bucket: false,
            order: Order::default(),
            // A backlog of an hour at 200 points a second, some 70 MB, is gone in about a minute, and most uplinks have more.
            rate: BitRate(8_000_000),
        }
    }
}

impl InfluxDb {
    /// The URL of a path of its API, such as `/api/v2/write` or `/query?db=…`.
    ///
    /// # Panics
    /// When `path` is not a path and query.
    #[must_use]
    pub fn at(&self, path: &str) -> Url {
        // Relative to the root: an absolute path would leave a proxy's prefix.
        self.url.join(&format!("./{}", path.trim_start_matches('/'))).expect("invariant: paths of the API are fixed")
    }

    /// Is it on this machine, as far as the URL shows? RFC 6761 section 6.3 keeps `localhost` and the names below it there.
    #[must_use]
    pub fn is_on_this_machine(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                name == "localhost" || name.ends_with(".localhost")
            }
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical().is_loopback(),
            None => false,
        }
    }

    /// The root as a person writes it, without the final slash.
    #[must_use]
    pub fn root(&self) -> String {
        let (origin, path) = (self.url.origin().ascii_serialization(), self.url.path().trim_end_matches('/'));
        format!("{origin}{path}")
    }

    /// The value of the `authorization` header. 1.8 cuts the credentials of the scheme `Token` at a space, and some proxies accept
    /// only ASCII in header values. Credentials with other characters therefore go as `Basic` (RFC 7617, UTF-8), which 1.8
    /// accepts too. 2.x does not accept `Basic` here, but its tokens have no such characters.
    #[must_use]
    pub fn authorization(&self) -> Secret {
        let token = self.token.reveal();
        let is_plain = token.bytes().all(|byte| byte.is_ascii_graphic());
        Secret::new(&if is_plain || !token.contains(':') {
            format!("Token {token}")
        } else {
            format!("Basic {}", STANDARD.encode(token))
        })
    }
}

/// Where a token came from; its `Display` names that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// This file.
    File(PathBuf),
    /// This environment variable.
    Variable(&'static str),
    /// The caller did not say.
    Unnamed,
}

impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "[influxdb] token-file ({})", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Unnamed => f.write_str("[influxdb] token-file"),
        }
    }
}

/// Which of the waiting files goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// History fills up from where it broke off.
    #[default]
    OldestFirst,
    /// What happens now is seen first, the gap closes backwards.
    RecentFirst,
}

/// The data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Where it is.
    pub dir: PathBuf,
    /// Its size at the most; delivered files go first, then the oldest undelivered ones, counted.
    pub max_size: Bytes,
    /// How long delivered files are kept.
    pub keep: Duration,
    /// What a power cut may cost.
    pub sync: Duration,
}

impl Archive {
    /// How large it may become by default.
    pub const MAX_SIZE: Bytes = Bytes(2_000_000_000);
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes a text out of sight.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that has to send it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(url: &str, token: &str) -> InfluxDb {
        InfluxDb::new(url.parse().unwrap(), "o", "b", Secret::new(token))
    }

    #[test]
    fn api_paths_stay_below_the_root() {
        for (url, root, at) in [
            ("http://db:8086/", "http://db:8086", "http://db:8086/query?db=a%2Fb&q=SELECT+1"),
            (
                "https://db.example/influx/",
                "https://db.example/influx",
                "https://db.example/influx/query?db=a%2Fb&q=SELECT+1",
            ),
            ("https://db/a/b%20c/", "https://db/a/b%20c", "https://db/a/b%20c/query?db=a%2Fb&q=SELECT+1"),
        ] {
            let database = database(url, "t");
            assert_eq!((&*database.root(), database.at("/query?db=a%2Fb&q=SELECT+1").as_str()), (root, at));
        }
    }

    #[test]
    fn credentials_that_no_header_carries_go_as_basic() {
        for (token, header) in [
            ("s3cret-t0ken==", "Token s3cret-t0ken=="),
            ("user:pass:word", "Token user:pass:word"),
            ("tester:two words", "Basic dGVzdGVyOnR3byB3b3Jkcw=="),
            ("jürgen:geheim", "Basic asO8cmdlbjpnZWhlaW0="),
        ] {
            assert_eq!(database("http://db/", token).authorization().reveal(), header);
        }
    }
}

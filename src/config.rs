//! The configuration: what the user wrote ([`mod@file`]), converted once into checked types ([`check`]).
//!
//! The types here are the checked ones, so code that has a [`Config`] needs no further checks. Precedence is flag >
//! environment > file > default. All problems are reported at once, each with file, key path and a hint.

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

/// A checked configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The place that this worker measures from.
    pub vantage: Vantage,
    /// The probes that download, with unique names. Empty only when there is a status probe.
    pub probes: Vec<Probe>,
    /// The probe that asks nodes for their status, in rounds. Its name differs from the names of `probes`.
    pub status: Option<StatusProbe>,
    /// Limits that protect the nodes and keep measurements apart.
    pub limits: Limits,
    /// How connections are made.
    pub network: Network,
    /// The nodes of all static sources, with unique ids and endpoints.
    pub nodes: Vec<Node>,
    /// The registries that list further nodes.
    pub registries: Vec<Registry>,
    /// The database for the results; when `None`, they stay in the archive.
    pub influxdb: Option<InfluxDb>,
    /// Length of the windows in which values are gathered into histograms.
    pub window: Duration,
    /// The data directory.
    pub archive: Archive,
    /// The tracing page to which trace ids are linked.
    pub trace_url: Option<TraceUrl>,
}

impl Config {
    /// The same configuration, but with exactly these nodes. Used to compute what it costs to probe them.
    #[must_use]
    pub fn with_nodes(&self, targets: &Targets) -> Self {
        Self { nodes: targets.nodes.iter().map(|node| (**node).clone()).collect(), ..self.clone() }
    }
}

/// Limits that protect the nodes and keep measurements apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Number of workers that probe the same nodes.
    pub vantages: u64,
    /// Download budget of this worker, in bytes per UTC day.
    pub bytes_per_day: Bytes,
    /// Download budget of this worker for one node, in bytes per UTC day.
    pub bytes_per_node_per_day: Bytes,
    /// Number of objects that each node is made to fetch, per UTC day, by probes that measure misses.
    pub cold_fetches_per_node_per_day: u64,
    /// Most heavy transfers at once.
    pub heavy_transfers: usize,
    /// Most light transfers at once.
    pub light_transfers: usize,
    /// Most transfers at once from one node.
    pub transfers_per_node: usize,
}

impl Limits {
    /// Most transfers at once, heavy and light.
    #[must_use]
    pub const fn transfers(&self) -> usize {
        self.heavy_transfers.saturating_add(self.light_transfers)
    }
}

/// How connections are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Which non-public addresses discovered nodes may have. For test networks.
    pub allow_private: AllowPrivate,
    /// How names are looked up.
    pub resolver: Resolver,
    /// Which HTTP version is requested.
    pub http: HttpChoice,
    /// Which address family is used.
    pub family: FamilyChoice,
    /// PEM text of further trusted certificates, in addition to the system's.
    pub extra_ca: Option<Arc<str>>,
    /// Appended to the user agent, so that operators can contact the person who probes: a URL or email address.
    pub contact: Option<String>,
}

/// For which networks the address guard is lifted. The guard keeps discovered nodes out of networks that are not
/// public.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowPrivate {
    /// The guard applies everywhere.
    #[default]
    Nowhere,
    /// The guard is lifted for all addresses and ports.
    Everywhere,
    /// The guard is lifted only for addresses in these networks. A mapped or embedded IPv4 address does not match an
    /// IPv4 network.
    In(Vec<IpNet>),
}

/// How names are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolver {
    /// By the system's name servers and its hosts file.
    System,
    /// Only by these name servers.
    Servers(Vec<SocketAddr>),
}

/// Which HTTP version is requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpChoice {
    /// Chosen by ALPN; HTTP/1.1 without TLS.
    #[default]
    Auto,
    /// Only HTTP/1.1.
    Http1,
    /// Only HTTP/2, over TLS.
    Http2,
}

/// Which address family is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FamilyChoice {
    /// The preferred one (RFC 6724) that this host has a route for.
    #[default]
    Any,
    /// Only IPv4.
    V4,
    /// Only IPv6.
    V6,
}

impl FamilyChoice {
    /// Whether an address of this family may be used.
    #[must_use]
    pub const fn admits(self, address: &IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// A GraphQL endpoint of Joystream that lists the nodes and the objects that each must serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// URL of the GraphQL endpoint.
    pub url: Url,
    /// Time between two requests for the list of nodes.
    pub refresh: Duration,
    /// Time between two requests for the objects that the nodes must serve. They are made together with a request for
    /// the nodes.
    pub refresh_assets: Duration,
    /// The dialect of its schema; `None` to detect it automatically.
    pub dialect: Option<Dialect>,
    /// Nodes that are left out: by node id, operator id or host, where the host may include the port and the path.
    pub exclude: Vec<String>,
    /// Object ids that are sampled from every node that must serve them, in preference to discovered objects.
    pub fixed: Vec<(AssetKind, Arc<str>)>,
}

/// The dialects of Joystream's GraphQL schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The query node.
    Hydra,
    /// Orion, which player apps use.
    Orion,
    /// The squid that runs next to storage and distributor nodes. It knows no object types except subtitles.
    StorageSquid,
}

impl Dialect {
    /// All dialects.
    pub const ALL: [Self; 3] = [Self::Hydra, Self::Orion, Self::StorageSquid];

    /// The name in the config.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hydra => "hydra",
            Self::Orion => "orion",
            Self::StorageSquid => "storage-squid",
        }
    }
}

/// The InfluxDB server and bucket that receive the results, and how they are delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfluxDb {
    /// Root URL of its HTTP API, with a final `/`. May have a path if a proxy is in front of the server.
    pub url: Url,
    /// Name of the organisation.
    pub org: String,
    /// Name of the bucket.
    pub bucket: String,
    /// API token, or `user:password` for InfluxDB 1.8.
    pub token: Secret,
    /// Where the token was read from.
    pub token_from: TokenSource,
    /// PEM text of further trusted certificates, in addition to the system's.
    pub extra_ca: Option<Arc<str>>,
    /// Whether to create the bucket when it does not exist. The token needs permission for this.
    pub create_bucket: bool,
    /// Which of the waiting files is delivered first.
    pub order: Order,
    /// The highest rate of delivery, measured on compressed request bodies.
    pub rate: BitRate,
}

impl InfluxDb {
    /// Creates the settings for a bucket, with the defaults for delivery.
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
            // An hour's backlog at 200 points per second, about 70 MB, is delivered in about a minute. Most uplinks are
            // faster.
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
        // Join relative to the root: an absolute path would drop the prefix of a proxy.
        self.url.join(&format!("./{}", path.trim_start_matches('/'))).expect("invariant: paths of the API are fixed")
    }

    /// Whether the URL shows that the server is on this machine. RFC 6761 section 6.3 reserves `localhost` and the
    /// names below it for this.
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

    /// The root URL as a user writes it, without the final slash.
    #[must_use]
    pub fn root(&self) -> String {
        let (origin, path) = (self.url.origin().ascii_serialization(), self.url.path().trim_end_matches('/'));
        format!("{origin}{path}")
    }

    /// The value of the `authorization` header. InfluxDB 1.8 cuts the credentials of the scheme `Token` at a space, and
    /// some proxies accept only ASCII in header values. Credentials with other characters are therefore sent as `Basic`
    /// (RFC 7617, UTF-8), which 1.8 accepts too. 2.x does not accept `Basic` here, but its tokens have no such
    /// characters.
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

/// Where a token was read from. `Display` prints this source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// From this file.
    File(PathBuf),
    /// From this environment variable.
    Variable(&'static str),
    /// From the caller, without a source.
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

/// Which of the waiting files is delivered first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The oldest file first: the history in the database continues where it stopped.
    #[default]
    OldestFirst,
    /// The newest file first: current results are visible first, and the gap is filled backwards.
    RecentFirst,
}

/// The data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Path of the directory.
    pub dir: PathBuf,
    /// Its maximum size. Delivered files are deleted first, then the oldest undelivered ones, which are counted.
    pub max_size: Bytes,
    /// How long delivered files are kept.
    pub keep: Duration,
    /// Time between two syncs to disk: the longest time of which results are lost in a power cut.
    pub sync: Duration,
}

impl Archive {
    /// Default of `max_size`.
    pub const MAX_SIZE: Bytes = Bytes(2_000_000_000);
}

/// A text that is never printed. `Debug` prints `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a text.
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

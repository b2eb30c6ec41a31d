//! The cache state that an answer reports, in the words of Argus or of the CDN or proxy in front of the node.
//!
//! [`HEADERS`] and [`WORDS`] list every header and word that is understood. The tests contain the table of what CDNs
//! document.

use http::{
    HeaderMap,
    header::{AGE, HeaderName},
};

use super::fields::{number, split};
use crate::model::sample::CacheState;

/// The cache state that the headers report, read from the cache nearest to us to the one farthest from us.
///
/// The first cache that held the object decides: what the caches behind it report was stored with the object. A cache
/// that did not hold it defers to those behind it. So a hit of the node is a hit, even if an edge in front of it
/// missed. A cache without a status header is detected by what it adds to a stored answer, such as an `age` above zero
/// (RFC 9111 §5.1). What Argus reported in such an answer was stored with the object.
#[must_use]
pub fn cache_state(headers: &HeaderMap) -> CacheState {
    let edge: Vec<_> = HEADERS.iter().map(|(name, form)| form.read(headers, name)).collect();
    let node = HeaderForm::Words.read(headers, NODE);
    let traces: Vec<_> = TRACES.iter().map(|(name, form)| form.read(headers, name)).collect();
    let is_silent = edge.iter().all(|said| *said == CacheState::Unknown);
    let was_stored = has_age(headers) || traces.contains(&CacheState::Hit);
    if is_silent && was_stored && (node == CacheState::Unknown || is_of_argus(headers)) {
        return CacheState::Hit;
    }
    let mut missed = traces.contains(&CacheState::Miss);
    for said in edge.into_iter().chain([node]) {
        match said {
            CacheState::Unknown => {}
            CacheState::Miss => missed = true,
            CacheState::Hit | CacheState::Pending => return said,
        }
    }
    if missed { CacheState::Miss } else { CacheState::Unknown }
}

/// The form of a header's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeaderForm {
    /// Words of [`WORDS`]. The last element of a list (`MISS, HIT`) is the cache nearest to us.
    Words,
    /// Like `Words`, but the first element is the nearest cache.
    NearestFirst,
    /// RFC 9211.
    CacheStatus,
    /// How many hits each cache had for the object (`0, 3`), the nearest one last. A number above zero is a hit.
    Hits,
    /// Varnish's ids: the id of the request, and on a hit also the id of the request that stored the object.
    Ids,
}

impl HeaderForm {
    /// The state in the lines of this header, starting at the cache nearest to us. A cache that had no part in the
    /// answer defers to the next.
    fn read(self, headers: &HeaderMap, name: &'static str) -> CacheState {
        let lines = headers.get_all(HeaderName::from_static(name));
        let texts = lines.iter().filter_map(|line| line.to_str().ok());
        let mut caches: Vec<_> = texts.flat_map(|text| split(text, ',')).collect();
        if self != Self::NearestFirst {
            caches.reverse();
        }
        let said = caches.into_iter().map(|cache| match self {
            Self::Words | Self::NearestFirst => word(cache),
            Self::CacheStatus => parameters(cache),
            Self::Hits => hits(cache),
            Self::Ids => ids(cache),
        });
        said.into_iter().find(|state| *state != CacheState::Unknown).unwrap_or_default()
    }
}

/// Argus writes one word in lower case, and never sends an `age`.
fn is_of_argus(headers: &HeaderMap) -> bool {
    let words = [CacheState::Hit, CacheState::Pending, CacheState::Miss].map(CacheState::label);
    let mut all = headers.get_all(HeaderName::from_static("x-cache")).iter();
    all.all(|value| words.iter().any(|word| value == word))
}

/// The state of one element: `hit`, `Hit from cloudfront`, `TCP_MEM_HIT from a23…`, `HIT TCP_MEM_HIT dirn:10:3`,
/// `EXPIRED`, `DYNAMIC`.
fn word(said: &str) -> CacheState {
    let said = said.to_ascii_lowercase();
    // The text after `from` is the name of the cache or of a part of it.
    let said = said.split(" from ").next().unwrap_or_default();
    let has = |words: &[&str]| said.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| words.contains(&part));
    WORDS.iter().find(|(words, _)| has(words)).map_or(CacheState::Unknown, |(_, state)| *state)
}

fn hits(said: &str) -> CacheState {
    match said.trim() {
        "" => CacheState::Unknown,
        count => number(count).map_or(CacheState::Unknown, |n| if n > 0 { CacheState::Hit } else { CacheState::Miss }),
    }
}

fn ids(said: &str) -> CacheState {
    let ids: Vec<_> = said.split_whitespace().map(number).collect();
    match ids[..] {
        [Some(_)] => CacheState::Miss,
        [Some(_), Some(_)] => CacheState::Hit,
        _ => CacheState::Unknown,
    }
}

/// One cache of `cache-status`: its name, and `hit` or the reason why the request was forwarded (RFC 9211 §2).
fn parameters(said: &str) -> CacheState {
    let parameters: Vec<_> = split(said, ';').into_iter().skip(1).map(|parameter| parameter.trim()).collect();
    let has = |wanted: &str| parameters.iter().any(|parameter| parameter.eq_ignore_ascii_case(wanted));
    let forwarded = parameters.iter().find_map(|parameter| parameter.strip_prefix("fwd="));
    match forwarded {
        // The cache joined a request that was under way.
        Some(_) if has("collapsed") || has("collapsed=?1") => CacheState::Pending,
        // The object was stale but still valid.
        Some("stale") if has("fwd-status=304") => CacheState::Hit,
        Some("miss" | "uri-miss" | "vary-miss" | "stale" | "partial" | "request") => CacheState::Miss,
        Some(_) => CacheState::Unknown,
        None if has("hit") || has("hit=?1") => CacheState::Hit,
        None => CacheState::Unknown,
    }
}

/// Is there an age above zero? The first element of a list counts, and a number that overflows is valid too (RFC 9111
/// §1.2.2, §5.1).
fn has_age(headers: &HeaderMap) -> bool {
    let said = headers.get(AGE).and_then(|age| age.to_str().ok()).unwrap_or_default();
    let first = said.split(',').next().unwrap_or_default().trim();
    first.bytes().all(|byte| byte.is_ascii_digit()) && first.bytes().any(|byte| byte != b'0')
}

/// The headers that report a cache state: first those that only an edge writes, then those that a node may write too.
const HEADERS: &[(&str, HeaderForm)] = &[
    ("cf-cache-status", HeaderForm::Words),            // Cloudflare
    ("cdn-cache", HeaderForm::Words),                  // BunnyCDN
    ("x-vercel-cache", HeaderForm::Words),             // Vercel
    ("x-77-cache", HeaderForm::Words),                 // CDN77
    ("x-sucuri-cache", HeaderForm::Words),             // Sucuri
    ("akamai-cache-status", HeaderForm::NearestFirst), // Akamai: `Miss from child, Hit from parent`
    ("cache-status", HeaderForm::CacheStatus),         // RFC 9211: Netlify, Fastly, Squid, ATS, Caddy
    ("x-cache-status", HeaderForm::Words),             // nginx if configured, Google's `cdn_cache_status`
    ("x-proxy-cache", HeaderForm::Words),              // nginx if configured
    ("x-nginx-cache", HeaderForm::Words),
    ("x-fastcgi-cache", HeaderForm::Words),
    ("x-litespeed-cache", HeaderForm::Words),
];

/// The header of Argus and most CDNs: CloudFront, Fastly, KeyCDN, Akamai, Azure, Edgio, Alibaba, Squid; Varnish if
/// configured.
const NODE: &str = "x-cache";

/// Headers that a cache sends in addition to its status header, or instead of one.
const TRACES: &[(&str, HeaderForm)] =
    &[("x-cache-lookup", HeaderForm::Words), ("x-cache-hits", HeaderForm::Hits), ("x-varnish", HeaderForm::Ids)];

/// The meaning of words; the first match in this order counts. A word is matched by its parts: `TCP_REFRESH_FAIL_HIT`
/// by its last part, `HIT-CLUSTER` by its first. `EXPIRED` means that the object had to be fetched again. `STALE`,
/// `UPDATING` and `REVALIDATED` mean that the cache held and served it. All other words (`BYPASS`, `DYNAMIC`, `Error`,
/// `CONFIG_NOCACHE`) mean that the cache had no part in the answer.
const WORDS: &[(&[&str], CacheState)] = &[
    (&["pass", "denied"], CacheState::Unknown), // `hit-for-pass` is no hit
    (&["miss"], CacheState::Miss),
    (&["pending"], CacheState::Pending),
    (&["hit", "refreshhit", "originshieldhit", "hitstale"], CacheState::Hit),
    (&["stale", "updating", "revalidated", "revalidate", "prerender"], CacheState::Hit),
    (&["expired"], CacheState::Miss),
];

#[cfg(test)]
mod tests;

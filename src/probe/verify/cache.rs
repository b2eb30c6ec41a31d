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
mod tests {
    use CacheState::{Hit, Miss, Pending, Unknown};

    use super::*;

    fn check(lines: &[(&'static str, &str)], state: CacheState) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        assert_eq!(cache_state(&headers), state, "{lines:?}");
    }

    /// What CDNs and proxies document, or were seen to send: product, header, value, meaning.
    const DOCUMENTED: &[(&str, &str, &str, CacheState)] = &[
        ("Argus", "x-cache", "hit", Hit),
        ("Argus", "x-cache", "pending", Pending),
        ("Argus", "x-cache", "miss", Miss),
        ("BunnyCDN", "cdn-cache", "HIT", Hit),
        ("BunnyCDN", "cdn-cache", "MISS", Miss),
        ("BunnyCDN", "cdn-cache", "EXPIRED", Miss),
        ("BunnyCDN", "cdn-cache", "STALE", Hit),
        ("BunnyCDN", "cdn-cache", "UPDATING", Hit),
        ("BunnyCDN", "cdn-cache", "REVALIDATED", Hit),
        ("BunnyCDN", "cdn-cache", "BYPASS", Unknown),
        ("KeyCDN", "x-cache", "HIT", Hit),
        ("KeyCDN", "x-cache", "MISS", Miss),
        ("KeyCDN", "x-cache", "EXPIRED", Miss),
        ("KeyCDN", "x-cache", "REVALIDATED", Hit),
        ("KeyCDN", "x-cache", "UPDATING", Hit),
        ("KeyCDN", "x-cache", "STALE", Hit),
        ("Fastly", "x-cache", "HIT", Hit),
        ("Fastly", "x-cache", "MISS", Miss),
        ("Fastly", "x-cache", "MISS, HIT", Hit),
        ("Fastly", "x-cache", "HIT, MISS", Miss),
        ("Fastly", "x-cache", "HIT, HIT", Hit),
        ("Fastly", "x-cache", "HIT-CLUSTER", Hit),
        ("Fastly", "x-cache", "HIT-STALE", Hit),
        ("Fastly", "x-cache", "HITPASS", Unknown),
        ("Fastly", "x-cache-hits", "0, 1", Hit),
        ("Fastly", "x-cache-hits", "3, 0", Miss),
        ("CloudFront", "x-cache", "Hit from cloudfront", Hit),
        ("CloudFront", "x-cache", "RefreshHit from cloudfront", Hit),
        ("CloudFront", "x-cache", "OriginShieldHit from cloudfront", Hit),
        ("CloudFront", "x-cache", "Miss from cloudfront", Miss),
        ("CloudFront", "x-cache", "Error from cloudfront", Unknown),
        ("CloudFront", "x-cache", "LambdaGeneratedResponse from cloudfront", Unknown),
        ("Akamai", "x-cache", "TCP_HIT from a23-5-1-9.deploy.akamaitechnologies.com (AkamaiGHost/11.0)", Hit),
        ("Akamai", "x-cache", "TCP_MEM_HIT from a23-5-1-9", Hit),
        ("Akamai", "x-cache", "TCP_IMS_HIT from a23-5-1-9", Hit),
        ("Akamai", "x-cache", "TCP_REFRESH_HIT from a23-5-1-9", Hit),
        ("Akamai", "x-cache", "TCP_REFRESH_FAIL_HIT from a23-5-1-9", Hit),
        ("Akamai", "x-cache", "TCP_MISS from a23-5-1-9", Miss),
        ("Akamai", "x-cache", "TCP_REFRESH_MISS from a23-5-1-9", Miss),
        ("Akamai", "x-cache", "TCP_EXPIRED_MISS from a23-5-1-9", Miss),
        ("Akamai", "x-cache", "TCP_DENIED from a23-5-1-9", Unknown),
        ("Akamai", "akamai-cache-status", "Hit from child", Hit),
        ("Akamai", "akamai-cache-status", "RefreshHit from child, Miss from parent", Hit),
        ("Akamai", "akamai-cache-status", "HitStale from child", Hit),
        ("Akamai", "akamai-cache-status", "Miss from child, Hit from parent", Miss),
        ("Akamai", "akamai-cache-status", "NotCacheable from child", Unknown),
        ("Azure", "x-cache", "TCP_HIT", Hit),
        ("Azure", "x-cache", "TCP_REMOTE_HIT", Hit),
        ("Azure", "x-cache", "TCP_MISS", Miss),
        ("Azure", "x-cache", "CONFIG_NOCACHE", Unknown),
        ("Azure", "x-cache", "PRIVATE_NOSTORE", Unknown),
        ("Azure", "x-cache", "N/A", Unknown),
        ("Edgio", "x-cache", "TCP_EXPIRED_HIT", Hit),
        ("Edgio", "x-cache", "TCP_CLIENT_REFRESH_MISS", Miss),
        ("Edgio", "x-cache", "NONE", Unknown),
        ("nginx", "x-proxy-cache", "HIT", Hit),
        ("nginx", "x-proxy-cache", "MISS", Miss),
        ("nginx", "x-proxy-cache", "BYPASS", Unknown),
        ("nginx", "x-cache-status", "HIT", Hit),
        ("nginx", "x-cache-status", "MISS", Miss),
        ("nginx", "x-cache-status", "EXPIRED", Miss),
        ("nginx", "x-cache-status", "STALE", Hit),
        ("nginx", "x-cache-status", "UPDATING", Hit),
        ("nginx", "x-cache-status", "REVALIDATED", Hit),
        ("nginx", "x-cache-status", "BYPASS", Unknown),
        ("Google", "x-cache-status", "revalidated", Hit),
        ("Google", "x-cache-status", "uncacheable", Unknown),
        ("Google", "x-cache-status", "disabled", Unknown),
        ("Varnish", "x-varnish", "32770 3", Hit),
        ("Varnish", "x-varnish", "32770", Miss),
        ("Varnish", "x-varnish", "32770 3 1", Unknown),
        ("Varnish", "x-varnish", "a b", Unknown),
        ("Varnish", "x-cache-hits", "17", Hit),
        ("Varnish", "x-cache-hits", "0", Miss),
        ("Varnish", "x-cache-hits", "-1", Unknown),
        ("Varnish", "x-cache", "hit-for-pass", Unknown),
        ("Varnish", "x-cache", "hit-for-miss", Miss),
        ("Cloudflare", "cf-cache-status", "HIT", Hit),
        ("Cloudflare", "cf-cache-status", "MISS", Miss),
        ("Cloudflare", "cf-cache-status", "EXPIRED", Miss),
        ("Cloudflare", "cf-cache-status", "STALE", Hit),
        ("Cloudflare", "cf-cache-status", "UPDATING", Hit),
        ("Cloudflare", "cf-cache-status", "REVALIDATED", Hit),
        ("Cloudflare", "cf-cache-status", "BYPASS", Unknown),
        ("Cloudflare", "cf-cache-status", "DYNAMIC", Unknown),
        ("Cloudflare", "cf-cache-status", "NONE/UNKNOWN", Unknown),
        ("RFC 9211", "cache-status", "ExampleCache; hit", Hit),
        ("RFC 9211", "cache-status", "ExampleCache; hit; ttl=376", Hit),
        ("RFC 9211", "cache-status", "ExampleCache; hit; ttl=-412", Hit),
        ("RFC 9211", "cache-status", "ExampleCache; fwd=miss", Miss),
        ("RFC 9211", "cache-status", "ExampleCache; fwd=vary-miss; stored", Miss),
        ("RFC 9211", "cache-status", "ExampleCache; fwd=uri-miss; stored", Miss),
        ("RFC 9211", "cache-status", "ExampleCache; fwd=uri-miss; collapsed", Pending),
        ("RFC 9211", "cache-status", "ExampleCache; fwd=stale; fwd-status=304", Hit),
        ("RFC 9211", "cache-status", "ExampleCache; fwd=stale; fwd-status=200", Miss),
        ("RFC 9211", "cache-status", "ExampleCache; fwd=partial", Miss),
        ("RFC 9211", "cache-status", "ExampleCache; fwd=bypass", Unknown),
        ("RFC 9211", "cache-status", "OriginCache; hit; ttl=1100, \"CDN Company Here\"; hit; ttl=545", Hit),
        ("RFC 9211", "cache-status", "OriginCache; hit; ttl=1100, edge; fwd=method", Hit),
        ("RFC 9211", "cache-status", "OriginCache; hit; ttl=1100, edge; fwd=uri-miss", Miss),
        ("RFC 9211", "cache-status", "\"CDN; hit, really; hit\"; fwd=miss", Miss),
        ("RFC 9211", "cache-status", "\"a \\\"; hit\"; fwd=miss", Miss),
        ("RFC 9211", "cache-status", "\"never closed; hit", Unknown),
        ("RFC 9211", "cache-status", "hit", Unknown),
        ("Netlify", "cache-status", "\"Netlify Durable\"; hit; ttl=9, \"Netlify Edge\"; fwd=miss", Miss),
        ("Vercel", "x-vercel-cache", "PRERENDER", Hit),
        ("Vercel", "x-vercel-cache", "HIT", Hit),
        ("Alibaba", "x-cache", "HIT TCP_MEM_HIT dirn:10:358", Hit),
        ("Alibaba", "x-cache", "MISS TCP_MISS dirn:-2:-2", Miss),
        ("Tencent", "x-cache-lookup", "Cache Hit", Hit),
        ("Squid", "x-cache", "MISS from hit.example.net", Miss),
        ("Squid", "x-cache", "HIT from proxy.example.net", Hit),
        ("Squid", "x-cache-lookup", "MISS from proxy.example.net:3128", Miss),
    ];

    #[test]
    fn documented_headers_mean_what_their_cdns_say() {
        for (who, name, value, state) in DOCUMENTED {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())]);
            assert_eq!(cache_state(&headers), *state, "{who}: {name}: {value}");
        }
        let tested = |name: &&str| DOCUMENTED.iter().any(|(_, header, _, _)| header == name);
        let read = HEADERS.iter().chain(TRACES).map(|(name, _)| *name);
        let untested: Vec<_> = read.filter(|name| !tested(name)).collect();
        assert_eq!(untested, ["x-77-cache", "x-sucuri-cache", "x-nginx-cache", "x-fastcgi-cache", "x-litespeed-cache"]);
    }

    #[test]
    fn one_word_is_read_in_every_spelling() {
        for (said, state) in [
            ("HIT", Hit),
            ("Hit", Hit),
            ("MISS, MISS", Miss),
            ("MISS, HIT", Hit),
            ("HIT, PASS", Hit),
            ("whatever", Unknown),
            ("white", Unknown),
            ("", Unknown),
            (",, ,", Unknown),
        ] {
            for (name, form) in HEADERS.iter().chain([&(NODE, HeaderForm::Words)]) {
                if *form == HeaderForm::Words {
                    check(&[(name, said)], state);
                }
            }
        }
        check(&[("x-cache", "MISS"), ("x-cache", "HIT")], Hit);
        check(&[("x-cache", "hit"), ("x-cache", "MISS")], Miss);
        check(&[("x-cache", &format!("{} HIT", "MISS,".repeat(4_000)))], Hit);
        check(&[("cache-status", "edge; fwd=uri-miss"), ("x-cache", "hit")], Hit);
        check(&[("cache-status", "shield; fwd=miss"), ("cache-status", "edge; hit")], Hit);
    }

    #[test]
    fn an_edge_before_the_node_has_its_say() {
        for (edge, node, state) in [
            ("HIT", "miss", Hit),
            ("STALE", "miss", Hit),
            ("UPDATING", "pending", Hit),
            ("REVALIDATED", "miss", Hit),
            ("MISS", "hit", Hit),
            ("MISS", "pending", Pending),
            ("MISS", "miss", Miss),
            ("EXPIRED", "hit", Hit),
            ("MISS", "", Miss),
            ("EXPIRED", "", Miss),
            ("DYNAMIC", "hit", Hit),
            ("DYNAMIC", "miss", Miss),
            ("BYPASS", "pending", Pending),
            ("NONE/UNKNOWN", "hit", Hit),
            ("NONE/UNKNOWN", "", Unknown),
            ("DYNAMIC", "", Unknown),
        ] {
            check(&[("cf-cache-status", edge), ("x-cache", node)], state);
            check(&[("x-cache", node), ("x-cache-status", edge)], state);
        }
        check(&[("cf-cache-status", "HIT"), ("age", "0")], Hit);
        check(&[("cf-cache-status", "MISS"), ("age", "7")], Miss);
    }

    #[test]
    fn an_age_gives_a_silent_cache_away() {
        for (age, state) in [
            ("1", Hit),
            ("86400", Hit),
            ("99999999999999999999999999", Hit),
            ("5, 0", Hit),
            ("0", Unknown),
            ("000", Unknown),
            ("0, 5", Unknown),
            ("-1", Unknown),
            ("1e3", Unknown),
            ("1.5", Unknown),
            ("", Unknown),
        ] {
            check(&[("age", age)], state);
            check(&[("via", "1.1 varnish"), ("age", age)], state);
        }
        check(&[("via", "1.1 varnish")], Unknown);
        for (node, age, state) in [
            ("miss", "9", Hit),
            ("pending", "9", Hit),
            ("miss", "0", Miss),
            ("MISS", "9", Miss),
            ("HIT, MISS", "9", Miss),
            ("Miss from cloudfront", "9", Miss),
        ] {
            check(&[("x-cache", node), ("age", age)], state);
        }
        check(&[("x-cache-status", "MISS"), ("x-cache", "miss"), ("age", "9")], Miss);
        // A Varnish in front of Argus: the word of Argus was stored with the object.
        check(&[("x-cache", "miss"), ("x-varnish", "7 3"), ("age", "0")], Hit);
        check(&[("x-cache", "hit"), ("x-varnish", "7")], Hit);
        check(&[("x-cache", "MISS"), ("x-cache-hits", "0"), ("x-varnish", "7 3")], Miss);
    }

    #[test]
    fn what_is_no_text_says_nothing() {
        for name in ["x-cache", "cf-cache-status", "cache-status", "x-cache-hits", "x-varnish", "age"] {
            let mut headers = HeaderMap::new();
            headers.insert(name, http::HeaderValue::from_bytes(b"hit\xff, 5").unwrap());
            assert_eq!(cache_state(&headers), Unknown, "{name}");
        }
    }
}

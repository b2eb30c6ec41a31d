//! What an answer says of the cache that it came from: in Argus's words, or in those of the CDN or proxy before the node.

use http::{
    HeaderMap,
    header::{AGE, HeaderName},
};

use crate::model::sample::CacheState;

/// What the headers say, from the cache nearest to us to the one behind it: Cloudflare's `cf-cache-status`, `cache-status`
/// (RFC 9211), `x-cache-status` (nginx), `x-cache` (Argus, CloudFront, Fastly, Akamai, Squid).
///
/// The first cache that held the object decides; what the ones behind it say was stored with it. One that did not hold it
/// leaves the word to those behind it: the node's own hit is a hit, though an edge before it missed. A CDN that says nothing
/// else gives itself away by an `age` above zero (RFC 9111 §5.1); what Argus said then was stored with the object.
#[must_use]
pub fn cache_state(headers: &HeaderMap) -> CacheState {
    let edge = [of(headers, "cf-cache-status"), cache_status(headers), of(headers, "x-cache-status")];
    let node = of(headers, "x-cache");
    let is_silent = edge.iter().all(|said| *said == CacheState::Unknown);
    if is_silent && has_age(headers) && (node == CacheState::Unknown || is_of_argus(headers)) {
        return CacheState::Hit;
    }
    let mut missed = false;
    for said in edge.into_iter().chain([node]) {
        match said {
            CacheState::Unknown => {}
            CacheState::Miss => missed = true,
            CacheState::Hit | CacheState::Pending => return said,
        }
    }
    if missed { CacheState::Miss } else { CacheState::Unknown }
}

/// What a header of one word a cache says. Of a chain (`MISS, HIT`, or several headers) the last is nearest to us; one that
/// was passed through leaves the word to that before it.
fn of(headers: &HeaderMap, name: &'static str) -> CacheState {
    let all = headers.get_all(HeaderName::from_static(name));
    let words = all.iter().rev().filter_map(|value| value.to_str().ok()).flat_map(|text| text.rsplit(','));
    words.map(word).find(|state| *state != CacheState::Unknown).unwrap_or_default()
}

/// Argus writes one word in lower case, and never an `age`.
fn is_of_argus(headers: &HeaderMap) -> bool {
    let words = [CacheState::Hit, CacheState::Pending, CacheState::Miss].map(CacheState::label);
    let mut all = headers.get_all(HeaderName::from_static("x-cache")).iter();
    all.all(|value| words.iter().any(|word| value == word))
}

/// `hit`, `Hit from cloudfront`, `TCP_MEM_HIT from a23…`, `RefreshHit from cloudfront`, `EXPIRED`, `DYNAMIC`.
fn word(said: &str) -> CacheState {
    let first = said.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    let parts = || first.split(|c: char| !c.is_ascii_alphanumeric());
    let is = |words: &[&str]| parts().any(|part| words.contains(&part));
    if is(&["miss", "expired"]) {
        CacheState::Miss
    } else if is(&["pending"]) {
        CacheState::Pending
    } else if is(&["stale", "updating", "revalidated"]) || parts().any(|part| part.ends_with("hit")) {
        CacheState::Hit
    } else {
        CacheState::Unknown
    }
}

/// RFC 9211 §2: a list of caches, the nearest to us last, each with `hit` or the reason why the request was forwarded.
fn cache_status(headers: &HeaderMap) -> CacheState {
    let all = headers.get_all(HeaderName::from_static("cache-status"));
    let texts = all.iter().rev().filter_map(|value| value.to_str().ok());
    let caches = texts.flat_map(|text| split(text, ',').into_iter().rev());
    caches.map(cache).find(|state| *state != CacheState::Unknown).unwrap_or_default()
}

fn cache(said: &str) -> CacheState {
    let parameters: Vec<_> = split(said, ';').into_iter().skip(1).map(|parameter| parameter.trim()).collect();
    let has = |wanted: &str| parameters.iter().any(|parameter| parameter.eq_ignore_ascii_case(wanted));
    let forwarded = parameters.iter().find_map(|parameter| parameter.strip_prefix("fwd="));
    match forwarded {
        // The cache joined a request that was under way.
        Some(_) if has("collapsed") || has("collapsed=?1") => CacheState::Pending,
        // It was stale, and still good.
        Some("stale") if has("fwd-status=304") => CacheState::Hit,
        Some("miss" | "uri-miss" | "vary-miss" | "stale" | "partial" | "request") => CacheState::Miss,
        Some(_) => CacheState::Unknown,
        None if has("hit") || has("hit=?1") => CacheState::Hit,
        None => CacheState::Unknown,
    }
}

/// Splits outside of quoted strings, whose `\"` does not end them (RFC 9651 §3.3.3).
fn split(text: &str, at: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|c: char| {
        let ends = !quoted && c == at;
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        ends
    })
    .collect()
}

/// Is there an age above zero? Of a list the first one counts, and a number beyond all bounds is one (RFC 9111 §1.2.2, §5.1).
fn has_age(headers: &HeaderMap) -> bool {
    let said = headers.get(AGE).and_then(|age| age.to_str().ok()).unwrap_or_default();
    let first = said.split(',').next().unwrap_or_default().trim();
    first.bytes().all(|byte| byte.is_ascii_digit()) && first.bytes().any(|byte| byte != b'0')
}

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

    #[test]
    fn one_word_is_read_in_every_spelling() {
        for (said, state) in [
            ("hit", Hit),
            ("pending", Pending),
            ("miss", Miss),
            ("HIT", Hit),
            ("EXPIRED", Miss),
            ("STALE", Hit),
            ("UPDATING", Hit),
            ("REVALIDATED", Hit),
            ("BYPASS", Unknown),
            ("Hit from cloudfront", Hit),
            ("RefreshHit from cloudfront", Hit),
            ("OriginShieldHit from cloudfront", Hit),
            ("Miss from cloudfront", Miss),
            ("Error from cloudfront", Unknown),
            ("TCP_HIT from a23-5-1-9.deploy.akamaitechnologies.com (AkamaiGHost/11.0)", Hit),
            ("TCP_MEM_HIT from a23-5-1-9", Hit),
            ("TCP_REFRESH_MISS from a23-5-1-9", Miss),
            ("MISS from hit.example.net", Miss),
            ("PASS", Unknown),
            ("MISS, MISS", Miss),
            ("MISS, HIT", Hit),
            ("HIT, MISS", Miss),
            ("HIT, PASS", Hit),
            ("whatever", Unknown),
            ("white", Unknown),
            ("", Unknown),
            (",, ,", Unknown),
        ] {
            check(&[("x-cache", said)], state);
            check(&[("x-cache-status", said)], state);
        }
        check(&[("x-cache", "MISS"), ("x-cache", "HIT")], Hit);
        check(&[("x-cache", "hit"), ("x-cache", "MISS")], Miss);
        check(&[("x-cache", &format!("{} HIT", "MISS,".repeat(4_000)))], Hit);
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
    fn the_standard_header_is_read() {
        for (said, state) in [
            ("ExampleCache; hit", Hit),
            ("ExampleCache; hit; ttl=376", Hit),
            ("ExampleCache; fwd=uri-miss; stored", Miss),
            ("ExampleCache; fwd=uri-miss; collapsed", Pending),
            ("ExampleCache; fwd=stale; fwd-status=304", Hit),
            ("ExampleCache; fwd=stale; fwd-status=200", Miss),
            ("ExampleCache; fwd=bypass", Unknown),
            ("OriginCache; hit; ttl=1100, \"CDN Company Here\"; hit; ttl=545", Hit),
            ("OriginCache; hit; ttl=1100, edge; fwd=method", Hit),
            ("OriginCache; hit; ttl=1100, edge; fwd=uri-miss", Miss),
            ("\"CDN; hit, really; hit\"; fwd=miss", Miss),
            ("\"a \\\"; hit\"; fwd=miss", Miss),
            ("\"never closed; hit", Unknown),
            ("hit", Unknown),
            ("", Unknown),
        ] {
            check(&[("cache-status", said)], state);
        }
        check(&[("cache-status", "edge; fwd=uri-miss"), ("x-cache", "hit")], Hit);
        check(&[("cache-status", "shield; fwd=miss"), ("cache-status", "edge; hit")], Hit);
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
    }

    #[test]
    fn what_is_no_text_says_nothing() {
        for name in ["x-cache", "cf-cache-status", "cache-status", "age"] {
            let mut headers = HeaderMap::new();
            headers.insert(name, http::HeaderValue::from_bytes(b"hit\xff, 5").unwrap());
            assert_eq!(cache_state(&headers), Unknown, "{name}");
        }
    }
}

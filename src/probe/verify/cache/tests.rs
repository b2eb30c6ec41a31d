//! What CDNs and proxies document about their headers, and combinations of them.

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
fn documented_headers_mean_what_the_cdns_document() {
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
fn words_are_read_in_every_spelling() {
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
fn the_cache_nearest_to_us_decides() {
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
fn an_age_header_reveals_a_silent_cache() {
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
fn headers_that_are_not_text_are_ignored() {
    for name in ["x-cache", "cf-cache-status", "cache-status", "x-cache-hits", "x-varnish", "age"] {
        let mut headers = HeaderMap::new();
        headers.insert(name, http::HeaderValue::from_bytes(b"hit\xff, 5").unwrap());
        assert_eq!(cache_state(&headers), Unknown, "{name}");
    }
}

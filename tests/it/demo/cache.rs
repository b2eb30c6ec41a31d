//! The life of an object in a node's cache: miss, pending, hit.

use super::*;

#[tokio::test]
async fn a_miss_is_fetched_by_the_first_download_only() {
    // Long enough that the object is still pending throughout: what is asked lies at its very start.
    let slow = NodePlan { fetch: Fetch::Takes(Duration::from_secs(8)), ..plan(Behaviour::Sound) };
    let demo = DemoNodes::start(vec![slow]).await.unwrap();
    let node = &demo.nodes()[0];
    let path = asset(UNCACHED_VIDEO_ID);
    for _ in 0..2 {
        let reply = ask(node, "HEAD", &path, None).await;
        assert_eq!((reply.status, reply.header("x-cache"), reply.header("content-type")), (200, Some("miss"), None));
        assert_eq!(reply.header("content-length"), Some(samples::VIDEO_BYTES.to_string().as_str()));
    }
    let reply = ask(node, "GET", &path, Some("bytes=4194304-4194305")).await;
    assert_eq!((reply.header("x-cache"), reply.header("x-data-source")), (Some("miss"), Some("external")));
    assert_eq!(reply.body.len(), 2);
    let reply = ask(node, "GET", &path, Some("bytes=0-1023")).await;
    assert_eq!((reply.status, reply.header("x-cache")), (206, Some("pending")));
    assert_eq!(reply.header("content-range"), Some("bytes 0-1023/8388608"));
    assert_eq!((reply.header("content-length"), reply.header("transfer-encoding")), (None, Some("chunked")));
    assert_eq!(reply.header("cache-control"), Some("max-age=180, must-revalidate"));
    assert_eq!(unchunked(&reply.body), samples::video(1343)[..1 << 20], "whole MiB are sent");
    let reply = ask(node, "GET", &path, Some("bytes=100-200")).await;
    assert_eq!(reply.header("content-range"), Some("bytes 100-200/8388608"));
    assert!(unchunked(&reply.body) == samples::video(1343)[100..100 + (1 << 20)], "from the start of the range on");
    assert_eq!(ask(node, "HEAD", &path, None).await.header("x-cache"), Some("pending"));
}

#[tokio::test]
async fn a_fetched_object_is_a_hit() {
    let quick = NodePlan { fetch: Fetch::Takes(Duration::ZERO), ..plan(Behaviour::Sound) };
    let demo = DemoNodes::start(vec![quick]).await.unwrap();
    let node = &demo.nodes()[0];
    let path = asset(UNCACHED_VIDEO_ID);
    assert_eq!(ask(node, "GET", &path, Some("bytes=0-0")).await.header("x-cache"), Some("miss"));
    let reply = ask(node, "GET", &path, Some("bytes=0-0")).await;
    assert_eq!((reply.header("x-cache"), reply.body.len()), (Some("hit"), 1));
}

/// Takes the framing of RFC 9112 §7.1 off.
pub(super) fn unchunked(mut framed: &[u8]) -> Vec<u8> {
    let mut body = vec![];
    loop {
        let line = framed.windows(2).position(|window| window == b"\r\n").unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&framed[..line]).unwrap(), 16).unwrap();
        body.extend_from_slice(&framed[line + 2..line + 2 + length]);
        framed = &framed[line + 4 + length..];
        if length == 0 {
            return body;
        }
    }
}

#[tokio::test]
async fn objects_too_large_for_the_cache_are_passed_through() {
    let missing = NodePlan { holds: Holds::Nothing, fetch: Fetch::Never, ..plan(Behaviour::Sound) };
    let demo = DemoNodes::start(vec![missing]).await.unwrap();
    let node = &demo.nodes()[0];
    for _ in 0..2 {
        let head = ask(node, "HEAD", &asset(VIDEO_ID), None).await;
        assert_eq!((head.status, head.header("x-cache"), head.header("content-type")), (200, Some("miss"), None));
        let reply = ask(node, "GET", &asset(VIDEO_ID), Some("bytes=0-1023")).await;
        assert_eq!((reply.status, reply.header("x-cache")), (206, Some("miss")));
        assert_eq!((reply.header("x-data-source"), reply.header("etag")), (Some("external"), None));
        assert!(reply.body == samples::video(1343)[..1024], "the storage node heeds the range");
    }
}

#[tokio::test]
async fn a_simulated_viewer_turns_a_miss_into_a_hit() {
    let visited =
        NodePlan { viewer: Some(Duration::ZERO), fetch: Fetch::Takes(Duration::ZERO), ..plan(Behaviour::Sound) };
    let unvisited = NodePlan { viewer: None, ..visited.clone() };
    let demo = DemoNodes::start(vec![visited, unvisited]).await.unwrap();
    for (node, state) in demo.nodes().iter().zip(["hit", "miss"]) {
        assert_eq!(ask(node, "HEAD", &asset(UNCACHED_VIDEO_ID), None).await.header("x-cache"), Some(state));
    }
}

#[tokio::test]
async fn a_senseless_range_of_a_missing_object_starts_its_fetch() {
    let quick = NodePlan { fetch: Fetch::Takes(Duration::from_millis(50)), ..plan(Behaviour::Sound) };
    let demo = DemoNodes::start(vec![quick]).await.unwrap();
    let node = &demo.nodes()[0];
    let reply = ask(node, "GET", &asset(UNCACHED_VIDEO_ID), Some("bytes=99999999-")).await;
    assert_eq!((reply.status, reply.header("x-cache"), reply.header("content-range")), (200, Some("miss"), None));
    assert!(unchunked(&reply.body) == samples::video(1343));
    assert_eq!(ask(node, "HEAD", &asset(UNCACHED_VIDEO_ID), None).await.header("x-cache"), Some("hit"));
}

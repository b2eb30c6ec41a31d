//! Nodes that hang, lie about sizes, or serve other content than registered.

use bandprobe::{
    model::probe::{Extent, Part},
    schedule::budget::max_bytes,
};

use super::*;

#[tokio::test]
async fn a_hanging_check_ends_a_run_without_a_find() {
    let hangs: Script = |method, id| if method == "HEAD" && id == "slow" { None } else { answer("x-cache: hit\r\n") };
    let timeout = ("slow", CHECK, CacheState::Unknown, Outcome::HeadersTimeout, None);
    let world = World::start(Profile::Argus, &["slow", "h2"], hangs).await;
    let (samples, result) = world.run(&image(), 0, None).await;
    assert_eq!(rows(&samples), [timeout]);
    assert_eq!(result, RunResult::default(), "what was remembered stays");
    let full = ("h2", FULL, HIT, OK, None);
    let (samples, result) = world.run(&image(), 0, Some(asset("h2"))).await;
    assert_eq!(rows(&samples), [("h2", CHECK, HIT, OK, None), timeout, full, full]);
    assert_eq!(result.sticky, StickyAsset::Measured(asset("h2")));
}

#[tokio::test]
async fn an_empty_object_has_the_wrong_size() {
    let empty: Script = |_, id| match id {
        "e" => Some((
            "HTTP/1.1 200 OK\r\ncontent-type: image/webp\r\nx-cache: hit\r\ncontent-length: 0\r\n".into(),
            vec![],
        )),
        _ => answer("x-cache: hit\r\n"),
    };
    let world = World::start(Profile::Argus, &["e", "h2"], empty).await;
    let (samples, _) = world.run(&image(), 0, None).await;
    let wrong = ("e", CHECK, HIT, Outcome::WrongSize, None);
    let full = ("h2", FULL, HIT, OK, None);
    assert_eq!(rows(&samples), [wrong, ("h2", CHECK, HIT, OK, None), full, full]);
    let unchecked = World::start(Profile::Http, &["e"], empty).await;
    let (samples, _) = unchecked.run(&image(), 0, None).await;
    assert_eq!(rows(&samples), [("e", FULL, HIT, Outcome::WrongSize, None)]);
    // A registry that knows of no byte either.
    let mut nothing = World::start(Profile::Argus, &["e"], empty).await;
    nothing.node.assets[0].size = Some(Bytes(0).into());
    let (samples, _) = nothing.run(&image(), 0, None).await;
    assert_eq!(rows(&samples), [wrong]);
}

#[tokio::test]
async fn discovered_assets_match_the_registry() {
    let [right, wrong] = [7, 8].map(|byte| {
        let digest = blake3::hash(&[byte; SIZE]);
        bs58::encode([&[0x1e, 0x20][..], digest.as_bytes()].concat()).into_string()
    });
    let check = async |size: u64, hash: &str, remembered: bool, outcomes: &[Outcome]| {
        let mut world = World::start(Profile::Argus, &["h1"], by_name).await;
        let stated = Asset { size: Some(Bytes(size).into()), hash: Some(hash.into()), ..asset("h1") };
        // As well when the registry lists it no more.
        let remembered = remembered.then(|| Asset { id: "h-old".into(), ..stated.clone() });
        world.node.assets = vec![stated];
        let (samples, _) = world.run(&image(), 0, remembered.clone()).await;
        let checks = 1 + usize::from(remembered.is_some());
        let ends: Vec<_> = samples.iter().skip(checks - 1).map(|sample| sample.outcome).collect();
        assert_eq!(ends, outcomes, "{size} {hash} {remembered:?}");
    };
    for remembered in [false, true] {
        check(SIZE as u64, &right, remembered, &[OK, OK, OK]).await;
        check(SIZE as u64, &wrong, remembered, &[OK, Outcome::WrongHash]).await;
        check(SIZE as u64 + 1, &right, remembered, &[Outcome::WrongSize]).await;
    }
}

/// Objects named u… have 1 MiB and a byte, others 16 MiB and a byte.
fn large(method: &str, id: &str) -> Option<(String, Vec<u8>)> {
    let size = (if id.starts_with('u') { 1 << 20 } else { 16 << 20 }) + 1;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: image/webp\r\nx-cache: hit\r\n";
    match id.get(1..) {
        Some("chunked") => {
            let head = format!("{head}transfer-encoding: chunked\r\n");
            let body = format!("{size:x}\r\n").into_bytes();
            let end = b"\r\n0\r\n\r\n".to_vec();
            Some((head, if method == "HEAD" { vec![] } else { [body, vec![7; size], end].concat() }))
        }
        _ => Some((format!("{head}content-length: {size}\r\n"), vec![7; size])),
    }
}

#[tokio::test]
async fn downloads_stop_at_the_reserved_budget() {
    let sized = |id: &str| Asset { size: Some(Bytes((16 << 20) + 1).into()), ..asset(id) };
    for (profile, asset, asked, part, bytes) in [
        // The check shows it, so there is no download.
        (Profile::Argus, asset("u"), "HEAD u", CHECK, None),
        (Profile::Argus, sized("t"), "HEAD t", CHECK, None),
        (Profile::Http, asset("u"), "GET u", FULL, None),
        (Profile::Http, sized("t"), "GET t", FULL, None),
        (Profile::Http, sized("tchunked"), "GET tchunked", FULL, None),
        // Only the body shows it.
        (Profile::Http, asset("uchunked"), "GET uchunked", FULL, Some((1 << 20) + 1)),
    ] {
        let mut world = World::start(profile, &[], large).await;
        world.node.assets = vec![asset.clone()];
        let (samples, _) = world.run(&image(), 0, None).await;
        let ended: Vec<_> = samples.iter().map(|one| (one.labels.part, one.outcome, one.bytes)).collect();
        assert_eq!(ended, [(part, Outcome::WrongSize, bytes)], "{profile:?} {asset:?}");
        assert!(samples[0].error.as_ref().unwrap().contains("beyond") || bytes.is_none());
        assert_eq!(world.take_asked(), [asked]);
        assert!(bytes.unwrap_or_default() * 2 <= max_bytes(&image(), &asset).0, "{asset:?}");
    }
}

#[tokio::test]
async fn ranges_of_large_objects_are_still_requested() {
    let world = World::start(Profile::Argus, &["u"], |method, id| match method {
        "HEAD" => large(method, id),
        _ => {
            let lines = "content-type: image/webp\r\nx-cache: hit\r\ncontent-length: 100\r\n";
            let range = format!("content-range: bytes 0-99/{}\r\n", (1 << 20) + 1);
            Some((format!("HTTP/1.1 206 Partial Content\r\n{lines}{range}"), vec![7; 100]))
        }
    })
    .await;
    let start = Part { name: PartName::Start, extent: Extent::First(Bytes(100)) };
    let (samples, _) = world.run(&Probe { parts: vec![start], ..image() }, 0, None).await;
    let start = ("u", Some(PartName::Start), HIT, OK, None);
    assert_eq!(rows(&samples), [("u", CHECK, HIT, OK, Some(true)), start]);
}

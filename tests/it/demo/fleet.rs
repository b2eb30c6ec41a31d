//! The simulated fleet: distributors that really fetch from storage nodes, and the requests that each server logged.

use bandprobe::{
    config::Dialect,
    demo::{
        LoggedRequest,
        fleet::{DemoFleet, FleetPlan, Member, NodeCondition},
    },
    model::units,
};
use url::Url;

use super::{cache::unchunked, *};

mod found;
mod registry;

/// Objects that `paris` must serve and does not hold at start: a thumbnail and a video.
const THUMBNAIL: &str = "600000";
const CLIP: &str = "600001";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn cold() -> FleetPlan {
    FleetPlan { rate: None, is_warm: false, ..FleetPlan::new(Dialect::Orion) }
}

fn paris(fleet: &DemoFleet) -> &Member {
    fleet.member("paris").unwrap()
}

async fn ask_member(member: &Member, method: &str, path: &str, headers: &str) -> Reply {
    let url: Url = member.endpoint.as_deref().unwrap().parse().unwrap();
    let address = (url.host_str().unwrap().to_owned(), url.port().unwrap());
    exchange(address, &format!("{method} {}{path}", url.path()), headers, "").await
}

async fn asset_of(member: &Member, method: &str, id: &str, range: &str) -> Reply {
    let headers = if range.is_empty() { String::new() } else { format!("range: bytes={range}\r\n") };
    ask_member(member, method, &format!("api/v1/assets/{id}"), &headers).await
}

async fn state(member: &Member, id: &str) -> String {
    asset_of(member, "HEAD", id, "").await.header("x-cache").unwrap().to_owned()
}

/// The object as the storage nodes have it.
async fn stored(fleet: &DemoFleet, id: &str) -> Vec<u8> {
    let reply = ask_member(fleet.member("storage-0").unwrap(), "GET", &format!("api/v1/files/{id}"), "").await;
    assert_eq!((reply.status, reply.header("x-cache")), (200, None));
    reply.body
}

fn from_storage(fleet: &DemoFleet, id: &str) -> Vec<LoggedRequest> {
    let storage = fleet.members().iter().filter(|member| member.is_storage);
    let seen = storage.flat_map(Member::seen).filter(|seen| seen.path.ends_with(&format!("/files/{id}")));
    seen.filter(|seen| seen.user_agent.as_deref() == Some("distributor-node")).collect()
}

#[tokio::test]
async fn a_miss_is_fetched_once_and_then_is_a_hit() {
    let fleet = DemoFleet::start(&cold()).await.unwrap();
    let content = stored(&fleet, THUMBNAIL).await;
    for _ in 0..2 {
        let head = asset_of(paris(&fleet), "HEAD", THUMBNAIL, "").await;
        assert_eq!((head.status, head.header("x-cache"), head.header("content-type")), (200, Some("miss"), None));
        assert_eq!(head.header("content-length"), Some(content.len().to_string().as_str()));
    }
    assert_eq!(from_storage(&fleet, THUMBNAIL), [], "looking at it fetches nothing");

    let headers = format!("traceparent: {TRACE}\r\nx-request-id: r1\r\nuser-agent: tester/1\r\n");
    let path = format!("api/v1/assets/{THUMBNAIL}");
    let first = ask_member(paris(&fleet), "GET", &path, &headers).await;
    assert_eq!(
        (first.status, first.header("x-cache"), first.header("x-data-source")),
        (200, Some("miss"), Some("local"))
    );
    assert_eq!((first.header("content-length"), first.header("transfer-encoding")), (None, Some("chunked")));
    assert!(unchunked(&first.body) == content);
    assert_eq!(state(paris(&fleet), THUMBNAIL).await, "hit", "with the last byte it is cached");

    let second = asset_of(paris(&fleet), "GET", THUMBNAIL, "100-199").await;
    assert_eq!((second.status, second.header("x-cache")), (206, Some("hit")));
    assert!(second.body == content[100..200]);
    assert_eq!(second.header("etag").map(|etag| &etag[..3]), Some("W/\""));

    let fetched = from_storage(&fleet, THUMBNAIL);
    assert_eq!(fetched.len(), 1, "{fetched:?}");
    assert_eq!((fetched[0].method.as_str(), fetched[0].range.as_deref()), ("GET", None), "the whole object");
    assert_eq!(fetched[0].traceparent.as_deref(), Some(TRACE), "the trace goes on");
    assert_eq!(fleet.fetches()[THUMBNAIL], 1, "ours is not counted");
    let asked = paris(&fleet).seen().into_iter().find(|seen| seen.method == "GET").unwrap();
    assert_eq!(asked.path, format!("{PREFIX}/{path}"));
    let told = [asked.traceparent, asked.request_id, asked.user_agent].map(Option::unwrap);
    assert_eq!(told, [TRACE, "r1", "tester/1"]);
}

#[tokio::test]
async fn a_pending_object_is_streamed_in_whole_steps() {
    // The first MiB takes a second; the object is pending for four more.
    let slow = FleetPlan { rate: Some(BitRate(8_388_608)), ..cold() };
    let fleet = DemoFleet::start(&slow).await.unwrap();
    let content = stored(&fleet, CLIP).await;
    let size = content.len();
    let far = asset_of(paris(&fleet), "GET", CLIP, "4000000-4000999").await;
    assert_eq!((far.status, far.header("x-cache"), far.header("x-data-source")), (206, Some("miss"), Some("external")));
    assert!(far.body == content[4_000_000..4_001_000], "the storage node heeds the range");
    assert_eq!(state(paris(&fleet), CLIP).await, "pending");

    let near = asset_of(paris(&fleet), "GET", CLIP, "0-1023").await;
    assert_eq!(
        (near.status, near.header("x-cache"), near.header("x-data-source")),
        (206, Some("pending"), Some("local"))
    );
    assert_eq!(near.header("content-range"), Some(format!("bytes 0-1023/{size}").as_str()));
    assert_eq!((near.header("content-length"), near.header("transfer-encoding")), (None, Some("chunked")));
    assert_eq!(near.header("cache-control"), Some("max-age=180, must-revalidate"));
    assert!(unchunked(&near.body) == content[..1 << 20], "whole MiB are sent");
    let ranges: Vec<_> = from_storage(&fleet, CLIP).into_iter().map(|seen| seen.range).collect();
    assert_eq!(ranges.len(), 2, "{ranges:?}");
    assert!(ranges.contains(&None) && ranges.contains(&Some("bytes=4000000-4000999".into())), "{ranges:?}");
}

#[tokio::test]
async fn the_least_recently_used_object_is_evicted() {
    let ids = ["600000", "600002", "600008"];
    let fleet = DemoFleet::start(&cold()).await.unwrap();
    let mut sizes = vec![];
    for id in ids {
        sizes.push(stored(&fleet, id).await.len() as u64);
    }
    fleet.shutdown().await;
    // Room for two of them, whichever.
    let capacity = units::Bytes(sizes.iter().sum::<u64>() - 1);
    let fleet = DemoFleet::start(&FleetPlan { capacity, ..cold() }).await.unwrap();
    for id in [ids[0], ids[1], ids[0]] {
        asset_of(paris(&fleet), "GET", id, "").await;
    }
    // Looking is no use.
    assert_eq!(state(paris(&fleet), ids[1]).await, "hit");
    asset_of(paris(&fleet), "GET", ids[2], "").await;
    let states =
        [state(paris(&fleet), ids[0]).await, state(paris(&fleet), ids[1]).await, state(paris(&fleet), ids[2]).await];
    assert_eq!(states, ["hit", "miss", "hit"]);
    assert_eq!(ids.map(|id| from_storage(&fleet, id).len()), [1, 1, 1]);
    assert_eq!(asset_of(paris(&fleet), "GET", ids[1], "").await.header("x-cache"), Some("miss"));
    assert_eq!(from_storage(&fleet, ids[1]).len(), 2, "it had to be fetched again");

    for _ in 0..2 {
        let large = asset_of(paris(&fleet), "GET", CLIP, "0-9").await;
        assert_eq!(
            (large.status, large.header("x-cache"), large.header("x-data-source")),
            (206, Some("miss"), Some("external"))
        );
        assert_eq!(large.body.len(), 10, "it is larger than the cache: passed through for ever");
    }
}

#[tokio::test]
async fn unassigned_and_unknown_objects_are_refused() {
    let fleet = DemoFleet::start(&cold()).await.unwrap();
    for (id, status, body) in [
        ("600014", 200, None),
        ("999", 404, Some(r#"{"message":"Data object does not exist"}"#)),
        ("700001", 404, Some(r#"{"message":"Data object has not been uploaded yet"}"#)),
    ] {
        let reply = asset_of(paris(&fleet), "GET", id, "").await;
        assert_eq!(reply.status, status, "{id}");
        assert!(body.is_none_or(|body| reply.body == body.as_bytes()), "{id}");
    }
    // Its bucket's turn is the other.
    let elsewhere = asset_of(fleet.member("virginia").unwrap(), "GET", "600002", "").await;
    assert_eq!((elsewhere.status, from_storage(&fleet, "600002").len()), (421, 0));
    let storage = fleet.member("storage-1").unwrap();
    for (id, status) in [("1343", 200), ("999", 404), ("700001", 404)] {
        let reply = ask_member(storage, "GET", &format!("api/v1/files/{id}"), "").await;
        assert_eq!((reply.status, reply.body.is_empty()), (status, status == 404), "{id}");
    }
    let reply = ask_member(storage, "GET", "api/v1/files/1343", "range: bytes=1-2\r\n").await;
    assert_eq!((reply.status, &reply.body[..]), (206, &samples::image(1343)[1..=2]));
}

/// A node that answers: its status document and its image show its condition.
async fn serves_as_planned(member: &Member, condition: NodeCondition, image: &[u8]) {
    let name = member.name;
    let reply = ask_member(member, "GET", "api/v1/status", "").await;
    let status: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    let chain = &status["queryNodeStatus"];
    let (head, done) = (chain["chainHead"].as_u64().unwrap(), chain["blocksProcessed"].as_u64().unwrap());
    assert_eq!(head - done > 100, matches!(condition, NodeCondition::Behind | NodeCondition::LeftBehind), "{name}");
    assert_eq!(head < 1_000_000, condition == NodeCondition::OtherChain, "{name}");
    assert_eq!(status["nodeEnv"] != "production", condition == NodeCondition::Development, "{name}");
    let reply = asset_of(member, "GET", "1343", "").await;
    assert_eq!((reply.status, reply.header("x-cache"), reply.body.len()), (200, Some("hit"), image.len()));
    assert_eq!(reply.body != image, condition == NodeCondition::Corrupt, "{name}");
}

#[tokio::test]
async fn every_planted_fault_is_there_and_the_others_are_sound() {
    let fleet = DemoFleet::start(&FleetPlan::new(Dialect::Orion)).await.unwrap();
    let image = samples::image(1343);
    for member in fleet.members().iter().filter(|member| !member.is_storage) {
        let name = member.name;
        match member.condition {
            NodeCondition::NoMetadata => assert_eq!(member.endpoint, None, "{name}"),
            NodeCondition::Dead => {
                let url: Url = member.endpoint.as_deref().unwrap().parse().unwrap();
                let refused = TcpStream::connect((url.host_str().unwrap(), url.port().unwrap())).await.unwrap_err();
                assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused, "{name}");
            }
            NodeCondition::PrivateAddress => {
                assert!(!member.endpoint.as_deref().unwrap().contains("127.0.0.1"), "{name}")
            }
            NodeCondition::Invited => {
                assert_eq!(fleet.uninvited(), 0);
                let url: Url = member.endpoint.as_deref().unwrap().parse().unwrap();
                let mut trapped = TcpStream::connect((url.host_str().unwrap(), url.port().unwrap())).await.unwrap();
                assert!(trapped.read_u8().await.is_err(), "it is hung up on");
                assert_eq!(fleet.uninvited(), 1, "and counted");
            }
            NodeCondition::Mute => {
                let mut hanging = std::pin::pin!(asset_of(member, "HEAD", "1343", ""));
                let status = ask_member(member, "GET", "api/v1/status", "");
                tokio::select! {
                    reply = status => assert_eq!(reply.status, 200, "{name}"),
                    _ = &mut hanging => panic!("{name} answers"),
                }
            }
            NodeCondition::StatusFails => {
                let reply = ask_member(member, "GET", "api/v1/status", "").await;
                assert!(reply.status == 500 && reply.body.starts_with(br#"{"type":"exception","message":"#), "{name}");
                assert_eq!(state(member, "1343").await, "hit", "{name}");
            }
            NodeCondition::Starved => {
                let reply = ask_member(member, "GET", "api/v1/status", "").await;
                assert_eq!((reply.status, state(member, "1343").await), (200, "miss".to_owned()), "{name}");
                assert_eq!(asset_of(member, "GET", "1343", "").await.status, 500, "{name}");
            }
            condition => serves_as_planned(member, condition, &image).await,
        }
    }
    assert_eq!(fleet.trapped(), 0);
    assert!(fleet.fetches().is_empty(), "who asks for hits alone makes no node fetch");
    let states = [state(paris(&fleet), "600058").await, state(paris(&fleet), "600056").await];
    assert!(states.contains(&"hit".into()) && states.contains(&"miss".into()), "the newest are mixed: {states:?}");
}

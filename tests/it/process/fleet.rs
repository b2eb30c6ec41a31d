//! A whole simulated Joystream fleet, found through its registry. Every planted fault is reported correctly, healthy
//! nodes are not blamed, and no node is contacted that must not be.

use std::{collections::BTreeMap, fs, path::PathBuf};

use bandprobe::{
    config::Dialect,
    demo::fleet::{DemoFleet, FleetPlan, Member, NodeCondition},
};
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::{Ended, bandprobe, objects};

mod storage;

/// A running fleet, and a config that knows its registry alone.
struct Registered {
    fleet: DemoFleet,
    dir: TempDir,
    _runtime: Runtime,
}

impl Registered {
    fn new(dialect: Dialect) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let fleet = runtime.block_on(DemoFleet::start(&FleetPlan::new(dialect))).unwrap();
        let registered = Self { fleet, dir: TempDir::new().unwrap(), _runtime: runtime };
        fs::write(registered.config(), registered.text()).unwrap();
        registered
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("fleet.toml")
    }

    fn text(&self) -> String {
        format!(
            r#"
[vantage]
id = "here"
latitude = 50.11
longitude = 8.68

[schedule]
probes = ["image", "video", "status"]

[limits]
bytes-per-day = "1 TB"
bytes-per-node-per-day = "1 TB"

[deadline]
headers = "2s"

[network]
allow-private = ["127.0.0.1/32"]
contact = "https://probes.example.net/"

[[source]]
kind = "joystream"
url = "{}"
exclude = ["{EXCLUDED_OPERATOR}"]
"#,
            self.fleet.registry(),
        )
    }

    fn run(&self, args: &[&str]) -> Ended {
        bandprobe(&[args, &["-c", self.config().to_str().unwrap()]].concat())
    }

    /// The members with this condition, without storage nodes.
    fn condition(&self, condition: NodeCondition) -> Vec<&Member> {
        self.fleet.members().iter().filter(|member| !member.is_storage && member.condition == condition).collect()
    }
}

/// A sound member who does not want to be probed, and its operator.
const EXCLUDED: &str = "virginia";
const EXCLUDED_OPERATOR: &str = "2:0-2";

/// The tag of a member: all have one address and differ by port. A member without an endpoint has the tag of its
/// operator.
fn tag(member: &Member) -> String {
    let Some(endpoint) = &member.endpoint else { return "5:2-14".to_owned() };
    let endpoint: url::Url = endpoint.parse().unwrap();
    format!("{}:{}", endpoint.host_str().unwrap(), endpoint.port().unwrap())
}

fn text<'a>(object: &'a Map<String, Value>, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn targets_lists_every_node_in_each_dialect() {
    for dialect in Dialect::ALL {
        let registered = Registered::new(dialect);
        let ended = registered.run(&["targets", "--json"]);
        assert_eq!(ended.code, Some(0), "{dialect:?}: {ended:?}");
        let listed: Vec<Map<String, Value>> =
            ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of: BTreeMap<&str, &Map<String, Value>> = listed.iter().map(|one| (text(one, "node"), one)).collect();
        for member in registered.fleet.members() {
            let tag = tag(member);
            match (member.condition, of.get(tag.as_str())) {
                (NodeCondition::Invited, found) => {
                    assert!(found.is_none(), "{dialect:?}: only active operators are listed")
                }
                (_, found) if member.name == EXCLUDED => assert!(found.is_none(), "{dialect:?}: {found:?}"),
                (_, None) => panic!("{dialect:?}: {} ({tag}) is missing: {listed:?}", member.name),
                (NodeCondition::PrivateAddress, Some(found)) => {
                    let told = (text(found, "state"), text(found, "reason").contains("loopback"));
                    assert_eq!(told, ("blocked", true), "{dialect:?}: {found:?}");
                }
                (NodeCondition::NoMetadata, Some(found)) => {
                    let told = (text(found, "state"), text(found, "reason").contains("endpoint"));
                    assert_eq!(told, ("blocked", true), "{dialect:?}: {found:?}");
                }
                (condition, Some(found)) => {
                    assert!(!found.contains_key("state"), "{dialect:?} {}: no node was contacted", member.name);
                    let assets = found["assets"].as_array().unwrap();
                    let serves = !member.is_storage && !condition.is_switched_off();
                    let kinds =
                        ["image", "video"].map(|kind| assets.iter().filter(|asset| asset["kind"] == kind).count());
                    assert_eq!(
                        kinds.map(|count| count > 0),
                        [serves || member.is_storage, serves],
                        "{dialect:?} {}",
                        member.name
                    );
                    assert!(found.contains_key("distance_km"), "{dialect:?} {}", member.name);
                    for asset in assets {
                        assert!(asset["size"].is_u64() && asset["hash"].is_string(), "{dialect:?}: {asset}");
                    }
                }
            }
        }
        let two_buckets = registered.fleet.member("paris").unwrap();
        let operators = of[tag(two_buckets).as_str()]["operators"].as_array().unwrap();
        assert_eq!(operators.len(), 2, "{dialect:?}: one endpoint is one node: {operators:?}");
        assert_eq!((registered.fleet.trapped(), registered.fleet.uninvited()), (0, 0), "{dialect:?}");
        assert!(!registered.dir.path().join("bandprobe-data").exists(), "looking leaves nothing behind");
    }
}

/// The state of a node with this condition, and what its reason says.
fn verdict_on(condition: NodeCondition) -> (&'static str, &'static str) {
    match condition {
        NodeCondition::Behind | NodeCondition::LeftBehind => ("degraded", " blocks behind the fleet's median of "),
        NodeCondition::Development => ("misconfigured", "development"),
        NodeCondition::OtherChain => ("misconfigured", "chain"),
        NodeCondition::StatusFails => {
            ("degraded", "it says `Response not successful: Received status code 502`; but the last ")
        }
        NodeCondition::Mute => ("degraded", "status answers, but the last 2 downloads failed: 2 headers_timeout"),
        NodeCondition::Dead => ("dead", "refused"),
        NodeCondition::PrivateAddress => ("blocked", "loopback"),
        NodeCondition::NoMetadata => ("blocked", "endpoint"),
        _ => ("ok", ""),
    }
}

/// What the transfers of a round say of a node.
fn check_transfers(member: &Member, transfers: &[&Map<String, Value>], at: &str) {
    let outcomes: Vec<_> = transfers.iter().map(|one| text(one, "outcome")).collect();
    let all = |wanted: &str| !outcomes.is_empty() && outcomes.iter().all(|outcome| *outcome == wanted);
    let parts = || transfers.iter().filter(|one| text(one, "part") != "check");
    let are_hits = parts().all(|one| text(one, "cache") == "hit");
    match member.condition {
        _ if member.is_storage => {
            let all_images = transfers.iter().all(|one| text(one, "probe") == "image");
            assert!(all("ok") && all_images && outcomes.len() == 3, "{at}");
        }
        NodeCondition::SwitchedOff
        | NodeCondition::LeftBehind
        | NodeCondition::PrivateAddress
        | NodeCondition::NoMetadata => {
            assert!(outcomes.is_empty(), "{at}");
        }
        NodeCondition::Dead => assert!(all("connect_refused"), "{at}"),
        NodeCondition::Mute => assert!(all("headers_timeout"), "{at}"),
        NodeCondition::Starved => {
            let are_missing = parts().all(|one| text(one, "outcome") == "not_cached");
            assert!(parts().count() == 2 && are_missing, "{at}");
        }
        NodeCondition::Corrupt => assert!(outcomes.contains(&"wrong_hash") && are_hits, "{at}"),
        _ => assert!(all("ok") && are_hits, "{at}"),
    }
}

#[test]
fn one_round_reports_every_planted_fault_and_nothing_else() {
    for dialect in Dialect::ALL {
        let registered = Registered::new(dialect);
        let ended = registered.run(&["once", "--json"]);
        assert_eq!(ended.code, Some(0), "{dialect:?}: {ended:?}");
        let points = objects(&ended.stdout);
        for member in registered.fleet.members() {
            let tag = tag(member);
            let of = |measurement: &str| -> Vec<&Map<String, Value>> {
                points
                    .iter()
                    .filter(|one| text(one, "measurement") == measurement && text(one, "node") == tag)
                    .collect()
            };
            let (states, transfers) = (of("bandprobe_node"), of("bandprobe_transfer"));
            let outcomes: Vec<_> = transfers.iter().map(|one| text(one, "outcome")).collect();
            let told = states.first().map_or(("", ""), |one| (text(one, "state"), text(one, "reason")));
            let at = format!("{dialect:?} {}: {told:?} {outcomes:?}", member.name);
            let is_shown = member.condition != NodeCondition::Invited && member.name != EXCLUDED;
            assert_eq!(states.len(), usize::from(is_shown), "{at}");
            let (state, reason) = if is_shown { verdict_on(member.condition) } else { ("", "") };
            assert!(told.0 == state && told.1.contains(reason), "{at}");
            if is_shown {
                check_transfers(member, &transfers, &at);
            } else {
                assert!(transfers.is_empty(), "{at}");
            }
        }
        assert_eq!(registered.fleet.fetches(), [].into(), "{dialect:?}: a plan for hits makes no node fetch anything");
        assert_eq!((registered.fleet.trapped(), registered.fleet.uninvited()), (0, 0), "{dialect:?}");
        for member in registered.condition(NodeCondition::Healthy) {
            let seen = member.seen();
            assert_eq!(seen.is_empty(), member.name == EXCLUDED, "{dialect:?} {}: {seen:?}", member.name);
            for seen in seen {
                let sampled = seen.traceparent.as_deref().is_some_and(|parent| parent.ends_with("-01"));
                let agent = seen.user_agent.as_deref().unwrap_or_default();
                let named = agent.starts_with("bandprobe/") && agent.ends_with("(+https://probes.example.net/)");
                assert!(sampled && named && seen.request_id.is_some(), "{dialect:?}: {seen:?}");
            }
        }
    }
}

#[test]
fn blocked_nodes_count_in_a_strict_round() {
    let registered = Registered::new(Dialect::Orion);
    let blocked: Vec<_> = [NodeCondition::PrivateAddress, NodeCondition::NoMetadata]
        .map(|condition| tag(registered.condition(condition)[0]))
        .into();
    let paris = registered.fleet.member("paris").unwrap();
    for (nodes, code, is_told) in
        [(vec![tag(paris)], 0, false), (blocked.clone(), 3, true), (vec!["5:2-14".into()], 3, true)]
    {
        for probe in ["status", "image"] {
            if probe == "image" && is_told {
                continue; // nothing at all would be probed
            }
            let named: Vec<_> = nodes.iter().flat_map(|node| ["--node", node.as_str()]).collect();
            let ended = registered.run(&[&["once", "--strict", "--probe", probe][..], &named].concat());
            assert_eq!(
                (ended.code, ended.stderr.contains("not contacted")),
                (Some(code), is_told),
                "{nodes:?}: {ended:?}"
            );
        }
    }
    let ended = registered.run(&["once", "--strict", "--probe", "image"]);
    assert!(
        ended.stderr.contains("2 nodes were not contacted, because they have no permitted endpoint: "),
        "{ended:?}"
    );
}

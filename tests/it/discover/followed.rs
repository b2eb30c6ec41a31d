//! A worker follows its registry: nodes come and go, lists survive a restart, and a failing registry costs no node.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bandprobe::{
    config::{
        Config, Dialect, Registry,
        check::{Input, load},
    },
    demo::fleet::{DemoFleet, FleetPlan, Member, NodeCondition},
    model::target::{Origin, Targets},
    worker::{discovery::Discovery, pipeline::Pipeline, runs},
};
use http::StatusCode;
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
};

async fn fleet() -> DemoFleet {
    DemoFleet::start(&FleetPlan::new(Dialect::Orion)).await.unwrap()
}

fn config(fleet: &DemoFleet, dir: &TempDir, more: &str) -> Config {
    let text = format!(
        "vantage.id = \"here\"\narchive.dir = \"data\"\nnetwork.allow-private = [\"127.0.0.1/32\"]\n\
         schedule.probes = [{{ probe = \"image\", every = \"1s\" }}]\n{more}\n\
         [[source]]\nkind = \"joystream\"\nurl = \"{}\"\n",
        fleet.registry()
    );
    let read = |_: &Path| Ok(text.clone().into_bytes());
    load(&Input { path: &dir.path().join("b.toml"), environment: &BTreeMap::new(), read: &read }).unwrap()
}

fn ids(targets: &Targets) -> BTreeSet<Arc<str>> {
    targets.nodes.iter().map(|node| node.id.clone()).collect()
}

fn is_sound(member: &Member) -> bool {
    !member.is_storage && member.condition == NodeCondition::Healthy
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_good_list_survives_restarts_and_outages() {
    let (fleet, dir) = (fleet().await, TempDir::new().unwrap());
    let mut config = config(&fleet, &dir, "");
    config.registries[0].refresh = Duration::from_secs(3_600);
    let mut discovery = Discovery::load(&config).unwrap();
    assert!(discovery.targets().nodes.is_empty() && discovery.age(jiff::Timestamp::now()).is_none());
    let asked = discovery.ask_all().await;
    let all = ids(&discovery.targets());
    assert_eq!(asked[0].answer.as_ref().unwrap().added.len(), all.len());
    assert!(all.len() > 10, "{all:?}");
    discovery.keep();

    fleet.cut_registry(Some(StatusCode::BAD_GATEWAY));
    let mut later = Discovery::load(&config).unwrap();
    assert_eq!(later.targets(), discovery.targets(), "known without asking");
    let asked = later.ask_all().await;
    assert!(asked[0].answer.as_ref().unwrap_err().contains("502"), "{asked:?}");
    assert_eq!(ids(&later.targets()), all);
    assert!(later.age(jiff::Timestamp::now()).is_some());

    fleet.cut_registry(None);
    fleet.relist(|member| member.name == "paris");
    for (refresh, time) in [(3_600, 1), (3_600, 1), (3_600, 1), (0, 2)] {
        config.registries[0].refresh = Duration::from_secs(refresh);
        later = Discovery::load(&config).unwrap();
        let asked = later.ask_all().await;
        let complaints: Vec<_> = asked[0].messages().collect();
        let is_held = complaints[0].contains(" stays in use: ");
        assert!(is_held && complaints[0].contains(&format!("this was time {time}")), "{complaints:?}");
        assert_eq!(ids(&later.targets()), all, "most of it is gone: that is not accepted at once");
        later.keep();
    }
    let asked = later.ask_all().await;
    let change = asked[0].answer.as_ref().unwrap();
    assert_eq!((later.targets().nodes.len(), change.removed.len()), (1, all.len() - 1), "three times in a row");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_the_config_override_listed_ones() {
    let (fleet, dir) = (fleet().await, TempDir::new().unwrap());
    let (paris, virginia) = (fleet.member("paris").unwrap(), fleet.member("virginia").unwrap());
    let port = |member: &Member| {
        let url: url::Url = member.endpoint.as_deref().unwrap().parse().unwrap();
        url.port().unwrap()
    };
    let more = format!(
        "[[source]]\nkind = \"static\"\nnodes = [{{ id = \"127.0.0.1:{}\", endpoint = \"{}\", profile = \"argus\", \
         assets = [{{ kind = \"image\", id = \"1343\" }}] }}]\n",
        port(virginia),
        paris.endpoint.as_deref().unwrap()
    );
    let mut discovery = Discovery::load(&config(&fleet, &dir, &more)).unwrap();
    discovery.ask_all().await;
    let targets = discovery.targets();
    let at = |member: &Member| -> Vec<_> {
        let endpoint = member.endpoint.as_deref().unwrap();
        targets.nodes.iter().filter(|node| node.endpoint.as_url().as_str() == endpoint).collect()
    };
    let [own] = at(paris)[..] else { panic!("one endpoint is one node: {targets:?}") };
    assert_eq!((own.listing.origin, own.assets.len()), (Origin::Static, 1));
    let [other] = at(virginia)[..] else { panic!("{targets:?}") };
    assert_eq!(*other.id, format!("127.0.0.1:{}/distributor", port(virginia)), "its id was taken");
    assert_eq!(ids(&targets).len(), targets.nodes.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_nodes_are_probed_and_removed_ones_are_not() {
    let (fleet, dir) = (fleet().await, TempDir::new().unwrap());
    let mut config = config(&fleet, &dir, "");
    config.registries[0].refresh = Duration::from_millis(50);
    config.status = None;
    let was_asked = |name: &str| fleet.member(name).unwrap().seen().len();
    fleet.relist(|member| is_sound(member) && member.name != "virginia");
    let discovery = Discovery::load(&config).unwrap();
    let pipeline = Pipeline::start(&config, discovery, Box::new(|_| {}), Box::new(|| Ok(None))).unwrap();
    let mut targets = pipeline.targets();
    let story = async {
        until(|| was_asked("paris") > 0).await;
        assert_eq!(was_asked("virginia"), 0);
        fleet.relist(|member| is_sound(member) && member.name != "paris");
        targets.wait_for(|targets| !listed(targets, fleet.member("paris").unwrap())).await.unwrap();
        until(|| was_asked("virginia") > 0).await;
        // A run that was under way when it went may still end.
        let before = was_asked("paris");
        let others = was_asked("singapore");
        until(|| was_asked("singapore") > others + 12).await;
        assert!(was_asked("paris") <= before + 6, "{} requests after it had gone", was_asked("paris") - before);
    };
    runs::run(&pipeline, &config, story).await;
    pipeline.stop(Duration::ZERO, std::future::pending()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_registry_delays_no_other() {
    let (fleet, dir) = (fleet().await, TempDir::new().unwrap());
    let mut config = config(&fleet, &dir, "");
    (config.status, config.probes) = (None, vec![]);
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/graphql", hanging.local_addr().unwrap()).parse().unwrap();
    let first = Registry { url, ..config.registries[0].clone() };
    config.registries.insert(0, first);

    let mut discovery = Discovery::load(&config).unwrap();
    let asked = async {
        let (stream, _) = hanging.accept().await.unwrap();
        until(|| !fleet.registry_seen().is_empty()).await;
        let_go(stream).await;
    };
    let (answers, ()) = tokio::join!(discovery.ask_all(), asked);
    assert_eq!(answers.iter().map(|asked| asked.answer.is_ok()).collect::<Vec<_>>(), [false, true]);

    let discovery = Discovery::load(&config).unwrap();
    let pipeline = Pipeline::start(&config, discovery, Box::new(|_| {}), Box::new(|| Ok(None))).unwrap();
    let mut targets = pipeline.targets();
    let (stream, _) = hanging.accept().await.unwrap();
    targets.wait_for(|targets| listed(targets, fleet.member("paris").unwrap())).await.unwrap();
    let_go(stream).await;
    pipeline.stop(Duration::ZERO, std::future::pending()).await;
}

/// Ends a question that must not have been given up yet.
async fn let_go(mut stream: TcpStream) {
    let mut question = [0; 4_096];
    let is_open = loop {
        match stream.try_read(&mut question) {
            Ok(0) => break false,
            Ok(_) => {}
            Err(error) => break error.kind() == std::io::ErrorKind::WouldBlock,
        }
    };
    assert!(is_open, "the other registry had to wait until this one was given up");
    stream.shutdown().await.unwrap();
}

fn listed(targets: &Targets, member: &Member) -> bool {
    targets.nodes.iter().any(|node| Some(node.endpoint.as_url().as_str()) == member.endpoint.as_deref())
}

async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

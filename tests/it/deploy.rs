//! The set-up in `deploy/`, read as data and compared with the binary and the files that it names. No container engine
//! is needed.

#![expect(clippy::unwrap_used, reason = "a file that cannot be read fails its test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use bandprobe::{
    config::{
        Config,
        check::{Input, load},
    },
    demo::{Behaviour, IMAGE_ID, NodePlan, PREFIX},
    model::units::parse_duration,
};
use serde_yaml_ng::Value;
use url::Url;

use crate::{docs, influxd, process};
use image::Image;

mod image;
mod probe_files;
mod secrets;

/// What the worker may take for its last delivery, and some time to write.
const DRAIN: Duration = Duration::from_secs(15);

#[test]
fn the_binary_takes_every_command() {
    let image = Image::read();
    let mut commands =
        vec![(String::from("CMD"), [&image.arguments("ENTRYPOINT")[..], &image.arguments("CMD")].concat())];
    for (name, service) in ours(&compose()) {
        commands.push((name.clone(), [image.arguments("ENTRYPOINT"), texts(&service["command"])].concat()));
        if let Some(check) = health_check(&service) {
            commands.push((format!("{name}, health check"), check));
        }
    }
    let page = docs::page("docs/src/deployment.md").text;
    let shown = page.split('`').filter_map(|code| code.strip_prefix("docker compose exec worker bandprobe "));
    let shown =
        shown.map(|rest| ["/usr/local/bin/bandprobe"].into_iter().chain(rest.split(' ')).map(str::to_owned).collect());
    commands.extend(shown.map(|words| ("deployment.md".to_owned(), words)));
    assert!(commands.len() > 5);
    for (name, words) in commands {
        assert_eq!(words[0], "/usr/local/bin/bandprobe", "{name}");
        let mut arguments: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        // Every word before it is parsed, and then nothing is done.
        arguments.push("--help");
        let ended = process::bandprobe(&arguments);
        assert_eq!(ended.code, Some(0), "{name}: {words:?}\n{}", ended.stderr);
    }
}

/// With a config that names no database and no directory.
#[test]
fn the_loader_takes_every_variable_of_a_worker() {
    let compose = compose();
    let workers: Vec<_> =
        ours(&compose).into_iter().filter(|(_, service)| texts(&service["command"])[0] == "run").collect();
    assert_eq!(workers.len(), 2, "one for the demo, one for nodes of one's own");
    for (name, service) in workers {
        let environment = environment(&service);
        let config = config(&environment).unwrap_or_else(|problems| panic!("{name}:\n{problems}"));
        let database = config.influxdb.unwrap();
        let made = self::environment(&compose["services"]["influxdb"]);
        assert_eq!(database.org, made["DOCKER_INFLUXDB_INIT_ORG"]);
        assert_eq!(database.bucket, made["DOCKER_INFLUXDB_INIT_BUCKET"]);
        assert_eq!(database.url.host_str(), Some("influxdb"), "the service");
        assert_eq!(database.token.reveal(), "the-token");
        let data = config.archive.dir.to_str().unwrap().to_owned();
        assert!(mounts(&service).contains_key(&data) && data == Image::read().arguments("VOLUME")[0], "{data} is kept");
        assert!(parse_duration(service["stop_grace_period"].as_str().unwrap()).unwrap() > DRAIN);
    }
}

#[test]
fn the_demo_is_checked_at_a_node_that_it_has() {
    let services = compose()["services"].clone();
    let command = texts(&services["nodes"]["command"]);
    let port = |words: &[String]| words[words.iter().position(|word| word == "--port").unwrap() + 1].parse().unwrap();
    let first: u16 = port(&command);
    let check = health_check(&services["nodes"]).unwrap();
    let url: Url = check.iter().find_map(|word| word.parse().ok()).unwrap();
    let plan = &NodePlan::standard()[usize::from(url.port().unwrap() - first)];
    assert_eq!((plan.tls, &plan.behaviour), (false, &Behaviour::Sound), "{}", plan.id);
    assert_eq!((url.scheme(), url.path()), ("http", &*format!("{PREFIX}/api/v1/assets/{IMAGE_ID}")));
    // It writes the file that the worker reads.
    let written = &command[command.iter().position(|word| word == "-o").unwrap() + 1];
    assert!(texts(&services["worker"]["command"]).contains(written));
    let directory = Path::new(written).parent().unwrap().to_str().unwrap();
    assert_eq!(mounts(&services["nodes"])[directory], mounts(&services["worker"])[directory]);
    assert_eq!(services["worker"]["network_mode"], "service:nodes", "they listen on loopback");
}

/// Nothing of the checkout but a config of one's own: its files may be closed to the users of the containers.
#[test]
fn what_is_mounted_are_volumes() {
    let compose = compose();
    let declared: BTreeSet<_> = keys(&compose["volumes"]).into_iter().collect();
    let used = services(&compose).into_values().flat_map(|service| mounts(&service).into_values());
    let (paths, used): (BTreeSet<_>, BTreeSet<_>) = used.partition(|source| source.starts_with('.'));
    assert_eq!(used, declared, "no volume is missing or left over");
    assert_eq!(paths.iter().collect::<Vec<_>>(), ["./own"]);
    assert!(deploy().join("own").is_dir());
}

/// A profile has one builder of each image, as two at once would write the same tag; the others take what is there.
#[test]
fn each_image_is_built_once_and_never_pulled() {
    let services = services(&compose());
    for profile in ["demo", "own"] {
        let mut built = BTreeMap::new();
        let mut run = BTreeSet::new();
        let is_on =
            |service: &Value| service["profiles"].is_null() || texts(&service["profiles"]).contains(&profile.into());
        for (name, service) in services.iter().filter(|(_, service)| is_on(service)) {
            let image = service["image"].as_str().unwrap().to_owned();
            if service["build"].is_mapping() {
                let file = service["build"]["dockerfile"].as_str().unwrap();
                let context = deploy().join(service["build"]["context"].as_str().unwrap());
                assert!(context.join(file).is_file(), "{name}: {file}");
                assert_eq!(service["pull_policy"], "build", "{name}");
                assert_eq!(built.insert(image, file.to_owned()), None, "{profile}, {name}: a second builder");
            } else if image.ends_with(":local") {
                assert_eq!(service["pull_policy"], "never", "{name}");
                run.insert(image);
            }
        }
        let files: BTreeSet<_> = built.values().map(String::as_str).collect();
        assert_eq!(files, BTreeSet::from(["deploy/Dockerfile", "deploy/grafana.Dockerfile"]));
        assert!(run.iter().all(|image| built.contains_key(image)), "{profile}: {run:?}");
    }
}

#[test]
fn the_database_is_the_tested_one() {
    let image = compose()["services"]["influxdb"]["image"].as_str().unwrap().to_owned();
    let tested = influxd::BINARY.replace("influxd-", "influxdb:");
    assert!(tested.starts_with(&format!("{image}.")), "{image}, {tested}");
}

#[test]
fn grafana_finds_data_source_and_dashboard() {
    let grafana = compose()["services"]["grafana"].clone();
    let (mounts, environment) = (mounts(&grafana), environment(&grafana));
    let image = Image::of("grafana.Dockerfile");
    let home = &*environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"];
    assert!(!mounts.keys().any(|target| home.starts_with(target)), "no volume hides {home}");
    let home = image.origin(home);
    assert!(home.is_file(), "{}", home.display());
    let provisioning = image.origin("/etc/grafana/provisioning");
    let source = fs::read_to_string(provisioning.join("datasources/influxdb.yaml")).unwrap();
    let named: BTreeSet<_> = words(&source).filter(|word| word.starts_with("BANDPROBE_")).collect();
    let set: BTreeSet<_> =
        environment.keys().map(String::as_str).filter(|name| name.starts_with("BANDPROBE_")).collect();
    assert_eq!(named, set, "what the data source reads is what compose.yaml sets");
    assert!(source.contains("$__file{/run/secrets/influxdb-token}"), "the token is the one that secrets.sh makes");
    let dashboards = fs::read_to_string(provisioning.join("dashboards/bandprobe.yaml")).unwrap();
    let dashboards: Value = serde_yaml_ng::from_str(&dashboards).unwrap();
    let path = dashboards["providers"][0]["options"]["path"].as_str().unwrap();
    assert_eq!(image.origin(path), home.parent().unwrap());
}

#[test]
fn every_service_is_hardened() {
    let compose = compose();
    for (name, service) in services(&compose) {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(texts(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        assert!(service["logging"]["options"]["max-size"].is_string(), "{name}");
        let ports = texts(&service["ports"]);
        assert!(ports.iter().all(|port| port.starts_with("127.0.0.1:")), "{name}: {ports:?}");
        let is_once = service["restart"] == "no";
        assert!(is_once || service["restart"] == "unless-stopped", "{name}");
        // Ours has its user in the image, which image.rs holds.
        let is_root = service["user"].as_str().is_some_and(|user| user.starts_with("0"));
        assert!(is_once == is_root, "{name}: only what makes the secrets runs as root");
        let image = service["image"].as_str().unwrap();
        let (repository, tag) = image.split_once(':').unwrap();
        let is_pinned = tag.split('.').count() > 1 && tag.split('.').all(|part| part.parse::<u32>().is_ok());
        assert!(is_pinned || (repository.starts_with("bandprobe") && tag == "local"), "{name}: {image}");
    }
}

#[test]
fn the_profiles_are_those_of_the_environment_file() {
    let file = fs::read_to_string(deploy().join(".env")).unwrap();
    let settings: BTreeMap<_, _> = file.lines().filter_map(|line| line.split_once('=')).collect();
    let described: BTreeSet<_> = file.lines().filter_map(|line| line.strip_prefix("#   ")?.split(' ').next()).collect();
    let compose = compose();
    let profiles: BTreeSet<_> = services(&compose).values().flat_map(|service| texts(&service["profiles"])).collect();
    assert!(profiles.contains(settings["COMPOSE_PROFILES"]));
    assert_eq!(profiles.iter().map(String::as_str).collect::<BTreeSet<_>>(), described);
    let text = fs::read_to_string(deploy().join("compose.yaml")).unwrap();
    let asked: Vec<_> = text.split("${").skip(1).filter_map(|rest| rest.split(":-").next()).collect();
    assert!(asked.iter().all(|name| settings.contains_key(name)), "{asked:?}");
}

/// The services of compose.yaml, anchors and merges resolved.
fn services(compose: &Value) -> BTreeMap<String, Value> {
    keys(&compose["services"]).into_iter().map(|name| (name.clone(), compose["services"][&*name].clone())).collect()
}

/// Those that run our image.
fn ours(compose: &Value) -> BTreeMap<String, Value> {
    services(compose).into_iter().filter(|(_, service)| service["image"] == "bandprobe:local").collect()
}

fn compose() -> Value {
    let text = fs::read_to_string(deploy().join("compose.yaml")).unwrap();
    let mut compose: Value = serde_yaml_ng::from_str(&text).unwrap();
    // One pass resolves one level: an anchor that merges another one needs two.
    (0..4).for_each(|_| compose.apply_merge().unwrap());
    compose
}

fn health_check(service: &Value) -> Option<Vec<String>> {
    let words = texts(&service["healthcheck"]["test"]);
    let (first, words) = words.split_first()?;
    assert_eq!(first, "CMD", "without a shell");
    Some(words.to_vec())
}

/// What is mounted by target: a volume's name or a host path.
fn mounts(service: &Value) -> BTreeMap<String, String> {
    let mounts = texts(&service["volumes"]);
    let parts = mounts.iter().map(|mount| mount.split(':').collect::<Vec<_>>());
    parts.map(|parts| (parts[1].to_owned(), parts[0].to_owned())).collect()
}

fn environment(service: &Value) -> BTreeMap<String, String> {
    let text = |name: &String| (name.clone(), service["environment"][&**name].as_str().unwrap().to_owned());
    keys(&service["environment"]).iter().map(text).collect()
}

fn config(environment: &BTreeMap<String, String>) -> Result<Config, bandprobe::config::problem::Problems> {
    let read = |path: &Path| match path.to_str() {
        Some("/config/bandprobe.toml") => Ok(CONFIG.as_bytes().to_vec()),
        Some("/run/secrets/influxdb-token") => Ok(b"the-token\n".to_vec()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    load(&Input { path: Path::new("/config/bandprobe.toml"), environment, read: &read })
}

fn keys(mapping: &Value) -> Vec<String> {
    let keys = mapping.as_mapping().into_iter().flatten();
    keys.map(|(key, _)| key.as_str().unwrap().to_owned()).collect()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_sequence().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The names in a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

const CONFIG: &str = "vantage.id = 'here'\n[[source]]\nkind = 'static'\n\
    nodes = [{ id = 'n', endpoint = 'http://n.example/', assets = [{ kind = 'image', path = '1.webp' }] }]";

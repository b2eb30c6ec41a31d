//! The configuration: the message for each fault, and the defaults.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use proptest::prelude::*;

use bandprobe::{
    config::{
        AllowPrivate, Config, FamilyChoice, HttpChoice, Resolver,
        check::{Input, load, shipped, shipped_status},
        file::MAX_CONFIG_BYTES,
        problem::Problems,
    },
    model::{
        probe::{Extent, PartName, Pick, Spacing, Tolerance, Weight},
        target::{AssetKind, Profile},
        units::Bytes,
    },
};

mod outside;

const SMALLEST: &str = r#"
vantage = { id = "here" }
source = [{ kind = "static", nodes = [
    { id = "n1", endpoint = "http://n1.example/", assets = [{ kind = "image", path = "/1.webp" }] },
] }]
"#;

fn read(file: &str, files: &[(&str, &[u8])], environment: &[(&str, &str)]) -> Result<Config, Problems> {
    let files: BTreeMap<PathBuf, Vec<u8>> = files.iter().map(|(path, bytes)| (path.into(), bytes.to_vec())).collect();
    let read = |path: &Path| {
        let plain: PathBuf = path.components().filter(|part| part.as_os_str() != ".").collect();
        files.get(&plain).cloned().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    };
    let environment = environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    load(&Input { path: Path::new(file), environment: &environment, read: &read })
}

/// Each file of `tests/data/config` breaks one rule. Its comment lines set the environment and state the messages:
/// `#env NAME=TEXT`, `#file PATH=TEXT` (with `\n`), `#> MESSAGE`.
#[test]
fn each_rule_has_its_message() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/config");
    let mut wrong = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let directives = |mark: &str| -> Vec<String> {
            text.lines().filter_map(|line| line.strip_prefix(mark)).map(str::to_owned).collect()
        };
        let (environment, contents, expected) = (directives("#env "), directives("#file "), directives("#> "));
        let contents: Vec<_> = contents.iter().map(|line| line.replace("\\n", "\n")).collect();
        let files =
            contents.iter().map(|line| line.split_once('=').unwrap()).map(|(path, text)| (path, text.as_bytes()));
        let files: Vec<_> = files.chain([(name.as_str(), bytes.as_slice())]).collect();
        let environment: Vec<_> = environment.iter().map(|line| line.split_once('=').unwrap()).collect();
        let said =
            read(&name, &files, &environment).map_or_else(|problems| problems.to_string(), |_| "fine".to_owned());
        if said != expected.join("\n") {
            wrong.push(format!("=== {name}\n{said}\n"));
        }
    }
    assert!(wrong.is_empty(), "the messages differ from those in the file:\n{}", wrong.concat());
}

#[test]
fn the_smallest_configuration_gets_every_default() {
    let config = read("etc/b.toml", &[("etc/b.toml", SMALLEST.as_bytes())], &[]).unwrap();
    assert_eq!((&*config.vantage.id, &*config.vantage.worker), ("here", "here"));
    assert_eq!(config.probes.iter().map(|probe| &*probe.name).collect::<Vec<_>>(), ["image"], "no node has a video");
    assert_eq!((&config.probes[0], &config.status), (&shipped("image").unwrap(), &shipped_status()));
    assert_eq!((config.probes[0].every, config.probes[0].spacing), (Duration::from_secs(300), Spacing::Memoryless));
    assert_eq!(
        (config.limits.bytes_per_day, config.limits.bytes_per_node_per_day),
        (Bytes(5_000_000_000), Bytes(300_000_000))
    );
    assert_eq!((config.limits.vantages, config.limits.heavy_transfers), (10, 1));
    assert_eq!((config.limits.light_transfers, config.limits.transfers_per_node), (8, 1));
    assert_eq!((config.network.http, config.network.family), (HttpChoice::Auto, FamilyChoice::Any));
    assert_eq!((&config.network.resolver, &config.network.allow_private), (&Resolver::System, &AllowPrivate::Nowhere));
    assert_eq!((config.influxdb, config.window), (None, Duration::from_secs(3_600)));
    assert_eq!(config.archive.dir, Path::new("etc/bandprobe-data"), "relative to the file");
    assert_eq!((config.nodes.len(), config.nodes[0].listing.profile), (1, Profile::Http));
}

#[test]
fn the_shipped_probes_are_what_their_files_say() {
    let video = shipped("video").unwrap();
    assert_eq!((video.kind, video.weight, video.pick), (AssetKind::Video, Weight::Heavy, Pick::Sticky));
    assert_eq!((video.every, video.deadlines.body), (Duration::from_secs(3_600), Duration::from_secs(20)));
    let parts: Vec<_> = video.parts.iter().map(|part| (part.name, part.extent)).collect();
    let mib = |count: u64| Bytes(count << 20);
    let expected = [
        (PartName::Start, Extent::First(mib(6))),
        (PartName::Tail, Extent::Last(Bytes(256 << 10))),
        (PartName::Seek, Extent::From { at: 0.5, bytes: mib(1) }),
    ];
    assert_eq!(parts, expected);
    let image = shipped("image").unwrap();
    assert_eq!(image.parts.iter().map(|part| part.extent).collect::<Vec<_>>(), [Extent::Full, Extent::Full]);
    assert_eq!(shipped("status"), None, "it downloads nothing");
    let status = shipped_status().unwrap();
    assert_eq!((status.every, status.tolerance), (Duration::from_secs(300), Tolerance { behind: 100, ahead: 2_000 }));
}

#[test]
fn the_shipped_sample_is_a_configuration() {
    let sample = include_bytes!("../../deploy/bandprobe.toml");
    let ca: &[u8] = b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
    let files: [(&str, &[u8]); 3] =
        [("bandprobe.toml", sample), ("lab-ca.pem", ca), ("influxdb-token", b"s3cret-t0ken==\n")];
    let config = read("bandprobe.toml", &files, &[]).unwrap();
    let influxdb = config.influxdb.as_ref().unwrap();
    assert_eq!((influxdb.token.reveal(), influxdb.url.as_str()), ("s3cret-t0ken==", "http://127.0.0.1:8086/"));
    assert!(!format!("{config:?}").contains("s3cret"), "a secret is never printed");
    assert_eq!(
        config.nodes.iter().map(|node| node.listing.profile).collect::<Vec<_>>(),
        [Profile::Http, Profile::Argus]
    );
    assert_eq!(config.network.contact.as_deref(), Some("https://probes.example.net/"));
}

#[test]
fn the_environment_overrides_the_file() {
    let text = format!(
        "{SMALLEST}\n[influxdb]\nurl = \"http://a.example:1/\"\norg = \"o\"\nbucket = \"b\"\ntoken-file = \"gone\"\n"
    );
    let environment = [
        ("BANDPROBE_VANTAGE_ID", "there"),
        ("BANDPROBE_LIMITS_VANTAGES", "3"),
        ("BANDPROBE_NETWORK_ALLOW_PRIVATE", "true"),
        ("BANDPROBE_NETWORK_RESOLVER", "1.1.1.1, [::1]:5353"),
        ("BANDPROBE_SCHEDULE_EVERY", "1m"),
        ("BANDPROBE_INFLUXDB_URL", "http://b.example:2"),
        ("BANDPROBE_INFLUXDB_TOKEN", "from-outside"),
        ("BANDPROBE_ARCHIVE_DIR", "/var/lib/b"),
        ("BANDPROBE_INFLUXD", "/usr/bin/influxd"),
        ("BANDPROBE_LOG", "debug"),
        // What Kubernetes sets for a Service named bandprobe.
        ("BANDPROBE_SERVICE_HOST", "10.0.0.1"),
        ("BANDPROBE_SERVICE_PORT", "80"),
        ("BANDPROBE_PORT", "tcp://10.0.0.1:80"),
        ("BANDPROBE_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("BANDPROBE_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("PATH", "/usr/bin"),
    ];
    let config = read("b.toml", &[("b.toml", text.as_bytes())], &environment).unwrap();
    assert_eq!((&*config.vantage.id, config.limits.vantages), ("there", 3));
    assert_eq!(config.network.allow_private, AllowPrivate::Everywhere);
    let servers = vec!["1.1.1.1:53".parse().unwrap(), "[::1]:5353".parse().unwrap()];
    assert_eq!(config.network.resolver, Resolver::Servers(servers));
    assert_eq!((config.probes[0].every, config.archive.dir), (Duration::from_secs(60), PathBuf::from("/var/lib/b")));
    let influxdb = config.influxdb.unwrap();
    assert_eq!((influxdb.token.reveal(), influxdb.url.as_str()), ("from-outside", "http://b.example:2/"));
}

#[test]
fn the_guard_is_lifted_everywhere_nowhere_or_from_networks() {
    let networks = |texts: &[&str]| AllowPrivate::In(texts.iter().map(|text| text.parse().unwrap()).collect());
    for (written, variable, expected) in [
        ("false", None, AllowPrivate::Nowhere),
        ("true", None, AllowPrivate::Everywhere),
        (r#"["127.0.0.1", "fd00::/8"]"#, None, networks(&["127.0.0.1/32", "fd00::/8"])),
        (r#""10.0.0.0/8""#, None, networks(&["10.0.0.0/8"])),
        ("[]", None, networks(&[])),
        ("true", Some("false"), AllowPrivate::Nowhere),
        ("true", Some("10.0.0.0/8, ::1"), networks(&["10.0.0.0/8", "::1/128"])),
    ] {
        let text = format!("{SMALLEST}\n[network]\nallow-private = {written}\n");
        let variable = variable.map(|text| ("BANDPROBE_NETWORK_ALLOW_PRIVATE", text));
        let config = read("b.toml", &[("b.toml", text.as_bytes())], variable.as_slice()).unwrap();
        assert_eq!(config.network.allow_private, expected, "{written} {variable:?}");
    }
}

#[test]
fn a_custom_probe_inherits_and_overrides() {
    let text = format!(
        "{SMALLEST}\nschedule = {{ every = \"10m\", spacing = \"fixed\", probes = [\"./p/mine.toml\", \"image\"] }}\n\
         deadline = {{ dns = \"1s\", body = \"9s\" }}\n"
    );
    let own = "# Why?\nkind = \"image\"\nparts = [{ name = \"full\" }]\ndeadline = { body = \"3s\" }\n";
    let config = read("b.toml", &[("b.toml", text.as_bytes()), ("p/mine.toml", own.as_bytes())], &[]).unwrap();
    let [mine, image] = config.probes.as_slice() else { panic!("{:?}", config.probes) };
    assert_eq!((&*mine.name, mine.every), ("mine", Duration::from_secs(600)));
    assert_eq!(mine.spacing, Spacing::Fixed { jitter: Duration::from_secs(100) });
    assert_eq!((mine.deadlines.dns, mine.deadlines.body), (Duration::from_secs(1), Duration::from_secs(3)));
    assert_eq!(image.deadlines.body, Duration::from_secs(9));
}

#[test]
fn nodes_can_have_status_checks_only() {
    let nodes = "vantage.id = \"here\"\nsource = [{ kind = \"static\", nodes = [\
        { id = \"d\", endpoint = \"http://d.example/x\", profile = \"argus\" },\
        { id = \"s\", endpoint = \"http://s.example/\", profile = \"colossus\" } ] }]\n";
    let config = read("b.toml", &[("b.toml", nodes.as_bytes())], &[]).unwrap();
    assert_eq!((config.probes, config.status, config.nodes.len()), (vec![], shipped_status(), 2));

    let text = format!(
        "{nodes}schedule = {{ every = \"1h\", spacing = \"fixed\", jitter = \"1m\", probes = [\"./strict.toml\"] }}"
    );
    let own = "kind = \"status\"\nblocks = { behind = 10, ahead = 10 }\ndeadline = { body = \"3s\" }\n";
    let status = |text: &str, own: &str| {
        let files = [("b.toml", text.as_bytes()), ("strict.toml", own.as_bytes())];
        read("b.toml", &files, &[]).unwrap().status.unwrap()
    };
    let strict = status(&text, own);
    assert_eq!(
        (&*strict.name, strict.every, strict.deadlines.body),
        ("strict", Duration::from_secs(3_600), Duration::from_secs(3))
    );
    assert_eq!(strict.tolerance, Tolerance { behind: 10, ahead: 10 });
    let half = status(&text, "kind = \"status\"\nevery = \"7s\"\nblocks = { ahead = 0 }\n");
    assert_eq!((half.every, half.tolerance), (Duration::from_secs(7), Tolerance { behind: 100, ahead: 0 }));
    let listed = format!("{nodes}schedule.probes = [{{ probe = \"status\", every = \"1m\" }}]");
    assert_eq!(status(&listed, "").every, Duration::from_secs(60));
    let without = SMALLEST.to_owned() + "schedule.probes = [\"image\"]";
    assert_eq!(read("b.toml", &[("b.toml", without.as_bytes())], &[]).unwrap().status, None);
}

#[test]
fn a_schedule_entry_overrides_its_probe_and_ca_can_be_inline() {
    let pem = |name: &str| format!("-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----\n");
    let text = format!(
        "{SMALLEST}\nschedule.probes = [{{ probe = \"image\", every = \"7s\" }}]\n\
         network.ca-file = \"ca.pem\"\nnetwork.ca = \"\"\"\n{}\"\"\"",
        pem("inline")
    );
    let files = [("b.toml", text.as_bytes()), ("ca.pem", &*pem("filed").into_bytes())];
    let config = read("b.toml", &files, &[]).unwrap();
    let image = &config.probes[0];
    assert_eq!((&*image.name, image.every), ("image", Duration::from_secs(7)));
    let ca = config.network.extra_ca.unwrap();
    assert!(ca.contains("\ninline\n") && ca.contains("\nfiled\n"), "{ca}");
    assert_eq!(
        ca.matches("\n-----BEGIN").count() + usize::from(ca.starts_with("-----BEGIN")),
        2,
        "each on its own line"
    );
}

#[test]
fn counts_and_sizes_are_limited() {
    let nodes = |count: usize| {
        let node = |i| format!("{{id='n{i}',endpoint='http://n{i}.example',assets=[{{kind='image',path='1'}}]}},");
        let nodes: String = (0..count).map(node).collect();
        format!("vantage.id = 'here'\n[[source]]\nkind = 'static'\nnodes = [{nodes}]\n")
    };
    let refused = |text: &str| read("b.toml", &[("b.toml", text.as_bytes())], &[]).unwrap_err().to_string();
    assert_eq!(read("b.toml", &[("b.toml", nodes(10_000).as_bytes())], &[]).unwrap().nodes.len(), 10_000);
    assert_eq!(
        refused(&nodes(10_001)),
        "b.toml:4: source[0].nodes: 10001 entries are too many: at most 10000 are allowed"
    );
    let ordinary = ordinary_nodes(10_000);
    assert!(ordinary.len() > 1_900_000);
    assert_eq!(read("b.toml", &[("b.toml", ordinary.as_bytes())], &[]).unwrap().nodes.len(), 10_000);
    let much = " ".repeat(MAX_CONFIG_BYTES);
    assert!(refused(&much).contains("there is no node to probe"), "read to its end");
    assert_eq!(
        refused(&format!("{much} ")),
        "b.toml: is larger than 40 MiB: is this the right file? The limit has room for 10000 nodes, the most that one worker \
         probes; split more among several workers"
    );
    let probes = format!("{SMALLEST}\nschedule.probes = [{}]", "'image',".repeat(101));
    assert!(refused(&probes).contains("schedule.probes: 101 probes are too many: at most 100 are allowed"));
    let own = format!("kind = 'image'\nparts = [{}]", "{name='full'},".repeat(11));
    let text = format!("{SMALLEST}\nschedule.probes = ['./mine.toml']");
    let problems = read("b.toml", &[("b.toml", text.as_bytes()), ("mine.toml", own.as_bytes())], &[]).unwrap_err();
    assert_eq!(problems.to_string(), "./mine.toml:2: parts: 11 entries are too many: at most 10 are allowed");
    let large = [("b.toml", text.as_bytes()), ("mine.toml", much.as_bytes())];
    let problems = read("b.toml", &large, &[]).unwrap_err();
    assert_eq!(problems.to_string(), "./mine.toml: is larger than 1 MiB: is this the right file?");
    let missing = read("b.toml", &[], &[]).unwrap_err().to_string();
    assert_eq!(missing, "b.toml: cannot read it: no such file (check the path given with `-c`)");
}

/// A config as people write it, with two assets per node.
fn ordinary_nodes(count: usize) -> String {
    let mut text = "[vantage]\nid = \"here\"\n\n[[source]]\nkind = \"static\"\n".to_owned();
    for n in 0..count {
        text += &format!(
            "\n[[source.nodes]]\nid = \"node-{n}\"\nendpoint = \"https://node-{n}.example.net/\"\nassets = [\n    \
             {{ kind = \"image\", path = \"/img/thumbnail.webp\" }},\n    \
             {{ kind = \"video\", path = \"/video/sample.mp4\", size = \"148 MB\" }},\n]\n"
        );
    }
    text
}

proptest! {
    /// Any text gets a result, and a refused one has a reason.
    #[test]
    fn no_config_text_causes_a_panic(cut in 0..9_000_usize, gone in 0..40_usize, new in "[\\PC\n]{0,12}") {
        let sample = include_str!("../../deploy/bandprobe.toml");
        let mut text: Vec<char> = sample.chars().collect();
        let cut = cut % text.len();
        let end = (cut + gone).min(text.len());
        text.splice(cut..end, new.chars());
        let text: String = text.into_iter().collect();
        let answer = read("b.toml", &[("b.toml", text.as_bytes()), ("influxdb-token", b"t")], &[]);
        prop_assert!(answer.is_err_and(|problems| !problems.0.is_empty()), "there is no certificate file");
    }
}

//! Runs `secrets.sh` as the set-up does: each service gets the secrets that it needs, and no other can read them.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use bandprobe::{
    config::{self, Secret},
    deliver::{answer::Answer, influx::Influx},
};
use serde_yaml_ng::Value;
use tempfile::TempDir;

use super::{compose, deploy, environment, image::Image, mounts, services, texts};
use crate::{
    influxd::{self, ORG, TOKEN},
    process,
};

/// One directory for each reader, as compose.yaml mounts them.
struct Secrets(TempDir);

impl Secrets {
    fn new() -> Self {
        let secrets = Self(TempDir::new().unwrap());
        for reader in ["influxdb", "grafana", "worker"] {
            fs::create_dir(secrets.0.path().join(reader)).unwrap();
        }
        secrets
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    /// Runs the script, which has nothing to say. Only root may give a file to another group, so here it is always our own.
    fn make(&self, command: &str, influxdb: &str) {
        assert_eq!(self.run(command, influxdb), (Some(0), String::new()), "{command}");
    }

    /// The exit code and what it says on stderr.
    fn run(&self, command: &str, influxdb: &str) -> (Option<i32>, String) {
        let group = fs::metadata(self.0.path()).unwrap().gid().to_string();
        let groups = ["INFLUXDB_GROUP", "GRAFANA_GROUP", "WORKER_GROUP"].map(|name| (name, group.as_str()));
        let mut script = Command::new("bash");
        script.arg(deploy().join("secrets.sh")).arg(command).envs(groups).env("SECRETS", self.0.path());
        let ended = script.env("INFLUXDB_URL", influxdb).env("INFLUXDB_BUCKET", ORG).output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    }

    fn tokens(&self) -> [String; 2] {
        ["worker/influxdb-token", "grafana/influxdb-token"].map(|file| self.text(file))
    }
}

#[test]
fn passwords_are_made_once_and_are_for_the_group() {
    const FILES: [&str; 4] =
        ["influxdb/admin-password", "influxdb/admin-token", "grafana/admin-password", "grafana/secret-key"];
    let secrets = Secrets::new();
    // What a kill left behind: not even its owner may write to it.
    let left = secrets.path("influxdb/admin-token.new");
    fs::write(&left, "half of").unwrap();
    fs::set_permissions(&left, fs::Permissions::from_mode(0o440)).unwrap();
    secrets.make("passwords", "");
    assert!(!left.exists());
    let made = FILES.map(|file| secrets.text(file));
    for (file, text) in FILES.iter().zip(&made) {
        assert!(text.len() == 32 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{file}");
        assert_eq!(fs::metadata(secrets.path(file)).unwrap().mode() & 0o7777, 0o440, "{file}");
    }
    assert!((0..4).all(|one| !made[one + 1..].contains(&made[one])), "each its own");
    fs::remove_file(secrets.path(FILES[0])).unwrap();
    secrets.make("passwords", "");
    let again = FILES.map(|file| secrets.text(file));
    assert!(made[0] != again[0] && made[1..] == again[1..], "what is there stays");
}

/// The worker's token writes and reads, Grafana's only reads; neither is made again while it is good.
#[test]
fn tokens_are_for_one_bucket() {
    let Some(server) = influxd::shared() else { return };
    let url = format!("http://127.0.0.1:{}", server.port);
    // The script gives organisation and bucket one name.
    server.create_bucket(ORG, 0);
    let secrets = Secrets::new();
    fs::write(secrets.path("influxdb/admin-token"), TOKEN).unwrap();
    fs::write(secrets.path("grafana/influxdb-token"), "of-a-database-that-is-gone").unwrap();
    secrets.make("tokens", &url);
    let old = secrets.tokens();
    secrets.make("tokens", &url);
    assert_eq!(old, secrets.tokens());
    // A bucket of the same name is another one, which the tokens of the old one do not open.
    server.delete_bucket(ORG);
    server.create_bucket(ORG, 0);
    secrets.make("tokens", &url);
    let tokens = secrets.tokens();
    assert!(old[0] != tokens[0] && old[1] != tokens[1]);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let [worker, grafana] = [&tokens[0], &tokens[1]].map(|token| {
        let database = |bucket: &str| config::InfluxDb::new(url.parse().unwrap(), ORG, bucket, Secret::new(token));
        let write = |bucket| {
            let influx = Influx::new(&database(bucket), &crate::resolver()).unwrap();
            runtime.block_on(influx.write("bandprobe_worker,vantage=a,worker=a nodes=1i 1700000000000000000")).answer
        };
        (write(ORG), write("first"))
    });
    assert!(matches!(worker.0, Answer::Stored), "{:?}", worker.0);
    for refused in [worker.1, grafana.0, grafana.1] {
        assert!(matches!(refused, Answer::Status { status: 401 | 403 | 404, .. }), "{refused:?}");
    }
    for (reader, token) in ["worker", "grafana"].iter().zip(&tokens) {
        let file = secrets.path("bandprobe.toml");
        fs::write(&file, super::CONFIG).unwrap();
        let mut report = process::command(&["report", "-c", file.to_str().unwrap()]);
        report.envs([("BANDPROBE_INFLUXDB_URL", url.as_str()), ("BANDPROBE_INFLUXDB_TOKEN", token)]);
        report.envs([("BANDPROBE_INFLUXDB_ORG", ORG), ("BANDPROBE_INFLUXDB_BUCKET", ORG)]);
        let ended = process::Child::spawn(&mut report).end();
        assert_eq!(ended.code, Some(0), "{reader} reads: {}", ended.stderr);
    }
}

/// Without a database nothing is made, and the set-up stops.
#[test]
fn no_database_is_an_error() {
    let secrets = Secrets::new();
    secrets.make("passwords", "");
    // A script that is broken or a machine without curl ends otherwise.
    let (code, said) = secrets.run("tokens", "http://127.0.0.1:1");
    assert!(code == Some(1) && said.starts_with("curl: (7) ") && said.lines().count() == 1, "{code:?}: {said}");
    assert!(!secrets.path("worker/influxdb-token").exists() && !secrets.path("grafana/influxdb-token").exists());
}

/// Every secret is read from a file that the script makes, on a volume that both mount, by the group that it is for.
#[test]
fn secrets_are_read_where_they_are_made() {
    let compose = compose();
    let script = fs::read_to_string(deploy().join("secrets.sh")).unwrap();
    let maker = &compose["services"]["secrets"];
    let at = texts(&maker["entrypoint"]);
    assert_eq!(at[0], "bash");
    assert_eq!(Image::of("grafana.Dockerfile").origin(&at[1]), deploy().join("secrets.sh"));
    assert_eq!(mounts(maker), mounts(&compose["services"]["tokens"]));
    let groups = environment(maker);
    let made_at: BTreeMap<_, _> = mounts(maker).into_iter().map(|(target, volume)| (volume, target)).collect();
    let user = Image::read().user();
    let mut read = 0;
    for (name, service) in services(&compose).into_iter().filter(|(_, service)| service["entrypoint"].is_null()) {
        for (variable, value) in environment(&service) {
            let is_secret = ["PASSWORD", "TOKEN", "SECRET"].iter().any(|word| variable.contains(word));
            assert!(!is_secret || value.starts_with("/run/secrets/"), "{name}: {variable} has its secret in the file");
            let Some(file) = value.strip_prefix("/run/secrets/") else { continue };
            assert!(variable.ends_with("_FILE"), "{name}: {variable}");
            let directory = &made_at[&mounts(&service)["/run/secrets"]];
            let reader = Path::new(directory).file_name().unwrap().to_str().unwrap();
            assert!(script.contains(&format!("\"$secrets/{reader}/{file}\"")), "{reader}/{file} is not made");
            let group = service["user"].as_str().unwrap_or(&user).split(':').nth(1).unwrap();
            assert_eq!(groups[&format!("{}_GROUP", reader.to_uppercase())], group, "{name}");
            read += 1;
        }
        let secrets: Vec<_> =
            texts(&service["volumes"]).into_iter().filter(|mount| mount.contains("secrets")).collect();
        assert!(secrets.len() <= 1 && secrets.iter().all(|mount| mount.ends_with(":/run/secrets:ro")), "{secrets:?}");
    }
    assert!(read >= 6);
    let asked: Vec<_> =
        maker["environment"].as_mapping().into_iter().flatten().filter_map(|(key, _)| key.as_str()).collect();
    assert!(asked.iter().all(|name| script.contains(&format!("${{{name}:-{}}}", default(maker, name)))), "{asked:?}");
}

/// The script's defaults are what compose.yaml says.
fn default<'a>(maker: &'a Value, name: &str) -> &'a str {
    maker["environment"][name].as_str().unwrap()
}

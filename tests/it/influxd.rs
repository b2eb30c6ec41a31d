//! A real InfluxDB for tests: one server for the whole test binary, one bucket per test.
//!
//! The binary is `$BANDPROBE_INFLUXD`, `influxd` on PATH, or the one that `.ci/influxd` left in the cache. Without it,
//! the tests that need it print one line and pass, unless `BANDPROBE_REQUIRE_ALL=1`.

#![expect(clippy::unwrap_used, reason = "the lint's exception for tests does not reach their helpers")]

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use bandprobe::config::{self, Secret};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use url::form_urlencoded;

use crate::skip::skip;

pub(crate) mod old;

/// The server's only organisation.
pub(crate) const ORG: &str = "dwg";

/// A token that may do everything.
pub(crate) const TOKEN: &str = "a-token-for-tests";

/// The binary in the cache, by the version that every query was tried on.
pub(crate) const BINARY: &str = "influxd-2.9.1";

/// A running server. It dies with its value, and with this process whatever kills that.
pub(crate) struct Influxd {
    /// Of its HTTP API, on loopback.
    pub(crate) port: u16,
    token: &'static str,
    org_id: String,
    dir: PathBuf,
    process: Mutex<Option<Child>>,
}

/// The server that all tests share, or nothing when there is no binary; the test returns then.
pub(crate) fn shared() -> Option<&'static Influxd> {
    static SERVER: OnceLock<Option<Influxd>> = OnceLock::new();
    SERVER.get_or_init(own).as_ref()
}

/// A server of this test's own, to be stopped and started.
pub(crate) fn own() -> Option<Influxd> {
    let Some(binary) = binary() else {
        skip("the tests against a real InfluxDB", "no influxd (run .ci/influxd)");
        return None;
    };
    let dir = TempDir::new().unwrap().keep();
    let (process, port) = start(&binary, &dir, 0);
    let mut server = Influxd { port, token: TOKEN, org_id: String::new(), dir, process: Mutex::new(Some(process)) };
    let setup =
        json!({"username": "tester", "password": "for-tests-only", "org": ORG, "bucket": "first", "token": TOKEN});
    let (status, answer) = server.request("POST", "/api/v2/setup", None, &setup.to_string());
    assert_eq!(status, 201, "{answer}");
    server.org_id = parse(&answer)["org"]["id"].as_str().unwrap().to_owned();
    Some(server)
}

impl Influxd {
    /// The configuration of a bucket that no other test uses, and that exists.
    pub(crate) fn bucket(&self) -> config::InfluxDb {
        let config = self.missing_bucket();
        self.create_bucket(&config.bucket, 0);
        config
    }

    /// The configuration of a bucket that does not exist.
    pub(crate) fn missing_bucket(&self) -> config::InfluxDb {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let bucket = format!("test-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        config::InfluxDb::new(
            format!("http://127.0.0.1:{}", self.port).parse().unwrap(),
            ORG,
            &bucket,
            Secret::new(self.token),
        )
    }

    /// Makes a bucket that keeps points for this number of seconds; 0 keeps them forever.
    pub(crate) fn create_bucket(&self, name: &str, retention_s: u64) {
        let rules = json!([{"type": "expire", "everySeconds": retention_s}]);
        let bucket = json!({"orgID": self.org_id, "name": name, "retentionRules": rules});
        let (status, answer) = self.request("POST", "/api/v2/buckets", Some(self.token), &bucket.to_string());
        assert_eq!(status, 201, "{answer}");
    }

    /// A token that may write to this bucket and nothing else.
    pub(crate) fn token_for(&self, bucket: &str) -> String {
        let (_, answer) = self.request("GET", &format!("/api/v2/buckets?name={bucket}"), Some(self.token), "");
        let id = parse(&answer)["buckets"][0]["id"].clone();
        let permission = json!({"action": "write", "resource": {"type": "buckets", "id": id, "orgID": self.org_id}});
        let wanted = json!({"orgID": self.org_id, "permissions": [permission]});
        let (status, answer) = self.request("POST", "/api/v2/authorizations", Some(self.token), &wanted.to_string());
        assert_eq!(status, 201, "{answer}");
        parse(&answer)["token"].as_str().unwrap().to_owned()
    }

    /// Deletes a bucket with all that is in it.
    pub(crate) fn delete_bucket(&self, name: &str) {
        let (_, answer) = self.request("GET", &format!("/api/v2/buckets?name={name}"), Some(self.token), "");
        let id = parse(&answer)["buckets"][0]["id"].as_str().unwrap().to_owned();
        let (status, answer) = self.request("DELETE", &format!("/api/v2/buckets/{id}"), Some(self.token), "");
        assert_eq!(status, 204, "{answer}");
    }

    /// The rows of the first series that an InfluxQL statement finds in a bucket, times in ns; none when there is none.
    pub(crate) fn query(&self, bucket: &str, statement: &str) -> Vec<Vec<Value>> {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("db", bucket), ("epoch", "ns"), ("q", statement)])
            .finish();
        let (status, answer) = self.request("GET", &format!("/query?{query}"), Some(self.token), "");
        assert_eq!(status, 200, "{answer}");
        let result = parse(&answer)["results"][0].take();
        assert!(result.get("error").is_none(), "{statement}: {result}");
        let rows = result["series"][0]["values"].as_array().cloned().unwrap_or_default();
        rows.into_iter().map(|row| row.as_array().unwrap().clone()).collect()
    }

    /// All points of a measurement, each as its columns with what they hold: `time` in ns, tags and fields.
    pub(crate) fn points(&self, bucket: &str, measurement: &str) -> Vec<Map<String, Value>> {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("db", bucket), ("epoch", "ns"), ("q", &format!("SELECT * FROM {measurement}"))])
            .finish();
        let (status, answer) = self.request("GET", &format!("/query?{query}"), Some(self.token), "");
        assert_eq!(status, 200, "{answer}");
        let answer = parse(&answer);
        let Some(series) = answer.pointer("/results/0/series/0") else { return Vec::new() };
        let columns = series["columns"].as_array().unwrap();
        let row = |row: &Value| {
            let pairs = columns.iter().zip(row.as_array().unwrap()).filter(|(_, value)| !value.is_null());
            pairs.map(|(column, value)| (column.as_str().unwrap().to_owned(), value.clone())).collect()
        };
        series["values"].as_array().unwrap().iter().map(row).collect()
    }

    /// How many points of a measurement have this field.
    pub(crate) fn count(&self, bucket: &str, measurement: &str, field: &str) -> u64 {
        let rows = self.query(bucket, &format!("SELECT count({field}) FROM {measurement}"));
        rows.first().map_or(0, |row| row[1].as_u64().unwrap())
    }

    /// Kills the server; its data stays.
    pub(crate) fn stop(&self) {
        let process = self.process.lock().unwrap().take();
        if let Some(mut process) = process {
            writeln!(process.stdin.take().unwrap(), "stop").unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts a stopped server again, on the same port.
    pub(crate) fn restart(&self) {
        let (process, _) = start(&binary().unwrap(), &self.dir, self.port);
        *self.process.lock().unwrap() = Some(process);
    }

    /// One HTTP/1.0 request, so that the answer ends with the connection.
    fn request(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let authorization = token.map(|token| format!("authorization: Token {token}\r\n")).unwrap_or_default();
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.0\r\n{authorization}content-length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

impl Drop for Influxd {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn start(binary: &Path, dir: &Path, port: u16) -> (Child, u16) {
    let mut server = Command::new(binary);
    server.arg("--bolt-path").arg(dir.join("bolt"));
    server.arg("--engine-path").arg(dir.join("engine"));
    server.arg("--sqlite-path").arg(dir.join("sqlite"));
    server.args(["--http-bind-address", &format!("127.0.0.1:{port}"), "--reporting-disabled"]);
    watched(&server, dir, |line| line.contains("transport=http").then(|| line.rsplit_once("port="))?)
}

/// Starts a server under a shell that kills it, and deletes its data, when our end of the pipe closes: a static is never
/// dropped, and a killed test process drops nothing. The port stands at the end of a line of its log.
fn watched(server: &Command, dir: &Path, port: fn(&str) -> Option<(&str, &str)>) -> (Child, u16) {
    let mut shell = Command::new("sh")
        .args(["-c", WATCH, "influxd-watch"])
        .arg(dir)
        .arg(server.get_program())
        .args(server.get_args())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(shell.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut seen = Vec::new();
    let port = log.by_ref().find_map(|line| {
        let port = port(&line).and_then(|(_, port)| port.trim().parse().ok());
        seen.push(line);
        port
    });
    let port = port.unwrap_or_else(|| panic!("influxd did not start:\n{}", seen.join("\n")));
    thread::spawn(move || log.for_each(drop));
    (shell, port)
}

fn binary() -> Option<PathBuf> {
    if let Some(named) = env::var_os("BANDPROBE_INFLUXD") {
        return Some(named.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mut on_path = env::split_paths(&path).map(|dir| dir.join("influxd"));
    on_path.find(|binary| binary.is_file()).or_else(|| cached(BINARY))
}

/// A binary that `.ci/influxd` built.
fn cached(name: &str) -> Option<PathBuf> {
    let cache = env::var_os("BANDPROBE_CACHE").map(PathBuf::from).or_else(|| {
        let user = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        Some(user.or_else(|| Some(env::home_dir()?.join(".cache")))?.join("bandprobe"))
    });
    cache.map(|cache| cache.join(name)).filter(|binary| binary.is_file())
}

fn parse(answer: &str) -> Value {
    serde_json::from_str(answer).unwrap_or_else(|problem| panic!("{problem}: {answer}"))
}

/// `$1`: the data; the rest: the server. A line on the pipe stops the server, its data stays for a restart; the end of the
/// pipe alone means that the tests are gone.
const WATCH: &str = r#"dir=$1; shift
"$@" 2>&1 & server=$!
read -r _; keep=$?
kill -9 $server
wait $server 2>/dev/null
[ $keep = 0 ] || rm -rf "$dir""#;

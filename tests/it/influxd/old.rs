//! A real InfluxDB 1.8 with authentication, found as 2.x is: `$BANDPROBE_INFLUXD_1`, or what `.ci/influxd 1` left in the
//! cache. Its buckets are databases, `name` or `name/retention-policy`, and its tokens `user:password`.

use super::*;

/// A token that may do everything.
pub(crate) const TOKEN: &str = "tester:for-tests-only";

/// The binary in the cache.
const BINARY: &str = "influxd-1.8.10";

/// The server that all tests share, or nothing when there is no binary; the test returns then.
pub(crate) fn shared() -> Option<&'static Influxd> {
    static SERVER: OnceLock<Option<Influxd>> = OnceLock::new();
    SERVER.get_or_init(own).as_ref()
}

fn own() -> Option<Influxd> {
    let Some(binary) = env::var_os("BANDPROBE_INFLUXD_1").map(PathBuf::from).or_else(|| cached(BINARY)) else {
        skip("the tests against a real InfluxDB 1.8", "no influxd (run .ci/influxd 1)");
        return None;
    };
    let dir = TempDir::new().unwrap().keep();
    std::fs::write(dir.join("config"), CONFIG.replace("$dir", dir.to_str().unwrap())).unwrap();
    let mut server = Command::new(binary);
    server.arg("-config").arg(dir.join("config"));
    let (process, port) = watched(&server, &dir, |line| {
        line.contains("Listening on HTTP").then(|| line.strip_suffix(" https=false")?.rsplit_once(':'))?
    });
    let process = Mutex::new(Some(process));
    let server = Influxd { port, token: TOKEN, org_id: String::new(), dir, process };
    server.run("CREATE USER tester WITH PASSWORD 'for-tests-only' WITH ALL PRIVILEGES");
    Some(server)
}

impl Influxd {
    /// The configuration of a database of 1.8 that no other test uses, and that exists.
    pub(crate) fn database(&self) -> config::InfluxDb {
        let config = self.missing_bucket();
        self.run(&format!("CREATE DATABASE {:?}", config.bucket));
        config
    }

    /// Runs a statement of InfluxQL that changes something.
    pub(crate) fn run(&self, statement: &str) {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("q", statement).finish();
        let (status, answer) = self.request("POST", &format!("/query?{query}"), Some(self.token), "");
        assert_eq!((status, answer.trim()), (200, r#"{"results":[{"statement_id":0}]}"#), "{statement}");
    }
}

const CONFIG: &str = r#"
reporting-disabled = true
bind-address = "127.0.0.1:0"
[meta]
dir = "$dir/meta"
[data]
dir = "$dir/data"
wal-dir = "$dir/wal"
[http]
bind-address = "127.0.0.1:0"
auth-enabled = true
"#;

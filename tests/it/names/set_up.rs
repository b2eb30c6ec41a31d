//! A network for one test: namespaces with prepared files in /etc, name servers and a web server.

use std::{
    collections::BTreeMap,
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::TempDir;

use crate::skip::skip;

/// What is planted.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct SetUp {
    /// What is special about it.
    pub(super) name: String,
    /// Contents of /etc/resolv.conf.
    resolv: String,
    /// Contents of /etc/hosts, after `127.0.0.1 localhost`.
    #[serde(default)]
    hosts: String,
    /// Contents of /etc/gai.conf.
    #[serde(default)]
    gai: String,
    /// The line `hosts:` of /etc/nsswitch.conf.
    #[serde(default = "files_dns")]
    nsswitch: String,
    /// Addresses of this host other than those of loopback.
    #[serde(default)]
    addresses: Vec<String>,
    #[serde(default)]
    servers: Vec<Server>,
    /// Where the web server listens.
    #[serde(default = "everywhere")]
    web: String,
    /// The host of the URL.
    #[serde(default = "node")]
    pub(super) host: String,
    /// What bandprobe says; by default that all is well.
    #[serde(default = "ok")]
    pub(super) outcome: String,
}

/// A name server as `name_server.py` describes it.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Server {
    at: String,
    #[serde(default)]
    names: BTreeMap<String, serde_json::Value>,
    #[serde(flatten)]
    behaviour: BTreeMap<String, serde_json::Value>,
}

fn files_dns() -> String {
    "files dns".to_owned()
}

fn node() -> String {
    "node.lab".to_owned()
}

fn everywhere() -> String {
    "::".to_owned()
}

fn ok() -> String {
    "ok".to_owned()
}

impl SetUp {
    /// Runs a script of bash in it, with `$B` for bandprobe and `$D` for a directory of its own, and returns what it
    /// prints.
    pub(super) fn run(&self, script: &str) -> String {
        let dir = TempDir::new().unwrap();
        let write = |file: &str, text: &str| fs::write(dir.path().join(file), text).unwrap();
        write("resolv.conf", &self.resolv);
        write("hosts", &format!("127.0.0.1 localhost\n{}", self.hosts));
        write("gai.conf", &self.gai);
        write("nsswitch.conf", &format!("hosts: {}\n", self.nsswitch));
        write("plan", &json!({ "port": PORT, "servers": self.servers, "web": self.web }).to_string());
        write("begin", BEGIN);
        write("script", script);
        let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/names/name_server.py");
        let ended = Command::new("unshare")
            .args(["--net", "--mount", "--propagation", "private", "bash", "begin"])
            .current_dir(dir.path())
            .env("B", env!("CARGO_BIN_EXE_bandprobe"))
            .env("D", dir.path())
            .env("SERVER", server)
            .env("ADDRESSES", self.addresses.join(" "))
            .env_remove("HTTP_PROXY")
            .env_remove("http_proxy")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let stdout = String::from_utf8(ended.stdout).unwrap();
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{}: {:?}\n{stdout}\n{stderr}", self.name, ended.status);
        stdout
    }
}

/// Can namespaces be made here? Says once if not.
pub(super) fn is_possible() -> bool {
    let made = Command::new("unshare").args(["--net", "--mount", "true"]).stderr(Stdio::null()).status();
    if made.is_ok_and(|status| status.success()) {
        return true;
    }
    skip("the tests of names", "no network namespaces, which only root can make");
    false
}

/// The port of the web server.
pub(super) const PORT: u16 = 18080;

/// Plants the files, starts the servers, and runs the script.
const BEGIN: &str = r#"
set -euo pipefail
ip link set lo up
for address in $ADDRESSES; do ip address add "$address" dev lo; done
for file in resolv.conf hosts gai.conf nsswitch.conf; do mount --bind "$D/$file" "/etc/$file"; done
mkfifo ready
python3 "$SERVER" plan > ready &
servers=$!
trap 'kill $servers 2>/dev/null' EXIT
read -r _ < ready
. ./script
"#;

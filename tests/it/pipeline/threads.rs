//! What a worker reports when the system refuses it a thread.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{self, Command},
};

use crate::skip::skip;

const CONFIG: &str = r#"
vantage.id = "here"
archive.dir = "data"
source = [{ kind = "static", nodes = [
    { id = "n", endpoint = "http://127.0.0.1:9/", assets = [{ kind = "image", path = "/1.webp" }] } ] }]
"#;

#[test]
fn the_thread_that_cannot_start_is_named() {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_bandprobe"), root.path().join("bandprobe")).unwrap();
    fs::write(root.path().join("b.toml"), CONFIG).unwrap();
    if !limited(root.path(), 100, &["true"]).status().is_ok_and(|status| status.success()) {
        return skip("the test of threads that cannot start", "no other user: it needs root, setpriv and prlimit");
    }
    let mut named = Vec::new();
    // The first four are the main thread, that of the log, and the two of the runtime.
    for threads in 4..20 {
        let ended = limited(root.path(), threads, &["./bandprobe", "once", "-c", "b.toml"]).output().unwrap();
        let stderr = String::from_utf8_lossy(&ended.stderr);
        let Some((_, rest)) = stderr.split_once("cannot start the thread `") else { break };
        named.push(rest.split_once('`').unwrap().0.to_owned());
        assert!(rest.contains("Resource temporarily unavailable"), "{stderr}");
    }
    assert_eq!(named, ["start", "sync", "measuring", "checks", "state", "recorder", "delivery"]);
}

/// A command of a user whose number of threads is limited.
fn limited(folder: &Path, threads: u32, command: &[&str]) -> Command {
    // A user that has no other process, so that the limit counts only the threads of this one.
    let user = (1_000_000 + process::id()).to_string();
    let mut limited = Command::new("setpriv");
    limited.args(["--reuid", &user, "--regid", &user, "--clear-groups", "prlimit"]);
    limited.arg(format!("--nproc={threads}:{threads}")).args(command).current_dir(folder);
    limited
}

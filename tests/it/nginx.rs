//! A real nginx as a proxy for tests. Without the binary, these tests print one line and pass.

#![expect(clippy::unwrap_used, reason = "the lint's exception for tests does not reach their helpers")]

use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use tempfile::TempDir;

use crate::skip::skip;

/// A running proxy; it dies with its value.
pub(crate) struct Nginx {
    pub(crate) port: u16,
    process: Child,
    _dir: TempDir,
}

impl Nginx {
    /// Serves with this body of its `server` block, or nothing when there is no nginx.
    pub(crate) fn start(server: &str) -> Option<Self> {
        if Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_err() {
            skip("the tests behind a real nginx", "no nginx (apt-get install nginx-light)");
            return None;
        }
        // It cannot choose a free port itself: one is searched for, and another one when it was taken meanwhile.
        (0..5).find_map(|_| Self::on_free_port(server)).or_else(|| panic!("nginx does not start"))
    }

    fn on_free_port(server: &str) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let dir = TempDir::new().unwrap();
        let temporary =
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("{kind}_temp_path t-{kind};"));
        let config = format!(
            "daemon off; master_process off; pid pid; error_log stderr; events {{}}\n\
             http {{ access_log off; {} server {{ listen 127.0.0.1:{port}; {server} }} }}\n",
            temporary.join(" ")
        );
        std::fs::write(dir.path().join("nginx.conf"), config).unwrap();
        let mut process = Command::new("nginx")
            .args(["-e", "stderr", "-c", "nginx.conf", "-p"])
            .arg(dir.path())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        loop {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(Self { port, process, _dir: dir });
            }
            if process.try_wait().unwrap().is_some() {
                return None;
            }
            sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

//! `openssl s_server` and nginx on ports of loopback. Each ends when its value is dropped.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tempfile::TempDir;
use tokio::time::Instant;

use super::certificates::Made;
use crate::skip::skip;

/// Is the program installed? Says once that its tests are skipped when it is not.
pub(super) fn has(program: &str) -> bool {
    let argument = if program == "nginx" { "-v" } else { "version" };
    let found = command(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        skip("the tests of TLS with a real server", &format!("no {program} (apt-get install {program})"));
    }
    found
}

/// Debian puts servers where only root looks.
fn command(program: &str) -> Command {
    let in_sbin = Path::new("/usr/sbin").join(program);
    if in_sbin.exists() { Command::new(in_sbin) } else { Command::new(program) }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Waits for a listener there, and returns whether there is one.
fn await_port(port: u16, process: &mut Child) {
    let began = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(began.elapsed() < PATIENCE, "nothing listens on port {port}");
        assert!(process.try_wait().unwrap().is_none(), "the server has ended");
        thread::sleep(Duration::from_millis(20));
    }
}

/// An `openssl s_server` that serves `index.html`.
pub(super) struct OpensslServer {
    port: u16,
    process: Child,
    _dir: TempDir,
}

impl OpensslServer {
    pub(super) fn start(made: &Made, options: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("chain.pem"), &made.chain).unwrap();
        fs::write(dir.path().join("key.pem"), &made.key).unwrap();
        fs::write(dir.path().join("index.html"), "<html></html>").unwrap();
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        // The first certificate of the file is the server's own, the rest is sent along.
        let usual =
            ["s_server", "-accept", &address, "-cert", "chain.pem", "-key", "key.pem", "-cert_chain", "chain.pem"];
        let levelled = if options.contains(&"-cipher") { &[][..] } else { &["-cipher", "ALL:@SECLEVEL=0"] };
        let mut process = command("openssl")
            .args(usual)
            .args(levelled)
            .args(["-WWW"])
            .args(options)
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It says so when it listens; a connection to try it out would be a handshake that fails.
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let listens = lines.any(|line| line.is_ok_and(|line| line.starts_with("ACCEPT")));
        assert!(listens, "openssl does not listen: {options:?}");
        // What it says later is read, so that it is never held up.
        thread::spawn(move || lines.for_each(drop));
        Self { port, process, _dir: dir }
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for OpensslServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An nginx in the foreground.
pub(super) struct Nginx {
    port: u16,
    process: Child,
    _dir: TempDir,
}

impl Nginx {
    /// With TLS, and these directives in addition.
    pub(super) fn start(made: &Made, ca: &str, directives: &str) -> Self {
        let server = format!("ssl_certificate chain.pem; ssl_certificate_key key.pem; {directives}");
        Self::serving("ssl", &server, Some((made, ca)))
    }

    pub(super) fn start_plain() -> Self {
        Self::serving("", "", None)
    }

    fn serving(listen: &str, server: &str, files: Option<(&Made, &str)>) -> Self {
        let dir = TempDir::new().unwrap();
        let (at, port) = (dir.path(), free_port());
        if let Some((made, ca)) = files {
            fs::write(at.join("chain.pem"), &made.chain).unwrap();
            fs::write(at.join("key.pem"), &made.key).unwrap();
            fs::write(at.join("ca.pem"), ca).unwrap();
        }
        fs::write(at.join("index.html"), "<html></html>").unwrap();
        let config = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr; events {{}}\n\
             http {{ access_log off; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; \
             scgi_temp_path t5; types {{ text/html html; }}\n\
             server {{ listen 127.0.0.1:{port} {listen}; root {}; {server} }} }}\n",
            at.display()
        );
        fs::write(at.join("nginx.conf"), config).unwrap();
        let mut process = command("nginx")
            .arg("-p")
            .arg(at)
            .args(["-e", "stderr", "-c", "nginx.conf"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        await_port(port, &mut process);
        Self { port, process, _dir: dir }
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How long a server may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

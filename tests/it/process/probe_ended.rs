//! `bandprobe probe URL --repeat N`, ended by signals: finished transfers are still printed, even to a slow reader.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::{self, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
};

use super::{Child, command, objects, until};

/// A server that counts its answers.
struct Counting {
    url: String,
    served: Arc<AtomicU64>,
}

impl Counting {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/x", listener.local_addr().unwrap());
        let served = Arc::new(AtomicU64::new(0));
        let count = served.clone();
        thread::spawn(move || {
            for socket in listener.incoming() {
                let mut reader = BufReader::new(socket.unwrap());
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|length| length > 2) {
                    line.clear();
                }
                count.fetch_add(1, Relaxed);
                // A transfer that was dropped may have closed the connection.
                let _ = reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
            }
        });
        Self { url, served }
    }

    /// Many transfers from it, whose output is not being read yet.
    fn unread(&self) -> process::Child {
        let mut many = command(&["probe", &self.url, "--repeat", "100000", "--json"]);
        many.stderr(Stdio::null()).spawn().unwrap()
    }

    /// Waits until this many polls in a row see no new request.
    fn until_silent(&self) {
        let (mut looks, mut before) = (0, 0);
        until("it asks no more", || {
            let served = self.served.load(Relaxed);
            looks = if served > 0 && served == before { looks + 1 } else { 0 };
            before = served;
            looks == LOOKS
        });
    }

    /// Every finished transfer was printed. One more answer may have been under way.
    fn all_told(&self, stdout: &str) {
        let (served, told) = (self.served.load(Relaxed), objects(stdout).len() as u64);
        assert!(told <= served && served <= told + 1, "{served} served, {told} told");
    }
}

fn interrupt(process: &process::Child) {
    assert!(Command::new("kill").args(["-s", "INT", &process.id().to_string()]).status().unwrap().success());
}

#[test]
fn an_interrupt_ends_many_transfers_with_their_summary() {
    let server = Counting::start();
    let mut child = Child::spawn(&mut command(&["probe", &server.url, "--repeat", "100000"]));
    for number in 1..=5 {
        let line = child.line().unwrap();
        assert!(line.trim_start().starts_with(&format!("{number}  ok  cold")), "{line}");
    }
    child.signal("INT");
    let ended = child.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains(" ok (100 %)\n\ncold"), "{ended:?}");
}

#[test]
fn an_interrupt_loses_nothing_that_had_finished() {
    let server = Counting::start();
    let mut child = Child::spawn(&mut command(&["probe", &server.url, "--repeat", "100000", "--json"]));
    for _ in 0..5 {
        child.line().unwrap();
    }
    child.signal("INT");
    let ended = child.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    server.all_told(&ended.stdout);
}

#[test]
fn a_slow_reader_delays_no_transfer_and_loses_none() {
    let server = Counting::start();
    let process = server.unread();
    server.until_silent();
    interrupt(&process);
    let output = process.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    server.all_told(&String::from_utf8(output.stdout).unwrap());
}

#[test]
fn a_second_signal_does_not_wait_for_a_reader() {
    let server = Counting::start();
    let mut process = server.unread();
    server.until_silent();
    interrupt(&process);
    // Signals within a second count as one.
    until("it ends", || {
        interrupt(&process);
        process.try_wait().unwrap().is_some()
    });
    assert_eq!(process.wait().unwrap().code(), Some(1));
}

/// Half a second.
const LOOKS: u32 = 25;

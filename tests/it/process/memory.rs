//! How much memory the binary takes, whatever a node sends.

use std::{fs, thread};

use super::{Child, command, until};
use crate::fault::{
    FaultServer, cases, certificate,
    server::{
        Behaviour, ENDLESS, Port,
        Step::{Endless, Request, Send},
    },
};

/// How many times the memory that a short answer takes may be taken by any other.
const MAX_RATIO: u64 = 2;

/// A kilobyte.
const SHORT: Behaviour = Behaviour {
    port: Port::Http,
    script: |_| {
        let head =
            "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 1000-2023/4096\r\ncontent-length: 1024\r\n\r\n";
        vec![Request, Send([head.as_bytes(), &[0; 1024]].concat())]
    },
};

/// A gigabyte, and no end.
const LONG: Behaviour = Behaviour {
    port: Port::Http,
    script: |_| {
        let head = format!(
            "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 0-{}/{ENDLESS}\r\ncontent-length: {ENDLESS}\r\n\r\n",
            ENDLESS - 1
        );
        vec![Request, Send(head.into()), Endless(vec![0; 256 << 10])]
    },
};

#[test]
fn no_answer_makes_the_process_grow() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, certificate::ca_pem()).unwrap();
    let part = "1000-2023";
    // Those that only a deadline ends, or a limit of ours.
    let floods = [
        "endless_head",
        "interim_responses_without_end",
        "chunks_without_end",
        "chunk_extension_without_end",
        "trailers_without_end",
        "http2_endless_head",
        "http2_interim_responses_without_end",
        "http2_settings_without_end",
        "http2_pings_without_end",
    ];
    let flood = |name| cases().find(|case| case.name == name).map(|case| (name, case.behaviour, part)).unwrap();
    let whole = format!("0-{}", ENDLESS - 1);
    let peak = |name: &str, behaviour: Behaviour, range: &str| {
        let server = FaultServer::start_once(behaviour);
        let ca = ca.to_str().unwrap();
        let args = ["probe", &server.url(), "--range", range, "--deadline", "30s", "--json", "--ca-file", ca];
        let child = Child::spawn(&mut command(&[&args[..], &["--repeat", "2"]].concat()));
        // Then the first transfer is over, and the process still there.
        until(&format!("{name}: a second connection"), || server.connections() == 2);
        peak(&child)
    };
    let usual = peak("short", SHORT, part);
    thread::scope(|scope| {
        for (name, behaviour, range) in [("a gigabyte", LONG, whole.as_str())].into_iter().chain(floods.map(flood)) {
            let peak = &peak;
            scope.spawn(move || {
                let peak = peak(name, behaviour, range);
                assert!(peak <= MAX_RATIO * usual, "{name}: {peak} KiB, and {usual} KiB for a short answer");
            });
        }
    });
}

/// The most memory that a process held so far, in KiB (proc(5), `VmHWM`).
fn peak(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

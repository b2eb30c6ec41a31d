//! The phase `send`, in which a request waits only when the system buffers almost nothing: in a network of its own.

use std::{env, io, net::TcpListener, process::Command, thread, time::Duration};

use super::{assert_frozen, frozen, lengths, nodes};
use crate::{
    process::{command, objects},
    skip::skip,
};

/// A network whose sockets buffer a few small segments, and in it the program that follows.
const NETWORK: &str = "ip link set lo mtu 600 up && ip link set lo gso_max_segs 1 && cd /proc/sys/net/ipv4 && \
    echo 1 1 1 >tcp_wmem && echo 4096 4096 4096 >tcp_rmem && exec \"$@\"";

/// Runs the test below in such a network, if this user may make one.
pub(super) fn in_another_network() {
    let made = Command::new("unshare").args(["-n", "sh", "-c", "ip link set lo up"]).output();
    if !made.is_ok_and(|made| made.status.success()) {
        skip("the test of a freeze while a request is sent", "no network namespace: it needs root, unshare and ip");
        return;
    }
    let inner = "process::frozen::send::a_request_that_was_frozen_blames_no_node";
    let ended = Command::new("unshare")
        .args(["-n", "sh", "-c", NETWORK, "sh"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", inner, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && said.contains("1 passed"), "{said}\n{}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
#[ignore = "another test runs it where sockets buffer next to nothing"]
fn a_request_that_was_frozen_blames_no_node() {
    thread::scope(|scope| {
        for length in lengths() {
            scope.spawn(move || {
                let listener = nodes::listen();
                // Beyond what the system buffers here.
                let path = "x".repeat(7_900);
                let url = format!("http://{}/{path}", listener.local_addr().unwrap());
                let ended = frozen(*length, command(&["probe", &url, "--json"]), move |meeting| {
                    let _ = reads_late(&listener, meeting);
                });
                let samples = objects(&ended.stdout);
                assert_eq!(samples.len(), 1, "{length:?}: {ended:?}");
                assert_frozen(&samples[0], "ok", &format!("send, {length:?}"));
            });
        }
    });
}

/// Reads nothing until the prober is frozen, and has only part of the request by then.
fn reads_late(listener: &TcpListener, meeting: &nodes::Meeting) -> io::Result<()> {
    let (mut socket, _) = listener.accept()?;
    thread::sleep(Duration::from_millis(500));
    meeting.stop_the_prober();
    nodes::read_head(&mut io::BufReader::new(socket.try_clone()?))?;
    nodes::answer(&mut socket)
}

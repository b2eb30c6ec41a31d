//! Status rounds during which bandprobe is stopped.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use bandprobe::record::schema::node;
use serde_json::Value;
use tempfile::TempDir;

use super::{config, frozen, nodes::Meeting};
use crate::process::{command, objects};

/// What a node does with the n-th request for its status. A number of the blocks that it has processed is an answer.
type Part = fn(usize) -> Does;

#[derive(Clone, Copy)]
enum Does {
    Answer(u64),
    /// When the prober is frozen.
    AnswerLate(u64),
    /// Resets the connection then.
    GiveUp,
    Nothing,
}

/// Each node, and the state that it has to be in.
const NODES: [(&str, Part, &str); 5] = [
    // Its first answer is older than those that come after the freeze by all the blocks of that time.
    ("fast", |n| Does::Answer(if n == 0 { 1_000 } else { 9_000 }), "ok"),
    ("late", |n| if n == 0 { Does::AnswerLate(9_000) } else { Does::Answer(9_000) }, "ok"),
    ("later", |n| if n == 0 { Does::AnswerLate(9_000) } else { Does::Answer(9_000) }, "ok"),
    ("gives-up", |n| if n == 0 { Does::GiveUp } else { Does::Answer(9_000) }, "ok"),
    ("silent", |_| Does::Nothing, "dead"),
];

/// A round of `once` over all of them.
pub(super) fn round(length: Duration) {
    let dir = TempDir::new().unwrap();
    let listeners: Vec<_> = NODES.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let endpoints: Vec<_> =
        listeners.iter().map(|listener| format!("http://{}/", listener.local_addr().unwrap())).collect();
    let named: Vec<_> = NODES.iter().zip(&endpoints).map(|((id, ..), url)| (*id, url.as_str(), "argus")).collect();
    let config = config(&dir, "", "status", &named);
    let ended = frozen(length, command(&["once", "-c", &config, "--json"]), move |meeting| serve(listeners, meeting));
    let states: BTreeMap<_, _> = objects(&ended.stdout)
        .into_iter()
        .filter(|object| object["measurement"] == node::MEASUREMENT.name)
        .map(|object| {
            let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            (text(node::NODE.0), (text(node::STATE.name), text(node::REASON.name)))
        })
        .collect();
    for (id, _, state) in NODES {
        assert_eq!(states[id].0, state, "{length:?}: {states:?} {ended:?}");
    }
}

/// All nodes at once. The prober is stopped when each of them was asked.
fn serve(listeners: Vec<TcpListener>, meeting: &Meeting) {
    let asked = Arc::new(AtomicUsize::new(0));
    let mut go = vec![];
    for (listener, (_, part, _)) in listeners.into_iter().zip(NODES) {
        let (tell, told) = mpsc::channel();
        go.push(tell);
        let asked = asked.clone();
        thread::spawn(move || {
            for (n, socket) in listener.incoming().flatten().enumerate() {
                // An error means that the prober left.
                let _ = play(socket, part(n), n, &asked, &told);
            }
        });
    }
    crate::process::until("every node is asked", || asked.load(Relaxed) == NODES.len());
    meeting.stop_the_prober();
    for tell in go {
        // A node that was not to wait has gone on.
        let _ = tell.send(());
    }
}

fn play(
    mut socket: TcpStream,
    does: Does,
    n: usize,
    asked: &AtomicUsize,
    stopped: &mpsc::Receiver<()>,
) -> io::Result<()> {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    if n == 0 {
        asked.fetch_add(1, Relaxed);
    }
    let blocks = match does {
        Does::Answer(blocks) => blocks,
        Does::AnswerLate(blocks) => {
            let _ = stopped.recv();
            blocks
        }
        Does::GiveUp => {
            let _ = stopped.recv();
            return socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO));
        }
        Does::Nothing => {
            thread::spawn(move || while socket.read(&mut [0; 512]).is_ok_and(|length| length > 0) {});
            return Ok(());
        }
    };
    let body = format!(
        "{{\"version\":\"2.1.2\",\"nodeEnv\":\"production\",\"uptime\":900,\
         \"queryNodeStatus\":{{\"chainHead\":{blocks},\"blocksProcessed\":{blocks}}}}}"
    );
    write!(socket, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

//! Many nodes in one round, most of which hang: how many are asked at once, with many file descriptors and with few.

use std::{
    collections::BTreeMap,
    io::Read,
    net::{SocketAddr, TcpListener},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use bandprobe::{
    model::{
        probe::{Deadlines, StatusProbe},
        target::{Listing, Node, Origin, Profile, Targets},
    },
    worker::{descriptors, status_rounds},
};
use tempfile::TempDir;

use super::{probe, rounds::start};
use crate::process::{World, objects, sound};

/// A server that accepts every connection and never answers. It counts those that are open.
#[derive(Clone)]
struct Silent {
    address: SocketAddr,
    most: Arc<AtomicUsize>,
}

impl Silent {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = Self { address: listener.local_addr().unwrap(), most: Arc::default() };
        let (now, most) = (Arc::new(AtomicUsize::new(0)), silent.most.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, now) = (stream.unwrap(), now.clone());
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::spawn(move || {
                    let _ = stream.read_to_end(&mut Vec::new());
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        silent
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_hanging_nodes_are_awaited_together() {
    descriptors::raise_limit();
    let silent = Silent::start();
    let node = |n: usize| Node {
        id: format!("n{n}").into(),
        endpoint: format!("http://{}/{n}/", silent.address).parse().unwrap(),
        listing: Listing::bare(Origin::Static, Profile::Argus),
        assets: vec![],
    };
    let dir = TempDir::new().unwrap();
    let pipeline = start(&dir);
    let targets = Targets { nodes: (0..300).map(|n| Arc::new(node(n))).collect(), blocked: vec![] };
    // Long enough for a slow machine to open all of them.
    let deadlines = Deadlines { headers: Duration::from_secs(10), ..probe().deadlines };
    let checked = status_rounds::round(&pipeline, &targets, &StatusProbe { deadlines, ..probe() }).await;
    assert_eq!((checked.len(), silent.most()), (300, 300));
    assert_eq!(*pipeline.checked().borrow(), (300, 300));
}

/// Runs a round over a sound node and hanging ones with this soft limit and a hard one; how many nodes are in which
/// state.
fn states_with(soft: u32, hard: u32, silent: &Silent, hanging: usize) -> BTreeMap<String, usize> {
    let world = World::new(vec![sound("n")]);
    let mut text = format!(
        "vantage.id = \"here\"\nschedule.probes = [\"status\"]\narchive.dir = \"archive\"\n\
         deadline = {{ connect = \"3s\", headers = \"1s\" }}\n[[source]]\nkind = \"static\"\n\
         [[source.nodes]]\nid = \"n\"\nprofile = \"argus\"\nendpoint = \"{}\"\n",
        world.demo.nodes()[0].endpoint
    );
    for n in 0..hanging {
        let address = silent.address;
        text +=
            &format!("[[source.nodes]]\nid = \"n{n}\"\nprofile = \"argus\"\nendpoint = \"http://{address}/{n}/\"\n");
    }
    let config = world.write("b.toml", &text);
    let script = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" once --json -c \"$1\"");
    let binary = env!("CARGO_BIN_EXE_bandprobe");
    let output = Command::new("bash")
        .args(["-c", &script, binary, config.to_str().unwrap()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let objects = objects(&String::from_utf8(output.stdout).unwrap());
    objects.iter().fold(BTreeMap::new(), |mut states, object| {
        *states.entry(object["state"].as_str().unwrap().to_owned()).or_default() += 1;
        states
    })
}

#[test]
fn few_descriptors_only_make_a_round_longer() {
    let expected = |dead: usize| BTreeMap::from([("ok".to_owned(), 1), ("dead".to_owned(), dead)]);
    let silent = Silent::start();
    assert_eq!(states_with(64, 160, &silent, 120), expected(120));
    let most = silent.most();
    assert!((8..=80).contains(&most), "{most} at once with 160 descriptors");
    let silent = Silent::start();
    assert_eq!(states_with(64, 1_000, &silent, 120), expected(120), "the soft limit is raised");
    assert_eq!(silent.most(), 120);
}

//! `report -c` queries a database over one connection, in few requests.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use bandprobe::config::{InfluxDb, Secret};

use crate::process::{World, bandprobe, sound};

const NOTHING: &str = r#"{"results":[{"statement_id":0}]}"#;

/// A database without points that counts connections and requests. It closes each connection after this many answers.
struct Database {
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    config: InfluxDb,
}

impl Database {
    fn start(answers_a_connection: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let (connections, requests) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (seen, counted) = (connections.clone(), requests.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                seen.fetch_add(1, Relaxed);
                serve(stream, answers_a_connection, &counted);
            }
        });
        Self { connections, requests, config: InfluxDb::new(url, "o", "b", Secret::new("t")) }
    }
}

fn serve(mut stream: TcpStream, answers: usize, requests: &AtomicUsize) {
    let mut received = Vec::new();
    for _ in 0..answers {
        while !received.windows(4).any(|window| window == b"\r\n\r\n") {
            let mut buffer = [0; 4096];
            match stream.read(&mut buffer) {
                Ok(read) if read > 0 => received.extend_from_slice(&buffer[..read]),
                _ => return,
            }
        }
        assert!(received.starts_with(b"GET /query?"));
        received.clear();
        requests.fetch_add(1, Relaxed);
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", NOTHING.len());
        stream.write_all((head + NOTHING).as_bytes()).unwrap();
    }
}

#[test]
fn ninety_days_are_queried_over_one_connection() {
    for (answers_a_connection, is_kept) in [(usize::MAX, true), (1, false), (2, false)] {
        let world = World::new(vec![sound("a")]);
        let database = Database::start(answers_a_connection);
        let config = world.config("config.toml", Some(&database.config), "");
        let ended = bandprobe(&["report", "-c", config.to_str().unwrap(), "--since", "90d"]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "nothing on stderr without a terminal");
        assert_eq!(ended.stdout, "no transfers were recorded in this period\n");
        let (connections, requests) = (database.connections.load(Relaxed), database.requests.load(Relaxed));
        assert!((3..=20).contains(&requests), "{requests}");
        assert_eq!(connections == 1, is_kept, "{connections} connections for {requests} requests");
    }
}

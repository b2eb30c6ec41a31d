//! Measuring shares no thread with anything else: runs and status rounds finish, from the lookup to the last byte, while
//! all threads that record and deliver are kept busy. These threads are released only after the node has seen the end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeMap,
    fs,
    future::pending,
    path::Path,
    pin::pin,
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use bandprobe::{
    archive::reader,
    config::{
        Config,
        check::{Input, load},
    },
    model::{health::HealthState, target::Targets},
    worker::{discovery::Discovery, pipeline::Pipeline, runs, service, status_rounds},
};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::{
    fault::{
        FaultServer, asset, certificate,
        server::{Behaviour, Port, Step},
    },
    probe::names::Names,
};

/// Work that keeps each thread which does it from anything else.
#[derive(Default)]
struct Work {
    state: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Default)]
struct Progress {
    threads: usize,
    is_over: bool,
}

impl Work {
    /// Goes on until it is over. Was it, before the limit?
    fn go_on(&self) -> bool {
        self.state.lock().unwrap().threads += 1;
        self.changed.notify_all();
        self.wait(|state| state.is_over)
    }

    fn end(&self) {
        self.state.lock().unwrap().is_over = true;
        self.changed.notify_all();
    }

    fn wait(&self, holds: impl Fn(&Progress) -> bool) -> bool {
        let state = self.state.lock().unwrap();
        let (state, _) = self.changed.wait_timeout_while(state, LIMIT, |state| !holds(state)).unwrap();
        holds(&state)
    }
}

/// Every thread of the runtime goes to work, this one too once `measured` is begun, until `has_ended` returns.
fn beside_work<T>(
    service: &Runtime,
    measured: impl Future<Output = T>,
    has_ended: impl FnOnce() + Send + 'static,
) -> T {
    let work = Arc::new(Work::default());
    let threads = service.metrics().num_workers();
    for _ in 0..threads {
        let work = work.clone();
        service.spawn(async move { work.go_on() });
    }
    assert!(work.wait(|state| state.threads == threads), "not every thread of the runtime is at work");
    let ended = thread::spawn({
        let work = work.clone();
        move || {
            has_ended();
            work.end();
        }
    });
    let result = service.block_on(async {
        let mut measured = pin!(measured);
        tokio::select! {
            biased;
            _ = &mut measured => panic!("it was over at once: nothing was measured"),
            () = async { assert!(work.go_on(), "measuring waits for a thread that delivers: it does not run on its own") } => {}
        }
        measured.await
    });
    ended.join().unwrap();
    result
}

fn config(dir: &Path, resolver: &Names, named: &FaultServer, secure: &FaultServer) -> Config {
    fs::write(dir.join("ca.pem"), certificate::ca_pem()).unwrap();
    let text = format!(
        r#"
        vantage.id = "here"
        schedule.probes = ["image", "status"]
        archive.dir = "archive"
        network = {{ allow-private = true, resolver = ["{}"], ca-file = "ca.pem" }}
        [[source]]
        kind = "static"
        nodes = [
            {{ id = "named", endpoint = "http://here.test:{}/", assets = [{{ kind = "image", path = "/1" }}] }},
            {{ id = "secure", endpoint = "https://{}/", assets = [{{ kind = "image", path = "/1" }}] }},
        ]"#,
        resolver.address(),
        named.address().port(),
        secure.address()
    );
    let path = dir.join("b.toml");
    fs::write(&path, text).unwrap();
    load(&Input { path: &path, environment: &BTreeMap::new(), read: &|path| fs::read(path) }).unwrap()
}

fn server(port: Port, script: fn(usize) -> Vec<Step>) -> FaultServer {
    FaultServer::start(Behaviour { port, script })
}

/// A pipeline of the worker in the worker's own runtime, with two nodes that play a script, one found by a name.
struct Scene {
    service: Runtime,
    pipeline: Pipeline,
    config: Config,
    servers: [FaultServer; 2],
    dir: TempDir,
    /// With the name server in it.
    _outside: Runtime,
}

impl Scene {
    fn new(script: fn(usize) -> Vec<Step>) -> Self {
        let servers = [server(Port::Http, script), server(Port::Https(certificate::Flaw::None), script)];
        let outside = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let names = outside.block_on(Names::start());
        let dir = TempDir::new().unwrap();
        let config = config(dir.path(), &names, &servers[0], &servers[1]);
        outside.spawn(async move {
            let _names = names;
            pending::<()>().await
        });
        let service = service::start().unwrap();
        let discovery = Discovery::load(&config).unwrap();
        let pipeline = service
            .block_on(async { Pipeline::start(&config, discovery, Box::new(|_| {}), Box::new(|| Ok(None))).unwrap() });
        Self { service, pipeline, config, servers, dir, _outside: outside }
    }
}

fn image() -> Vec<u8> {
    let body = asset();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: image/webp\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.into_bytes(), body].concat()
}

fn is_left_by_both(mut servers: [FaultServer; 2]) -> impl FnOnce() + Send + 'static {
    move || assert!(servers.iter_mut().all(|server| server.is_left_by(1)), "a node was given up")
}

#[test]
fn runs_end_while_all_delivery_threads_are_busy() {
    let scene = Scene::new(|_| vec![Step::Request, Step::Send(image()), Step::Request, Step::Send(image())]);
    let Scene { service, pipeline, config, servers, dir, _outside } = scene;
    let targets: Targets = (**pipeline.targets().borrow()).clone();
    let round = runs::once(&pipeline, &config, &targets, Duration::ZERO, |_, _| true, |_, _, _| {}, pending());
    let round = beside_work(&service, round, is_left_by_both(servers));
    assert_eq!((round.begun, round.ended), (2, 2));
    let stopped = service.block_on(pipeline.stop(Duration::ZERO, pending()));
    assert_eq!(stopped.lost, 0);
    let lines = reader::lines(&dir.path().join("archive"), None).unwrap().map(Result::unwrap);
    let size = format!(",bytes={}i,", asset().len());
    let sound = lines.filter(|line| line.contains(",outcome=ok ") && line.contains(&size)).count();
    assert_eq!(sound, 4, "a cold and a warm transfer of each node");
}

#[test]
fn a_status_round_ends_while_delivery_is_busy() {
    let scene = Scene::new(|_| vec![Step::Request, Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n".into())]);
    let Scene { service, pipeline, config, servers, dir: _dir, _outside } = scene;
    let targets: Targets = (**pipeline.targets().borrow()).clone();
    let probe = config.status.clone().unwrap();
    let round = status_rounds::round(&pipeline, &targets, &probe);
    let checked = beside_work(&service, round, is_left_by_both(servers));
    assert_eq!(checked.iter().map(|node| node.health.state).collect::<Vec<_>>(), [HealthState::Ok; 2]);
    service.block_on(pipeline.stop(Duration::ZERO, pending()));
}

/// Threads that stand still for this long are stuck.
const LIMIT: Duration = Duration::from_secs(60);

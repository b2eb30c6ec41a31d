//! Permits: waiting for one is lateness, and transfers that ran next to a heavy one are marked.

use std::time::Duration;

use bandprobe::{
    model::{
        flag::Flag,
        outcome::Outcome,
        probe::{Deadlines, PartName, Weight},
        units::Micros,
    },
    probe::requested_bytes::RequestedBytes,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::oneshot,
    task::JoinSet,
    time::Instant,
};

use super::{Plan, network, prober_within};
use crate::fault::{
    FIRST, FaultServer, LAST, bytes,
    server::{Behaviour, Port, Step},
};

fn reply() -> Vec<u8> {
    let head = "HTTP/1.1 206 Partial Content\r\ncontent-type: image/png\r\n\
        content-range: bytes 1000-2023/65536\r\ncontent-length: 1024\r\n\r\n";
    [head.as_bytes(), &bytes(FIRST, LAST)].concat()
}

fn plan(url: &str, id: &str, weight: Weight) -> Plan {
    let wanted = RequestedBytes::Range { first: FIRST, last: LAST };
    let mut plan = Plan::new(url, PartName::Start, wanted);
    plan.node.id = id.into();
    let deadlines = Deadlines { headers: Duration::from_secs(60), ..Deadlines::default() };
    Plan { weight, deadlines, due: Some(Instant::now()), ..plan }
}

#[tokio::test]
async fn waiting_for_the_permit_is_lateness_and_not_latency() {
    let thinks = Duration::from_millis(60);
    let script = |_| vec![Step::Request, Step::Pause(Duration::from_millis(60)), Step::Send(reply())];
    let server = FaultServer::start(Behaviour { port: Port::Http, script });
    let prober = prober_within(&network(None), [1, 8, 1]);
    let plan = plan(&server.url(), "node", Weight::Light);
    let (first, second) = tokio::join!(plan.run(&prober, None), plan.run(&prober, None));
    let [first, second] = [first.sample, second.sample];
    assert_eq!((first.outcome, second.outcome), (Outcome::Ok, Outcome::Ok));
    assert!(second.lateness >= Micros::from(thinks), "{}", second.lateness);
    assert!(second.at > first.at, "it starts with its permit");
    let due = first.lateness.0 + first.phases.total().0;
    assert!(second.lateness.0 >= due, "the one before it is over");
}

/// A server of one request that answers on command.
struct Held {
    url: String,
    asked: oneshot::Receiver<()>,
    answer: oneshot::Sender<()>,
}

impl Held {
    async fn start(tasks: &mut JoinSet<()>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/x", listener.local_addr().unwrap());
        let ((tell, asked), (answer, told)) = (oneshot::channel(), oneshot::channel());
        tasks.spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 4_096]).await;
            let _ = tell.send(());
            let _ = told.await;
            let _ = socket.write_all(&reply()).await;
            std::future::pending::<()>().await;
        });
        Self { url, asked, answer }
    }
}

#[tokio::test]
async fn a_hanging_heavy_transfer_delays_no_other() {
    for side_by_side in [false, true] {
        let mut tasks = JoinSet::new();
        let [hanging, other] = [Held::start(&mut tasks).await, Held::start(&mut tasks).await];
        let prober = prober_within(&network(None), [1, 8, 1]);
        let plans = [(&hanging.url, "a"), (&other.url, "b")].map(|(url, id)| plan(url, id, Weight::Heavy));
        let (first, second) = (plans[0].run(&prober, None), plans[1].run(&prober, None));
        // The second starts though the first has not ended: without a loan neither would get its answer.
        let (first, second) = if side_by_side {
            let first = async {
                let done = first.await;
                other.answer.send(()).unwrap();
                done
            };
            let relay = async {
                other.asked.await.unwrap();
                hanging.answer.send(()).unwrap();
            };
            let (first, second, ()) = tokio::join!(first, second, relay);
            (first, second)
        } else {
            other.answer.send(()).unwrap();
            let second = async {
                let done = second.await;
                hanging.answer.send(()).unwrap();
                done
            };
            tokio::join!(first, second)
        };
        for sample in [first.sample, second.sample] {
            assert_eq!(sample.outcome, Outcome::Ok, "{:?}", sample.error);
            assert_eq!(sample.flags.contains(Flag::Concurrent), side_by_side, "{}", sample.flags);
            assert_eq!(sample.is_valid(), !side_by_side);
        }
    }
}

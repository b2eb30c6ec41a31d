//! A backlog: the order and rate in which it is sent, and what a file that stays unreadable costs.

use bandprobe::{config::Order, model::units::BitRate};

use super::{server::HANG, *};

/// One sealed file an hour, of one point each.
fn hours(count: u64) -> TempDir {
    let dir = TempDir::new().unwrap();
    for hour in 0..count {
        append(dir.path(), &format!("2026-11-21T{hour:02}:00:00Z"), &format!("m,hour={hour} v=1i {}\n", hour + 1), 1);
    }
    dir
}

/// The hours in the order in which they came.
fn came(server: &Server) -> Vec<String> {
    let hour = |body: &str| body.split(['=', ' ']).nth(1).unwrap().to_owned();
    server.requests.try_iter().map(|request| hour(&request.body)).collect()
}

#[tokio::test]
async fn new_files_are_sent_in_the_configured_order_too() {
    for (order, expected) in
        [(Order::OldestFirst, ["0", "1", "2", "3", "9"]), (Order::RecentFirst, ["3", "9", "2", "1", "0"])]
    {
        let server = Server::judging(|_| 204);
        let dir = hours(4);
        let mut drain = drain(dir.path(), &config::InfluxDb { order, ..server.config() });
        assert_eq!(drain.oldest(), Some("2026-11-21T00:00:00Z".parse().unwrap()));
        assert_eq!(drain.step().await.unwrap(), Event::Sent { points: 1 });
        append(dir.path(), "2026-11-21T09:00:00Z", "m,hour=9 v=1i 10\n", 1);
        assert_eq!(drain.drain_until(soon()).await.unwrap().delivered, 4);
        assert_eq!(came(&server), expected, "{order:?}");
        assert_eq!(drain.oldest(), None);
    }
}

#[tokio::test]
async fn the_rate_limit_holds_until_the_process_ends() {
    let server = Server::judging(|_| 204);
    let dir = spooled(12_000);
    let rate = BitRate(200_000);
    let mut drain = drain(dir.path(), &config::InfluxDb { rate, ..server.config() });
    let began = Instant::now();
    assert_eq!(drain.step().await.unwrap(), Event::Sent { points: 5_000 });
    let head = server.requests.recv().unwrap().head;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let bits = length.trim().parse::<u64>().unwrap() * 8;
    let pause = Duration::from_millis(bits * 1_000 / rate.0);
    assert!(pause > Duration::from_millis(100), "{bits} bits");
    let due = drain.due();
    assert!(due >= began + pause && due <= Instant::now() + pause + Duration::from_millis(1));
    // The next one is not sent before that.
    tokio::time::pause();
    assert!(tokio::time::timeout_at(due - Duration::from_millis(2), drain.step()).await.is_err());
    tokio::time::resume();
    assert!(server.requests.try_recv().is_err());
    drain.hurry();
    assert_eq!(drain.step().await.unwrap(), Event::Sent { points: 5_000 });
    assert!(drain.due() <= Instant::now());
}

#[tokio::test]
async fn timeouts_make_the_batches_smaller() {
    let mut hangs = 3;
    let server = Server::answering(move |_| {
        hangs -= 1;
        Some(if hangs >= 0 { HANG } else { NO_CONTENT }.to_owned())
    });
    let dir = spooled(4_000);
    append(dir.path(), "2026-11-21T11:00:00Z", &lines(4_000), 4_000);
    let timeouts = Timeouts { connect: Duration::from_secs(30), total: Duration::from_secs(2) };
    let influx = Influx::with_timeouts(&server.config(), &crate::resolver(), timeouts).unwrap();
    let mut drain = Drain::new(Spool::lock(dir.path()).unwrap(), influx).with_dice(|| 0.0);
    for _ in 0..3 {
        let event = drain.step().await.unwrap();
        assert!(matches!(&event, Event::BackingOff { reason, .. } if reason.contains("timed out")), "{event:?}");
    }
    assert_eq!(drain.drain_until(soon()).await.unwrap().delivered, 8_000);
    let sizes: Vec<_> = server.requests.try_iter().map(|request| request.body.lines().count()).collect();
    assert_eq!(sizes, [4_000, 2_000, 1_000, 500, 500, 1_000, 2_000, 4_000]);
}

#[tokio::test]
async fn unwritable_rejected_lines_do_not_delay_other_files() {
    let server = Server::judging(|body| if body.contains("hour=0 ") { 400 } else { 204 });
    let dir = hours(4);
    let mut drain = drain(dir.path(), &server.config()).with_dice(|| 0.0);
    fs::remove_dir(dir.path().join("rejected")).unwrap();
    fs::write(dir.path().join("rejected"), "in the way").unwrap();
    let drained = drain.drain_until(soon()).await.unwrap();
    assert_eq!((drained.delivered, drained.waiting), (3, 1));
    let reason = drained.reason.unwrap();
    assert!(reason.contains("rejected") && reason.contains("Not a directory"), "{reason}");
}

/// One source of 200 that is bad, a point a second each, in files as a worker seals them.
#[tokio::test]
async fn a_series_with_lasting_errors_costs_few_requests() {
    let dir = TempDir::new().unwrap();
    let (mut bad, mut all) = (0, 0);
    for second in 0..90 {
        let value = |source| if source == 77 { "v=\"bad\"" } else { "v=1i" };
        let lines: String =
            (0..200).map(|source| format!("m,source={source} {} {}\n", value(source), second + 1)).collect();
        append(dir.path(), &format!("2026-11-21T10:{:02}:{:02}Z", second / 60, second % 60), &lines, 200);
        (bad, all) = (bad + 1, all + 200);
    }
    // As InfluxDB 2.9.1 does: the good lines of the batch are stored, and the others counted.
    let server = Server::answering(|body| {
        let dropped = body.lines().filter(|line| line.contains("bad")).count();
        let refused = format!(r#"{{"message":"partial write: field type conflict dropped={dropped}"}}"#);
        Some(if dropped > 0 { answer(422, &refused) } else { NO_CONTENT.to_owned() })
    });
    let mut drain = drain(dir.path(), &server.config());
    let drained = drain.drain_until(soon()).await.unwrap();
    assert_eq!((drained.delivered, drained.rejected, drained.waiting), (all - bad, bad, 0));
    let requests = server.requests.try_iter().count();
    // A search through 200 lines once, then three a file: all, the good ones, the bad one.
    assert!(requests <= 17 + 89 * 3, "{requests}");
}

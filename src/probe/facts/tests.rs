//! Each flag of a transfer is raised by its own evidence and by no other.

use std::sync::atomic::AtomicU64;

use tokio::time::advance;

use super::*;
use crate::model::{
    probe::{Deadlines, MIN_RATE, Weight},
    target::{Asset, AssetKind, Listing, Node, Origin, Profile},
    units::Bytes,
};

/// A good transfer without any flag: 2 MB at 80 Mbit/s on a path of 100 ms, after a second of waiting.
fn facts() -> Facts {
    let node = Node {
        id: "node".into(),
        endpoint: "http://127.0.0.1/".parse().unwrap(),
        listing: Listing::bare(Origin::Static, Profile::Http),
        assets: vec![Asset { kind: AssetKind::Video, id: "1".into(), size: None, hash: None, fixed: true }],
    };
    let request = TransferRequest {
        node: &node,
        probe: &"test".into(),
        kind: Some(AssetKind::Video),
        part: PartName::Start,
        asset: &node.assets[0],
        url: &"http://127.0.0.1/1".parse().unwrap(),
        wanted: RequestedBytes::Range { first: 0, last: 1_999_999 },
        types: &[],
        size: None,
        checked: CacheState::Unknown,
        weight: Weight::Heavy,
        min_rate: MIN_RATE,
        deadlines: &Deadlines::default(),
        limit: 0,
        due: None,
        received: &AtomicU64::new(0),
    };
    let mut facts = Facts::start(&request, ConnectionKind::Cold, Micros::ZERO);
    let t0 = facts.timing.t0();
    for (phase, millis) in [(Phase::Send, 1), (Phase::Wait, 1_000), (Phase::Receive, 1_200)] {
        facts.timing.end(phase, t0 + Duration::from_millis(millis));
    }
    facts.set_reader_stats(ReaderStats {
        lag_p90: Some(Micros(20)),
        cpu_share: Some(0.2),
        run_delay: Some(Micros(100)),
        frozen: None,
        span: Some(Micros(200_000)),
    });
    facts.path = NetworkPath {
        rtt: Some(Micros(100_000)),
        rcv_rtt: None,
        ooo_segments: Some(0),
        rcv_wnd: Some(Bytes(4_000_000)),
    };
    facts.timeline = Some(timeline(1));
    facts.expected = Some(2_000_000);
    facts
}

/// One read per millisecond in the 200 ms after the head, without the first `from` ms.
fn timeline(from: u64) -> Timeline {
    let mut timeline = Timeline::new(Micros(1_000_000));
    (from..=200).for_each(|n| timeline.record(Micros(1_000_000 + 1_000 * n), 10_000 * (n - from + 1)));
    timeline
}

/// How far the wall clock moves in one second, in ms.
const IN_STEP: i64 = 1_000;

fn check(change: impl Fn(&mut Facts), failed: bool, uplink: u64, wall_millis: i64, expected: &str) {
    let mut facts = facts();
    change(&mut facts);
    let wall_nanos = i128::from(wall_millis) * 1_000_000;
    let judgement = facts.judge(failed, Some(BitRate(uplink)), wall_nanos, Duration::from_secs(1));
    assert_eq!(facts.flags.to_string(), expected);
    let rate = (!failed && !facts.flags.contains(Flag::TooSmall)).then_some(BitRate(80_000_000));
    assert_eq!(judgement.rates.goodput, rate, "{expected}");
}

#[test]
fn each_flag_has_its_own_evidence() {
    const FAST: u64 = 1_000_000_000;
    check(|_| {}, false, FAST, IN_STEP, "");
    check(|facts| facts.reader.cpu_share = Some(0.81), false, FAST, IN_STEP, "cpu_bound");
    // 5 % of the 200 ms of the receive phase. 5 % of the whole transfer would be 60 ms.
    check(|facts| facts.reader.run_delay = Some(Micros(9_900)), false, FAST, IN_STEP, "");
    check(|facts| facts.reader.run_delay = Some(Micros(10_100)), false, FAST, IN_STEP, "cpu_bound");
    check(|facts| facts.reader.lag_p90 = Some(Micros(5_001)), false, FAST, IN_STEP, "cpu_bound");
    check(|facts| facts.path.ooo_segments = Some(1), false, FAST, IN_STEP, "reordered");
    // 80 Mbit/s × 100 ms = 1 MB
    check(|facts| facts.path.rcv_wnd = Some(Bytes(1_250_000)), false, FAST, IN_STEP, "receiver_limited");
    check(|facts| facts.path.rcv_wnd = Some(Bytes(1_250_010)), false, FAST, IN_STEP, "");
    check(|_| {}, false, 100_000_000, IN_STEP, "uplink_limited");
    check(|_| {}, false, 100_000_010, IN_STEP, "");
    check(|_| {}, false, FAST, IN_STEP + 101, "clock_step");
    check(|_| {}, false, FAST, IN_STEP - 101, "clock_step");
    check(|_| {}, false, FAST, IN_STEP - 99, "");
    check(|facts| facts.expected = Some(1_000_000), false, 1, IN_STEP, "too_small");
    check(|facts| facts.flags.raise(Flag::Reconnected), false, 100_000_000, IN_STEP, "reconnected,uplink_limited");
}

#[test]
fn a_failed_transfer_has_no_rate_that_a_limit_could_explain() {
    let window = |facts: &mut Facts| facts.path.rcv_wnd = Some(Bytes(1));
    check(window, true, 1, IN_STEP, "");
    check(window, true, 1, 0, "clock_step");
    check(|facts| facts.reader.lag_p90 = Some(Micros(5_001)), true, 1, IN_STEP, "cpu_bound");
}

#[test]
fn the_stall_threshold_grows_with_the_round_trip_time() {
    // The first byte arrives 150 ms after the head, and the transfer ends 300 ms after the last byte.
    let paused = |facts: &mut Facts, rtt, end| {
        facts.path.rtt = Some(Micros(rtt));
        facts.timeline = Some(timeline(150));
        let mut timing = Timing::start(facts.timing.t0());
        timing.end(Phase::Receive, facts.timing.t0() + Duration::from_millis(end));
        facts.timing = timing;
    };
    check(|facts| paused(facts, 10_000, 1_200), false, u64::MAX, IN_STEP, "");
    check(|facts| paused(facts, 10_000, 1_500), false, u64::MAX, IN_STEP, "stalled_some");
    check(|facts| paused(facts, 75_000, 1_500), false, u64::MAX, IN_STEP, "");
    let cut_off = |facts: &mut Facts| {
        paused(facts, 10_000, 1_500);
        facts.flags.raise(Flag::Partial);
    };
    check(cut_off, false, u64::MAX, IN_STEP, "partial");
}

/// The result of a failure after a freeze of this length. The freeze is within the transfer unless it was `before`.
async fn excused(failed: TransferFailure, status: Option<u16>, freeze: Duration, before: bool) -> (Outcome, String) {
    let clock = RunClock::default();
    let run = async {
        let _watching = clock.watch();
        tokio::time::sleep(Duration::from_millis(100)).await;
        if before {
            advance(freeze).await;
        }
        // Each transfer reads the clock before it begins.
        drop(clock.watch());
        let mut facts = facts();
        facts.status = status;
        if !before {
            advance(freeze).await;
        }
        facts.note_freezes(&clock);
        assert_eq!(facts.flags.contains(Flag::Frozen), !before && freeze > crate::measure::freezes::MARGIN * 2);
        let excused = facts.excuse(failed);
        (excused.outcome, excused.detail)
    };
    tokio::select! {
        biased;
        done = run => done,
        () = clock.tick(|_| {}) => unreachable!("it ticks forever"),
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_a_freeze_may_have_caused_is_excused() {
    let broke = |outcome| TransferFailure {
        phase: Some(Phase::Wait),
        broke_off: true,
        ..TransferFailure::wrong(outcome, "x".into())
    };
    let silent = |outcome| TransferFailure { broke_off: false, ..broke(outcome) };
    let wrong = |outcome| TransferFailure::wrong(outcome, "x".into());
    let long = Duration::from_secs(30);
    for (failed, status, freeze, before, outcome) in [
        (broke(Outcome::Reset), None, long, false, Outcome::LocalFailed),
        (broke(Outcome::Truncated), Some(200), long, false, Outcome::LocalFailed),
        (broke(Outcome::ConnectRefused), None, long, false, Outcome::LocalFailed),
        (wrong(Outcome::Http4xx), Some(408), long, false, Outcome::LocalFailed),
        (wrong(Outcome::Http4xx), Some(403), long, false, Outcome::Http4xx),
        (wrong(Outcome::WrongHash), Some(200), long, false, Outcome::WrongHash),
        (silent(Outcome::HeadersTimeout), None, long, false, Outcome::HeadersTimeout),
        (silent(Outcome::Stalled), Some(200), long, false, Outcome::Stalled),
        (broke(Outcome::Reset), None, long, true, Outcome::Reset),
        (broke(Outcome::Reset), None, Duration::from_millis(300), false, Outcome::Reset),
    ] {
        let name = format!("{failed:?} {status:?} {freeze:?} {before}");
        let (found, detail) = excused(failed, status, freeze, before).await;
        assert_eq!(found, outcome, "{name}");
        let said_so = detail.starts_with("bandprobe itself did not run for 3");
        assert_eq!(said_so, outcome == Outcome::LocalFailed, "{name}: {detail}");
    }
}

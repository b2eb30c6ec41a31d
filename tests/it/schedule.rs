//! The schedule: runs are never early, never overlap and never come in bursts, every slot is accounted for, and the
//! daily budgets are kept.

use std::{collections::BTreeMap, time::Duration};

use bandprobe::{
    config::check::shipped,
    model::{
        probe::{Extent, Part, PartName, Probe, Spacing},
        target::{Asset, AssetKind},
        units::{Bytes, Micros},
    },
    schedule::{
        budget::{Admission, Budget, Counts as _, Days, Spent, max_bytes, planned_bytes},
        queue::Queue,
    },
};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};

const EVERY: Duration = Duration::from_secs(60);
const SPACINGS: [Spacing; 4] = [
    Spacing::Memoryless,
    Spacing::Fixed { jitter: Duration::ZERO },
    Spacing::Fixed { jitter: Duration::from_secs(20) },
    Spacing::Fixed { jitter: EVERY },
];

/// What a worker sees of one entry.
#[derive(Default)]
struct Seen {
    is_told: bool,
    is_running: bool,
    last_start: Option<Micros>,
    starts: u64,
}

/// One step of a worker: time passes and runs become due; then some waiting runs start and some running ones finish.
type Step = (u64, u8, u8);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Mostly seconds, at times hours: a suspended machine.
    let passes = prop_oneof![9 => 0..40_000_000_u64, 1 => 0..40_000_000_000_u64];
    proptest::collection::vec((passes, any::<u8>(), any::<u8>()), 1..200)
}

/// Plays the steps against three entries and returns starts, waiting and missed ones, and the end.
fn play(spacing: Spacing, seed: u64, steps: &[Step]) -> (u64, u64, u64, Micros) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut queue = Queue::new((0..3_u8).map(|key| (key, spacing, EVERY)), Micros::ZERO, &mut rng);
    let mut seen: BTreeMap<u8, Seen> = (0..3).map(|key| (key, Seen::default())).collect();
    let mut now = Micros::ZERO;
    for (passes, starting, finishing) in steps {
        now = Micros(now.0 + passes);
        let is_due = queue.next_due().expect("there are entries") <= now;
        let due = queue.pop(now, &mut rng);
        assert!(is_due || due.is_empty(), "due early at {now}");
        assert!(queue.next_due().expect("there are entries") > now, "a slot is due or missed");
        for key in due {
            let entry = seen.get_mut(&key).expect("a known key");
            assert!(!entry.is_told && !entry.is_running, "{key} overlaps at {now}");
            entry.is_told = true;
        }
        for (key, entry) in &mut seen {
            if entry.is_told && starting & (1 << key) != 0 {
                let intended = queue.start(*key, now).expect("due, so it waits");
                assert!(intended <= now, "{key} starts before {intended}");
                let gap = entry.last_start.map(|start| now.saturating_sub(start));
                assert!(gap.is_none_or(|gap| gap.as_duration() >= EVERY / 20), "{key} in a burst: {gap:?}");
                *entry = Seen { is_told: false, is_running: true, last_start: Some(now), starts: entry.starts + 1 };
            } else if entry.is_running && finishing & (1 << key) != 0 {
                assert_eq!(queue.start(*key, now), None, "it runs already");
                queue.finish(*key);
                entry.is_running = false;
            }
        }
    }
    let starts = seen.values().map(|entry| entry.starts).sum();
    let waiting = seen.values().map(|entry| u64::from(entry.is_told)).sum();
    (starts, waiting, queue.take_missed(), now)
}

proptest! {
    #[test]
    fn runs_are_never_early_overlapping_or_in_bursts(index in 0..SPACINGS.len(), seed: u64, steps in steps()) {
        play(SPACINGS[index], seed, &steps);
    }

    #[test]
    fn every_slot_of_a_grid_is_run_or_missed(seed: u64, steps in steps()) {
        let spacing = Spacing::Fixed { jitter: Duration::ZERO };
        let (starts, waiting, missed, end) = play(spacing, seed, &steps);
        // The same dice give the same first slots.
        let mut rng = StdRng::seed_from_u64(seed);
        let mut queue = Queue::new((0..3_u8).map(|key| (key, spacing, EVERY)), Micros::ZERO, &mut rng);
        let mut slots = 0;
        while let Some(due) = queue.next_due().filter(|due| *due <= end) {
            for key in queue.pop(due, &mut rng) {
                slots += 1;
                queue.finish(key);
            }
        }
        prop_assert_eq!(queue.take_missed(), 0);
        prop_assert_eq!(starts + waiting + missed, slots);
    }
}

/// In equilibrium from the first moment on, for entries that are there at the start and for those that come later.
#[test]
fn every_interval_has_the_planned_number_of_runs() {
    const ENTRIES: u16 = 20_000;
    let quarter = Micros::from(EVERY).0 / 4;
    for spacing in SPACINGS {
        for start in [Micros::ZERO, Micros(7_000_000_000)] {
            let mut rng = StdRng::seed_from_u64(1);
            let mut queue = Queue::new((0..ENTRIES).map(|key| (key, spacing, EVERY)), start, &mut rng);
            let mut runs = [0_u32; 16];
            for (at, runs) in (0..).zip(&mut runs) {
                let end = Micros(start.0 + (at + 1) * quarter - 1);
                while let Some(due) = queue.next_due().filter(|due| *due <= end) {
                    assert!(due >= start, "{spacing:?}: {due}");
                    for key in queue.pop(due, &mut rng) {
                        assert!(queue.start(key, due).is_some());
                        queue.finish(key);
                        *runs += 1;
                    }
                }
            }
            // 5,000 are planned. Were they independent, the standard deviation would be 71.
            assert!(runs.iter().all(|runs| (4_600..=5_400).contains(runs)), "{spacing:?} from {start}: {runs:?}");
            assert!(queue.take_missed() < 1_000, "{spacing:?}: bursts are rare");
        }
    }
}

#[test]
fn a_waiting_run_takes_the_newer_slot() {
    let mut rng = StdRng::seed_from_u64(1);
    let fixed = Spacing::Fixed { jitter: Duration::ZERO };
    let mut queue = Queue::new([('a', fixed, EVERY)], Micros::ZERO, &mut rng);
    let first = queue.next_due().unwrap();
    let second = Micros(first.0 + 60_000_000);
    assert_eq!(queue.pop(first, &mut rng), ['a']);
    assert!(queue.pop(second, &mut rng).is_empty(), "due only once");
    assert_eq!((queue.take_missed(), queue.take_missed()), (1, 0));
    assert_eq!(queue.start('a', Micros(second.0 + 7)), Some(second));
    queue.finish('a');
    assert_eq!(queue.next_due(), Some(Micros(second.0 + 60_000_000)));
}

#[test]
fn after_a_suspend_missed_runs_are_not_repeated() {
    let mut rng = StdRng::seed_from_u64(1);
    for spacing in SPACINGS {
        let mut queue = Queue::new([('a', spacing, EVERY)], Micros::ZERO, &mut rng);
        let slot = queue.next_due().unwrap();
        let awake = Micros(slot.0 + 8 * 3_600_000_000 + 1);
        assert!(queue.pop(awake, &mut rng).is_empty(), "{spacing:?}");
        assert_eq!(queue.take_missed(), 8 * 60 + 1, "{spacing:?}");
        let next = queue.next_due().unwrap();
        assert!(next > awake && next.0 - awake.0 <= 150_000_000, "{spacing:?}: {next}");
    }
}

fn go(admission: Admission) -> bandprobe::schedule::budget::Reservation {
    match admission {
        Admission::Go(reservation) => reservation,
        other => panic!("{other:?}"),
    }
}

const DAY: i64 = 86_400;

/// What was spent on one day.
fn spent(total: u64, a: u64) -> Spent {
    Spent { total, by_node: [("a".to_owned(), a)].into() }
}

#[test]
fn a_budget_admits_what_fits_next_to_running_transfers() {
    let mut budget = Budget::new(Bytes(100), Bytes(60), Days::default());
    let first = go(budget.admit(DAY, "a", Bytes(40)));
    assert_eq!(budget.admit(DAY, "a", Bytes(21)), Admission::SkipNode, "40 are reserved");
    let second = go(budget.admit(DAY, "b", Bytes(60)));
    assert_eq!(budget.admit(DAY, "c", Bytes(1)), Admission::SkipDay);
    budget.spend(DAY, first, Bytes(10));
    budget.spend(DAY, second, Bytes(0));
    assert_eq!(budget.spent(DAY, "a"), (10, 10), "what was downloaded counts");
    let third = go(budget.admit(DAY, "a", Bytes(50)));
    assert_eq!(budget.admit(DAY, "a", Bytes(u64::MAX)), Admission::SkipDay);
    assert_eq!(budget.admit(2 * DAY, "a", Bytes(11)), Admission::SkipNode, "50 may still come on the new day");
    // It ends on the next day, and counts there.
    budget.spend(2 * DAY, third, Bytes(50));
    assert_eq!((budget.spent(2 * DAY, "a"), budget.spent(2 * DAY, "b")), ((50, 50), (50, 0)));
}

#[test]
fn spent_bytes_count_once_also_when_saving_fails() {
    let mut budget = Budget::new(Bytes(100), Bytes(100), Days::default());
    let spend = |budget: &mut Budget, now, bytes| {
        let run = go(budget.admit(now, "a", Bytes(bytes)));
        budget.spend(now, run, Bytes(bytes));
    };
    spend(&mut budget, DAY, 10);
    let saving = budget.save();
    assert_eq!(saving.iter().map(|day| day.counts.total).sum::<u64>(), 10);
    spend(&mut budget, DAY, 5);
    spend(&mut budget, 2 * DAY, 1);
    assert_eq!((budget.spent(DAY, "a"), budget.spent(2 * DAY, "a")), ((15, 15), (1, 1)));
    budget.not_saved();
    assert_eq!((budget.spent(DAY, "a"), budget.spent(2 * DAY, "a")), ((15, 15), (1, 1)));
    // The next time it is all written, on top of what another process spent.
    let mut kept = Days::<Spent>::default();
    *kept.at(DAY) = spent(30, 20);
    for day in budget.save().iter() {
        kept.at(day.used).add(&day.counts);
    }
    budget.saved(kept);
    assert_eq!((budget.spent(DAY, "a"), budget.spent(2 * DAY, "a")), ((46, 36), (1, 1)));
    assert!(budget.save().is_empty(), "nothing is left to write");
}

#[test]
fn the_maximum_of_a_run_is_known_in_advance() {
    let whole = Part { name: PartName::Full, extent: Extent::Full };
    let start = Part { name: PartName::Start, extent: Extent::First(Bytes(1_000)) };
    let probe = Probe { parts: vec![whole, whole, start], ..shipped("image").unwrap() };
    for (size, planned, most) in [
        (Some(20_000), 41_000, 41_000),
        (Some(10), 30, 30),
        (None, 65_000, 2 * ((1 << 20) + 1) + 1_000),
        (Some(16 << 20), (32 << 20) + 1_000, (32 << 20) + 1_000),
        // Nothing of it is downloaded whole.
        (Some((16 << 20) + 1), (32 << 20) + 1_002, 1_000),
    ] {
        let asset = Asset {
            kind: AssetKind::Image,
            id: "1".into(),
            size: size.map(|size| Bytes(size).into()),
            hash: None,
            fixed: false,
        };
        assert_eq!(
            (planned_bytes(&probe, &asset), max_bytes(&probe, &asset)),
            (Bytes(planned), Bytes(most)),
            "{size:?}"
        );
    }
}

#[test]
fn a_budget_survives_a_restart_and_a_wrong_clock() {
    let now = 20_000 * DAY;
    let mut kept = Days::<Spent>::default();
    *kept.at(now) = spent(90, 90);
    let text = serde_json::to_string(&kept).unwrap();
    assert_eq!(text, r#"{"day":20000,"used":1728000000,"forward":true,"total":90,"by_node":{"a":90}}"#);
    let mut budget = Budget::new(Bytes(100), Bytes(100), serde_json::from_str(&text).unwrap());
    assert_eq!(budget.admit(now + 1, "a", Bytes(11)), Admission::SkipDay);
    assert_eq!(budget.admit(now - DAY, "a", Bytes(11)), Admission::SkipDay, "yesterday is no new day");
    for ahead in [1, 3, 400] {
        let run = go(budget.admit(now + ahead * DAY, "a", Bytes(100)));
        budget.spend(now + ahead * DAY + 6, run, Bytes(3));
        assert_eq!(budget.admit(now + 10 + ahead, "a", Bytes(11)), Admission::SkipDay, "{ahead} days ahead and back");
    }
    for day in 1..=3 {
        let run = go(budget.admit(now + day * DAY, "a", Bytes(97)));
        budget.spend(now + day * DAY, run, Bytes(97));
    }
}

#[test]
fn entries_come_and_go_without_disturbing_the_others() {
    let mut rng = StdRng::seed_from_u64(7);
    let fixed = Spacing::Fixed { jitter: Duration::ZERO };
    let mut queue = Queue::new([('a', fixed, EVERY)], Micros::ZERO, &mut rng);
    let due_of_a = queue.next_due().unwrap();
    queue.insert('b', fixed, EVERY, due_of_a, &mut rng);
    assert_eq!(queue.pop(due_of_a, &mut rng).first(), Some(&'a'));
    assert_eq!(queue.start('a', due_of_a), Some(due_of_a));
    queue.finish('a');
    let end = Micros(due_of_a.0 + Micros::from(EVERY).0 - 1);
    assert_eq!(queue.pop(end, &mut rng), ['b'], "on a grid the first slot lies within one `every`");
    assert!(queue.start('b', end).is_some());
    queue.remove('b');
    queue.finish('b');
    for slot in 1..5 {
        let now = Micros(due_of_a.0 + slot * Micros::from(EVERY).0);
        assert_eq!((queue.pop(now, &mut rng), queue.start('a', now)), (vec!['a'], Some(now)), "slot {slot}");
        queue.finish('a');
    }
    assert_eq!(queue.take_missed(), 0);
    queue.remove('a');
    assert_eq!(queue.next_due(), None);
}

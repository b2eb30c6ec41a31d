//! Counts per UTC day, for the days that the clock has recently shown.
//!
//! A wall clock can be wrong for a while. Each day therefore has a separate record, and the clock decides which one
//! counts:
//!
//! - If the clock jumps forward and back again, the record of the right day is still there. What was counted in between
//!   is added to it, because it really happened on that day. It is added only once, however often the clock goes back
//!   and forth.
//! - When the day that the clock had jumped to really begins, its old record is dropped: it was last used at a time in
//!   the future, or before the day began that the clock showed until now.
//! - A clock that shows an earlier day for a while, as after a boot without a battery, does not give the right day a
//!   second budget.

use std::mem;

use serde::{Deserialize, Serialize};

/// Counts of one kind by day: the state that is kept over restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Days<T> {
    #[serde(flatten)]
    current: Day<T>,
    /// Days that the clock showed before; the most recently used one is first.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    others: Vec<Day<T>>,
}

/// The counts of one day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day<T> {
    /// Days since 1970-01-01.
    pub day: u64,
    /// When the record was last used, in seconds since 1970.
    #[serde(default)]
    pub used: i64,
    /// Whether the record began when the clock moved forward to this day for the first time.
    #[serde(default)]
    forward: bool,
    /// What an earlier day has already taken over because the clock was set back to it.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    taken_over: Option<T>,
    /// What was counted on this day.
    #[serde(flatten)]
    pub counts: T,
}

/// Something that is counted by day.
pub trait Counts: Default + Clone {
    /// Adds what was counted elsewhere.
    fn add(&mut self, other: &Self);

    /// Subtracts what was counted before.
    fn subtract(&mut self, before: &Self);
}

/// The UTC day of a time in seconds since 1970. A time before 1970 counts as day 0.
#[must_use]
pub fn day_of(now: i64) -> u64 {
    u64::try_from(now.div_euclid(86_400)).unwrap_or(0)
}

impl<T: Counts> Days<T> {
    /// The counts of the day of `now`, the clock's time in seconds since 1970.
    pub fn at(&mut self, now: i64) -> &mut T {
        let day = day_of(now);
        if day != self.current.day {
            self.turn(day, now);
        }
        self.current.used = now;
        &mut self.current.counts
    }

    /// The record that was last used.
    #[must_use]
    pub const fn current(&self) -> &Day<T> {
        &self.current
    }

    /// The counts of a day, if they are still kept.
    pub fn of(&mut self, day: u64) -> Option<&mut T> {
        let mut all = std::iter::once(&mut self.current).chain(&mut self.others);
        all.find(|known| known.day == day).map(|known| &mut known.counts)
    }

    /// Removes the other days and returns them, so that they can be stored separately.
    pub fn take_others(&mut self) -> Vec<Day<T>> {
        mem::take(&mut self.others)
    }

    /// Puts days back that [`take_others`](Self::take_others) removed.
    pub fn set_others(&mut self, others: Vec<Day<T>>) {
        self.others = others;
    }

    fn turn(&mut self, day: u64, now: i64) {
        let known = self.others.iter().position(|other| other.day == day).map(|index| self.others.remove(index));
        let is_back = day < self.current.day;
        // The record is stale if days have passed since, or if it is from the future because the clock was ahead when
        // it was written.
        let is_stale = |known: &Day<T>| !is_back && (self.current.forward || known.used > now);
        let is_known = known.is_some();
        let known = known.filter(|known| !is_stale(known));
        let mut entered = known.unwrap_or_default();
        (entered.day, entered.forward) = (day, !is_back && !is_known);
        // A day after one that was known before the clock jumped ahead is unrelated to what was counted in between.
        if is_back && (is_known || self.others.iter().all(|other| other.day > day)) {
            let counts = self.current.counts.clone();
            let taken_over = self.current.taken_over.replace(counts.clone());
            let mut more = counts;
            // Two processes with different clocks on one archive change the day every second.
            if let Some(before) = taken_over.filter(|_| is_known) {
                more.subtract(&before);
            }
            entered.counts.add(&more);
        }
        let left = mem::replace(&mut self.current, entered);
        if left.used != 0 {
            self.others.insert(0, left);
            self.others.truncate(MAX_OTHERS);
        }
    }
}

/// Default for serde. `Default::default` would require `T: Default`.
const fn none<T>() -> Option<T> {
    None
}

/// The most days that are kept next to the current one.
const MAX_OTHERS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    struct Sum {
        sum: u64,
    }

    impl Counts for Sum {
        fn add(&mut self, other: &Self) {
            self.sum += other.sum;
        }

        fn subtract(&mut self, before: &Self) {
            self.sum = self.sum.saturating_sub(before.sum);
        }
    }

    const HOUR: i64 = 3_600;
    const DAY: i64 = 86_400;

    /// Counts one at each time and compares the day's sum with the expected one.
    fn check(case: &str, steps: &[(i64, u64)]) {
        let mut days = Days::<Sum>::default();
        for (now, expected) in steps {
            // A restart must change nothing.
            days = serde_json::from_str(&serde_json::to_string(&days).unwrap()).unwrap();
            let counts = days.at(1_000 * DAY + now);
            counts.sum += 1;
            assert_eq!(counts.sum, *expected, "{case}: at {now}");
        }
        assert!(days.others.len() <= MAX_OTHERS, "{case}");
    }

    #[test]
    fn each_day_counts_from_zero_despite_a_wrong_clock() {
        let noon = 12 * HOUR;
        check("days pass", &[(noon, 1), (noon + 1, 2), (noon + DAY, 1), (noon + 2 * DAY, 1)]);
        check(
            "3 days ahead for 6 s, and each of them comes",
            &[
                (noon, 1),
                (noon + 1, 2),
                (noon + 3 * DAY, 1),
                (noon + 3 * DAY + 6, 2),
                (noon + 8, 5),
                (DAY, 1),
                (2 * DAY, 1),
                (3 * DAY, 1),
                (3 * DAY + noon + 9, 2),
                (4 * DAY, 1),
            ],
        );
        check(
            "3 days ahead for 6 s, and each of them is first seen at noon",
            &[
                (noon, 1),
                (noon + 3 * DAY, 1),
                (noon + 6, 3),
                (noon + 7 + DAY, 1),
                (noon + 7 + 2 * DAY, 1),
                (noon + 7 + 3 * DAY, 1),
                (noon + 8 + 3 * DAY, 2),
            ],
        );
        check("ahead, and off until the next day", &[(noon, 1), (noon + 3 * DAY, 1), (noon + DAY, 1), (2 * DAY, 1)]);
        check("ahead for years from the first start on", &[(9_000 * DAY, 1), (noon, 2), (DAY, 1)]);
        check("a boot in 1970", &[(noon, 1), (-1_000 * DAY, 2), (-1_000 * DAY + 5, 3), (noon + 60, 2)]);
        check("before 1970", &[(-2_000 * DAY, 1), (noon, 1), (-2_000 * DAY, 3), (noon + 1, 2)]);
        check("set back over midnight", &[(noon, 1), (DAY - 1, 2), (DAY + 5, 1), (DAY - 3, 4), (DAY, 1)]);
        check(
            "back and forth gives no third budget",
            &[
                (noon, 1),
                (noon + 3 * DAY, 1),
                (noon + 10, 3),
                (noon + 3 * DAY + 10, 2),
                (noon + 20, 5),
                (noon + 3 * DAY + 20, 3),
            ],
        );
    }

    #[test]
    fn two_clocks_on_one_archive_count_each_run_once() {
        let steps: Vec<_> = (0..50_u32)
            .flat_map(|n| {
                let (second, number) = (i64::from(n), u64::from(n));
                [(12 * HOUR + second, 2 * number + 1), (15 * HOUR + 3 * DAY + second, number + 1)]
            })
            .collect();
        check("3 days apart", &steps);
    }

    #[test]
    fn counts_of_a_past_day_are_found() {
        let mut days = Days::<Sum>::default();
        for day in 1..=9 {
            days.at(day * DAY).sum = u64::try_from(day).unwrap();
        }
        let known: Vec<_> = (1..=10).map(|day| days.of(day).map(|counts| counts.sum)).collect();
        assert_eq!(known, [None, None, None, None, None, Some(6), Some(7), Some(8), Some(9), None]);
        let others = days.take_others();
        assert!(days.of(8).is_none() && days.current().day == 9);
        days.set_others(others);
        assert!(days.of(8).is_some());
    }
}

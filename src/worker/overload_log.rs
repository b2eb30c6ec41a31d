//! Logs from time to time what a worker cannot keep up with.
//!
//! The counters themselves are in the worker's point. A schedule that is slightly too tight can miss runs for days, so
//! there is at most one log line in [`APART`], with the sums since the line before.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::tally::{LATE, Overload, Tally};

/// Logs the overload that `tally` reports; never returns.
pub(super) async fn watch(tally: &Tally) {
    let mut since = Instant::now();
    loop {
        sleep(LOOK).await;
        if let Some(message) = message(&tally.overload(), since.elapsed()) {
            tally.take_overload();
            tracing::warn!("{message}");
            since = Instant::now();
            sleep(APART.saturating_sub(LOOK)).await;
        }
    }
}

/// The text of a log line: what is too much, and what to do about it. `None` if there is nothing to report.
fn message(overload: &Overload, over: Duration) -> Option<String> {
    let Overload { started, missed, late, rounds_missed, round, schedule_delay } = *overload;
    let mut parts = Vec::new();
    if missed > 0 {
        let all = started.saturating_add(missed);
        parts.push(format!(
            "{missed} of {all} runs were skipped, because the previous run was still running or waiting"
        ));
    }
    if late > 0 {
        parts.push(format!("{late} runs started late by more than a tenth of their `every`"));
    }
    if !parts.is_empty() {
        parts.push(
            "run the probes less often (`every`), or on fewer nodes, or allow more transfers at once (`limits`)"
                .to_owned(),
        );
    }
    if rounds_missed > 0 {
        parts.push(format!(
            "{rounds_missed} status rounds were skipped, because the previous one took {round}: run the status probe less often \
             (`every`), shorten its `deadline`, or raise the limit of open files (`ulimit -n`)"
        ));
    }
    if schedule_delay >= LATE {
        parts.push(format!(
            "the schedule itself was late by up to {schedule_delay}: this machine is too busy, or it was suspended"
        ));
    }
    let minutes = over.as_secs().div_ceil(60).max(1);
    let time = if minutes == 1 { "minute".to_owned() } else { format!("{minutes} minutes") };
    (!parts.is_empty()).then(|| format!("this worker cannot keep up; in the last {time}: {}", parts.join("; ")))
}

const LOOK: Duration = Duration::from_secs(60);
const APART: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::units::Micros;

    #[test]
    fn the_message_names_the_overload_and_the_remedy() {
        let minute = Duration::from_secs(60);
        let none = Overload { started: 1_000, schedule_delay: Micros(999_999), ..Overload::default() };
        assert_eq!(message(&none, minute), None);
        let missed = Overload { started: 80, missed: 20, ..none };
        let expected = "this worker cannot keep up; in the last minute: 20 of 100 runs were skipped, because the previous run \
            was still running or waiting; run the probes less often (`every`), or on fewer nodes, or allow more transfers at once \
            (`limits`)";
        assert_eq!(message(&missed, minute).as_deref(), Some(expected));
        for (overload, parts) in [
            (Overload { late: 3, ..none }, "3 runs started late by more than a tenth"),
            (
                Overload { rounds_missed: 2, round: Micros(95_000_000), ..none },
                "2 status rounds were skipped, because the previous one took 95.0 s",
            ),
            (Overload { schedule_delay: Micros(3_200_000), ..none }, "late by up to 3.20 s"),
        ] {
            let message = message(&overload, 10 * minute).unwrap();
            assert!(message.contains("in the last 10 minutes: ") && message.contains(parts), "{message}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn overload_is_logged_at_most_every_ten_minutes() {
        let tally = Tally::default();
        let began = Instant::now();
        let mut taken = Vec::new();
        let look = async {
            let mut expected = 0;
            loop {
                tally.count_runs_missed(1);
                expected += 1;
                if tally.overload().missed < expected {
                    expected = tally.overload().missed;
                    taken.push(began.elapsed().as_secs() / 60);
                }
                sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            () = watch(&tally) => {}
            () = look => {}
            () = sleep(Duration::from_secs(1_300)) => {}
        }
        assert_eq!(taken, [1, 11, 21], "in these minutes");
    }
}

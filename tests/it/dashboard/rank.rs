//! Which value InfluxQL's `percentile()` takes, and how that differs from the report's.

use std::fmt::Write;

use bandprobe::record::histogram::nearest_rank;

use super::database::{series, write};
use crate::influxd;

/// The largest number of values in a group.
const MAX_COUNT: u32 = 30;

#[test]
fn percentiles_are_of_this_rank_and_medians_are_those_of_the_report() {
    let Some(server) = influxd::shared() else { return };
    let bucket = server.bucket().bucket;
    let mut lines = String::new();
    for count in 1..=MAX_COUNT {
        for value in 1..=count {
            writeln!(lines, "m,n={count:02} v={value}i {}", 1_000 * count + value).unwrap();
        }
    }
    write(server, &bucket, &lines);
    let mut differ = 0;
    for percent in [10_u32, 50, 90] {
        // Alone, a percentile that has no value ends the whole answer (influxdata/influxdb issue 9741): a count next to it
        // prevents that.
        let statement = format!("SELECT percentile(v, {percent}) + 0 * count(v) FROM m GROUP BY n");
        let found = series(server, &bucket, &statement);
        for count in 1..=MAX_COUNT {
            let values: Vec<f64> = (1..=count).map(f64::from).collect();
            let answer = found.iter().find(|series| series["tags"]["n"] == format!("{count:02}"));
            let value = answer.and_then(|series| series["values"][0][1].as_f64());
            assert_eq!(value, influx_percentile(&values, f64::from(percent)), "p{percent} of {count}");

            let sorted = (1..=u64::from(count)).map(|value| (value, 1));
            let ours = nearest_rank(sorted, count.into(), percent.into()).unwrap() as f64;
            if percent == 50 {
                assert_eq!(value, Some(ours), "the median of {count}");
            }
            assert!((value.unwrap_or(0.0) - ours).abs() <= 1.0, "p{percent} of {count}: at most a neighbour");
            differ += u32::from(value != Some(ours));
        }
    }
    assert!(differ > 0, "so that the note about it stays true");
}

/// InfluxQL's `percentile()`: rank ⌊n·p/100 + 0.5⌋ of sorted values, nothing when there is no such rank.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ranks are small")]
fn influx_percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * percent / 100.0 + 0.5).floor() as usize;
    sorted.get(rank.checked_sub(1)?).copied()
}

//! `bandprobe spool status`: how much waits or is stored, who delivers it, and the last answer of the database.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    super::{print, print_data, print_wrapped},
    ago,
};
use crate::{
    archive::{
        damage::Damage,
        rejected::{self, Refusal},
        state::{self, Losses},
        status::{self, Status, Totals},
    },
    deliver::event::{self, LastAnswer},
    model::{text::made_printable, units::Bytes},
    term::figure::count,
};

/// Everything that is printed.
struct SpoolReport {
    status: Status,
    last: LastAnswer,
    /// The process that delivers, or would deliver if its config named a database.
    drainer: Option<String>,
    /// The latest rejection.
    refusal: Option<Refusal>,
    losses: Losses,
    /// Files in the spool that delivery skips.
    passed: Vec<Damage>,
}

/// The same as JSON. Missing values are left out.
#[derive(Serialize)]
struct StatusJson<'a> {
    waiting: Totals,
    open: Totals,
    archived: Totals,
    rejected: Totals,
    damaged: Totals,
    lost: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drainer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_answer: Option<DatabaseMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_rejection: Option<DatabaseMessage<'a>>,
}

/// A message of the database.
#[derive(Serialize)]
struct DatabaseMessage<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    text: &'a str,
}

pub(super) fn status(dir: &Path, json: bool) -> anyhow::Result<()> {
    let last: state::Loaded<LastAnswer> = state::load(dir, event::STATE);
    let report = SpoolReport {
        status: status::status(dir)?,
        last: LastAnswer { text: made_printable(&last.value.text), ..last.value },
        drainer: status::delivering_process(dir)?,
        refusal: rejected::newest(dir)?,
        losses: state::load(dir, state::LOSSES).value,
        passed: status::skipped_files(dir)?,
    };
    if json {
        return print_data(format!("{}\n", serde_json::to_string(&status_json(&report))?).as_bytes());
    }
    print(&table(&report.status))?;
    print_wrapped(&sentences(&report, Timestamp::now()))
}

fn status_json(report: &SpoolReport) -> StatusJson<'_> {
    let SpoolReport { status, last, drainer, refusal, losses, .. } = report;
    StatusJson {
        waiting: status.spool,
        open: status.open,
        archived: status.archived,
        rejected: status.rejected,
        damaged: status.bad,
        lost: losses.points,
        oldest: status.oldest,
        drainer: drainer.as_deref(),
        last_answer: last.time.map(|time| DatabaseMessage { time: Some(time), text: &last.text }),
        newest_rejection: refusal.as_ref().map(|refusal| DatabaseMessage { time: refusal.at, text: &refusal.message }),
    }
}

fn table(status: &Status) -> String {
    let row = |name: &str, amount: Totals, note: &str| {
        let Totals { files, points, bytes } = amount;
        format!("{name:<12}{points:>10} points {files:>6} files {:>10}  {note}\n", Bytes(bytes).to_string())
    };
    let mut text = row("waiting", status.spool, "sealed, not delivered yet");
    text += &row("open", status.open, "being written, or left over from a killed process");
    text += &row("archived", status.archived, "delivered or refused, kept for `archive.keep`");
    text += &row("rejected", status.rejected, "refused by InfluxDB, each line with the reason");
    text + &row("damaged", status.bad, "set aside")
}

fn sentences(report: &SpoolReport, now: Timestamp) -> String {
    let SpoolReport { status, last, drainer, refusal, losses, passed } = report;
    let mut text = String::from("\n");
    if let Some(oldest) = status.oldest {
        text += &format!("oldest waiting: {oldest} ({})\n", ago(now.duration_since(oldest)));
    }
    text += &match drainer {
        Some(pid) => format!("delivering now: process {pid}\n"),
        None => "delivering now: no process\n".to_owned(),
    };
    match last.time {
        Some(time) if last.text == DELIVERED => {
            text += &format!("last answer: {}: {}\n", ago(now.duration_since(time)), last.text);
        }
        // For a failing period, the first answer is kept.
        Some(time) => {
            text += &format!("failing since {time} ({}): {}\n", ago(now.duration_since(time)), last.text);
        }
        None => {}
    }
    if let Losses { points: 1.., last: Some(last) } = losses {
        let (points, ago) = (count(losses.points, "point"), ago(now.duration_since(*last)));
        text += &format!("lost: {points}, the last {ago}, because the disk was full or the power failed\n");
    }
    for damage in passed {
        text += &format!("ignored: {damage}\n");
    }
    if let Some(Refusal { message, points, at, .. }) = refusal {
        let when = at.map(|at| format!(", {}", ago(now.duration_since(at)))).unwrap_or_default();
        text += &format!("newest rejection: {}{when}: {message}\n", count(*points, "point"));
    }
    text
}

/// The text of [`LastAnswer`] when delivery works.
const DELIVERED: &str = "delivered";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_leaves_out_what_is_unknown() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let earlier: Timestamp = "2026-11-22T11:00:00Z".parse().unwrap();
        let mut report = SpoolReport {
            status: Status { spool: Totals { files: 2, points: 7, bytes: 1500 }, ..Status::default() },
            last: LastAnswer::default(),
            drainer: None,
            refusal: None,
            losses: Losses::default(),
            passed: vec![],
        };
        let rows = table(&report.status);
        assert!(rows.starts_with("waiting              7 points      2 files    1.50 kB"), "{rows}");
        assert_eq!(sentences(&report, now), "\ndelivering now: no process\n");
        let nothing = r#"{"files":0,"points":0,"bytes":0}"#;
        let amounts = format!(
            r#"{{"waiting":{{"files":2,"points":7,"bytes":1500}},"open":{nothing},"archived":{nothing},"rejected":{nothing},"damaged":{nothing},"lost":0"#
        );
        assert_eq!(serde_json::to_string(&status_json(&report)).unwrap(), format!("{amounts}}}"));

        report.status.oldest = Some(earlier);
        report.drainer = Some("17".to_owned());
        report.last = LastAnswer { time: Some(earlier), text: "refused".to_owned() };
        report.refusal = Some(Refusal {
            message: "field type conflict".to_owned(),
            points: 1,
            files: 1,
            file: "a.lp".to_owned(),
            at: Some(earlier),
            lines: vec![],
        });
        let expected = "\noldest waiting: 2026-11-22T11:00:00Z (1h ago)\ndelivering now: process 17\n\
            failing since 2026-11-22T11:00:00Z (1h ago): refused\n\
            newest rejection: 1 point, 1h ago: field type conflict\n";
        assert_eq!(sentences(&report, now), expected);
        let more = r#","oldest":"2026-11-22T11:00:00Z","drainer":"17","last_answer":{"time":"2026-11-22T11:00:00Z","text":"refused"},"newest_rejection":{"time":"2026-11-22T11:00:00Z","text":"field type conflict"}}"#;
        assert_eq!(serde_json::to_string(&status_json(&report)).unwrap(), amounts + more);

        report.last.text = DELIVERED.to_owned();
        assert!(sentences(&report, now).contains("\nlast answer: 1h ago: delivered\n"));
    }
}

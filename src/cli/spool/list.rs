//! `bandprobe spool list`: waiting files, rejected points by the message of the database, and damaged files.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    super::{print, print_data, terminal},
    ago,
};
use crate::{
    archive::{
        rejected::{self, Damaged, Refusal, Refusals},
        status::{self, WaitingFile},
    },
    model::{text::made_printable, units::Bytes},
    term::{
        figure::count,
        width::{columns, cut, pad},
        wrap::wrap,
    },
};

/// What waits, was refused or is damaged.
#[derive(Default)]
struct SpoolContents {
    waiting: Vec<WaitingFile>,
    refusals: Refusals,
    damaged: Vec<Damaged>,
}

/// A row of the JSON output. Unknown values are left out.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum JsonRow<'a> {
    Waiting {
        file: String,
        points: u64,
        bytes: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        opened: Option<Timestamp>,
        /// The format of the file, if only a newer version can deliver it.
        #[serde(skip_serializing_if = "Option::is_none")]
        format: Option<u64>,
    },
    Rejected {
        message: &'a str,
        points: u64,
        files: u64,
        file: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        time: Option<Timestamp>,
        lines: &'a [String],
    },
    /// Points that were rejected with other messages.
    Others {
        points: u64,
    },
    Damaged {
        file: String,
        bytes: u64,
    },
}

pub(super) fn list(dir: &Path, json: bool) -> anyhow::Result<()> {
    let contents = SpoolContents {
        waiting: status::waiting(dir)?,
        refusals: rejected::refusals(dir)?,
        damaged: rejected::damaged(dir)?,
    };
    if !json {
        return print(&text(&contents, Timestamp::now(), terminal::width()));
    }
    let mut lines = String::new();
    for row in rows(&contents) {
        lines += &serde_json::to_string(&row)?;
        lines.push('\n');
    }
    print_data(lines.as_bytes())
}

fn rows(contents: &SpoolContents) -> Vec<JsonRow<'_>> {
    let waiting = contents.waiting.iter().map(|file| JsonRow::Waiting {
        file: made_printable(&file.name),
        points: file.points,
        bytes: file.bytes,
        opened: file.opened,
        format: file.newer,
    });
    let rejected = contents.refusals.by_message.iter().map(|refusal| JsonRow::Rejected {
        message: &refusal.message,
        points: refusal.points,
        files: refusal.files,
        file: &refusal.file,
        time: refusal.at,
        lines: &refusal.lines,
    });
    let others = Some(contents.refusals.others).filter(|points| *points > 0).map(|points| JsonRow::Others { points });
    let damaged =
        contents.damaged.iter().map(|file| JsonRow::Damaged { file: made_printable(&file.name), bytes: file.bytes });
    waiting.chain(rejected).chain(others).chain(damaged).collect()
}

fn text(contents: &SpoolContents, now: Timestamp, width: Option<u16>) -> String {
    let mut text = String::new();
    for file in &contents.waiting {
        let since = file.opened.map_or_else(String::new, |opened| ago(now.duration_since(opened)));
        let (name, bytes) = (made_printable(&file.name), Bytes(file.bytes).to_string());
        let newer = file.newer.map_or_else(String::new, |format| format!(", of a newer version (format {format})"));
        text += &format!("{}{:>8} points {bytes:>9}  {since}{newer}\n", pad(&name, 38), file.points);
    }
    if contents.waiting.is_empty() {
        text += "nothing to deliver\n";
    }
    if !contents.refusals.by_message.is_empty() {
        text += "\nrefused by InfluxDB, newest first:\n";
    }
    for refusal in &contents.refusals.by_message {
        text += &group(refusal, now, width);
    }
    if contents.refusals.others > 0 {
        text += &format!("{} with other messages, in rejected/\n", count(contents.refusals.others, "point"));
    }
    if !contents.damaged.is_empty() {
        text += "\ndamaged, set aside:\n";
    }
    for Damaged { name, bytes } in &contents.damaged {
        text +=
            &format!("{}{:>11}\n", pad(&format!("rejected/{}", made_printable(name)), 51), Bytes(*bytes).to_string());
    }
    text
}

/// One message, and the first lines that it applies to.
fn group(refusal: &Refusal, now: Timestamp, width: Option<u16>) -> String {
    let Refusal { message, points, files, file, at, lines } = refusal;
    let mut text = count(*points, "point");
    if let Some(at) = at {
        text += &format!(", {}", ago(now.duration_since(*at)));
    }
    text += &format!(", in rejected/{file}");
    if *files > 1 {
        text += &format!(" and {}", count(files - 1, "other file"));
    }
    let message = if message.is_empty() { "without a message" } else { message };
    let mut text = wrap(&format!("{text}\n  {message}\n"), width);
    for line in lines {
        text += &shortened(&format!("    {line}"), width);
        text.push('\n');
    }
    if *points > lines.len() as u64 {
        text += "    …\n";
    }
    text
}

/// A line, cut at the width of the terminal.
fn shortened(line: &str, width: Option<u16>) -> String {
    match width.map(usize::from) {
        Some(width) if columns(line) > width => format!("{}…", cut(line, width.saturating_sub(1))),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents() -> SpoolContents {
        let at = |text: &str| Some(text.parse().unwrap());
        let waiting = WaitingFile {
            name: "a.lp".to_owned(),
            opened: at("2026-11-22T11:00:00Z"),
            points: 7,
            bytes: 1500,
            newer: None,
        };
        let conflict = Refusal {
            message: "field type conflict".to_owned(),
            points: 5,
            files: 3,
            file: "b.lp".to_owned(),
            at: at("2026-11-22T11:59:00Z"),
            lines: vec!["m,node=a v=\"text\" 1763719200000000001".to_owned(), "m v=\"x\" 2".to_owned()],
        };
        let unsaid =
            Refusal { message: String::new(), points: 1, files: 1, at: None, lines: vec![], ..conflict.clone() };
        let damaged = vec![Damaged { name: "c.lp.bad".to_owned(), bytes: 999 }];
        let refusals = Refusals { by_message: vec![conflict, unsaid], others: 2 };
        SpoolContents { waiting: vec![waiting], refusals, damaged }
    }

    #[test]
    fn the_spool_is_listed_within_the_width() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        assert_eq!(text(&SpoolContents::default(), now, None), "nothing to deliver\n");
        let whole = text(&contents(), now, None);
        let rows = format!("{:<38}       7 points   1.50 kB  1h ago\n", "a.lp");
        let expected = rows
            + "\nrefused by InfluxDB, newest first:\n5 points, 1m ago, in rejected/b.lp and 2 other files\n  \
               field type conflict\n    m,node=a v=\"text\" 1763719200000000001\n    m v=\"x\" 2\n    …\n\
               1 point, in rejected/b.lp\n  without a message\n    …\n2 points with other messages, in rejected/\n\
               \ndamaged, set aside:\n"
            + &format!("{:<51}      999 B\n", "rejected/c.lp.bad");
        assert_eq!(whole, expected);
        let narrow = text(&contents(), now, Some(30));
        assert!(narrow.contains("\n    m,node=a v=\"text\" 1763719…\n    m v=\"x\" 2\n"), "{narrow}");
    }

    #[test]
    fn json_has_one_object_per_line() {
        let contents = contents();
        let rows: Vec<_> = rows(&contents).iter().map(|row| serde_json::to_string(row).unwrap()).collect();
        let expected = [
            r#"{"kind":"waiting","file":"a.lp","points":7,"bytes":1500,"opened":"2026-11-22T11:00:00Z"}"#,
            r#"{"kind":"rejected","message":"field type conflict","points":5,"files":3,"file":"b.lp","time":"2026-11-22T11:59:00Z","lines":["m,node=a v=\"text\" 1763719200000000001","m v=\"x\" 2"]}"#,
            r#"{"kind":"rejected","message":"","points":1,"files":1,"file":"b.lp","lines":[]}"#,
            r#"{"kind":"others","points":2}"#,
            r#"{"kind":"damaged","file":"c.lp.bad","bytes":999}"#,
        ];
        assert_eq!(rows, expected);
    }
}

//! `bandprobe spool`: what waits for delivery.

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    archive::{
        reader, state,
        status::{Amount, Status, Waiting, status, waiting},
    },
    config::problem::Problems,
    deliver::drain::{self, LastAnswer},
    model::units::Bytes,
};

use super::{
    Exit,
    args::{Archive, Export, Spool, SpoolCommand},
    complain, input, print, refuse,
};

pub(super) fn spool(args: &Spool) -> anyhow::Result<Exit> {
    let archive = match &args.command {
        SpoolCommand::Status(archive) | SpoolCommand::List(archive) => archive,
        SpoolCommand::Export(Export { archive, .. }) => archive,
    };
    let dir = match dir(archive) {
        Ok(dir) => dir,
        Err(problems) => return Ok(refuse(&problems)),
    };
    anyhow::ensure!(dir.is_dir(), "{} is no data directory: nothing was recorded there yet", dir.display());
    match &args.command {
        SpoolCommand::Status(_) => show(&dir),
        SpoolCommand::List(_) => {
            print(&listing(&waiting(&dir)?, Timestamp::now()))?;
            Ok(Exit::Done)
        }
        SpoolCommand::Export(args) => export(&dir, args.since),
    }
}

fn show(dir: &Path) -> anyhow::Result<Exit> {
    let last: state::Loaded<LastAnswer> = state::load(dir, drain::STATE);
    print(&describe(&status(dir)?, &last.value, Timestamp::now()))?;
    Ok(Exit::Done)
}

/// What cannot be read is told and left out; the rest is printed all the same.
fn export(dir: &Path, since: Option<Duration>) -> anyhow::Result<Exit> {
    let since = since.map(|since| anyhow::Ok(Timestamp::now() - SignedDuration::try_from(since)?)).transpose()?;
    let mut stdout = BufWriter::new(io::stdout().lock());
    let mut exit = Exit::Done;
    for line in reader::lines(dir, since)? {
        match line {
            // A file that reaches over the time is read as a whole.
            Ok(line) if since.is_none_or(|since| time_of(&line) >= Some(since.as_nanosecond())) => {
                writeln!(stdout, "{line}")?;
            }
            Ok(_) => {}
            Err(damage) => {
                complain(&damage.to_string());
                exit = Exit::Failed;
            }
        }
    }
    stdout.flush()?;
    Ok(exit)
}

/// The time at the end of a line, in ns.
fn time_of(line: &str) -> Option<i128> {
    line.rsplit_once(' ')?.1.parse().ok()
}

fn dir(args: &Archive) -> Result<PathBuf, Problems> {
    match (&args.archive, &args.config) {
        (Some(dir), _) => Ok(dir.clone()),
        (None, Some(path)) => input::config(path).map(|config| config.archive.dir),
        (None, None) => unreachable!("clap asks for one of them"),
    }
}

fn describe(status: &Status, last: &LastAnswer, now: Timestamp) -> String {
    let row = |name: &str, amount: Amount, note: &str| {
        let Amount { files, points, bytes } = amount;
        format!("{name:<12}{points:>10} points {files:>6} files {:>10}  {note}\n", Bytes(bytes).to_string())
    };
    let mut text = row("waiting", status.spool, "sealed, not delivered yet");
    text += &row("open", status.open, "being written");
    text += &row("delivered", status.archived, "kept for `archive.keep`");
    text += &row("rejected", status.rejected, "refused by InfluxDB, with its reason beside each line");
    text += &row("damaged", status.bad, "set aside");
    if let Some(oldest) = status.oldest {
        text += &format!("\noldest that waits: {} ({})\n", oldest, ago(now.duration_since(oldest)));
    }
    if let Some(time) = last.time {
        text += &format!("last answer: {}: {}\n", ago(now.duration_since(time)), last.text);
    }
    text
}

/// A line a file.
fn listing(files: &[Waiting], now: Timestamp) -> String {
    if files.is_empty() {
        return "nothing waits\n".to_owned();
    }
    let line = |file: &Waiting| {
        let since = file.opened.map_or_else(String::new, |opened| ago(now.duration_since(opened)));
        format!("{:<40}{:>10} points {:>10}  {since}\n", file.name, file.points, Bytes(file.bytes).to_string())
    };
    files.iter().map(line).collect()
}

/// How long ago, to the second. A time ahead of our clock, such as one of another machine's file, is now.
fn ago(since: SignedDuration) -> String {
    match since.as_secs() {
        ..=0 => "just now".to_owned(),
        seconds => format!("{:#} ago", SignedDuration::from_secs(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_described_with_how_long_ago() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        for (time, expected) in [
            ("2026-11-22T12:00:00Z", "just now"),
            ("2026-11-22T11:59:59.5Z", "just now"),
            ("2026-11-22T11:59:59Z", "1s ago"),
            ("2026-11-22T10:58:03.9Z", "1h 1m 56s ago"),
            ("2026-11-22T12:00:01Z", "just now"),
            ("9999-01-01T00:00:00Z", "just now"),
        ] {
            let time: Timestamp = time.parse().unwrap();
            let spool = Amount { files: 2, points: 7, bytes: 1500 };
            let status = Status { spool, oldest: Some(time), ..Status::default() };
            let last = LastAnswer { time: Some(time), text: "delivered".to_owned() };
            let text = describe(&status, &last, now);
            let lines: Vec<_> = text.lines().collect();
            assert!(lines[0].starts_with("waiting              7 points      2 files    1.50 kB"), "{text}");
            assert_eq!(lines[6], format!("oldest that waits: {time} ({expected})"));
            assert_eq!(lines[7], format!("last answer: {expected}: delivered"));
        }
        let opened = Some("2026-11-22T11:00:00Z".parse().unwrap());
        let file = Waiting { name: "a.lp".to_owned(), opened, points: 7, bytes: 1500, newer: None };
        let listed = listing(&[file], now);
        assert!(listed.starts_with("a.lp ") && listed.ends_with("         7 points    1.50 kB  1h ago\n"), "{listed}");
        assert_eq!(listing(&[], now), "nothing waits\n");
        let nothing = describe(&Status::default(), &LastAnswer::default(), now);
        assert!(!nothing.contains("oldest") && !nothing.contains("answer"), "{nothing}");
    }
}

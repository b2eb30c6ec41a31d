//! `bandprobe spool flush`: delivers until nothing waits, the database fails, or a signal arrives.

use std::path::Path;

use super::{
    super::{Exit, args::Flush, config_error, eprint, input, print_wrapped, signals::Signals},
    flush_progress::{FlushCounts, FlushProgress},
    is_there,
};
use crate::{
    archive::{
        self,
        recover::recover_each,
        spool::Spool,
        state,
        status::{Totals, skipped_files, waiting},
    },
    config::Config,
    deliver::{
        drain::Drain,
        event::{self, Counters, Event, LastAnswer},
        influx::Influx,
    },
    model::text::made_printable,
    term::figure::count,
    worker::resolver,
};

/// What was delivered so far.
#[derive(Debug, Default, PartialEq, Eq)]
struct Delivered {
    /// Number of finished files.
    files: u64,
    /// How many of them were damaged and set aside.
    damaged: u64,
    /// Points of the finished files.
    points: Counters,
    /// Points of the file that is being delivered. If delivery ends now, this file is sent again from its start.
    under_way: Counters,
    /// What the database said when it last rejected a line.
    refusal: Option<String>,
}

pub(super) async fn flush(args: &Flush) -> anyhow::Result<Exit> {
    let config = match input::config(&args.config) {
        Ok(config) => config,
        Err(problems) => return Ok(config_error(&problems)),
    };
    let Config { influxdb: Some(database), archive, .. } = &config else {
        let (file, dir) = (args.config.display(), config.archive.dir.display());
        eprint(&format!(
            "{file} names no database, so the results stay in {dir}; to deliver them, add an [influxdb] section"
        ));
        return Ok(Exit::BadConfig);
    };
    let dir = &archive.dir;
    is_there(dir)?;
    let mut signals = Signals::listen()?;
    archive::create(dir)?;
    let (recovered, problems) = recover_each(dir);
    problems.iter().for_each(|problem| {
        eprint(&format!("a file of a killed process could not be recovered and stays for later: {problem}"))
    });
    if recovered.missing > 0 {
        let points = count(recovered.missing, "point");
        eprint(&format!("{points} of a killed process are lost: they were not on the disk yet"));
    }
    let before = left(dir)?;
    if before.files == 0 {
        print_wrapped(&format!("nothing to deliver in {}\n", dir.display()))?;
        return Ok(Exit::Done);
    }
    let spool = match Spool::lock(dir) {
        Err(error @ archive::Error::Draining { .. }) => return left_to_another(dir, &error),
        spool => spool?,
    };
    let mut drain = Drain::new(spool, Influx::new(database, &resolver::for_config(&config))?);
    let (mut delivered, mut progress) = (Delivered::default(), FlushProgress::over(before.points));
    let delivering = drain.drain_all(args.patience, |event, counters| {
        delivered.add(event, counters);
        let trouble = if let Event::BackingOff { reason, .. } = event { Some(reason.as_str()) } else { None };
        progress.show(delivered.counts(), trouble);
    });
    let ended = tokio::select! {
        ended = delivering => ended,
        () = signals.next() => Ok(Some("a signal stopped the delivery".to_owned())),
    };
    progress.end();
    drop(drain);
    let place = format!("{} (bucket {})", database.url, database.bucket);
    let printed = print_wrapped(&format!("{}\n", summary(&delivered, &place, dir)));
    // An error of the data directory explains more than what is still waiting in it.
    let reason = ended?;
    let after = left(dir)?;
    if after.files == 0 {
        return printed.map(|()| Exit::Done);
    }
    let reason = reason.or_else(|| skipped_files(dir).ok()?.first().map(ToString::to_string));
    let reason = reason.as_deref().unwrap_or("they arrived in the meantime");
    eprint(&format!("{} in {} are waiting: {reason}", amount(after), dir.display()));
    Ok(Exit::Failed)
}

impl Delivered {
    fn add(&mut self, event: &Event, counters: Counters) {
        self.under_way += counters;
        match event {
            Event::Finished { message: Some(message), .. } => self.refusal = Some(message.clone()),
            Event::Finished { message: None, .. } => {}
            Event::SetAside { kept, .. } => {
                self.damaged += 1;
                if *kept > 0 {
                    return;
                }
            }
            _ => return,
        }
        self.files += 1;
        self.points += std::mem::take(&mut self.under_way);
    }

    fn counts(&self) -> FlushCounts {
        let mut points = self.points;
        points += self.under_way;
        let rejected = points.points_rejected;
        FlushCounts { points: points.points_written + rejected, rejected, files: self.files }
    }
}

/// Prints that another process delivers, unless nothing waits any more.
fn left_to_another(dir: &Path, draining: &archive::Error) -> anyhow::Result<Exit> {
    let waiting = left(dir)?;
    if waiting.files == 0 {
        print_wrapped(&format!("nothing is left to deliver in {}\n", dir.display()))?;
        return Ok(Exit::Done);
    }
    let last: state::Loaded<LastAnswer> = state::load(dir, event::STATE);
    let mut text = format!("{} are waiting; another process is delivering them: {draining}", amount(waiting));
    if last.value.time.is_some() {
        text += &format!("; last answer from the database: {}", made_printable(&last.value.text));
    }
    eprint(&text);
    Ok(Exit::Failed)
}

/// How much waits for delivery.
fn left(dir: &Path) -> Result<Totals, archive::Error> {
    Ok(waiting(dir)?.iter().fold(Totals::default(), |sum, file| Totals {
        files: sum.files + 1,
        points: sum.points + file.points,
        bytes: sum.bytes + file.bytes,
    }))
}

fn amount(amount: Totals) -> String {
    format!("{} in {}", count(amount.points, "point"), count(amount.files, "file"))
}

/// The summary of the finished files.
fn summary(delivered: &Delivered, database: &str, dir: &Path) -> String {
    let points = count(delivered.points.points_written, "point");
    let mut text = format!("{points} in {} delivered to {database}", count(delivered.files, "file"));
    let rejected = delivered.points.points_rejected;
    if rejected > 0 || delivered.damaged > 0 {
        let refused = match (rejected, delivered.damaged) {
            (rejected, 0) => format!("{} refused", count(rejected, "point")),
            (0, damaged) => format!("{} set aside", count(damaged, "damaged file")),
            (rejected, damaged) => {
                format!("{} refused or of {}", count(rejected, "point"), count(damaged, "damaged file"))
            }
        };
        text += &format!("; {refused}, in {}/rejected", dir.display());
    }
    if let (Some(message), 1..) = (&delivered.refusal, rejected) {
        text += &format!(": {message}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_finished_files_only() {
        let sent = Counters { points_written: 5, ..Counters::default() };
        let refused = Counters { points_rejected: 1, ..Counters::default() };
        let message = Some("type conflict".to_owned());
        let finished = Event::Finished { name: "a.lp".into(), points: 5, rejected: 1, message };
        let mut delivered = Delivered::default();
        delivered.add(&Event::Sent { points: 5 }, sent);
        assert_eq!(delivered.counts(), FlushCounts { points: 5, rejected: 0, files: 0 });
        assert_eq!(summary(&delivered, "db", Path::new("d")), "0 points in 0 files delivered to db");
        delivered.add(&Event::Divided { message: "a batch".into() }, refused);
        delivered.add(&finished, Counters::default());
        assert_eq!(delivered.counts(), FlushCounts { points: 6, rejected: 1, files: 1 });
        let expected = "5 points in 1 file delivered to db";
        assert_eq!(
            summary(&delivered, "db", Path::new("d")),
            format!("{expected}; 1 point refused, in d/rejected: type conflict")
        );
        let damaged = Event::SetAside { name: "b.lp".into(), damage: "checksum".into(), kept: 0, points: 3 };
        delivered.add(&damaged, Counters { points_rejected: 3, ..Counters::default() });
        let expected = expected.replace("1 file", "2 files");
        assert_eq!(
            summary(&delivered, "db", Path::new("d")),
            format!("{expected}; 4 points refused or of 1 damaged file, in d/rejected: type conflict")
        );
    }
}

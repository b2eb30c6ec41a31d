//! `bandprobe report`: analyses the results in the database or the archive.

use std::{fs, path::Path};

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

use crate::{
    archive::reader,
    config::{Config, InfluxDb},
    net::resolve::Resolver,
    record::scan::Scan,
    report::{Analysis, database, json},
    term::Look,
    worker::resolver,
};

use super::{
    Exit,
    args::{Format, Report},
    config_error, input, plain, print, print_data, terminal,
};

mod query_progress;

use self::query_progress::QueryProgress;

pub(super) async fn report(args: &Report) -> anyhow::Result<Exit> {
    let config = match args.config.as_deref().map(input::config).transpose() {
        Ok(config) => config,
        Err(problems) => return Ok(config_error(&problems)),
    };
    let since = Timestamp::now() - SignedDuration::try_from(args.since)?;
    let analysis = match (&args.archive, &config) {
        (Some(dir), _) => from_archive(dir, since)?,
        (None, Some(config @ Config { influxdb: Some(database), .. })) => {
            from_database(database, resolver::for_config(config), since).await?
        }
        (None, Some(config)) => from_archive(&config.archive.dir, since)?,
        (None, None) => unreachable!("clap asks for one of them"),
    };
    let trace_url = config.as_ref().and_then(|config| config.trace_url.as_ref());
    let look = if args.output.is_some() { Look::default() } else { terminal::look() };
    let text = match args.format {
        Format::Table => analysis.render(look, trace_url),
        Format::Json => json::render(&analysis, trace_url),
    };
    match &args.output {
        None if matches!(args.format, Format::Json) => print_data(text.as_bytes())?,
        None => print(&text)?,
        Some(path) => fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?,
    }
    Ok(Exit::Done)
}

/// Analyses everything in a data directory, delivered or not, or in plain files of line protocol. Damaged data is
/// logged and skipped, but a single file must be readable as a whole.
pub(super) fn from_archive(path: &Path, since: Timestamp) -> anyhow::Result<Analysis> {
    let mut problems = 0;
    let mut warn = |problem: String| {
        problems += 1;
        if problems <= MAX_WARNINGS {
            tracing::warn!("{problem}");
        }
    };
    let analysis = if plain::is_plain(path) {
        // If the only file cannot be read, there is nothing to report.
        let is_one = !path.is_dir();
        let lines = plain::Lines::of(path)?.filter_map(|line| match line {
            Err(problem) if !is_one => {
                warn(format!("{problem:#}"));
                None
            }
            line => Some(line),
        });
        gather(lines, since)?
    } else {
        let lines = reader::lines(path, Some(since))?;
        gather(lines.filter_map(|line| line.map_err(|damage| warn(damage.to_string())).ok()).map(Ok), since)?
    };
    if problems > MAX_WARNINGS {
        tracing::warn!(further = problems - MAX_WARNINGS, "more problems, not logged one by one");
    }
    Ok(analysis)
}

/// Analyses lines with times from `since` on.
fn gather<L: AsRef<[u8]>>(
    lines: impl Iterator<Item = anyhow::Result<L>>,
    since: Timestamp,
) -> anyhow::Result<Analysis> {
    let mut analysis = Analysis::default();
    let mut scan = Scan::new(lines);
    for found in &mut scan {
        let found = found?;
        if found.at() >= since {
            analysis.add_any(&found);
        }
    }
    analysis.left_out.merge(scan.reasons());
    Ok(analysis)
}

async fn from_database(database: &InfluxDb, resolver: Resolver, since: Timestamp) -> anyhow::Result<Analysis> {
    let until = Timestamp::now();
    let mut bar = QueryProgress::over(until.duration_since(since));
    let progress = |share, transfers| bar.show(share, transfers);
    Ok(database::read(database, resolver, (since, until), progress).await?)
}

/// The most problems of an archive that are logged one by one: a damaged file may have one in each line.
const MAX_WARNINGS: u64 = 5;

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The warnings about a spooled file with `bad` lines that are not UTF-8.
    fn warnings(bad: usize) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let spool = dir.path().join("spool");
        fs::create_dir(&spool).unwrap();
        let name = "20261121T100000.000Z-0000000000000001.lp";
        fs::write(spool.join(name), b"m v=\xff 1\n".repeat(bad)).unwrap();
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        tracing::subscriber::with_default(subscriber, || from_archive(dir.path(), Timestamp::UNIX_EPOCH).unwrap());
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_first_problems_are_logged_and_the_rest_counted() {
        // Each bad line is a problem. The missing header and the missing end are two more.
        for (bad, lines, further) in
            [(1, 3, None), (3, 5, None), (4, 6, Some("further=1")), (100, 6, Some("further=97"))]
        {
            let warnings = warnings(bad);
            let counted = warnings.last().unwrap().split(' ').find(|word| word.starts_with("further="));
            assert_eq!((warnings.len(), counted), (lines, further), "{warnings:#?}");
        }
    }
}

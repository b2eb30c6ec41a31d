//! `bandprobe report`: analyses the results in the database or the archive.

use std::{fs, path::Path};

use anyhow::Context;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};

use crate::{
    archive::reader,
    config::{Config, InfluxDb},
    net::{
        fetch::{FetchError, Fetcher, Session},
        resolve::Resolver,
    },
    report::{
        Analysis, json,
        query::{self, Pages, parse},
        scan::Scan,
    },
    term::Look,
    worker::lookups,
};

use super::{
    Exit,
    args::{Format, Report},
    input, plain, print, print_data, refuse, screen,
};

mod fetching;

use self::fetching::Fetching;

pub(super) async fn report(args: &Report) -> anyhow::Result<Exit> {
    let config = match args.config.as_deref().map(input::config).transpose() {
        Ok(config) => config,
        Err(problems) => return Ok(refuse(&problems)),
    };
    let since = Timestamp::now() - SignedDuration::try_from(args.since)?;
    let analysis = match (&args.archive, &config) {
        (Some(dir), _) => from_archive(dir, since)?,
        (None, Some(config @ Config { influxdb: Some(database), .. })) => {
            from_database(database, lookups::resolver(config), since).await?
        }
        (None, Some(config)) => from_archive(&config.archive.dir, since)?,
        (None, None) => unreachable!("clap asks for one of them"),
    };
    let trace_url = config.as_ref().and_then(|config| config.trace_url.as_ref());
    let look = if args.output.is_some() { Look::default() } else { screen::look() };
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
    let mut tell = |problem: String| {
        problems += 1;
        if problems <= MOST_TOLD {
            tracing::warn!("{problem}");
        }
    };
    let analysis = if plain::is_plain(path) {
        // If the only file cannot be read, there is nothing to report.
        let is_one = !path.is_dir();
        let lines = plain::Lines::of(path)?.filter_map(|line| match line {
            Err(problem) if !is_one => {
                tell(format!("{problem:#}"));
                None
            }
            line => Some(line),
        });
        gather(lines, since)?
    } else {
        let lines = reader::lines(path, Some(since))?;
        gather(lines.filter_map(|line| line.map_err(|damage| tell(damage.to_string())).ok()).map(Ok), since)?
    };
    if problems > MOST_TOLD {
        tracing::warn!(further = problems - MOST_TOLD, "more problems, not logged one by one");
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
            analysis.add_found(&found);
        }
    }
    analysis.left_out.merge(scan.reasons());
    Ok(analysis)
}

async fn from_database(database: &InfluxDb, resolver: Resolver, since: Timestamp) -> anyhow::Result<Analysis> {
    let fetcher = Fetcher::new(database.extra_ca.as_deref(), resolver)?;
    let mut asked = Asked { database, session: fetcher.session() };
    let until = Timestamp::now();
    let mut analysis = Analysis::default();
    let mut pages = Pages::new(&database.bucket, since, until);
    let mut fetching = Fetching::over(until.duration_since(since));
    let mut transfers = 0;
    while let Some(request) = pages.request() {
        let body = match asked.answer(&request).await {
            Err(error) if is_too_much(&error) && pages.ask_for_less() => continue,
            body => body?,
        };
        let page = parse(&body).context("InfluxDB's answer")?;
        page.points.iter().for_each(|point| analysis.standard.add(point));
        analysis.left_out.merge(&page.reasons);
        pages.answered(page.rows);
        transfers += page.points.len() as u64;
        fetching.show(pages.answered_share(since), transfers);
    }
    // The slowest transfers have their own query, because their ids would double the size of the pages.
    let single = query::target(&database.bucket, &query::slowest::query(since, until));
    let page = parse(&asked.answer(&single).await?).context("InfluxDB's answer")?;
    page.points.iter().for_each(|point| analysis.slowest.add(point));
    analysis.left_out.merge(&page.reasons);
    let states = query::target(&database.bucket, &query::availability::query(since, until));
    let answer = asked.answer(&states).await?;
    let states = query::availability::parse(&answer, &mut analysis.availability).context("InfluxDB's answer")?;
    (0..states).for_each(|_| analysis.left_out.count("a row about the state of a node".to_owned()));
    Ok(analysis)
}

/// A database, and the session that queries it.
struct Asked<'a> {
    database: &'a InfluxDb,
    session: Session<'a>,
}

impl Asked<'_> {
    async fn answer(&mut self, request: &str) -> anyhow::Result<Vec<u8>> {
        let (url, authorization) = (self.database.at(request), self.database.authorization());
        let answer = self.session.get(&url, Some(authorization.reveal())).await;
        let is_refused =
            matches!(&answer, Err(FetchError::Status { status, .. }) if *status == StatusCode::UNAUTHORIZED);
        answer.with_context(|| {
            let token = match is_refused {
                true => format!(": it rejects the token from {}", self.database.token_from),
                false => String::new(),
            };
            format!(
                "cannot query InfluxDB at {}{token}; to read a data directory instead, use `--archive DIR`",
                self.database.url
            )
        })
    }
}

/// Whether an answer was too long, or too slow as a whole.
fn is_too_much(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(FetchError::TooLong(_) | FetchError::Slow(_)))
}

/// The most problems of an archive that are logged one by one: a damaged file may have one in each line.
const MOST_TOLD: u64 = 5;

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
    fn told(bad: usize) -> Vec<String> {
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
    fn the_first_problems_of_an_archive_are_told_and_the_others_counted() {
        // Each bad line is a problem. The missing header and the missing end are two more.
        for (bad, lines, further) in
            [(1, 3, None), (3, 5, None), (4, 6, Some("further=1")), (100, 6, Some("further=97"))]
        {
            let told = told(bad);
            let counted = told.last().unwrap().split(' ').find(|word| word.starts_with("further="));
            assert_eq!((told.len(), counted), (lines, further), "{told:#?}");
        }
    }
}

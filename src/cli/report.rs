//! `bandprobe report`: the analysis, over the database or the archive.

use std::{fs, path::Path};

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

use crate::{
    archive::reader,
    config::{Config, InfluxDb},
    net::fetch::Fetcher,
    report::{
        json,
        query::{Pages, parse},
        scan::Scan,
        standard::{Standard, Summary},
        table::{self, Look},
    },
};

use super::{
    Exit,
    args::{Format, Report},
    input, print, print_data, refuse, screen,
};

pub(super) async fn report(args: &Report) -> anyhow::Result<Exit> {
    let config = match args.config.as_deref().map(input::config).transpose() {
        Ok(config) => config,
        Err(problems) => return Ok(refuse(&problems)),
    };
    let since = Timestamp::now() - SignedDuration::try_from(args.since)?;
    let summary = match (&args.archive, &config) {
        (Some(dir), _) => from_archive(dir, since)?,
        (None, Some(Config { influxdb: Some(database), .. })) => from_database(database, since).await?,
        (None, Some(config)) => from_archive(&config.archive.dir, since)?,
        (None, None) => unreachable!("clap asks for one of them"),
    };
    let look = if args.output.is_some() { Look::default() } else { screen::look() };
    let text = match args.format {
        Format::Table => table::render(&summary, look),
        Format::Json => json::render(&summary),
    };
    match &args.output {
        None if matches!(args.format, Format::Json) => print_data(text.as_bytes())?,
        None => print(&text)?,
        Some(path) => fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?,
    }
    Ok(Exit::Done)
}

/// Everything in a data directory, delivered or not. What is damaged there is told, and left out.
pub(super) fn from_archive(dir: &Path, since: Timestamp) -> anyhow::Result<Summary> {
    let mut standard = Standard::default();
    let mut scan = Scan::new(reader::lines(dir, Some(since))?);
    let mut problems = 0;
    for point in &mut scan {
        match point {
            Ok(point) if point.at >= since => standard.add(&point),
            Ok(_) => {}
            Err(damage) => {
                problems += 1;
                if problems <= MOST_TOLD {
                    tracing::warn!("{damage}");
                }
            }
        }
    }
    if problems > MOST_TOLD {
        tracing::warn!(further = problems - MOST_TOLD, "more problems of the archive are not told one by one");
    }
    let damaged = scan.seen().damaged;
    if damaged > 0 {
        tracing::warn!(damaged, "lines of the archive are not understood and left out");
    }
    Ok(standard.summary())
}

async fn from_database(database: &InfluxDb, since: Timestamp) -> anyhow::Result<Summary> {
    let fetcher = Fetcher::new(database.extra_ca.as_deref())?;
    let mut standard = Standard::default();
    let mut pages = Pages::new(&database.bucket, since, Timestamp::now());
    let mut damaged = 0;
    while let Some(request) = pages.request() {
        let url = database.url.join(&request).context("[influxdb] url")?;
        let authorization = format!("Token {}", database.token.reveal());
        let body = fetcher.get(&url, Some(&authorization)).await.with_context(|| {
            format!("InfluxDB at {} cannot be asked; `--archive DIR` reads the archive instead", database.url)
        })?;
        let page = parse(&body).context("InfluxDB's answer")?;
        page.points.iter().for_each(|point| standard.add(point));
        damaged += page.damaged;
        pages.answered(page.rows);
    }
    if damaged > 0 {
        tracing::warn!(damaged, "rows of the database are not understood and left out");
    }
    Ok(standard.summary())
}

/// Problems of an archive that are told in full: a damaged file may have one a line.
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

    /// The warnings about a spooled file with so many lines that are not text.
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
        // Each bad line is one; the missing header and the missing end are two more.
        for (bad, lines, further) in
            [(1, 3, None), (3, 5, None), (4, 6, Some("further=1")), (100, 6, Some("further=97"))]
        {
            let told = told(bad);
            let counted = told.last().unwrap().split(' ').find(|word| word.starts_with("further="));
            assert_eq!((told.len(), counted), (lines, further), "{told:#?}");
        }
    }
}

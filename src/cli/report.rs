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
    input, print, refuse, screen,
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
        None => print(&text)?,
        Some(path) => fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?,
    }
    Ok(Exit::Done)
}

/// Everything in a data directory, delivered or not. What is damaged there is told, and left out.
pub(super) fn from_archive(dir: &Path, since: Timestamp) -> anyhow::Result<Summary> {
    let mut standard = Standard::default();
    let mut scan = Scan::new(reader::lines(dir, Some(since))?);
    for point in &mut scan {
        match point {
            Ok(point) if point.at >= since => standard.add(&point),
            Ok(_) => {}
            Err(damage) => tracing::warn!("{damage}"),
        }
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

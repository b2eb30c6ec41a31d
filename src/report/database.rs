//! Reads the points of a period from InfluxDB. [`query`] makes the queries and understands the answers; this module
//! sends them, one after the other over one connection. Nothing else in `report` does I/O.

use http::StatusCode;
use jiff::Timestamp;
use thiserror::Error;

use super::{
    Analysis,
    query::{self, Pages, QueryError},
};
use crate::{
    config::InfluxDb,
    net::{
        dial::DialerError,
        fetch::{FetchError, Fetcher, Session},
        resolve::Resolver,
    },
};

/// Why the points could not be read.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// The TLS settings cannot be used.
    #[error(transparent)]
    Tls(#[from] DialerError),
    /// The database does not answer, or rejects the token.
    #[error("cannot query InfluxDB at {database}; to read a data directory instead, use `--archive DIR`")]
    Query {
        /// The database's URL, and the source of a rejected token.
        database: String,
        /// The failure.
        source: FetchError,
    },
    /// The answer is an error, or not one of InfluxDB.
    #[error("InfluxDB's answer")]
    Answer(#[from] QueryError),
}

/// Reads everything from `since` to `until`. Calls `progress` after each answer, with the share of the period that is
/// read, from 0 to 1, and the number of transfers so far.
///
/// # Errors
/// When the database cannot be queried, or its answer is not understood.
pub async fn read(
    database: &InfluxDb,
    resolver: Resolver,
    (since, until): (Timestamp, Timestamp),
    mut progress: impl FnMut(f64, u64),
) -> Result<Analysis, DatabaseError> {
    let fetcher = Fetcher::new(database.extra_ca.as_deref(), resolver)?;
    let mut connection = Connection { database, session: fetcher.session() };
    let mut analysis = Analysis::default();
    let mut pages = Pages::new(&database.bucket, since, until);
    let mut transfers = 0;
    while let Some(request) = pages.request() {
        let body = match connection.send(&request).await {
            Err(FetchError::TooLong(_) | FetchError::Slow(_)) if pages.shorten_span() => continue,
            body => body.map_err(|error| connection.failure(error))?,
        };
        let page = query::parse(&body)?;
        page.points.iter().for_each(|point| analysis.standard.add(point));
        analysis.left_out.merge(&page.reasons);
        pages.answered(page.rows);
        transfers += page.points.len() as u64;
        progress(pages.answered_share(since), transfers);
    }
    // The slowest transfers have their own query, because their ids would double the size of the pages.
    let page = query::parse(&connection.query(&query::slowest::query(since, until)).await?)?;
    page.points.iter().for_each(|point| analysis.slowest.add(point));
    analysis.left_out.merge(&page.reasons);
    let states = connection.query(&query::health::query(since, until)).await?;
    let damaged = query::health::parse(&states, &mut analysis.health)?;
    (0..damaged).for_each(|_| analysis.left_out.count("a row about the state of a node".to_owned()));
    Ok(analysis)
}

/// A database, and the session in which it is queried.
struct Connection<'a> {
    database: &'a InfluxDb,
    session: Session<'a>,
}

impl Connection<'_> {
    /// The answer to an InfluxQL query.
    async fn query(&mut self, query: &str) -> Result<Vec<u8>, DatabaseError> {
        let answer = self.send(&query::target(&self.database.bucket, query)).await;
        answer.map_err(|error| self.failure(error))
    }

    /// The answer to a request, given as path and query.
    async fn send(&mut self, request: &str) -> Result<Vec<u8>, FetchError> {
        let (url, authorization) = (self.database.at(request), self.database.authorization());
        self.session.get(&url, Some(authorization.reveal())).await
    }

    fn failure(&self, source: FetchError) -> DatabaseError {
        let mut database = self.database.url.to_string();
        if matches!(&source, FetchError::Status { status, .. } if *status == StatusCode::UNAUTHORIZED) {
            database += &format!(": it rejects the token from {}", self.database.token_from);
        }
        DatabaseError::Query { database, source }
    }
}

//! Transfer points out of InfluxDB, by InfluxQL over `/query`: works on InfluxDB 1.8, 2 and 3.
//!
//! The answer comes in pages of [`PAGE_ROWS`], so that memory stays bounded whatever the database holds:
//!
//! ```text
//! let mut pages = Pages::new(bucket, since, until);
//! while let Some(target) = pages.request() {      // "/query?db=…&epoch=ns&q=…"
//!     let page = parse(&get(target))?;         // page.points into Standard::add
//!     pages.answered(page.rows);
//! }
//! ```

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value as Json;
use thiserror::Error;

use super::transfer_point::{FIELDS, TAGS, TransferPoint};
use crate::{
    model::text::printable,
    record::{line::nanoseconds, parse::Raw, schema::transfer as schema},
};

/// The requests that fetch all transfers of a time, one after the other.
#[derive(Clone, Debug)]
pub struct Pages {
    bucket: String,
    from: Timestamp,
    until: Timestamp,
    /// Rows of the current span that we have already.
    offset: u64,
}

/// The answer to one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The transfers.
    pub points: Vec<TransferPoint>,
    /// Rows of the answer, those that we did not understand included.
    pub rows: u64,
    /// Rows that we did not understand.
    pub damaged: u64,
}

/// Why an answer gives no transfers.
#[derive(Debug, Error)]
pub enum QueryError {
    /// Not JSON of the shape that `/query` answers in.
    #[error("the answer is not one of InfluxDB's /query")]
    NotInfluxDb(#[source] serde_json::Error),
    /// InfluxDB's own message.
    #[error("InfluxDB refused the query: {0}")]
    Refused(String),
}

/// Rows in one answer, at the most.
pub const PAGE_ROWS: u64 = 20_000;

/// Pages are counted within a span of this length, because an offset makes the database read what it skips.
pub const SPAN: SignedDuration = SignedDuration::from_hours(6);

impl Pages {
    /// All transfers in `bucket` from `since` on and before `until`.
    #[must_use]
    pub fn new(bucket: &str, since: Timestamp, until: Timestamp) -> Self {
        Self { bucket: bucket.to_owned(), from: since, until, offset: 0 }
    }

    /// The target of the next request, path and query; `None` when all is answered.
    #[must_use]
    pub fn request(&self) -> Option<String> {
        if self.from >= self.until {
            return None;
        }
        let text = query(self.from, self.span_end(), self.offset);
        // A bucket `name/policy` is written to as such, and read as two: 1.8, and 2.x where it is not mapped otherwise.
        let (database, policy) = self.bucket.split_once('/').unwrap_or((&self.bucket, ""));
        let parameters = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("db", database)
            .extend_pairs((!policy.is_empty()).then_some(("rp", policy)))
            .append_pair("epoch", "ns")
            .append_pair("q", &text)
            .finish();
        Some(format!("/query?{parameters}"))
    }

    /// Goes on to what follows an answer of so many rows.
    pub fn answered(&mut self, rows: u64) {
        if rows >= PAGE_ROWS {
            self.offset += rows;
        } else {
            self.from = self.span_end();
            self.offset = 0;
        }
    }

    fn span_end(&self) -> Timestamp {
        self.from.saturating_add(SPAN).map_or(self.until, |end| end.min(self.until))
    }
}

/// InfluxQL for the transfers from `since` on and before `until`, after the first `offset` of them.
#[must_use]
pub fn query(since: Timestamp, until: Timestamp, offset: u64) -> String {
    let fields = FIELDS.iter().map(|field| format!("{}::field", identifier(field.name)));
    let tags = TAGS.iter().map(|tag| format!("{}::tag", identifier(tag.0)));
    let columns: Vec<_> = fields.chain(tags).collect();
    format!(
        "SELECT {} FROM {} WHERE time >= {} AND time < {} LIMIT {PAGE_ROWS} OFFSET {offset}",
        columns.join(", "),
        identifier(schema::MEASUREMENT.name),
        nanoseconds(since),
        nanoseconds(until),
    )
}

/// Reads the JSON that `/query` answers with, times in nanoseconds.
///
/// # Errors
/// When it is no such JSON, or holds an error of InfluxDB's.
pub fn parse(body: &[u8]) -> Result<Page, QueryError> {
    let answer: Answer = serde_json::from_slice(body).map_err(QueryError::NotInfluxDb)?;
    let refused =
        |message: &str| QueryError::Refused(message.chars().take(MESSAGE_CHARS).map(|c| printable(c, ' ')).collect());
    if let Some(message) = answer.error.or(answer.message) {
        return Err(refused(&message));
    }
    let mut page = Page::default();
    for result in answer.results {
        if let Some(message) = result.error {
            return Err(refused(&message));
        }
        for series in result.series {
            for row in &series.values {
                page.rows += 1;
                match transfer(&series.columns, row) {
                    Some(point) => page.points.push(point),
                    None => page.damaged += 1,
                }
            }
        }
    }
    Ok(page)
}

/// Quotes an identifier (InfluxQL specification, "Identifiers").
#[must_use]
pub fn identifier(name: &str) -> String {
    let escaped = name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

fn transfer(columns: &[String], row: &[Json]) -> Option<TransferPoint> {
    let cell = |name: &str| row.get(columns.iter().position(|column| column == name)?);
    let at = Timestamp::from_nanosecond(i128::from(cell(TIME)?.as_i64()?)).ok()?;
    let column = |name: &str| match cell(name)? {
        Json::String(text) => Some(Raw::Text(Cow::Borrowed(text.as_str()))),
        Json::Number(number) => number.as_i64().map(Raw::Integer).or_else(|| number.as_f64().map(Raw::Float)),
        _ => None,
    };
    TransferPoint::from_columns(at, column).ok()
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Vec<Statement>,
    /// Of InfluxDB 1 and 3.
    error: Option<String>,
    /// Of InfluxDB 2.
    message: Option<String>,
}

#[derive(Deserialize)]
struct Statement {
    #[serde(default)]
    series: Vec<Series>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Series {
    columns: Vec<String>,
    #[serde(default)]
    values: Vec<Vec<Json>>,
}

/// The column that InfluxDB adds.
const TIME: &str = "time";

/// The longest message of InfluxDB's that we repeat.
const MESSAGE_CHARS: usize = 300;

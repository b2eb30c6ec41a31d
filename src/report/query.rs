//! Reads transfer points from InfluxDB by InfluxQL over `/query`. This works with InfluxDB 1.8, 2 and 3.
//!
//! The answer is split into pages of [`PAGE_ROWS`], so memory is bounded whatever the database contains:
//!
//! ```text
//! let mut pages = Pages::new(bucket, since, until);
//! while let Some(target) = pages.request() {      // "/query?db=…&epoch=ns&q=…"
//!     let page = parse(&get(target))?;         // page.points into Standard::add
//!     pages.answered(page.rows);
//! }
//! ```

use std::{borrow::Cow, collections::HashMap};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value as Json;
use thiserror::Error;

pub mod health;
pub mod slowest;

use crate::{
    model::text::printable,
    record::{
        columns::SchemaError,
        line::nanoseconds,
        parse::ColumnValue,
        reasons::Reasons,
        schema::{Field, Tag, transfer as schema},
        transfer_point::{FIELDS, TAGS, TransferPoint},
    },
};

/// The requests that fetch all transfers of a period, one after the other.
#[derive(Clone, Debug)]
pub struct Pages {
    bucket: String,
    from: Timestamp,
    until: Timestamp,
    /// The length of time that one query covers. It is chosen so that most answers are one page.
    span: SignedDuration,
    /// Rows of the current span that have already arrived.
    offset: u64,
}

/// The answer to one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The transfers.
    pub points: Vec<TransferPoint>,
    /// Rows of the answer, including those that were not understood.
    pub rows: u64,
    /// Rows that were not understood.
    pub damaged: u64,
    /// Why they were not understood.
    pub reasons: Reasons,
}

/// Why an answer contains no transfers.
#[derive(Debug, Error)]
pub enum QueryError {
    /// The answer is not JSON in the format of `/query`.
    #[error("the answer is not one of InfluxDB's /query")]
    NotInfluxDb(#[source] serde_json::Error),
    /// InfluxDB's own message.
    #[error("InfluxDB refused the query: {0}")]
    Refused(String),
}

/// The most rows in one answer. They are about 20 MB of JSON, and use 80 MB while they are read.
pub const PAGE_ROWS: u64 = 100_000;

/// The length of the first span. Later spans depend on the number of rows in the answers. Pages are counted within a
/// span, because with an offset the database reads the rows that it skips.
pub const SPAN: SignedDuration = SignedDuration::from_hours(6);

/// The shortest span.
pub const SHORTEST_SPAN: SignedDuration = SignedDuration::from_secs(60);

impl Pages {
    /// All transfers in `bucket` from `since` (included) to `until` (excluded).
    #[must_use]
    pub fn new(bucket: &str, since: Timestamp, until: Timestamp) -> Self {
        Self { bucket: bucket.to_owned(), from: since, until, span: SPAN, offset: 0 }
    }

    /// The target of the next request, path and query. `None` when everything is answered.
    #[must_use]
    pub fn request(&self) -> Option<String> {
        if self.from >= self.until {
            return None;
        }
        Some(target(&self.bucket, &query(self.from, self.span_end(), self.offset)))
    }

    /// Advances after an answer with this number of rows.
    pub fn answered(&mut self, rows: u64) {
        let total = self.offset + rows;
        if rows >= PAGE_ROWS {
            self.offset = total;
            return;
        }
        (self.from, self.offset) = (self.span_end(), 0);
        // The next span probably has as many rows per second as this one. If not, one more page costs little.
        let scale = (ROWS_WANTED / total.max(1) as f64).clamp(0.25, 4.0);
        let seconds = (self.span.as_secs_f64() * scale).clamp(SHORTEST_SPAN.as_secs_f64(), LONGEST_SPAN.as_secs_f64());
        self.span = SignedDuration::from_secs_f64(seconds);
    }

    /// Shortens the span after an answer that was too long or too slow. Returns false when it cannot be shortened.
    pub fn shorten_span(&mut self) -> bool {
        let is_possible = self.span > SHORTEST_SPAN && self.offset == 0;
        if is_possible {
            self.span = (self.span / 4).max(SHORTEST_SPAN);
        }
        is_possible
    }

    /// The share of the period that is answered, from 0 to 1.
    #[must_use]
    pub fn answered_share(&self, since: Timestamp) -> f64 {
        let all = self.until.duration_since(since).as_secs_f64();
        if all > 0.0 { self.from.duration_since(since).as_secs_f64() / all } else { 1.0 }
    }

    fn span_end(&self) -> Timestamp {
        self.from.saturating_add(self.span).map_or(self.until, |end| end.min(self.until))
    }
}

/// Path and query of a request that sends an InfluxQL query to a bucket. Times are in nanoseconds.
#[must_use]
pub fn target(bucket: &str, query: &str) -> String {
    // A bucket `name/policy` has this name when it is written, but is read as database and retention policy. This
    // applies to 1.8, and to 2.x without another mapping.
    let (database, policy) = bucket.split_once('/').unwrap_or((bucket, ""));
    let parameters = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("db", database)
        .extend_pairs((!policy.is_empty()).then_some(("rp", policy)))
        .append_pair("epoch", "ns")
        .append_pair("q", query)
        .finish();
    format!("/query?{parameters}")
}

/// InfluxQL for the transfers from `since` (included) to `until` (excluded), without the first `offset` of them.
#[must_use]
pub fn query(since: Timestamp, until: Timestamp, offset: u64) -> String {
    let columns: Vec<_> = columns(&FIELDS, &TAGS).collect();
    format!(
        "SELECT {} FROM {} WHERE {} LIMIT {PAGE_ROWS} OFFSET {offset}",
        columns.join(", "),
        identifier(schema::MEASUREMENT.name),
        within(since, until),
    )
}

/// Reads the JSON of a `/query` answer, with times in nanoseconds.
///
/// # Errors
/// When it is not such JSON, or contains an error from InfluxDB.
pub fn parse(body: &[u8]) -> Result<Page, QueryError> {
    let mut page = Page::default();
    for series in series(body)? {
        for row in series.rows() {
            page.rows += 1;
            let read = row.at().ok_or(SchemaError::Missing(TIME));
            match read.and_then(|at| TransferPoint::from_columns(at, |name| row.column(name))) {
                Ok(point) => page.points.push(point),
                Err(error) => {
                    page.damaged += 1;
                    page.reasons.count(error.to_string());
                }
            }
        }
    }
    Ok(page)
}

/// All series of an answer, from all of its statements.
fn series(body: &[u8]) -> Result<Vec<Series>, QueryError> {
    let answer: Answer = serde_json::from_slice(body).map_err(QueryError::NotInfluxDb)?;
    let refused =
        |message: &str| QueryError::Refused(message.chars().take(MESSAGE_CHARS).map(|c| printable(c, ' ')).collect());
    if let Some(message) = answer.error.or(answer.message) {
        return Err(refused(&message));
    }
    let mut series = Vec::new();
    for result in answer.results {
        if let Some(message) = result.error {
            return Err(refused(&message));
        }
        series.extend(result.series);
    }
    Ok(series)
}

/// Quotes an identifier (InfluxQL specification, "Identifiers").
#[must_use]
pub fn identifier(name: &str) -> String {
    let escaped = name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

fn columns(fields: &[Field], tags: &[Tag]) -> impl Iterator<Item = String> {
    let fields = fields.iter().map(|field| format!("{}::field", identifier(field.name)));
    fields.chain(tags.iter().map(|tag| format!("{}::tag", identifier(tag.0)))).collect::<Vec<_>>().into_iter()
}

fn within(since: Timestamp, until: Timestamp) -> String {
    format!("time >= {} AND time < {}", nanoseconds(since), nanoseconds(until))
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Vec<Statement>,
    /// Error message of InfluxDB 1 and 3.
    error: Option<String>,
    /// Error message of InfluxDB 2.
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
    #[serde(default)]
    tags: HashMap<String, Json>,
    columns: Vec<String>,
    #[serde(default)]
    values: Vec<Vec<Json>>,
}

impl Series {
    fn rows(&self) -> impl Iterator<Item = AnswerRow<'_>> {
        self.values.iter().map(|cells| AnswerRow { series: self, cells })
    }
}

/// One row, and the tags of its series.
struct AnswerRow<'a> {
    series: &'a Series,
    cells: &'a [Json],
}

impl<'a> AnswerRow<'a> {
    fn at(&self) -> Option<Timestamp> {
        Timestamp::from_nanosecond(i128::from(self.cell(TIME)?.as_i64()?)).ok()
    }

    /// The value of a column: a field, or a tag of the row or of its series.
    fn column(&self, name: &str) -> Option<ColumnValue<'a>> {
        match self.cell(name).or_else(|| self.series.tags.get(name))? {
            Json::String(text) => Some(ColumnValue::Text(Cow::Borrowed(text.as_str()))),
            Json::Number(number) => {
                number.as_i64().map(ColumnValue::Integer).or_else(|| number.as_f64().map(ColumnValue::Float))
            }
            _ => None,
        }
    }

    fn cell(&self, name: &str) -> Option<&'a Json> {
        self.cells.get(self.series.columns.iter().position(|column| column == name)?)
    }
}

/// The number of rows that a span should have. It is three quarters of a page, so that most spans need one page.
const ROWS_WANTED: f64 = 0.75 * PAGE_ROWS as f64;

/// The longest span. A longer one would save few requests.
const LONGEST_SPAN: SignedDuration = SignedDuration::from_hours(32 * 24);

/// The column that InfluxDB adds.
const TIME: &str = "time";

/// Characters of an InfluxDB message that are repeated.
const MESSAGE_CHARS: usize = 300;

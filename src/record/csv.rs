//! Comma-separated values: one measurement, with a header row and one row per point, so that a spreadsheet or a data
//! frame can read it directly.
//!
//! The columns are those of the schema, in its order: `time` (RFC 3339, nanoseconds, UTC, as in NDJSON), all tags, and
//! all fields. A value that was not measured is an empty cell. A cell that contains a comma, a quote or a line break is
//! quoted, and its quotes are doubled (RFC 4180, section 2). A row ends with a line feed only. awk, cut and sort expect
//! this, and CRLF would leave a stray byte in the last column. CSV readers accept it too (W3C, "Model for Tabular Data
//! and Metadata on the Web", section 8: CRLF and LF are both line terminators by default).

use std::fmt::Write;

use super::{
    parse::{ColumnValue, ParsedLine},
    schema::Measurement,
};

/// Appends the header row, including its line feed.
pub fn header(measurement: &Measurement, out: &mut String) {
    out.push_str("time");
    let tags = measurement.tags.iter().map(|tag| tag.0);
    for name in tags.chain(measurement.fields.iter().map(|field| field.name)) {
        out.push(',');
        out.push_str(name);
    }
    out.push('\n');
}

/// Appends the row of a point of this measurement, including its line feed. Returns how many of its tags and fields
/// have no column and are therefore left out.
pub fn row(measurement: &Measurement, point: &ParsedLine<'_>, out: &mut String) -> usize {
    write(out, format_args!("{:.9}", point.time));
    let mut known = 0;
    for tag in measurement.tags {
        out.push(',');
        if let Some((_, value)) = point.tags.iter().find(|(key, _)| key == tag.0) {
            known += 1;
            cell(value, out);
        }
    }
    for field in measurement.fields {
        out.push(',');
        if let Some((_, value)) = point.fields.iter().find(|(key, _)| key == field.name) {
            known += 1;
            match value {
                ColumnValue::Text(text) => cell(text, out),
                ColumnValue::Integer(integer) => write(out, format_args!("{integer}")),
                ColumnValue::Float(float) => write(out, format_args!("{float}")),
            }
        }
    }
    out.push('\n');
    point.tags.len() + point.fields.len() - known
}

fn cell(text: &str, out: &mut String) {
    if !text.contains([',', '"', '\r', '\n']) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        if c == '"' {
            out.push('"');
        }
        out.push(c);
    }
    out.push('"');
}

fn write(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("invariant: writing to a String does not fail");
}

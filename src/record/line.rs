//! InfluxDB line protocol: one line per point.
//!
//! Reference: "Line protocol", docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol. In tag values, `,`, `=`
//! and space are escaped with a backslash, and a backslash itself cannot be escaped. In strings, `"` and `\` are
//! escaped. [`Point`] has already replaced everything that cannot be escaped.

use std::fmt::Write;

use jiff::Timestamp;

use super::point::{Point, Value};

/// The longest line that is read, in bytes, from the archive or anywhere else. The longest lines that are written are the
/// histograms of a window, some tens of kB.
pub const MAX_LINE: usize = 1 << 20;

/// Appends the line of a point, including its newline. InfluxDB does not accept a point without fields, so nothing is
/// appended for it.
pub fn encode(point: &Point, out: &mut String) {
    if point.fields().is_empty() {
        return;
    }
    out.push_str(point.measurement().name);
    for (tag, value) in point.tags() {
        out.push(',');
        out.push_str(tag.0);
        out.push('=');
        escape(value, &[',', '=', ' '], out);
    }
    for (index, (field, value)) in point.fields().iter().enumerate() {
        out.push(if index == 0 { ' ' } else { ',' });
        out.push_str(field.name);
        out.push('=');
        encode_value(value, out);
    }
    append(out, format_args!(" {}\n", nanoseconds(point.time())));
}

/// Nanoseconds since 1970, clamped to what InfluxDB can store (1677 to 2262).
#[must_use]
pub fn nanoseconds(time: Timestamp) -> i64 {
    // `models.MinNanoTime` and `models.MaxNanoTime` of InfluxDB 2.
    let clamped = time.as_nanosecond().clamp(i128::from(i64::MIN + 2), i128::from(i64::MAX - 1));
    i64::try_from(clamped).expect("invariant: clamped to 64 bits")
}

fn encode_value(value: &Value, out: &mut String) {
    match value {
        Value::Integer(integer) => append(out, format_args!("{integer}i")),
        Value::Float(float) => append(out, format_args!("{float}")),
        Value::Text(text) => {
            out.push('"');
            escape(text, &['"', '\\'], out);
            out.push('"');
        }
    }
}

fn escape(text: &str, special: &[char], out: &mut String) {
    for c in text.chars() {
        if special.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
}

fn append(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("invariant: writing to a String does not fail");
}

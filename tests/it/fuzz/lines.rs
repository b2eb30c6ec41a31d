//! `record_lines`: any bytes as a line of line protocol. Whatever is parsed as a point must be the same point after it
//! is written and parsed again.

use bandprobe::{
    record::parse::{ColumnValue, ParsedLine, parse},
    record::scan::{Line, read},
};

/// The target.
pub(super) fn record_lines(input: &[u8]) {
    let scanned = read(input);
    let Ok(text) = str::from_utf8(input) else {
        assert!(matches!(scanned, Line::Damaged), "{scanned:?}");
        return;
    };
    let Some(point) = parse(text) else { return };
    let written = written(&point);
    assert_eq!(parse(&written).as_ref(), Some(&point), "{written}");
}

fn written(point: &ParsedLine<'_>) -> String {
    let tags = point.tags.iter().map(|(key, value)| format!(",{}={}", name(key), name(value)));
    let fields = point.fields.iter().map(|(key, value)| {
        let value = match value {
            ColumnValue::Integer(integer) => format!("{integer}i"),
            ColumnValue::Float(float) => format!("{float:e}"),
            ColumnValue::Text(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        };
        format!("{}={value}", name(key))
    });
    let (tags, fields): (String, Vec<_>) = (tags.collect(), fields.collect());
    format!("{}{tags} {} {}", name(&point.measurement), fields.join(","), point.time.as_nanosecond())
}

/// `,` `=` and space escaped. An end of the name or a tag's value in a line never follows a backslash.
fn name(text: &str) -> String {
    text.replace(',', "\\,").replace('=', "\\=").replace(' ', "\\ ")
}

//! Checks whether a line that others wrote is a point of this schema.
//!
//! The database keeps the type of a field forever, and an extra tag creates a separate series. A line with such an
//! error must not reach the database.

use super::{
    parse::{ColumnValue, ParsedLine},
    point::BLOB_BYTES,
    schema::{self, Kind, Measurement},
};

/// The problem of a point of another measurement.
pub const FOREIGN: &str = "of a measurement that is not bandprobe's";

/// Why a point does not conform to the schema; `None` when it does. The text contains nothing from the line, so that
/// equal problems can be counted.
#[must_use]
pub fn problem(point: &ParsedLine<'_>) -> Option<String> {
    let Some(measurement) = schema::ALL.iter().find(|known| known.name == point.measurement) else {
        return Some(FOREIGN.to_owned());
    };
    tags(measurement, point).or_else(|| fields(measurement, point))
}

fn tags(measurement: &Measurement, point: &ParsedLine<'_>) -> Option<String> {
    let has = |name: &str| point.tags.iter().any(|(key, _)| key == name);
    if let Some(missing) = measurement.tags.iter().find(|tag| !has(tag.0)) {
        return Some(format!("without the tag `{}`", missing.0));
    }
    let is_more = point.tags.len() > measurement.tags.len();
    is_more.then(|| "with a tag that is not in the schema of this version".to_owned())
}

fn fields(measurement: &Measurement, point: &ParsedLine<'_>) -> Option<String> {
    for (index, (key, value)) in point.fields.iter().enumerate() {
        let Some(field) = measurement.fields.iter().find(|field| field.name == key) else {
            return Some("with a field that is not in the schema of this version".to_owned());
        };
        if point.fields[..index].iter().any(|(earlier, _)| earlier == key) {
            return Some(format!("with two values of `{}`", field.name));
        }
        let kind = match value {
            ColumnValue::Integer(_) => Kind::Integer,
            ColumnValue::Float(_) => Kind::Float,
            ColumnValue::Text(text) if text.len() > BLOB_BYTES => return Some("with a text over 64 KiB".to_owned()),
            ColumnValue::Text(_) => Kind::Text,
        };
        if kind != field.kind {
            return Some(format!("where `{}` is not of type {}", field.name, field.kind.label()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{super::parse::parse, *};

    #[test]
    fn only_points_of_the_schema_conform() {
        let worker = "bandprobe_worker,vantage=v,worker=w";
        for (line, expected) in [
            (format!("{worker} nodes=3i 1"), None),
            (format!("{worker} nodes=3i,version=\"1\" 1"), None),
            (format!("{worker} nodes=3 1"), Some("where `nodes` is not of type integer")),
            (format!("{worker} version=3i 1"), Some("where `version` is not of type string")),
            (format!("{worker} nodes=3i,nodes=4i 1"), Some("with two values of `nodes`")),
            (format!("{worker} unknown=3i 1"), Some("with a field that is not in the schema of this version")),
            (format!("{worker},colour=red nodes=3i 1"), Some("with a tag that is not in the schema of this version")),
            ("bandprobe_worker,vantage=v nodes=3i 1".to_owned(), Some("without the tag `worker`")),
            ("cpu,host=a usage=3 1".to_owned(), Some("of a measurement that is not bandprobe's")),
        ] {
            assert_eq!(problem(&parse(&line).unwrap()).as_deref(), expected, "{line}");
        }
    }
}

//! CSV, read back by another library.

use bandprobe::record::{
    csv,
    line::encode,
    parse::parse,
    point::{Point, Value},
    schema::{self, Measurement, transfer as fields},
    transfer::transfer,
};
use proptest::prelude::*;

use super::samples::{failed, image, video};

/// Header and rows, read by another library.
fn read(text: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let cells = |record: &::csv::StringRecord| record.iter().map(str::to_owned).collect();
    let header = cells(reader.headers().unwrap());
    (header, reader.records().map(|record| cells(&record.unwrap())).collect())
}

/// The row of a line, and the number of its values without a column.
fn row(measurement: &Measurement, line: &str) -> (Vec<String>, usize) {
    let mut text = String::new();
    csv::header(measurement, &mut text);
    let left_out = csv::row(measurement, &parse(line).unwrap(), &mut text);
    let (_, mut rows) = read(&text);
    assert_eq!(rows.len(), 1, "{text:?}");
    (rows.remove(0), left_out)
}

/// The expected row of a point, from the point and the schema only.
fn expected(point: &Point) -> Vec<String> {
    let measurement = point.measurement();
    let value = |name: &str| {
        point.fields().iter().find(|(field, _)| field.name == name).map(|(_, value)| match value {
            Value::Integer(integer) => integer.to_string(),
            Value::Float(float) => float.to_string(),
            Value::Text(text) => text.clone(),
        })
    };
    let mut cells = vec![format!("{:.9}", point.time())];
    cells.extend(point.tags().map(|(_, value)| value.to_owned()));
    cells.extend(measurement.fields.iter().map(|field| value(field.name).unwrap_or_default()));
    cells
}

fn line(point: &Point) -> String {
    let mut line = String::new();
    encode(point, &mut line);
    line.trim_end().to_owned()
}

#[test]
fn columns_are_the_time_and_the_schema() {
    for measurement in schema::ALL {
        let mut text = String::new();
        csv::header(measurement, &mut text);
        let names = measurement.tags.iter().map(|tag| tag.0).chain(measurement.fields.iter().map(|field| field.name));
        let names: Vec<String> = ["time"].into_iter().chain(names).map(str::to_owned).collect();
        assert_eq!(read(&text), (names, vec![]));
        assert!(text.ends_with('\n') && !text.contains('\r'), "{text:?}");
    }
}

#[test]
fn an_unmeasured_value_is_an_empty_cell() {
    let bad = failed(video(), bandprobe::model::outcome::Outcome::ConnectTimeout);
    for sample in [video(), image("fra1", 5, 80_000), bad] {
        let point = transfer(&sample);
        assert_eq!(row(&fields::MEASUREMENT, &line(&point)), (expected(&point), 0));
    }
}

#[test]
fn unknown_columns_are_left_out_and_counted() {
    let point = transfer(&video());
    let newer =
        line(&point).replacen(",node=fra1", ",node=fra1,planet=earth", 1).replacen(" ok=1i", " x=1i,y=\"z\",ok=1i", 1);
    assert_eq!(row(&fields::MEASUREMENT, &newer), (expected(&point), 3));
}

proptest! {
    #[test]
    fn any_content_stays_in_its_cell(node in ".{0,40}", asset in ".{0,40}", server in "[\",;\\\\ a\n\r]{0,20}") {
        let mut sample = video();
        sample.labels.node = node.as_str().into();
        sample.trail.asset_id = Some(asset.as_str().into());
        sample.trail.server = Some(server.as_str().into());
        let point = transfer(&sample);
        prop_assert_eq!(row(&fields::MEASUREMENT, &line(&point)), (expected(&point), 0));
    }

    /// Lines of the archive hold no line breaks, but a cell could.
    #[test]
    fn line_breaks_are_quoted(text in "[a\",\n\r]{1,20}") {
        let quoted = text.replace('"', "\\\"");
        let line = format!("bandprobe_transfer,node=a server=\"{quoted}\" 1");
        let at = 1 + fields::MEASUREMENT.tags.len();
        let column = fields::MEASUREMENT.fields.iter().position(|field| *field == fields::SERVER).unwrap();
        prop_assert_eq!(&row(&fields::MEASUREMENT, &line).0[at + column], &text);
    }
}

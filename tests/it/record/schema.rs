//! The schema as text, compared with a file: a changed type breaks the trends of every user.

use std::fmt::Write;

use bandprobe::record::schema;

#[test]
fn the_schema_matches_the_recorded_one() {
    let mut text = String::new();
    for measurement in schema::ALL {
        writeln!(text, "{}", measurement.name).unwrap();
        for tag in measurement.tags {
            writeln!(text, "  tag    {}", tag.0).unwrap();
        }
        for field in measurement.fields {
            let line = format!("  field  {:<20} {:<8} {}", field.name, field.kind.label(), field.unit);
            writeln!(text, "{}", line.trim_end()).unwrap();
        }
    }
    assert_eq!(text, include_str!("../../data/record/schema.txt"));
}

#[test]
fn keys_need_no_escape_and_are_unique() {
    for measurement in schema::ALL {
        let mut keys: Vec<&str> = measurement.tags.iter().map(|tag| tag.0).collect();
        keys.extend(measurement.fields.iter().map(|field| field.name));
        keys.push(measurement.name);
        for key in &keys {
            assert!(key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{key}");
        }
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count, "{}", measurement.name);
    }
}

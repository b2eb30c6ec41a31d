//! NDJSON: one flat object per line, from the same point as the line protocol, so that both agree field by field.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::point::{Point, Value};

/// Appends the object of a point, including its newline: `measurement`, `time` (RFC 3339, nanoseconds, UTC), tags and
/// fields, in the order of the schema.
pub fn encode(point: &Point, out: &mut String) {
    let object = serde_json::to_string(&Flat(point)).expect("invariant: keys are strings and numbers are finite");
    out.push_str(&object);
    out.push('\n');
}

struct Flat<'a>(&'a Point);

impl Serialize for Flat<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("measurement", self.0.measurement().name)?;
        map.serialize_entry("time", &format!("{:.9}", self.0.time()))?;
        for (tag, value) in self.0.tags() {
            map.serialize_entry(tag.0, value)?;
        }
        for (field, value) in self.0.fields() {
            match value {
                Value::Integer(integer) => map.serialize_entry(field.name, integer)?,
                Value::Float(float) => map.serialize_entry(field.name, float)?,
                Value::Text(text) => map.serialize_entry(field.name, text)?,
            }
        }
        map.end()
    }
}

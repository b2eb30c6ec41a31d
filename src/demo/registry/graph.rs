//! The registry's data: objects of GraphQL types that refer to each other, the same for every dialect in form.

use std::collections::HashMap;

use apollo_compiler::response::JsonValue;

/// All objects, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Graph {
    records: Vec<Record>,
}

/// Which object.
pub(super) type Key = usize;

/// One object.
#[derive(Debug)]
pub(super) struct Record {
    /// Its GraphQL type.
    pub(super) kind: &'static str,
    pub(super) fields: HashMap<&'static str, Field>,
}

/// A field of an object. One that is not there is null.
#[derive(Clone, Debug)]
pub(super) enum Field {
    Leaf(JsonValue),
    One(Key),
    Many(Vec<Key>),
}

impl Graph {
    /// Adds an object.
    pub(super) fn add<const N: usize>(&mut self, kind: &'static str, fields: [(&'static str, Field); N]) -> Key {
        self.records.push(Record { kind, fields: fields.into() });
        self.records.len() - 1
    }

    /// Sets a field of an object, where two refer to each other.
    pub(super) fn set(&mut self, key: Key, name: &'static str, field: Field) {
        self.records[key].fields.insert(name, field);
    }

    /// Appends to a list of an object.
    pub(super) fn push(&mut self, key: Key, name: &'static str, other: Key) {
        if let Field::Many(list) = self.records[key].fields.entry(name).or_insert_with(|| Field::Many(vec![])) {
            list.push(other);
        }
    }

    /// The object.
    pub(super) fn record(&self, key: Key) -> &Record {
        &self.records[key]
    }

    /// All objects of a type.
    pub(super) fn of_kind(&self, kind: &str) -> Vec<Key> {
        (0..self.records.len()).filter(|key| self.records[*key].kind == kind).collect()
    }
}

/// A scalar.
pub(super) fn leaf(value: impl Into<JsonValue>) -> Field {
    Field::Leaf(value.into())
}

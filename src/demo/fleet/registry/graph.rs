//! The registry's data: objects of GraphQL types that refer to each other, in one form for all dialects.

use std::collections::HashMap;

use apollo_compiler::response::JsonValue;

/// All objects, in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Graph {
    records: Vec<Record>,
}

/// The index of an object.
pub(super) type Key = usize;

/// One object.
#[derive(Debug)]
pub(super) struct Record {
    /// The name of its GraphQL type.
    pub(super) kind: &'static str,
    pub(super) fields: HashMap<&'static str, Field>,
}

/// A field of an object. A missing field is null.
#[derive(Clone, Debug)]
pub(super) enum Field {
    Leaf(JsonValue),
    One(Key),
    Many(Vec<Key>),
}

impl Graph {
    /// Adds an object, and returns its key.
    pub(super) fn add<const N: usize>(&mut self, kind: &'static str, fields: [(&'static str, Field); N]) -> Key {
        self.records.push(Record { kind, fields: fields.into() });
        self.records.len() - 1
    }

    /// Sets a field of an object, for objects that refer to each other.
    pub(super) fn set(&mut self, key: Key, name: &'static str, field: Field) {
        self.records[key].fields.insert(name, field);
    }

    /// Appends an object to a list field of another object.
    pub(super) fn push(&mut self, key: Key, name: &'static str, other: Key) {
        if let Field::Many(list) = self.records[key].fields.entry(name).or_insert_with(|| Field::Many(vec![])) {
            list.push(other);
        }
    }

    pub(super) fn record(&self, key: Key) -> &Record {
        &self.records[key]
    }

    /// All objects of a type, in the order in which they were added.
    pub(super) fn of_kind(&self, kind: &str) -> Vec<Key> {
        (0..self.records.len()).filter(|key| self.records[*key].kind == kind).collect()
    }
}

/// A scalar field.
pub(super) fn leaf(value: impl Into<JsonValue>) -> Field {
    Field::Leaf(value.into())
}

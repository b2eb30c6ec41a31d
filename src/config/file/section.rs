//! One table of a document, read key by key.

use std::cell::RefCell;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{super::problem::SourceLocation, Document, value::RawValue};

/// One table, which may be missing. Keys that are never asked for are unknown keys.
pub(in super::super) struct Section<'d> {
    pub(super) document: &'d Document<'d>,
    /// Key path of the table; empty for the root.
    path: String,
    line: Option<usize>,
    table: Option<&'d DeTable<'d>>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'d> Section<'d> {
    pub(super) fn root(document: &'d Document<'d>, table: &'d DeTable<'d>) -> Self {
        Self { document, path: String::new(), line: None, table: Some(table), asked: RefCell::default() }
    }

    /// Whether the table was written, or a variable sets a key in it.
    pub(in super::super) fn is_present(&self) -> bool {
        self.table.is_some() || (self.is_top_level() && self.document.environment.reaches(&self.path))
    }

    /// Its key path, as in `source[0].nodes[2]`.
    pub(in super::super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether the key is set in the file itself.
    pub(in super::super) fn is_written(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Whether the key is set to a list without entries.
    pub(in super::super) fn is_empty_list(&self, key: &str) -> bool {
        let written = self.table.and_then(|table| table.get(key));
        written.and_then(|item| item.get_ref().as_array()).is_some_and(|array| array.is_empty())
    }

    /// Whether the key is set, to a valid or an invalid value.
    pub(in super::super) fn has(&self, key: &'static str) -> bool {
        self.find(key).is_some()
    }

    /// The table at a key; an empty one if it was not written.
    pub(in super::super) fn section(&self, key: &'static str) -> Section<'d> {
        let item = self.find_written(key);
        let table = match item.map(Spanned::get_ref) {
            Some(DeValue::Table(table)) => Some(table),
            Some(other) => self.wrong_type(key, "a table", other),
            None => None,
        };
        let line = item.map(|item| self.document.line(item.span().start));
        Self { document: self.document, path: self.path_of(key), line, table, asked: RefCell::default() }
    }

    /// The tables of the list at a key. A list of more than `most` is refused as a whole.
    pub(in super::super) fn sections(&self, key: &'static str, most: usize) -> Vec<Section<'d>> {
        let array = match self.find_written(key).map(Spanned::get_ref) {
            Some(DeValue::Array(array)) => array,
            Some(other) => {
                self.wrong_type::<()>(key, "a list of tables", other);
                return Vec::new();
            }
            None => return Vec::new(),
        };
        if array.len() > most {
            self.refuse(key, format!("{} entries are too many: at most {most} are allowed", array.len()));
            return Vec::new();
        }
        let sections = array.iter().enumerate().filter_map(|(index, item)| {
            let place = self.item_place(key, index, item);
            let DeValue::Table(table) = item.get_ref() else {
                let message = format!("expected a table, found {}", name_of(item.get_ref()));
                self.document.refuse(place, message, None);
                return None;
            };
            Some(self.below(place, table))
        });
        sections.collect()
    }

    /// A table at some place below this one.
    pub(super) fn below(&self, place: SourceLocation, table: &'d DeTable<'d>) -> Self {
        let asked = RefCell::default();
        Self { document: self.document, path: place.key, line: place.line, table: Some(table), asked }
    }

    /// Adds a problem at a key.
    pub(in super::super) fn refuse(&self, key: &'static str, message: impl Into<String>) {
        self.document.refuse(self.place(key), message, None);
    }

    /// Adds a problem at a key, with what to do about it.
    pub(in super::super) fn refuse_with(&self, key: &'static str, message: impl Into<String>, hint: impl Into<String>) {
        self.document.refuse(self.place(key), message, Some(hint.into()));
    }

    /// Adds a problem at a place, with what to do about it.
    pub(in super::super) fn refuse_at(&self, place: SourceLocation, message: impl Into<String>, hint: &str) {
        self.document.refuse(place, message, Some(hint.to_owned()));
    }

    /// Returns the value, and adds a problem when the key is not set at all. An invalid value has been reported
    /// already.
    pub(in super::super) fn required<T>(&self, key: &'static str, value: Option<T>, hint: &str) -> Option<T> {
        if value.is_none() && !self.has(key) {
            self.refuse_with(key, "is missing", hint);
        }
        value
    }

    /// Where a key was written: the variable or the line in the file. When it was not written, the line of its table.
    pub(in super::super) fn place(&self, key: &str) -> SourceLocation {
        let key_path = self.path_of(key);
        if let Some((name, _)) = self.variable(key) {
            return SourceLocation { origin: name, line: None, key: key_path };
        }
        let written = self.table.and_then(|table| table.get(key)).map(|item| self.document.line(item.span().start));
        SourceLocation { origin: self.document.name.clone(), line: written.or(self.line), key: key_path }
    }

    /// Adds a problem for every key that was never asked for.
    pub(in super::super) fn done(self) {
        let asked = self.asked.borrow();
        for (key, _) in self.table.into_iter().flatten() {
            if asked.contains(&key.get_ref().as_ref()) {
                continue;
            }
            let line = Some(self.document.line(key.span().start));
            let place = SourceLocation { line, ..self.place(key.get_ref()) };
            let hint = match nearest(key.get_ref(), asked.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known keys: {}", asked.join(", ")),
            };
            self.document.refuse(place, "no such key", Some(hint));
        }
    }

    pub(super) fn find(&self, key: &'static str) -> Option<RawValue<'d>> {
        let written = self.find_written(key).map(|item| RawValue::Written(item.get_ref()));
        self.variable(key).map(|(_, text)| RawValue::Variable(text)).or(written)
    }

    fn find_written(&self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        if !self.asked.borrow().contains(&key) {
            self.asked.borrow_mut().push(key);
            self.document.accepted.borrow_mut().push(without_indices(&self.path_of(key)));
        }
        self.table?.get(key)
    }

    fn variable(&self, key: &str) -> Option<(String, &'d str)> {
        if self.is_top_level() { self.document.environment.variable(&self.path, key) } else { None }
    }

    fn is_top_level(&self) -> bool {
        !self.path.is_empty() && !self.path.contains(['.', '['])
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn item_place(&self, key: &str, index: usize, item: &Spanned<DeValue<'_>>) -> SourceLocation {
        SourceLocation {
            origin: self.document.name.clone(),
            line: Some(self.document.line(item.span().start)),
            key: format!("{}[{index}]", self.path_of(key)),
        }
    }

    pub(super) fn split(&self, key: &'static str, text: &str) -> Vec<(String, SourceLocation)> {
        text.split(',').map(|part| (part.trim().to_owned(), self.place(key))).collect()
    }

    pub(super) fn wrong_type<T>(&self, key: &'static str, wanted: &str, found: &DeValue<'_>) -> Option<T> {
        self.refuse(key, format!("expected {wanted}, found {}", name_of(found)));
        None
    }
}

/// The most similar of the known words, if one is similar enough.
pub(in super::super) fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let most = (word.len() / 3).max(1);
    let near = known.map(|other| (strsim::damerau_levenshtein(word, other), other));
    near.filter(|(distance, _)| *distance <= most).min_by_key(|(distance, _)| *distance).map(|(_, other)| other)
}

pub(super) fn name_of(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the string `{text}`"),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(value) => format!("`{value}`"),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

fn without_indices(path: &str) -> String {
    let mut inside = false;
    let kept = path.chars().filter(|c| {
        inside = (inside || *c == '[') && *c != ']';
        !inside && *c != ']'
    });
    kept.collect()
}

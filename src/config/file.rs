//! A TOML document as the user wrote it, read key by key.
//!
//! A derived deserializer stops at the first wrong value. Here every key is asked for by name and type. A wrong value
//! adds a [`Problem`] with its line and counts as unset. A key that is never asked for is an unknown key. Environment
//! variables override the scalar keys of the top-level sections: `BANDPROBE_LIMITS_VANTAGES` sets `limits.vantages`.

use std::cell::RefCell;

use toml::{
    Spanned,
    de::{DeTable, Error},
};

use super::problem::{Problem, SourceLocation};

mod environment;
mod section;
mod value;

pub(super) use self::{
    environment::Environment,
    section::{Section, nearest},
    value::{ListItem, Switch},
};

/// The most nodes that one configuration may list.
pub const MAX_NODES: usize = 10_000;
/// Size allowed for each node. An ordinary node with two assets has 190 bytes, one with 30 assets of known size and
/// hash 4 kB.
const BYTES_PER_NODE: usize = 4 << 10;
/// Size allowed for everything except nodes, and for a probe file.
const MAX_SETTINGS_BYTES: usize = 1 << 20;
/// The largest configuration file. It has room for the most nodes; a larger file is probably not a configuration.
pub const MAX_CONFIG_BYTES: usize = MAX_SETTINGS_BYTES + MAX_NODES * BYTES_PER_NODE;
/// The largest probe file. It lists no nodes.
pub(super) const MAX_PROBE_BYTES: usize = MAX_SETTINGS_BYTES;

/// One parsed file, the problems found in it so far, and the keys that were asked for.
pub(super) struct Document<'a> {
    name: String,
    line_starts: Vec<usize>,
    root: Spanned<DeTable<'a>>,
    environment: Environment<'a>,
    problems: RefCell<Vec<Problem>>,
    accepted: RefCell<Vec<String>>,
}

/// Decodes a file of at most `most` bytes. `advice` says what to do about a larger one.
///
/// # Errors
/// When the file is too large or not UTF-8.
pub(super) fn utf8<'a>(name: &str, bytes: &'a [u8], most: usize, advice: &str) -> Result<&'a str, Problem> {
    let refuse = |line, message: String| Problem {
        place: SourceLocation { origin: name.to_owned(), line, key: String::new() },
        message,
        hint: None,
    };
    if bytes.len() > most {
        return Err(refuse(None, format!("is larger than {} MiB: {advice}", most >> 20)));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        refuse(Some(line), "is not UTF-8 text: save it as UTF-8".to_owned())
    })
}

impl<'a> Document<'a> {
    /// Parses the text.
    ///
    /// # Errors
    /// All syntax errors. The rest of the document is not checked then, because that would report false problems.
    pub(super) fn parse(name: &str, text: &'a str, environment: Environment<'a>) -> Result<Self, Vec<Problem>> {
        let line_starts =
            std::iter::once(0).chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1));
        let (root, errors) = DeTable::parse_recoverable(text);
        let document = Self {
            name: name.to_owned(),
            line_starts: line_starts.collect(),
            root,
            environment,
            problems: RefCell::default(),
            accepted: RefCell::default(),
        };
        errors.iter().for_each(|error| document.refuse_syntax(error));
        if errors.is_empty() {
            return Ok(document);
        }
        let mut problems = document.problems.into_inner();
        sort(&mut problems, name);
        Err(problems)
    }

    /// The top level of the document.
    pub(super) fn root(&self) -> Section<'_> {
        Section::root(self, self.root.get_ref())
    }

    /// Adds a problem.
    pub(super) fn refuse(&self, place: SourceLocation, message: impl Into<String>, hint: Option<String>) {
        self.problems.borrow_mut().push(Problem { place, message: message.into(), hint });
    }

    /// Adds the problems of another file.
    pub(super) fn refuse_all(&self, problems: Vec<Problem>) {
        self.problems.borrow_mut().extend(problems);
    }

    /// All problems, and all keys that were asked for, such as `limits.vantages` and `source.nodes.id`.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<String>) {
        self.environment.unused(&self.problems);
        let mut accepted = self.accepted.into_inner();
        accepted.sort();
        accepted.dedup();
        let mut problems = self.problems.into_inner();
        sort(&mut problems, &self.name);
        (problems, accepted)
    }

    fn refuse_syntax(&self, error: &Error) {
        let line = error.span().map(|span| self.line(span.start));
        let place = SourceLocation { origin: self.name.clone(), line, key: String::new() };
        self.refuse(place, error.message().trim().replace('\n', ", "), None);
    }

    fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }
}

/// Sorts the problems: first those of the file, in its order, then those of variables and of other files.
fn sort(problems: &mut [Problem], own: &str) {
    let key = |problem: &Problem| (problem.place.origin != own, problem.place.origin.clone(), problem.place.line);
    problems.sort_by_cached_key(key);
}

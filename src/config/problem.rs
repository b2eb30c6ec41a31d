//! The problems of a configuration, each with its place and what to do about it.

use std::fmt;

/// The most problems that are printed. The others are only counted.
const MAX_SHOWN: usize = 100;

/// One problem of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was written.
    pub place: SourceLocation,
    /// What is wrong.
    pub message: String,
    /// What to do about it, if the message does not make it clear.
    pub hint: Option<String>,
}

/// Where a value was written, or should have been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLocation {
    /// The file as the user named it, or the name of the environment variable.
    pub origin: String,
    /// Line in the file, counted from 1.
    pub line: Option<usize>,
    /// Path of the key, such as `source[0].nodes[2].endpoint`; empty for the file as a whole.
    pub key: String,
}

/// All problems of a configuration. Never empty in an `Err`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for SourceLocation {
    /// `bandprobe.toml:12: limits.vantages`, a form that editors and terminals can open.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if self.key.is_empty() { Ok(()) } else { write!(f, ": {}", self.key) }
    }
}

impl fmt::Display for Problem {
    /// One line: place, message and hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Problems {
    /// One line per problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().take(MAX_SHOWN).enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        match self.0.len().saturating_sub(MAX_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n… and {more} more problems"),
        }
    }
}

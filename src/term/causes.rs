//! Errors with their causes, as one line.

use std::error::Error;

/// An error and its causes, from the outermost to the innermost: `cannot write x: permission denied`. A cause that is
/// already part of the text is not repeated, because many errors quote their source.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Failure {
        #[error("cannot write")]
        Plain(#[source] io::Error),
        #[error("cannot write: {0}")]
        Quoting(#[source] io::Error),
    }

    #[test]
    fn each_cause_is_named_once() {
        let full = || io::Error::other("disk full");
        for error in [Failure::Plain(full()), Failure::Quoting(full())] {
            assert_eq!(with_causes(&error), "cannot write: disk full");
        }
        assert_eq!(with_causes(&full()), "disk full");
    }
}

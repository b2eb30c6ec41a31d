//! An answer of the database, and its text as bandprobe shows it.

use crate::model::text::made_printable;

/// The result of sending a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 204: every line of the batch is stored.
    Stored,
    /// Any other status.
    Status {
        /// The HTTP status code.
        status: u16,
        /// The body.
        text: String,
    },
    /// No answer: the connection failed, timed out or was cut off.
    Failed {
        /// What happened, without URL and secrets.
        problem: String,
        /// The connection was established, but the answer did not arrive in time.
        timed_out: bool,
    },
}

/// The server's text on one line. A long text is shortened in the middle, because InfluxDB repeats the line before its
/// reason.
pub(super) fn one_line(text: &str) -> String {
    let line = made_printable(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    match line.chars().count() {
        0 => "no text".to_owned(),
        1..=MAX_TEXT => line,
        count => line.chars().take(MAX_TEXT / 2).chain(['…']).chain(line.chars().skip(count - MAX_TEXT / 2)).collect(),
    }
}

/// Characters of a server's text that are shown.
const MAX_TEXT: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_both_ends() {
        let text = one_line(&format!("unable to parse '{}':\n why", "x".repeat(1_000)));
        assert!(text.starts_with("unable to parse 'xx") && text.ends_with("xx': why"), "{text}");
        assert_eq!(text.chars().count(), MAX_TEXT + 1);
        assert_eq!(one_line(" \n"), "no text");
    }
}

//! The width of text in columns of a terminal (Unicode Standard Annex #11).

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns that a text occupies. Escape sequences occupy none.
#[must_use]
pub fn columns(text: &str) -> usize {
    if text.contains(ESCAPE) { without_escapes(text).width() } else { text.width() }
}

/// The beginning of a text without escape sequences, at most this many columns wide.
#[must_use]
pub fn cut(text: &str, columns: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > columns {
            return &text[..at];
        }
    }
    text
}

/// The text with spaces after it, up to this many columns.
#[must_use]
pub fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(self::columns(text))))
}

/// The text without control sequences (ECMA-48 § 5.4).
fn without_escapes(text: &str) -> String {
    let mut is_escape = false;
    let visible = text.chars().filter(|c| {
        let was_escape = is_escape;
        is_escape = *c == ESCAPE || (is_escape && !c.is_ascii_alphabetic());
        !was_escape && !is_escape
    });
    visible.collect()
}

const ESCAPE: char = '\u{1b}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_columns_and_marks_none() {
        for (text, expected) in [
            ("", 0),
            ("fra1", 4),
            ("850 µs · –", 10),
            ("節点", 4),
            ("🚀", 2),
            ("e\u{301}", 1),
            ("👩\u{200d}🚀", 2),
            ("\u{1b}[1;31m節\u{1b}[0m", 2),
        ] {
            assert_eq!(columns(text), expected, "{text}");
        }
    }

    #[test]
    fn a_cut_never_splits_a_wide_character() {
        for (text, columns, expected) in
            [("節点", 4, "節点"), ("節点", 3, "節"), ("節点", 1, ""), ("e\u{301}a", 1, "e\u{301}"), ("ab", 9, "ab")]
        {
            assert_eq!(cut(text, columns), expected, "{text} {columns}");
        }
    }

    #[test]
    fn padding_counts_columns() {
        for (text, expected) in [("節", "節  |"), ("ab", "ab  |"), ("abcdef", "abcdef|")] {
            assert_eq!(pad(text, 4) + "|", expected);
        }
    }
}

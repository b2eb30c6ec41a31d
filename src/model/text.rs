//! Text that strangers wrote, made fit for a line and a terminal.

/// `c`, or `instead` where a reader of lines or a terminal would take it for more than text: control characters (a
/// terminal obeys ECMA-48 sequences), line separators, and what turns the direction of writing (UAX #9), behind which
/// other words can hide.
#[must_use]
pub fn printable(c: char, instead: char) -> char {
    match c {
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => instead,
        c if c.is_control() => instead,
        c => c,
    }
}

/// The text with a replacement character for each of those.
#[must_use]
pub fn made_printable(text: &str) -> String {
    text.chars().map(|c| printable(c, char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for (text, expected) in [
            ("µs, нода, 節点", "µs, нода, 節点"),
            ("\u{1b}]0;title\u{7}\u{9b}31m", "\u{fffd}]0;title\u{fffd}\u{fffd}31m"),
            ("a\nb\u{2028}c\u{202e}d\u{2069}", "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}"),
        ] {
            assert_eq!(made_printable(text), expected);
        }
    }
}

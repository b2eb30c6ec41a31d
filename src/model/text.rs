//! Makes text from untrusted sources safe for a line and a terminal.

/// Returns `c`, or `instead` if `c` could have an effect beyond text: control characters (a terminal obeys ECMA-48
/// sequences), line separators, and characters that change the writing direction (UAX #9) and can hide other words.
#[must_use]
pub fn printable(c: char, instead: char) -> char {
    match c {
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => instead,
        c if c.is_control() => instead,
        c => c,
    }
}

/// The text with U+FFFD in place of each character that is not [`printable`].
#[must_use]
pub fn made_printable(text: &str) -> String {
    text.chars().map(|c| printable(c, char::REPLACEMENT_CHARACTER)).collect()
}

/// The text as one printable line of at most `most` bytes, followed by a note of how much is left out. Line breaks and
/// tabs become spaces. With `in_colour`, terminal colours (SGR, ECMA-48 § 8.3.117) are kept and do not count.
#[must_use]
pub fn one_line(text: &str, most: usize, in_colour: bool) -> String {
    let (mut line, mut bytes, mut is_coloured) = (String::with_capacity(text.len().min(most) + 32), 0, false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(colour) = colour(rest).filter(|_| in_colour) {
            line += colour;
            is_coloured = true;
            rest = &rest[colour.len()..];
            continue;
        }
        bytes += c.len_utf8();
        if bytes > most {
            let end = if is_coloured { "\u{1b}[0m" } else { "" };
            line += &format!("{end}… ({} bytes more)", rest.len());
            break;
        }
        line.push(if matches!(c, '\n' | '\r' | '\t') { ' ' } else { printable(c, char::REPLACEMENT_CHARACTER) });
        rest = &rest[c.len_utf8()..];
    }
    line
}

/// The colour sequence at the start of the text, if there is one.
fn colour(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    parameters[end..].starts_with('m').then(|| &text[..end + "\u{1b}[m".len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_to_one_printable_line() {
        for (text, most, expected) in [
            ("a\nb\tc\r\u{7}", 9, "a b c \u{fffd}"),
            ("µµµµ", 8, "µµµµ"),
            ("µµµµ", 7, "µµµ… (2 bytes more)"),
            ("µµµµ", 0, "… (8 bytes more)"),
            (
                "\u{1b}[1;31mred\u{1b}[0m \u{1b}[2Jgone",
                10,
                "\u{1b}[1;31mred\u{1b}[0m \u{fffd}[2Jgo\u{1b}[0m… (2 bytes more)",
            ),
            ("\u{1b}[", 9, "\u{fffd}["),
            ("\u{1b}[31", 9, "\u{fffd}[31"),
        ] {
            assert_eq!(one_line(text, most, true), expected, "{text:?}");
        }
        assert_eq!(one_line("\u{1b}[31mred", 9, false), "\u{fffd}[31mred");
    }

    #[test]
    fn control_characters_are_removed() {
        for (text, expected) in [
            ("µs, нода, 節点", "µs, нода, 節点"),
            ("\u{1b}]0;title\u{7}\u{9b}31m", "\u{fffd}]0;title\u{fffd}\u{fffd}31m"),
            ("a\nb\u{2028}c\u{202e}d\u{2069}", "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}"),
        ] {
            assert_eq!(made_printable(text), expected);
        }
    }
}

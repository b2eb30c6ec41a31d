//! ASCII replacements for the other characters that bandprobe prints, for terminals without Unicode.

use std::borrow::Cow;

/// The text in ASCII. Each of bandprobe's own characters is replaced by a similar one.
#[must_use]
pub fn ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_ascii() => plain.push(c),
            'µ' | 'μ' => plain.push('u'),
            '–' | '—' | '─' | '┄' | '−' => plain.push('-'),
            '·' | '│' | '╵' => plain.push('|'),
            '✗' | '×' => plain.push('x'),
            '…' => plain.push_str("..."),
            '≤' => plain.push_str("<="),
            '≥' => plain.push_str(">="),
            '→' => plain.push_str("->"),
            '±' => plain.push_str("+-"),
            '█' | '▇' | '▆' => plain.push('#'),
            '▅' | '▄' => plain.push(':'),
            '▃' | '▂' | '▁' => plain.push('.'),
            '░' => plain.push(' '),
            '━' => plain.push('='),
            '┬' | '└' | '┘' => plain.push('+'),
            '‘' | '’' => plain.push('\''),
            '“' | '”' => plain.push('"'),
            _ => plain.push('?'),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_has_an_ascii_substitute() {
        for (text, expected) in [
            ("850 µs · < 5 –", "850 us | < 5 -"),
            ("█▇▆▅▄▃▂▁ ┄┄ ✗", "###::... -- x"),
            ("└── ramp ──┘", "+-- ramp --+"),
            ("of ≤ 2 … нода", "of <= 2 ... ????"),
        ] {
            assert_eq!(ascii(text), expected);
        }
        assert!(matches!(ascii("plain"), Cow::Borrowed(_)), "no copy for nothing");
    }
}

//! Breaks lines so that they fit a terminal.

use std::borrow::Cow;

use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm, core::Word};

use super::width::columns;

/// Breaks every line that is wider than `width`, between words if possible. Continuation lines are indented by two
/// more columns than the line itself. Without a width nothing is broken.
#[must_use]
pub fn wrap(text: &str, width: Option<u16>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let mut wrapped = String::with_capacity(text.len() + 64);
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        if columns(line) <= usize::from(width) {
            wrapped.push_str(line);
        } else {
            let words = line.trim_start_matches(' ');
            let indent = &line[..line.len() - words.len()];
            wrapped += &flow(words.split(' '), " ", (indent, &format!("{indent}  ")), Some(width));
        }
        wrapped.push_str(end);
    }
    wrapped
}

/// Puts pieces next to each other, and begins a new line when the next piece does not fit. The first line begins with
/// `indent`, the others with `hanging`. A piece that is too long for a line is broken; its continuation lines begin
/// with `hanging`, or with two more spaces if that equals `indent`. The separator is only between pieces on the same
/// line.
#[must_use]
pub fn flow<'a>(
    pieces: impl IntoIterator<Item = &'a str>,
    separator: &str,
    (indent, hanging): (&str, &str),
    width: Option<u16>,
) -> String {
    let width = width.map_or(usize::MAX, |width| usize::from(width).max(1));
    let (indent, hanging) = (clipped(indent, width), clipped(hanging, width));
    let broken = if hanging == indent { format!("{hanging}  ") } else { hanging.to_owned() };
    let broken = clipped(&broken, width);
    let mut lines = vec![indent.to_owned()];
    let mut fresh = true;
    for piece in pieces {
        let line = lines.last_mut().expect("invariant: there is a line");
        let used = columns(line) + if fresh { 0 } else { columns(separator) };
        if used + columns(piece) <= width {
            line.push_str(if fresh { "" } else { separator });
            line.push_str(piece);
        } else if !piece.is_empty() {
            if fresh {
                lines.pop();
            }
            let first = if lines.is_empty() { indent } else { hanging };
            lines.extend(break_up(piece, first, broken, width));
        }
        fresh = false;
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

/// The indentation, cut to at most half of the width to leave room for words.
fn clipped(indent: &str, width: usize) -> &str {
    indent.get(..width / 2).unwrap_or(indent)
}

/// A piece on its own lines: broken between words, and within words that are too long for a line.
fn break_up(piece: &str, first: &str, hanging: &str, width: usize) -> Vec<String> {
    let options = |first| {
        Options::new(width)
            .initial_indent(first)
            .subsequent_indent(hanging)
            .word_separator(WordSeparator::AsciiSpace)
            .word_splitter(WordSplitter::NoHyphenation)
            .wrap_algorithm(WrapAlgorithm::FirstFit)
    };
    // Long words are broken to fit the continuation lines, but the first line may have more room or less.
    let start = piece.split(' ').next().unwrap_or_default();
    let head = Word::from(start).break_apart(width - columns(first)).next().map_or("", |head| head.word);
    let mut lines = vec![];
    let mut rest = (piece, first);
    if head.len() < start.len() {
        lines.push(format!("{first}{head}"));
        rest = (&piece[head.len()..], hanging);
    }
    lines.extend(textwrap::wrap(rest.0, options(rest.1)).into_iter().map(Cow::into_owned));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_between_words() {
        for (text, width, expected) in [
            ("  a note of some words\nnext\n", 14, "  a note of\n    some words\nnext\n"),
            ("fits", 4, "fits"),
            ("https://node.example.net/abc", 12, "https://node\n  .example.n\n  et/abc"),
            ("see https://node.example.net/a now", 16, "see\n  https://node.e\n  xample.net/a\n  now"),
            ("a   b   c", 5, "a   b\n  c"),
            ("\u{1b}[31mred\u{1b}[0m and on", 10, "\u{1b}[31mred\u{1b}[0m and on"),
            ("", 5, ""),
            ("東京 大阪 京都", 9, "東京 大阪\n  京都"),
            ("東京大阪京都", 5, "東京\n  大\n  阪\n  京\n  都"),
        ] {
            let wrapped = wrap(text, Some(width));
            assert_eq!(wrapped, expected);
            assert!(wrapped.lines().all(|line| columns(line) <= usize::from(width)), "{wrapped}");
            assert_eq!(wrap(text, None), text);
        }
    }

    #[test]
    fn wrapping_loses_no_text_at_any_width() {
        let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        for width in 0..=60 {
            for indent in 0..=60 {
                let text = format!("{}└──── stall ────┘ https://node.example.net/abc\n", " ".repeat(indent));
                let wrapped = wrap(&text, Some(width));
                assert_eq!(bare(&wrapped), bare(&text), "{width} {indent}");
                let widest = wrapped.lines().map(columns).max().unwrap();
                assert!(widest <= usize::from(width.max(1)), "{width} {indent}:\n{wrapped}");
            }
        }
    }

    #[test]
    fn pieces_are_broken_only_when_they_must_be() {
        let pieces = ["ttfb 1.2 ms", "server 80 ms", "path"];
        for (width, expected) in [
            (None, "  ttfb 1.2 ms   server 80 ms   path"),
            (Some(28), "  ttfb 1.2 ms   server 80 ms\n    path"),
            (Some(20), "  ttfb 1.2 ms\n    server 80 ms\n    path"),
            (Some(12), "  ttfb 1.2\n    ms\n    server\n    80 ms\n    path"),
        ] {
            assert_eq!(flow(pieces, "   ", ("  ", "    "), width), expected, "{width:?}");
        }
    }
}

//! The line below a plot that names parts of it.

use super::axis::LABELS;
use crate::term::{Look, ink::Ink};

/// A range of columns with a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) from: usize,
    /// The column after its last one.
    pub(super) until: usize,
    pub(super) word: &'static str,
    pub(super) ink: Ink,
}

/// Draws marks in their order; empty when there are none. If a range is too short for its word, the word is next to it,
/// where there is room. Words for which there is no room are listed below.
pub(super) fn line(marks: &[Mark], columns: usize, look: Look) -> String {
    let Some(last) = marks.last() else { return String::new() };
    let mut text = " ".repeat(LABELS);
    let mut used = 0;
    let (mut named, mut unnamed) = (Vec::<Mark>::new(), Vec::<Mark>::new());
    for (index, mark) in marks.iter().enumerate() {
        if mark.until <= used {
            continue;
        }
        let from = mark.from.max(used);
        let before = from - used;
        let stretch = stretch(mark.until - from, mark.word);
        let after = marks.get(index + 1).map_or(columns, |next| next.from).saturating_sub(mark.until);
        let needed = mark.word.len() + 1;
        let is_last = mark.from == last.from;
        used = mark.until;
        let (skipped, drawn) = if stretch.contains(mark.word) {
            (before, stretch)
        } else if needed < after + usize::from(is_last) {
            used += needed;
            (before, format!("{stretch} {}", mark.word))
        } else if needed < before {
            (before - needed, format!("{} {stretch}", mark.word))
        } else {
            (before, stretch)
        };
        (if drawn.contains(mark.word) { &mut named } else { &mut unnamed }).push(*mark);
        text += &format!("{}{}", " ".repeat(skipped), mark.ink.on(&drawn, look.colour));
    }
    text.push('\n');
    unnamed.dedup_by_key(|mark| mark.word);
    for mark in unnamed.iter().filter(|mark| named.iter().all(|named| named.word != mark.word)) {
        text += &format!("{}{}\n", " ".repeat(LABELS), mark.ink.on(&format!("└┘ {}", mark.word), look.colour));
    }
    text
}

fn stretch(columns: usize, word: &str) -> String {
    match columns {
        1 => "╵".to_owned(),
        columns if columns < word.len() + 4 => format!("└{}┘", "─".repeat(columns - 2)),
        columns => {
            let dashes = columns - word.len() - 4;
            let before = dashes / 2;
            format!("└{} {word} {}┘", "─".repeat(before), "─".repeat(dashes - before))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_labelled_inside_or_next_to_them() {
        let look = Look { width: Some(40), colour: false };
        let ramp = |until| Mark { from: 0, until, word: "ramp", ink: Ink::Doubtful };
        let stall = |from, until| Mark { from, until, word: "stall", ink: Ink::Bad };
        for (marks, expected) in [
            (&[ramp(12)][..], "└── ramp ──┘\n"),
            (&[ramp(8)], "└ ramp ┘\n"),
            (&[ramp(3)], "└─┘ ramp\n"),
            (&[ramp(1)], "╵ ramp\n"),
            (&[ramp(3), stall(6, 16)], "└─┘   └ stall ─┘\n              └┘ ramp\n"),
            (&[ramp(3), stall(22, 26)], "└─┘ ramp        stall └──┘\n"),
            (&[stall(17, 20)], "                 └─┘ stall\n"),
            (&[ramp(5), stall(4, 8)], "└───┘└─┘ stall\n              └┘ ramp\n"),
            (&[], ""),
            (&[ramp(2), stall(2, 4), stall(4, 26)], "└┘└┘└────── stall ───────┘\n              └┘ ramp\n"),
            (&[stall(2, 4), stall(4, 6)], "  └┘└┘ stall\n"),
            (&[stall(2, 4), stall(4, 26)], "  └┘└────── stall ───────┘\n"),
            (&[stall(18, 20), stall(22, 26)], "            stall └┘  └──┘\n"),
            (&[ramp(3), stall(25, 26)], "└─┘ ramp           stall ╵\n"),
            (&[stall(5, 19), stall(25, 26)], "     └── stall ───┘      ╵\n"),
        ] {
            let expected = if marks.is_empty() { String::new() } else { " ".repeat(LABELS) + expected };
            assert_eq!(line(marks, 26, look), expected);
        }
    }
}

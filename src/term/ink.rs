//! Colours with a meaning. Words always say the same, so the text is complete without colours.

/// The meaning of a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// As it should be. In a transfer: the body.
    Good,
    /// Needs attention: outside the standard, or not decided yet.
    Doubtful,
    /// Failed or missed.
    Bad,
    /// The network path to the node and back.
    Path,
    /// The node itself.
    Node,
    /// A heading.
    Strong,
    /// Less important.
    Faint,
}

impl Ink {
    /// The text in this colour, or unchanged when `colour` is false.
    #[must_use]
    pub fn on(self, text: &str, colour: bool) -> String {
        if colour && !text.is_empty() { format!("\u{1b}[{}m{text}{RESET}", self.code()) } else { text.to_owned() }
    }

    /// The SGR parameters (ECMA-48 §8.3.117). Only the eight basic colours are used: every terminal has them, and its
    /// user can choose them.
    const fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Doubtful => "33",
            Self::Bad => "31",
            Self::Path => "36",
            Self::Node => "35",
            Self::Strong => "1",
            Self::Faint => "2",
        }
    }
}

const RESET: &str = "\u{1b}[0m";

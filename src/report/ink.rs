//! Colour with meaning. What it says is always said in words too: nobody needs it to read.

/// What a colour stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// As it should be; of a transfer: the body.
    Good,
    /// Worth a look: outside the standard, or not settled yet.
    Doubtful,
    /// Failed or missed.
    Bad,
    /// The way to the node and back.
    Path,
    /// The node itself.
    Node,
    /// A heading.
    Strong,
    /// Beside the point.
    Faint,
}

impl Ink {
    /// The text in this colour, where colours may be used.
    #[must_use]
    pub fn on(self, text: &str, colour: bool) -> String {
        if colour && !text.is_empty() { format!("\u{1b}[{}m{text}{RESET}", self.code()) } else { text.to_owned() }
    }

    /// The parameters of SGR (ECMA-48 §8.3.117): the eight colours that every terminal has, and that its user chose.
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

//! What is not as it was written.

use std::{fmt, path::PathBuf};

/// Something in a file that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where.
    pub file: PathBuf,
    /// What.
    pub what: What,
}

/// What can be wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It does not start with the header of a format that we know.
    Header,
    /// A newer version of the program wrote it, in this format; nothing of it is read.
    Newer(u64),
    /// It is not sealed although its place says so: its end is missing.
    Trailer,
    /// A comment was changed since it was written; which one is not known.
    Checksum,
    /// It holds fewer or more lines than it was sealed with.
    Count {
        /// Points by the trailer.
        sealed: u64,
        /// Lines found where points are, changed ones included.
        found: u64,
    },
    /// Bytes follow the trailer.
    AfterTrailer,
    /// This line (counted from 1) was changed, came from elsewhere, or its sum is lost: it is not handed out.
    Line(u64),
    /// This line (counted from 1) is as it was written, but longer than [`MAX_LINE`](super::format::MAX_LINE), not UTF-8,
    /// or holds control characters.
    NoText(u64),
    /// It holds what an earlier reading of damaged files set aside: so many lines, which are not handed out again.
    SetAside(u64),
    /// It is a folder, a link or the like, where a file of lines should be; it is left alone.
    NoFile,
    /// It was deleted while we read the directory.
    Vanished,
    /// The disk refused to read on.
    Read(String),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("no header of a known format"),
            Self::Newer(format) => {
                write!(f, "written by a newer version (format {format}): upgrade to read and to deliver it")
            }
            Self::Trailer => f.write_str("its end is missing"),
            Self::Checksum => f.write_str("its checksum does not fit: a comment in it is not what was written"),
            Self::Count { sealed, found } => write!(f, "sealed with {sealed} points, {found} found"),
            Self::AfterTrailer => f.write_str("something follows its end"),
            Self::Line(number) => write!(f, "line {number} is not what was written"),
            Self::NoText(number) => write!(f, "line {number} is no text that a database takes"),
            Self::SetAside(1) => f.write_str("1 damaged line is set aside here"),
            Self::SetAside(lines) => write!(f, "{lines} damaged lines are set aside here"),
            Self::NoFile => f.write_str("no regular file: left alone"),
            Self::Vanished => f.write_str("deleted while it was to be read"),
            Self::Read(problem) => f.write_str(problem),
        }
    }
}

//! Damage: what in a file is not as it was written.

use std::{fmt, path::PathBuf};

/// A problem with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// The problem.
    pub kind: DamageKind,
}

/// The kinds of damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DamageKind {
    /// The file does not start with the header of a known format.
    Header,
    /// A newer version of the program wrote the file, in this format. None of it is read.
    Newer(u64),
    /// The trailer is missing, although the file is in a folder of sealed files.
    Trailer,
    /// A comment was changed since it was written; which one is unknown.
    Checksum,
    /// The file holds fewer or more lines than it was sealed with.
    Count {
        /// The number of points by the trailer.
        sealed: u64,
        /// The number of lines found in the place of points, changed ones included.
        found: u64,
    },
    /// Bytes follow the trailer.
    AfterTrailer,
    /// This line (counted from 1) was changed, came from elsewhere, or its checksum is lost. It is not returned.
    Line(u64),
    /// This line (counted from 1) is as it was written, but it is longer than [`MAX_LINE`](crate::record::line::MAX_LINE),
    /// not UTF-8, or has control characters.
    NotText(u64),
    /// The file holds this many lines that were set aside from damaged files. They are not returned.
    SetAside(u64),
    /// There is a folder, a link or the like in the place of a line file. It is ignored.
    NotAFile,
    /// The file was deleted during the reading of the directory.
    Vanished,
    /// The file could not be read further. The text is the error of the operating system.
    Read(String),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.kind)
    }
}

impl fmt::Display for DamageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("it has no header of a known format"),
            Self::Newer(format) => {
                write!(f, "written by a newer version (format {format}): upgrade to read and to deliver it")
            }
            Self::Trailer => f.write_str("its end is missing"),
            Self::Checksum => f.write_str("its checksum does not match: a comment was changed"),
            Self::Count { sealed, found } => write!(f, "sealed with {sealed} points, {found} found"),
            Self::AfterTrailer => f.write_str("data follows its end"),
            Self::Line(number) => write!(f, "line {number} was changed"),
            Self::NotText(number) => write!(f, "line {number} is not text that a database accepts"),
            Self::SetAside(1) => f.write_str("1 damaged line is set aside here"),
            Self::SetAside(lines) => write!(f, "{lines} damaged lines are set aside here"),
            Self::NotAFile => f.write_str("not a regular file: ignored"),
            Self::Vanished => f.write_str("deleted while the directory was read"),
            Self::Read(problem) => f.write_str(problem),
        }
    }
}

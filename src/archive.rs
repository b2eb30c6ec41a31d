//! The data directory: what was written here is neither lost nor changed unseen, and what is not in it was never sent.
//!
//! # Constraints
//!
//! - One write a batch, no thread, no index: the directory is the whole state, so there is nothing else to go wrong.
//! - Every file is line protocol that anyone can send to a database as it is; what is ours in it is comments.
//! - A line is handed out only if it is as it was written, byte by byte. Damage costs the lines that it hit and no others.
//! - Reading takes the memory of one line and of 2000 sums, whatever lies there. Opening waits for one merge at the
//!   most, which is bounded.
//! - Several processes may write (a file each) and read at once; one delivers.
//!
//! # On disk
//!
//! ```text
//! open/      one growing file a process, and one being sealed, locked (flock) meanwhile log
//! spool/     sealed files that wait for delivery; `.lock`: who delivers               recover, spool, salvage
//! archive/   delivered files, merged within each day                                  spool, merge, retain
//! rejected/  NAME.lp: lines that the database refused, each after its message         spool, rejected
//!            NAME.lp.bad: lines of a damaged file that are not what was written       salvage
//! state/     small JSON values that outlive a restart                                 state
//! ```
//!
//! File names start with the UTC time of the first append, so name order is time order in every folder. [`mod@format`]
//! has the lines of a file: a header, comments with the sums of the lines that follow, the points, and a trailer with
//! their count and a checksum of all before. A name that starts with a dot means nothing yet.
//!
//! # Life of a file
//!
//! 1. `open/`: made with the first append, grows by whole batches, each behind its sums; synced every `archive.sync`.
//! 2. `spool/`: trailer, sync, rename. From now on it does not change.
//! 3. `archive/`: a rename is what "delivered" means: every point is in the database or in `rejected/`.
//! 4. Merged with others of its day, into one file a finished day, or a few large ones ([`merge`]); deleted after `archive.keep`, or sooner to keep within `archive.max-size`.
//!
//! # Crash points
//!
//! | when the process or the power dies | what is found | what happens |
//! |---|---|---|
//! | while a file is made | `open/.….new` | [`recover`] deletes it: nothing was ever in it |
//! | in an append | an unlocked open file, maybe with half a line | [`recover`] cuts at the last newline and seals |
//! | before the next sync (power) | an open file with zeros or old bytes, anywhere | the same; what is not as it was written shows by its sums |
//! | after the trailer, before the rename | an open file with its trailer | it is moved as it is |
//! | while a damaged file is divided | it, and `.….tmp` in spool/ and rejected/ | it is divided again; these are deleted by whoever has the lock next |
//! | after its rest is in rejected/, before the good lines replace it | both | it is divided again, and the same rest replaces itself |
//! | after the good lines replaced it | both halves | they are sent |
//! | after a delivery, before the rename to archive/ | a spool file | it is sent again: same tags and time, same point |
//! | in the middle of a file's batches | a spool file | the same |
//! | after lines were quarantined, before the rename | a spool file and its namesake in rejected/ | sent again, rejected/ replaced |
//! | while delivered files are merged | `.….tmp` beside whole files | the merge starts over; that file is deleted by whoever has the lock next |
//! | after the merged file got its name, before all its parts are deleted | both | the merged file names its parts and sorts before them: readers skip them, the next merge in that day deletes them |
//! | after its parts are deleted, before that is durable (power) | both, again | the same: no merge goes on before it is durable |
//!
//! # What is guaranteed
//!
//! - **Kill**: what was appended is there. **Power cut**: what was appended before the last sync is there.
//! - **Full or read-only disk**: a batch is in the file as a whole, or the caller is told and none of it is.
//! - **Removed or replaced directory**: the next append or seal makes it again, with all that was in the open file.
//!   What waited is gone with it, and [`spool::Spool::is_ours`] tells that the lock is.
//! - **Damage** ([`damage`]): reported by every reader until the file's turn to be delivered comes; then its good lines
//!   are delivered, the others set aside and counted, and nothing reads these as points again.
//! - **A newer version's file** is left where it is, named ([`status::passed_over`]), never sent, and deleted only to keep
//!   within `archive.max-size`. **Anything that is no regular file** is left alone and named. **A stranger's file** (no
//!   header, no line with its sum) is set aside whole.
//!
//! # Limits
//!
//! A line is [`format::MAX_LINE`] bytes at the most. A changed line passes for another with 2000 sums outstanding at
//! worst, once in two million times; a change of up to 32 bits in a row never passes for its own (CRC32C). A copied
//! stretch of a file with its sums is seen (the count does not fit) but its lines are as they were written, and are
//! handed out twice. One flipped bit in the header's format number makes a newer version's file: it waits, whole.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use thiserror::Error;

pub mod damage;
pub mod file;
pub mod format;
pub mod log;
pub mod merge;
mod raw;
pub mod reader;
pub mod recover;
pub mod rejected;
pub mod retain;
pub mod room;
pub mod salvage;
pub mod spool;
pub mod state;
pub mod status;
mod sums;
pub mod trial;
mod whole;

/// Why the data directory could not be used.
#[derive(Debug, Error)]
pub enum Error {
    /// The file system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A batch was not made of as many whole lines as it claimed; nothing of it was written.
    #[error("a batch of {claimed} points has {lines} lines")]
    NotWholeLines {
        /// Points by the caller's count.
        claimed: u64,
        /// Lines that end in a newline.
        lines: u64,
    },
    /// A newer version wrote this file; it stays where it is.
    #[error("{}: {}", path.display(), damage::What::Newer(*format))]
    Newer {
        /// Which file.
        path: PathBuf,
        /// In which format.
        format: u64,
    },
    /// Another process delivers from this directory.
    #[error("{} is being delivered by another process (pid {pid}); only one at a time can", dir.display())]
    Draining {
        /// The data directory.
        dir: PathBuf,
        /// Who, by its own word.
        pid: String,
    },
    /// A value could not be turned into JSON.
    #[error("cannot encode the state {name:?}: {source}")]
    State {
        /// Which value.
        name: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl Error {
    /// Whether there is no room on the disk, and there would be if something was deleted.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let Self::Io { source, .. } = self else { return false };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// Whether there is a data directory.
#[must_use]
pub fn exists(dir: &Path) -> bool {
    [OPEN, SPOOL].into_iter().all(|folder| dir.join(folder).is_dir())
}

/// Whether a directory has any folder of a data directory.
#[must_use]
pub fn has_any_folder(dir: &Path) -> bool {
    FOLDERS.into_iter().chain([STATE]).any(|folder| dir.join(folder).is_dir())
}

/// Makes the data directory and its folders, for this user alone, where they are missing.
///
/// # Errors
/// When a folder cannot be made.
pub fn create(dir: &Path) -> Result<(), Error> {
    let is_new = !dir.join(STATE).is_dir();
    for folder in ["", OPEN, SPOOL, DELIVERED, REJECTED, STATE] {
        let path = dir.join(folder);
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(on("create the folder", &path))?;
    }
    if is_new {
        // What is synced in them later is only there when they are. Whoever may not read the folder above does without.
        sync_folder(dir)?;
        let above = dir.parent().map(|above| if above == Path::new("") { Path::new(".") } else { above });
        let _ = above.map(sync_folder);
    }
    let lock = dir.join(DELIVERED).join(reader::MERGE_LOCK);
    private().open(&lock).map_err(on("create", &lock))?;
    Ok(())
}

/// The names of the line files in a folder, oldest first; a missing folder is empty. What is no regular file is left
/// alone.
fn list(folder: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(folder) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(on("list", folder))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(on("list", folder))?;
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if let Some(name) = entry.file_name().to_str().filter(|name| is_file && format::is_line_file(name)) {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Makes the names in a folder durable.
fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(on("sync the folder", folder))
}

/// Writes a file so that its name holds either the old or the new content, whatever happens.
fn replace(folder: &Path, name: &str, content: &[u8]) -> Result<(), Error> {
    replace_content(folder, name, content)?;
    sync_folder(folder)
}

/// The same, at half the cost; the new content is only sure to survive a power cut once the folder is synced.
fn replace_content(folder: &Path, name: &str, content: &[u8]) -> Result<(), Error> {
    let (temporary, path) = (folder.join(format!(".{name}.tmp")), folder.join(name));
    let written = private().truncate(true).open(&temporary).and_then(|mut file| {
        io::Write::write_all(&mut file, content)?;
        file.sync_all()
    });
    written.map_err(on("write", &temporary))?;
    fs::rename(&temporary, &path).map_err(on("rename into place", &path))
}

/// A file whose lock ends when this is dropped, also for a copy of the descriptor that a process has which is being
/// started: until it executes its program, it has all of ours.
#[derive(Debug)]
struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Takes a file's lock if nobody has it; whether we have it now.
fn lock(file: &File, path: &Path) -> Result<bool, Error> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(on("lock", path)(source)),
    }
}

/// Whether a path still names this file.
fn is_at(file: &File, path: &Path) -> bool {
    let same = |ours: fs::Metadata, named: fs::Metadata| (ours.dev(), ours.ino()) == (named.dev(), named.ino());
    file.metadata().is_ok_and(|ours| fs::metadata(path).is_ok_and(|named| same(ours, named)))
}

/// Options for a file that this user alone may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

/// Names what was tried on which path when the system refuses.
fn on(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { doing, path, source }
}

const OPEN: &str = "open";
const SPOOL: &str = "spool";
const DELIVERED: &str = "archive";
const REJECTED: &str = "rejected";
const STATE: &str = "state";
/// Where a line file can be on its road.
const FOLDERS: [&str; 4] = [OPEN, SPOOL, DELIVERED, REJECTED];

//! The data directory. A line written here is neither lost nor changed unnoticed, and no line is sent that was not
//! written here first.
//!
//! # Constraints
//!
//! - One write per batch, no thread, no index. The directory is the whole state, so nothing else can get out of step
//!   with it.
//! - Every file is line protocol that you can send to a database as it is. Everything that bandprobe adds is a comment.
//! - A line is returned only if every byte of it is as it was written. Damage costs only the lines that it hits.
//! - Reading needs memory for one line and 2000 checksums, whatever the directory contains. Opening waits for at most
//!   one merge, and a merge is bounded.
//! - Several processes may write (one file each) and read at the same time; one delivers.
//!
//! # On disk
//!
//! ```text
//! open/      one growing file per process, and one being sealed, both locked (flock)  log
//! spool/     sealed files that wait for delivery; `.lock`: the delivering process     recover, spool, salvage
//! archive/   delivered files, merged within each day                                  spool, merge, retain
//! rejected/  NAME.lp: lines that the database refused, each after its message         spool, rejected
//!            NAME.lp.bad: lines of a damaged file that are not as they were written   salvage
//! state/     small JSON values that survive a restart                                 state
//! ```
//!
//! File names start with the UTC time of the first append, so in every folder name order is time order. [`mod@format`]
//! describes the lines of a file: a header, comments with the checksums of the lines that follow, the points, and a
//! trailer with the number of points and a checksum of everything before it. Files whose names start with a dot are
//! temporary files or locks.
//!
//! # Life of a file
//!
//! 1. `open/`: created by the first append. It grows by whole batches, each after its checksums, and is synced every
//!    `archive.sync`.
//! 2. `spool/`: trailer, sync, rename. From now on the file does not change.
//! 3. `archive/`: the rename means "delivered": every point is in the database or in `rejected/`.
//! 4. Merged with other files of its day, into one file per finished day or a few large ones ([`merge`]). Deleted after
//!    `archive.keep`, or earlier when the directory exceeds `archive.max-size`.
//!
//! # Crash points
//!
//! | the process or the power dies | on disk | what happens next |
//! |---|---|---|
//! | while a file is created | `open/.….new` | [`recover`] deletes it: it never held anything |
//! | during an append | an unlocked open file, perhaps with half a line | [`recover`] seals a copy that ends at the last newline |
//! | while that copy is written | the file, and `.….tmp` in open/ | it is recovered again, and the `.tmp` file replaced |
//! | after the copy is in spool/, before the file in open/ is deleted | both, with one name | readers take one of them, and the file is recovered again |
//! | before the next sync (power) | an open file with zeros or old bytes anywhere | the same; the checksums identify the changed lines |
//! | after the trailer, before the rename | an open file with its trailer | it is copied as it is |
//! | while a damaged file is divided | the file, and `.….tmp` in spool/ and rejected/ | it is divided again; the next process that takes the lock deletes the `.tmp` files |
//! | after the bad lines are in rejected/, before the good lines replace the file | both | it is divided again, and the same bad lines replace themselves |
//! | after the good lines replaced the file | both halves | the good lines are sent |
//! | after a delivery, before the rename to archive/ | a spool file | it is sent again: the same tags and time make the same point |
//! | between two batches of a file | a spool file | the same |
//! | after lines were quarantined, before the rename | a spool file and a file of the same name in rejected/ | it is sent again, and the file in rejected/ is replaced |
//! | while delivered files are merged | `.….tmp` next to complete files | the merge starts again; the next process that takes the lock deletes the `.tmp` file |
//! | after the merged file got its name, before all its parts are deleted | both | the merged file names its parts and sorts before them: readers skip them, and the next merge of that day deletes them |
//! | after its parts are deleted, before that is durable (power) | both, again | the same: the next merge waits until the deletion is durable |
//!
//! # What is guaranteed
//!
//! - **Kill**: everything appended is on disk. **Power cut**: everything appended before the last sync is on disk.
//! - **Full or read-only disk**: either the whole batch is in the file, or the caller gets an error and none of it is.
//! - **Removed or replaced directory**: the next append or seal creates it again, with everything that was in the open
//!   file. Files that waited for delivery are gone with the directory, and [`spool::Spool::is_ours`] reports that the
//!   lock is lost.
//! - **Damage** ([`damage`]): every reader reports it until the file is delivered. Then its good lines are delivered,
//!   the others are set aside and counted, and no reader returns them as points.
//! - **A file of a newer version** stays where it is, is listed by [`status::skipped_files`], and is never sent. It is
//!   deleted only to keep within `archive.max-size`. **Anything that is not a regular file** is left alone and listed.
//!   **A file that is not bandprobe's** (no header, no line with a matching checksum) is set aside as a whole.
//!
//! # Limits
//!
//! A line has at most [`MAX_LINE`](crate::record::line::MAX_LINE) bytes. The checksum of a changed line matches that of
//! another line at most once in two million times, with 2000 checksums outstanding. CRC32C always detects a change of
//! up to 32 consecutive bits. When a stretch of a file is duplicated together with its checksums, the damage is detected
//! because the number of points is wrong, but the duplicated lines are intact and are returned twice. One flipped bit in
//! the format number of the header can make a file look like one of a newer version: the whole file then waits.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use thiserror::Error;

mod atomic_file;
mod checksums;
pub mod damage;
pub mod file_lines;
pub mod format;
pub mod free_space;
pub mod log;
pub mod merge;
mod raw_lines;
pub mod reader;
pub mod recover;
pub mod rejected;
pub mod retain;
pub mod salvage;
pub mod spool;
pub mod state;
pub mod status;
pub mod write_test;

/// Why an operation on the data directory failed.
#[derive(Debug, Error)]
pub enum Error {
    /// A file system operation failed.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// The operation, as an infinitive: "open", "create the folder".
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// A batch does not consist of as many whole lines as the caller claimed. None of it was written.
    #[error("a batch of {claimed} points has {lines} lines")]
    NotWholeLines {
        /// The number of points that the caller passed.
        claimed: u64,
        /// The number of points that end in a newline.
        lines: u64,
    },
    /// A newer version of bandprobe wrote this file. It stays where it is.
    #[error("{}: {}", path.display(), damage::DamageKind::Newer(*format))]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format number.
        format: u64,
    },
    /// Another process delivers from this directory.
    #[error("{} is being delivered by another process (pid {pid}); only one at a time can", dir.display())]
    Draining {
        /// The data directory.
        dir: PathBuf,
        /// The process id that the other process wrote into the lock file, or "unknown".
        pid: String,
    },
    /// A value could not be encoded as JSON.
    #[error("cannot encode the state {name:?}: {source}")]
    State {
        /// The name of the value.
        name: &'static str,
        /// The error of the encoder.
        #[source]
        source: serde_json::Error,
    },
}

impl Error {
    /// Whether the disk or the quota is full, so that deleting files would help.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let Self::Io { source, .. } = self else { return false };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// Whether `dir` is a data directory: it has `open/` and `spool/`.
#[must_use]
pub fn exists(dir: &Path) -> bool {
    [OPEN, SPOOL].into_iter().all(|folder| dir.join(folder).is_dir())
}

/// Whether `dir` has at least one folder of a data directory.
#[must_use]
pub fn has_any_folder(dir: &Path) -> bool {
    FOLDERS.into_iter().chain([STATE]).any(|folder| dir.join(folder).is_dir())
}

/// Creates the data directory and its folders where they are missing, accessible to this user only.
///
/// # Errors
/// When a folder cannot be created.
pub fn create(dir: &Path) -> Result<(), Error> {
    let is_new = !dir.join(STATE).is_dir();
    for folder in ["", OPEN, SPOOL, DELIVERED, REJECTED, STATE] {
        let path = dir.join(folder);
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(on("create the folder", &path))?;
    }
    if is_new {
        // What is synced in these folders later survives a power cut only if the folders do. The parent may be
        // unreadable for this user; its sync is then skipped.
        sync_folder(dir)?;
        let above = dir.parent().map(|above| if above == Path::new("") { Path::new(".") } else { above });
        let _ = above.map(sync_folder);
    }
    let lock = dir.join(DELIVERED).join(reader::MERGE_LOCK);
    private().open(&lock).map_err(on("create", &lock))?;
    Ok(())
}

/// The names of the line files in a folder, oldest first. A missing folder counts as empty. Entries that are not
/// regular files are skipped.
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

/// Makes the names in a folder survive a power cut.
fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(on("sync the folder", folder))
}

/// Replaces a file atomically: at any moment its name holds either the old or the new content.
fn replace(folder: &Path, name: &str, content: &[u8]) -> Result<(), Error> {
    replace_content(folder, name, content)?;
    sync_folder(folder)
}

/// Like [`replace`], with half the syncs: the new content survives a power cut only once the folder is synced.
fn replace_content(folder: &Path, name: &str, content: &[u8]) -> Result<(), Error> {
    let (temporary, path) = (folder.join(format!(".{name}.tmp")), folder.join(name));
    let written = private().truncate(true).open(&temporary).and_then(|mut file| {
        io::Write::write_all(&mut file, content)?;
        file.sync_all()
    });
    written.map_err(on("write", &temporary))?;
    fs::rename(&temporary, &path).map_err(on("rename into place", &path))
}

/// A file that is unlocked explicitly on drop. Closing it is not enough: between fork and exec a child process holds a
/// copy of every descriptor, and with it the lock.
#[derive(Debug)]
struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Locks a file unless another process holds the lock. Returns whether this process holds it now.
fn lock(file: &File, path: &Path) -> Result<bool, Error> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(on("lock", path)(source)),
    }
}

/// Whether the path still names this file.
fn is_at(file: &File, path: &Path) -> bool {
    let same = |ours: fs::Metadata, named: fs::Metadata| (ours.dev(), ours.ino()) == (named.dev(), named.ino());
    file.metadata().is_ok_and(|ours| fs::metadata(path).is_ok_and(|named| same(ours, named)))
}

/// Options that create a file which only this user may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

/// Turns an I/O error into [`Error::Io`] with the operation and the path.
fn on(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { doing, path, source }
}

const OPEN: &str = "open";
const SPOOL: &str = "spool";
const DELIVERED: &str = "archive";
const REJECTED: &str = "rejected";
const STATE: &str = "state";
/// The folders through which a line file passes.
const FOLDERS: [&str; 4] = [OPEN, SPOOL, DELIVERED, REJECTED];

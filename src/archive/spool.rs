//! The files that wait for delivery, locked by the one process that may deliver them.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process,
    sync::Mutex,
};

use super::{
    DELIVERED, Error, REJECTED, SPOOL,
    atomic_file::{self, AtomicFile},
    file_lines::FileLines,
    format, is_at, list, on, raw_lines, sync_folder,
};

/// The spool. It is locked for this process until the value is dropped.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    lock: File,
    /// Delivered files that [`merge`](super::merge) cannot merge, remembered so that it does not read them again.
    pub(super) unmergeable: Mutex<HashSet<String>>,
}

/// A line that the database refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedLine {
    /// The line, without its newline.
    pub line: String,
    /// The server's message about it.
    pub message: String,
}

/// Unlocks explicitly, because a child process may hold a copy of the descriptor until it executes its program.
impl Drop for Spool {
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

impl Spool {
    /// Creates the data directory where it is missing and takes the lock for delivery.
    ///
    /// # Errors
    /// [`Error::Draining`] when another process holds the lock; otherwise when the disk refuses.
    pub fn lock(dir: &Path) -> Result<Self, Error> {
        super::create(dir)?;
        let path = dir.join(SPOOL).join(LOCK);
        let lock = super::private().read(true).open(&path).map_err(on("open", &path))?;
        if !super::lock(&lock, &path)? {
            return Err(Error::Draining { dir: dir.to_owned(), pid: pid(&lock) });
        }
        for folder in [SPOOL, DELIVERED, REJECTED] {
            atomic_file::sweep(&dir.join(folder));
        }
        // The process id only helps the next process to explain itself. The lock works without it, also on a full disk.
        let _ = lock.set_len(0).and_then(|()| writeln!(&lock, "{}", process::id()));
        Ok(Self { dir: dir.to_owned(), lock, unmergeable: Mutex::default() })
    }

    /// The data directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether this process still holds the lock on disk. It does not after the directory was removed or replaced:
    /// another process may then deliver from the new directory.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        is_at(&self.lock, &self.folder().join(LOCK))
    }

    /// The oldest file that waits for delivery. Skips files of a newer version.
    ///
    /// # Errors
    /// When the spool cannot be listed.
    pub fn oldest(&self) -> Result<Option<String>, Error> {
        self.next(false, &HashSet::new())
    }

    /// The next file to deliver, oldest or newest first. Skips the files in `skipped` and those of a newer version.
    ///
    /// # Errors
    /// When the spool cannot be listed.
    pub fn next(&self, recent_first: bool, skipped: &HashSet<String>) -> Result<Option<String>, Error> {
        let folder = self.folder();
        let mut names = list(&folder)?;
        if recent_first {
            names.reverse();
        }
        // An unreadable file is returned too: opening it reports why.
        let deliverable =
            |name: &String| !skipped.contains(name) && !matches!(raw_lines::newer(&folder.join(name)), Ok(Some(_)));
        Ok(names.into_iter().find(deliverable))
    }

    /// Opens a waiting file. `None` when retention has deleted it.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(&self, name: &str) -> Result<Option<FileLines>, Error> {
        let path = self.folder().join(name);
        match FileLines::open(path.clone(), true) {
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(None),
            file => file.map(Some).map_err(on("open", &path)),
        }
    }

    /// Moves a file to `archive/`. Call it when every point of the file is in the database or in `rejected/`. If
    /// `archive/` already has a file of that name, because a person put refused lines back into the spool, the moved
    /// file gets a new name.
    ///
    /// # Errors
    /// When the disk refuses. The file then stays in the spool and is sent again.
    pub fn delivered(&self, name: &str) -> Result<(), Error> {
        let (path, folder) = (self.folder().join(name), self.dir.join(DELIVERED));
        let names = (2..).map(|number| format::sibling(name, number));
        let mut free = [name.to_owned()].into_iter().chain(names).filter(|name| !folder.join(name).exists());
        match fs::rename(&path, folder.join(free.next().expect("invariant: names do not end"))) {
            // Retention deleted the file and counted it.
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(()),
            moved => moved.map_err(on("move", &path))?,
        }
        sync_folder(&folder)?;
        sync_folder(&self.folder())
    }

    /// Writes the refused lines of a file to `rejected/`, each after its message. Replaces an earlier version for the
    /// same file.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn quarantine(&self, name: &str, rejected: &[RejectedLine]) -> Result<(), Error> {
        let mut file = AtomicFile::create(&self.dir.join(REJECTED), name, format::HEADER)?;
        for RejectedLine { line, message } in rejected {
            let message: String =
                message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_MESSAGE).collect();
            file.comment(&format!("# {message}\n"))?;
            file.line(line)?;
        }
        file.seal()?;
        file.publish(name)
    }

    fn folder(&self) -> PathBuf {
        self.dir.join(SPOOL)
    }
}

/// The process id in the lock file, or "unknown".
pub(super) fn pid(lock: &File) -> String {
    let mut pid = String::new();
    let _ = Read::take(lock, 20).read_to_string(&mut pid);
    match pid.trim().parse::<u32>() {
        Ok(pid) => pid.to_string(),
        Err(_) => "unknown".to_owned(),
    }
}

/// The lock file in `spool/`, held by the process that delivers.
pub(super) const LOCK: &str = ".lock";
/// The longest server message that is kept, in characters.
const MAX_MESSAGE: usize = 500;

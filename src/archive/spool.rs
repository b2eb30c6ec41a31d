//! The files that wait for delivery, in the hands of the one process that may deliver them.

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
    file::FileLines,
    format, is_at, list, on, raw, sync_folder,
    whole::{self, WholeFile},
};

/// The spool, locked for this process until dropped.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    lock: File,
    /// Delivered files that [`merge`](super::merge) found no use for, so that it does not read them again.
    pub(super) unmergeable: Mutex<HashSet<String>>,
}

/// A line that the database refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The line, without its newline.
    pub line: String,
    /// The server's message.
    pub message: String,
}

/// As of the open file: the lock ends here and now.
impl Drop for Spool {
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

impl Spool {
    /// Makes the data directory where it is missing and takes the right to deliver from it.
    ///
    /// # Errors
    /// [`Error::Draining`] when another process has it, or the disk refuses.
    pub fn lock(dir: &Path) -> Result<Self, Error> {
        super::create(dir)?;
        let path = dir.join(SPOOL).join(LOCK);
        let lock = super::private().read(true).open(&path).map_err(on("open", &path))?;
        if !super::lock(&lock, &path)? {
            return Err(Error::Draining { dir: dir.to_owned(), pid: pid(&lock) });
        }
        for folder in [SPOOL, DELIVERED, REJECTED] {
            whole::sweep(&dir.join(folder));
        }
        // A hint for whoever comes second. The lock holds without it: a full disk must not keep us from delivering.
        let _ = lock.set_len(0).and_then(|()| writeln!(&lock, "{}", process::id()));
        Ok(Self { dir: dir.to_owned(), lock, unmergeable: Mutex::default() })
    }

    /// The data directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether the lock on disk is still the one that we hold: not after the directory was removed or replaced, and then
    /// another process may deliver from what is there now.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        is_at(&self.lock, &self.folder().join(LOCK))
    }

    /// The oldest waiting file.
    ///
    /// # Errors
    /// When the spool cannot be listed.
    pub fn oldest(&self) -> Result<Option<String>, Error> {
        self.next(false, &HashSet::new())
    }

    /// The waiting file that is next in this order; not one of these, nor what a newer version wrote.
    ///
    /// # Errors
    /// When the spool cannot be listed.
    pub fn next(&self, recent_first: bool, passed: &HashSet<String>) -> Result<Option<String>, Error> {
        let folder = self.folder();
        let mut names = list(&folder)?;
        if recent_first {
            names.reverse();
        }
        // One that cannot be read is handed out: opening it says why.
        let deliverable =
            |name: &String| !passed.contains(name) && !matches!(raw::newer(&folder.join(name)), Ok(Some(_)));
        Ok(names.into_iter().find(deliverable))
    }

    /// Opens a waiting file; nothing when it was deleted to keep within the archive's limits.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(&self, name: &str) -> Result<Option<FileLines>, Error> {
        let path = self.folder().join(name);
        match FileLines::open(path.clone(), true) {
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(None),
            file => file.map(Some).map_err(on("open", &path)),
        }
    }

    /// Moves a file to the delivered ones: from now on every point of it is in the database or in `rejected/`. Another file
    /// of its name there, because somebody put refused lines back into the spool, stays beside it.
    ///
    /// # Errors
    /// When the disk refuses; the file waits on then, and will be sent again.
    pub fn delivered(&self, name: &str) -> Result<(), Error> {
        let (path, folder) = (self.folder().join(name), self.dir.join(DELIVERED));
        let names = (2..).map(|number| format::sibling(name, number));
        let mut free = [name.to_owned()].into_iter().chain(names).filter(|name| !folder.join(name).exists());
        match fs::rename(&path, folder.join(free.next().expect("invariant: names do not end"))) {
            // Deleted to keep within the archive's limits, and counted there.
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(()),
            moved => moved.map_err(on("move", &path))?,
        }
        sync_folder(&folder)?;
        sync_folder(&self.folder())
    }

    /// Keeps the refused lines of a file, each after its message, instead of what was kept of that file before.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn quarantine(&self, name: &str, rejected: &[Rejected]) -> Result<(), Error> {
        let mut file = WholeFile::create(&self.dir.join(REJECTED), name, format::HEADER)?;
        for Rejected { line, message } in rejected {
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

/// Who holds the lock, by its own word.
pub(super) fn pid(lock: &File) -> String {
    let mut pid = String::new();
    let _ = Read::take(lock, 20).read_to_string(&mut pid);
    match pid.trim().parse::<u32>() {
        Ok(pid) => pid.to_string(),
        Err(_) => "unknown".to_owned(),
    }
}

/// Exclusive to who delivers, in `spool/`.
pub(super) const LOCK: &str = ".lock";
/// Of a server's message, in characters.
const MAX_MESSAGE: usize = 500;

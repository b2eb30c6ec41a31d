//! The files that wait for delivery, in the hands of the one process that may deliver them.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process,
};

use super::{DELIVERED, Error, REJECTED, SPOOL, file::FileLines, format, list, on, reader::BAD, sync_folder};

/// The spool, locked for this process until dropped.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    _lock: File,
}

/// A line that the database refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The line, without its newline.
    pub line: String,
    /// The server's message.
    pub message: String,
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
        // A hint for whoever comes second. The lock holds without it: a full disk must not keep us from delivering.
        let _ = lock.set_len(0).and_then(|()| writeln!(&lock, "{}", process::id()));
        Ok(Self { dir: dir.to_owned(), _lock: lock })
    }

    /// The data directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The oldest waiting file.
    ///
    /// # Errors
    /// When the spool cannot be listed.
    pub fn oldest(&self) -> Result<Option<String>, Error> {
        Ok(list(&self.folder())?.into_iter().next())
    }

    /// The file to deliver next, oldest or most recent first, without those to pass over.
    ///
    /// # Errors
    /// When the spool cannot be listed.
    pub fn next(&self, recent_first: bool, passed: &HashSet<String>) -> Result<Option<String>, Error> {
        let mut names = list(&self.folder())?.into_iter().filter(|name| !passed.contains(name));
        Ok(if recent_first { names.next_back() } else { names.next() })
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

    /// Moves a file to the delivered ones: from now on every point of it is in the database or in `rejected/`.
    ///
    /// # Errors
    /// When the disk refuses; the file waits on then, and will be sent again.
    pub fn delivered(&self, name: &str) -> Result<(), Error> {
        self.leave(name, &self.dir.join(DELIVERED), name)
    }

    /// Moves a damaged file to the rejected ones, as it is.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn set_aside(&self, name: &str) -> Result<(), Error> {
        self.leave(name, &self.dir.join(REJECTED), &format!("{name}{BAD}"))
    }

    /// Keeps the refused lines of a file, each after its message, instead of what was kept of that file before.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn quarantine(&self, name: &str, rejected: &[Rejected]) -> Result<(), Error> {
        let mut content = String::from(format::HEADER);
        for Rejected { line, message } in rejected {
            let message: String =
                message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_MESSAGE).collect();
            content.push_str(&format!("# {message}\n{line}\n"));
        }
        let crc = crc32c::crc32c(content.as_bytes());
        content.push_str(&format::Trailer { points: rejected.len() as u64, crc }.encode());
        super::replace(&self.dir.join(REJECTED), name, content.as_bytes())
    }

    fn folder(&self) -> PathBuf {
        self.dir.join(SPOOL)
    }

    fn leave(&self, name: &str, folder: &Path, new_name: &str) -> Result<(), Error> {
        let path = self.folder().join(name);
        match fs::rename(&path, folder.join(new_name)) {
            // Deleted to keep within the archive's limits, and counted there.
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(()),
            moved => moved.map_err(on("move", &path))?,
        }
        sync_folder(folder)?;
        sync_folder(&self.folder())
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

/// The points that a sealed file says it holds, read from its end; counted where it has none.
pub(super) fn points(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(LONGEST_TRAILER)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let last = end.strip_suffix(b"\n").and_then(|end| end.rsplit(|byte| *byte == b'\n').next());
    if let Some(trailer) = last.and_then(|line| format::Trailer::parse(str::from_utf8(line).ok()?)) {
        return Ok(trailer.points);
    }
    let mut lines = FileLines::open(path.to_owned(), false)?;
    lines.by_ref().for_each(drop);
    Ok(lines.points())
}

/// Exclusive to who delivers, in `spool/`.
pub(super) const LOCK: &str = ".lock";
const LONGEST_TRAILER: u64 = 80;
/// Of a server's message, in characters.
const MAX_MESSAGE: usize = 500;

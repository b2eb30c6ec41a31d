//! The open file of this process: appended with one write a batch, sealed by trailer, sync and rename.
//!
//! The file is locked (flock) as long as its writer lives, which is how [`recover`](super::recover) tells an orphan.
//! It is made on the first append, so no empty file is ever sealed. The caller's clock decides on syncing and sealing.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use jiff::Timestamp;

use super::{Error, OPEN, SPOOL, format, on, sync_folder};

/// A file of at least this many bytes should be sealed.
pub const SEAL_BYTES: u64 = 1_000_000;

/// A file of at least this age should be sealed.
pub const SEAL_AGE: Duration = Duration::from_secs(600);

/// The one who appends for this process.
#[derive(Debug)]
pub struct Writer {
    dir: PathBuf,
    open: Option<OpenFile>,
}

/// A file that was moved to the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Its name in the spool.
    pub name: String,
    /// Points in it.
    pub points: u64,
}

impl Writer {
    /// Makes the data directory where it is missing. Call [`recover`](super::recover::recover) beside it.
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        super::create(dir)?;
        Ok(Self { dir: dir.to_owned(), open: None })
    }

    /// Appends a batch of whole lines, each ending in a newline. On `Ok` a kill of this process no longer loses it; on
    /// `Err` nothing of it is in the file, and the caller counts the points as dropped.
    ///
    /// # Errors
    /// When the disk refuses, or the lines are not whole or not as many as `points`.
    pub fn append(&mut self, now: Timestamp, lines: &[u8], points: u64) -> Result<(), Error> {
        let newlines = lines.split(|byte| *byte == b'\n').count() as u64 - 1;
        if newlines != points || lines.last().is_some_and(|byte| *byte != b'\n') {
            return Err(Error::NotWholeLines { claimed: points, lines: newlines });
        }
        if points == 0 {
            return Ok(());
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => OpenFile::create(&self.dir, now)?,
        };
        let written =
            if open.len == 0 { open.write(&[format::HEADER.as_bytes(), lines].concat()) } else { open.write(lines) };
        match written {
            Ok(()) => {
                open.points += points;
                open.unsynced_since.get_or_insert(now);
                self.open = Some(open);
                Ok(())
            }
            Err(Torn { source, cut }) => {
                let error = on("append to", &open.path)(source);
                // A file that could not be cut back is let go: its lock ends, and recovery cuts it.
                self.open = cut.then_some(open);
                Err(error)
            }
        }
    }

    /// Whether something was appended longer than `every` ago and not synced since.
    #[must_use]
    pub fn needs_sync(&self, now: Timestamp, every: Duration) -> bool {
        self.open.as_ref().and_then(|open| open.unsynced_since).is_some_and(|since| apart(since, now) >= every)
    }

    /// Makes what was appended survive a power cut.
    ///
    /// # Errors
    /// When the disk refuses; it is due again then.
    pub fn sync(&mut self) -> Result<(), Error> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.file.sync_data().map_err(on("sync", &open.path))?;
        open.unsynced_since = None;
        Ok(())
    }

    /// Whether the open file is large or old enough to be sealed.
    #[must_use]
    pub fn needs_seal(&self, now: Timestamp) -> bool {
        self.open.as_ref().is_some_and(|open| open.len >= SEAL_BYTES || apart(open.opened, now) >= SEAL_AGE)
    }

    /// Points in the open file.
    #[must_use]
    pub fn open_points(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.points)
    }

    /// Seals the open file, if there is one with points, into the spool. The next append opens a new one.
    ///
    /// # Errors
    /// When the disk refuses; the file stays open then, or is left to recovery.
    pub fn seal(&mut self) -> Result<Option<Sealed>, Error> {
        let Some(mut open) = self.open.take_if(|open| open.points > 0) else { return Ok(None) };
        let (good, crc) = (open.len, open.crc);
        let trailer = format::Trailer { points: open.points, crc }.encode();
        if let Err(Torn { source, cut }) = open.write(trailer.as_bytes()) {
            let error = on("seal", &open.path)(source);
            self.open = cut.then_some(open);
            return Err(error);
        }
        let spooled = self.dir.join(SPOOL).join(&open.name);
        let moved = open.file.sync_all().and_then(|()| fs::rename(&open.path, &spooled));
        if let Err(source) = moved {
            let error = on("seal", &open.path)(source);
            if open.file.set_len(good).is_ok() {
                (open.len, open.crc) = (good, crc);
                self.open = Some(open);
            }
            return Err(error);
        }
        sync_folder(&self.dir.join(SPOOL))?;
        sync_folder(&self.dir.join(OPEN))?;
        Ok(Some(Sealed { name: open.name, points: open.points }))
    }
}

/// The file that grows.
#[derive(Debug)]
struct OpenFile {
    file: File,
    path: PathBuf,
    name: String,
    /// Bytes of whole batches.
    len: u64,
    points: u64,
    crc: u32,
    opened: Timestamp,
    unsynced_since: Option<Timestamp>,
}

/// A write that failed, and whether the file is back at its last good length.
#[derive(Debug)]
struct Torn {
    source: io::Error,
    cut: bool,
}

impl OpenFile {
    /// Makes a file under a name that no folder has yet. It gets its `.lp` name only when it is locked, so that
    /// recovery never takes it for an orphan.
    fn create(dir: &Path, now: Timestamp) -> Result<Self, Error> {
        let mut time = now;
        for _ in 0..CREATE_ATTEMPTS {
            let name = format::name(time, process::id());
            time += Duration::from_nanos(1);
            if super::FOLDERS.iter().any(|folder| dir.join(folder).join(&name).exists()) {
                continue;
            }
            let (temporary, path) = (dir.join(OPEN).join(format!(".{name}.new")), dir.join(OPEN).join(&name));
            let file = match super::private().append(true).create_new(true).open(&temporary) {
                Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => continue,
                file => file.map_err(on("create", &temporary))?,
            };
            // Between the creation and the lock, a recovery may have locked or deleted the file: another try then.
            if !super::lock(&file, &temporary)? {
                continue;
            }
            match fs::rename(&temporary, &path) {
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => continue,
                renamed => renamed.map_err(on("create", &path))?,
            }
            sync_folder(&dir.join(OPEN))?;
            return Ok(Self { file, path, name, len: 0, points: 0, crc: 0, opened: now, unsynced_since: None });
        }
        Err(on("find a free name in", &dir.join(OPEN))(io::ErrorKind::AlreadyExists.into()))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Torn> {
        let good = self.len;
        write_or_cut(&mut self.file, bytes, |file| file.set_len(good))?;
        self.len += bytes.len() as u64;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        Ok(())
    }
}

/// Writes all, or cuts back: a torn batch is never followed by another one.
fn write_or_cut<W: Write>(to: &mut W, bytes: &[u8], cut: impl FnOnce(&mut W) -> io::Result<()>) -> Result<(), Torn> {
    // The first write takes the whole batch unless the disk is full or a signal comes; `write_all` handles these.
    to.write_all(bytes).map_err(|source| Torn { source, cut: cut(to).is_ok() })
}

/// The time between two readings, whichever way the clock was set meanwhile.
fn apart(a: Timestamp, b: Timestamp) -> Duration {
    a.duration_until(b).unsigned_abs()
}

/// How many names are tried for a new file.
const CREATE_ATTEMPTS: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes and is full then.
    struct Full {
        content: Vec<u8>,
        room: usize,
    }

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room - self.content.len());
            self.content.extend_from_slice(&bytes[..taken]);
            if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_batch_is_there_as_a_whole_or_not_at_all() {
        let mut disk = Full { content: Vec::new(), room: 10 };
        assert!(write_or_cut(&mut disk, b"first\n", |_| Ok(())).is_ok());
        let torn = write_or_cut(&mut disk, b"second\n", |disk| {
            disk.content.truncate(6);
            Ok(())
        });
        assert!(torn.unwrap_err().cut);
        assert_eq!(disk.content, b"first\n");
        assert!(!write_or_cut(&mut disk, b"second\n", |_| Err(io::ErrorKind::Other.into())).unwrap_err().cut);
    }
}

//! The open file of this process: one write per batch, sealed by trailer, sync and rename.
//!
//! The file stays locked (flock) while its writer lives. That is how [`recover`](super::recover) recognizes an orphan.
//! It is created by the first append, so no empty file is ever sealed. The caller passes the time and decides when to
//! sync and seal.
//!
//! When the directory is removed or replaced while the file is open, the appended data can still be read through the
//! open descriptor. It is copied into a new file before anything else happens.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use self::open_file::{FailedWrite, OpenFile};
use super::{Error, OPEN, SPOOL, checksums, format, on, sync_folder};

mod open_file;

/// A file of at least this many bytes should be sealed.
pub const SEAL_BYTES: u64 = 1_000_000;

/// A file of at least this age should be sealed.
pub const SEAL_AGE: Duration = Duration::from_secs(600);

/// Appends points to the open file of this process.
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
    /// The number of points in it.
    pub points: u64,
}

/// A sync that another thread can finish.
#[derive(Debug)]
#[must_use = "nothing is synced until it is finished"]
pub struct Syncing {
    file: File,
    path: PathBuf,
    /// The folder to sync as well, if the file is new and its name not yet durable.
    folder: Option<PathBuf>,
}

/// A file with its trailer, ready to be synced and moved. Nothing more is appended to it.
#[derive(Debug)]
#[must_use = "nothing is sealed until it is finished"]
pub struct Sealing {
    dir: PathBuf,
    open: OpenFile,
    /// Length in bytes and CRC32C before the trailer.
    good: u64,
    crc: u32,
}

impl Writer {
    /// Creates the data directory where it is missing. Call [`recover`](super::recover::recover) as well: it seals the
    /// files of dead processes.
    ///
    /// # Errors
    /// When the folders cannot be created.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        super::create(dir)?;
        Ok(Self { dir: dir.to_owned(), open: None })
    }

    /// Appends a batch of points, each a whole line that ends in a newline. After `Ok`, killing this process does not
    /// lose the batch. After `Err`, the file holds none of it, with one exception: if the disk also refused to truncate
    /// the file, recovery may find some of its lines, and they are duplicates when the caller appends the batch again.
    ///
    /// # Errors
    /// When the disk refuses, when a line is not whole, or when the number of lines is not `points`.
    pub fn append(&mut self, now: Timestamp, lines: &[u8], points: u64) -> Result<(), Error> {
        let whole = |line: &&[u8]| line.strip_suffix(b"\n").is_some_and(format::is_point);
        let found = lines.split_inclusive(|byte| *byte == b'\n').filter(whole).count() as u64;
        let newlines = lines.iter().filter(|byte| **byte == b'\n').count() as u64;
        if found != points || newlines != points || lines.last().is_some_and(|byte| *byte != b'\n') {
            return Err(Error::NotWholeLines { claimed: points, lines: found });
        }
        if points == 0 {
            return Ok(());
        }
        self.replace_lost_file(Some(now))?;
        let mut open = match self.open.take() {
            Some(open) => open,
            None => OpenFile::create(&self.dir, now)?,
        };
        let mut batch = if open.len == 0 { format::HEADER.as_bytes().to_vec() } else { Vec::new() };
        checksums::write(lines, &mut batch);
        match open.write(&batch) {
            Ok(()) => {
                open.points += points;
                open.unsynced_since.get_or_insert(now);
                self.open = Some(open);
                Ok(())
            }
            Err(FailedWrite { source, cut }) => {
                let error = on("append to", &open.path)(source);
                // If the file could not be truncated, drop it: that releases the lock, and recovery truncates it.
                self.open = cut.then_some(open);
                Err(error)
            }
        }
    }

    /// Whether data appended at least `every` ago is still not synced.
    #[must_use]
    pub fn needs_sync(&self, now: Timestamp, every: Duration) -> bool {
        self.open.as_ref().and_then(|open| open.unsynced_since).is_some_and(|since| time_between(since, now) >= every)
    }

    /// Makes everything appended so far survive a power cut.
    ///
    /// # Errors
    /// When the disk refuses. The sync is then due again.
    pub fn sync(&mut self) -> Result<(), Error> {
        let Some(syncing) = self.begin_sync()? else { return Ok(()) };
        let result = syncing.finish();
        if result.is_err() {
            self.distrust(&syncing.path);
        }
        result
    }

    /// Like [`Writer::sync`], for another thread to finish. Data appended meanwhile waits for the next sync. If
    /// finishing fails, call [`Writer::distrust`].
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn begin_sync(&mut self) -> Result<Option<Syncing>, Error> {
        self.replace_lost_file(None)?;
        let Some(open) = &mut self.open else { return Ok(None) };
        let file = open.file.try_clone().map_err(on("sync", &open.path))?;
        let folder = open.unsynced_name.then(|| self.dir.join(OPEN));
        (open.unsynced_since, open.unsynced_name) = (None, false);
        Ok(Some(Syncing { file, path: open.path.clone(), folder }))
    }

    /// Call this when syncing the file at `path` failed. The writer copies it to a new file before the next operation.
    pub fn distrust(&mut self, path: &Path) {
        if let Some(open) = self.open.as_mut().filter(|open| open.path == path) {
            open.distrusted = true;
            open.unsynced_since = open.unsynced_since.or(Some(open.opened));
        }
    }

    /// Whether the open file has reached [`SEAL_BYTES`] or [`SEAL_AGE`].
    #[must_use]
    pub fn needs_seal(&self, now: Timestamp) -> bool {
        self.open.as_ref().is_some_and(|open| open.len >= SEAL_BYTES || time_between(open.opened, now) >= SEAL_AGE)
    }

    /// The number of points in the open file.
    #[must_use]
    pub fn open_points(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.points)
    }

    /// Seals the open file and moves it to the spool. Returns `None` when it has no points. The next append creates a
    /// new file.
    ///
    /// # Errors
    /// When the disk refuses. The file then stays open or is left to recovery.
    pub fn seal(&mut self) -> Result<Option<Sealed>, Error> {
        self.seal_with(File::sync_all)
    }

    fn seal_with(&mut self, sync: impl FnOnce(&File) -> io::Result<()>) -> Result<Option<Sealed>, Error> {
        let Some(sealing) = self.begin_seal()? else { return Ok(None) };
        sealing.finish_or_reopen(sync).map(Some).map_err(|(error, open)| {
            self.open = open.map(|open| *open);
            error
        })
    }

    /// Like [`Writer::seal`], for another thread to finish. The next append creates a new file in any case.
    ///
    /// # Errors
    /// When the disk refuses. The file then stays open or is left to recovery.
    pub fn begin_seal(&mut self) -> Result<Option<Sealing>, Error> {
        self.replace_lost_file(None)?;
        let Some(mut open) = self.open.take_if(|open| open.points > 0) else { return Ok(None) };
        let (good, crc) = (open.len, open.crc);
        let trailer = format::Trailer { points: open.points, crc }.encode();
        if let Err(FailedWrite { source, cut }) = open.write(trailer.as_bytes()) {
            let error = on("seal", &open.path)(source);
            self.open = cut.then_some(open);
            return Err(error);
        }
        Ok(Some(Sealing { dir: self.dir.clone(), open, good, crc }))
    }

    /// Copies the open file into a new one in two cases: its name no longer refers to it, because the directory was
    /// removed or replaced; or a sync of it failed. On `Err` the old file is kept for the next attempt.
    fn replace_lost_file(&mut self, now: Option<Timestamp>) -> Result<(), Error> {
        let Some(lost) = self.open.take_if(|open| open.distrusted || open.is_lost()) else { return Ok(()) };
        match lost.copied(&self.dir) {
            Ok(mut open) => {
                open.unsynced_since = now.or(lost.unsynced_since).or(Some(lost.opened));
                self.open = Some(open);
                Ok(())
            }
            Err(problem) => {
                self.open = Some(lost);
                Err(problem)
            }
        }
    }
}

impl Syncing {
    /// Waits until the data is on the disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(on("sync", &self.path))?;
        self.folder.as_deref().map_or(Ok(()), sync_folder)
    }

    /// The path of the file that is synced, for [`Writer::distrust`].
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
impl Syncing {
    /// A sync of the file at `path` that fails: a pipe cannot be synced.
    pub(crate) fn failing(path: &Path) -> Self {
        let (pipe, _) = io::pipe().expect("a test may open a pipe");
        Self { file: File::from(std::os::fd::OwnedFd::from(pipe)), path: path.to_owned(), folder: None }
    }
}

impl Sealing {
    /// The path of the file that is sealed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.open.path
    }

    /// Call this when a sync of the file failed that was under way when the seal began. The file is then copied to a new
    /// one first.
    pub fn distrust(&mut self) {
        self.open.distrusted = true;
    }

    /// Waits until the file is on the disk and moves it to the spool.
    ///
    /// # Errors
    /// When the disk refuses. The file is then left to recovery.
    pub fn finish(self) -> Result<Sealed, Error> {
        self.finish_or_reopen(File::sync_all).map_err(|(error, _)| error)
    }

    /// On an error, also returns the file without its trailer, unless it could not be truncated.
    fn finish_or_reopen(
        self,
        sync: impl FnOnce(&File) -> io::Result<()>,
    ) -> Result<Sealed, (Error, Option<Box<OpenFile>>)> {
        let Self { dir, mut open, good, crc } = self;
        if open.distrusted {
            let trailer = format::Trailer { points: open.points, crc }.encode();
            (open.len, open.crc) = (good, crc);
            let copied = open.copied(&dir).and_then(|mut copy| {
                let written = copy.write(trailer.as_bytes());
                written.map_err(|FailedWrite { source, .. }| on("seal", &copy.path)(source)).map(|()| copy)
            });
            match copied {
                Ok(copy) => open = copy,
                Err(error) => return Err((error, Some(Box::new(open)))),
            }
        }
        let spooled = dir.join(SPOOL).join(&open.name);
        let synced = sync(&open.file);
        open.distrusted = synced.is_err();
        let moved = synced.and_then(|()| match fs::rename(&open.path, &spooled) {
            Err(gone) if gone.kind() == io::ErrorKind::NotFound && super::create(&dir).is_ok() => {
                fs::rename(&open.path, &spooled)
            }
            moved => moved,
        });
        if let Err(source) = moved {
            let error = on("seal", &open.path)(source);
            let is_cut = open.file.set_len(good).is_ok();
            (open.len, open.crc) = (good, crc);
            return Err((error, is_cut.then(|| Box::new(open))));
        }
        let folders = sync_folder(&dir.join(SPOOL)).and_then(|()| sync_folder(&dir.join(OPEN)));
        folders.map_err(|error| (error, None))?;
        Ok(Sealed { name: std::mem::take(&mut open.name), points: open.points })
    }
}

/// The time between two timestamps, also when the clock was set back between them.
fn time_between(a: Timestamp, b: Timestamp) -> Duration {
    a.duration_until(b).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::reader;

    #[test]
    fn appends_during_a_sync_are_due_for_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        writer.append(now, b"a v=1i 1\n", 1).unwrap();
        let syncing = writer.begin_sync().unwrap().unwrap();
        assert!(!writer.needs_sync(now + SEAL_AGE, Duration::ZERO));
        writer.append(now, b"a v=1i 2\n", 1).unwrap();
        assert!(writer.needs_sync(now, Duration::ZERO));
        syncing.finish().unwrap();
        // Pretend that the sync failed: everything is written again.
        let before = syncing.path().to_owned();
        writer.distrust(&before);
        writer.append(now, b"a v=1i 3\n", 1).unwrap();
        let sealing = writer.begin_seal().unwrap().unwrap();
        writer.append(now + SEAL_AGE, b"a v=1i 4\n", 1).unwrap();
        assert_eq!(sealing.finish().unwrap().points, 3);
        assert_eq!(writer.seal().unwrap().unwrap().points, 1);
        assert!(!before.exists());
        let lines: Vec<_> = reader::lines(dir.path(), None).unwrap().map(Result::unwrap).collect();
        assert_eq!(lines, ["a v=1i 1", "a v=1i 2", "a v=1i 3", "a v=1i 4"]);
    }

    /// A second sync of the same file would succeed, whether its pages are on the disk or not.
    #[test]
    fn a_file_whose_seal_could_not_sync_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        writer.append(now, b"a v=1i 1\n", 1).unwrap();
        let before = writer.open.as_ref().unwrap().path.clone();
        let error = writer.seal_with(|_| Err(io::Error::other("pages are lost"))).unwrap_err();
        assert!(error.to_string().ends_with("pages are lost"), "{error}");
        writer.append(now, b"a v=1i 2\n", 1).unwrap();
        let sealed = writer.seal().unwrap().unwrap();
        assert_eq!((sealed.points, before.exists(), before.ends_with(&sealed.name)), (2, false, false));

        writer.append(now, b"a v=1i 3\n", 1).unwrap();
        let mut sealing = writer.begin_seal().unwrap().unwrap();
        let before = sealing.path().to_owned();
        sealing.distrust();
        let sealed = sealing.finish().unwrap();
        assert_eq!((sealed.points, before.exists(), before.ends_with(&sealed.name)), (1, false, false));
        let lines: Vec<_> = reader::lines(dir.path(), None).unwrap().map(Result::unwrap).collect();
        assert_eq!(lines, ["a v=1i 1", "a v=1i 2", "a v=1i 3"]);
    }

    #[test]
    fn a_file_that_could_not_be_synced_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        writer.append(now, b"a v=1i 1\n", 1).unwrap();
        let before = writer.open.as_ref().unwrap().path.clone();
        writer.open.as_mut().unwrap().distrusted = true;
        writer.sync().unwrap();
        assert!(!before.exists() && !writer.needs_sync(now + SEAL_AGE, Duration::ZERO));
        writer.append(now, b"a v=1i 2\n", 1).unwrap();
        assert_eq!(writer.seal().unwrap().unwrap().points, 2);
        let lines: Vec<_> = reader::lines(dir.path(), None).unwrap().map(Result::unwrap).collect();
        assert_eq!(lines, ["a v=1i 1", "a v=1i 2"]);
    }
}

//! The open file of this process: appended with one write a batch, sealed by trailer, sync and rename.
//!
//! The file is locked (flock) as long as its writer lives, which is how [`recover`](super::recover) tells an orphan.
//! It is made on the first append, so no empty file is ever sealed. The caller's clock decides on syncing and sealing.
//!
//! When the directory is removed or replaced under our feet, what was appended is still in the open descriptor: it goes
//! into a new file before anything else happens.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use self::open_file::{OpenFile, Torn};
use super::{Error, OPEN, SPOOL, format, on, sums, sync_folder};

mod open_file;

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

/// A sync that has begun.
#[derive(Debug)]
#[must_use = "nothing is synced until it is finished"]
pub struct Syncing {
    file: File,
    path: PathBuf,
    /// The folder with the name of a new file.
    folder: Option<PathBuf>,
}

/// A file that has its trailer, so that nothing more is appended to it.
#[derive(Debug)]
#[must_use = "nothing is sealed until it is finished"]
pub struct Sealing {
    dir: PathBuf,
    open: OpenFile,
    /// Its length and sum before the trailer.
    good: u64,
    crc: u32,
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

    /// Appends a batch of points, each a whole line that ends in a newline. On `Ok` a kill of this process no longer loses
    /// it; on `Err` nothing of it is in the file, unless the disk refused to cut it back as well: then recovery may find
    /// lines of it, which are there twice when they are appended again.
    ///
    /// # Errors
    /// When the disk refuses, or the lines are not whole or not as many as `points`.
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
        self.come_home(Some(now))?;
        let mut open = match self.open.take() {
            Some(open) => open,
            None => OpenFile::create(&self.dir, now)?,
        };
        let mut batch = if open.len == 0 { format::HEADER.as_bytes().to_vec() } else { Vec::new() };
        sums::write(lines, &mut batch);
        match open.write(&batch) {
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
        let Some(syncing) = self.begin_sync()? else { return Ok(()) };
        let result = syncing.finish();
        if result.is_err() {
            self.distrust(&syncing.path);
        }
        result
    }

    /// The same, for another thread to finish: what is appended meanwhile is left to the next sync. If finishing fails, call
    /// [`Writer::distrust`].
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn begin_sync(&mut self) -> Result<Option<Syncing>, Error> {
        self.come_home(None)?;
        let Some(open) = &mut self.open else { return Ok(None) };
        let file = open.file.try_clone().map_err(on("sync", &open.path))?;
        let folder = open.unsynced_name.then(|| self.dir.join(OPEN));
        (open.unsynced_since, open.unsynced_name) = (None, false);
        Ok(Some(Syncing { file, path: open.path.clone(), folder }))
    }

    /// The file at `path` could not be synced: it is written again before anything else happens to it.
    pub fn distrust(&mut self, path: &Path) {
        if let Some(open) = self.open.as_mut().filter(|open| open.path == path) {
            open.distrusted = true;
            open.unsynced_since = open.unsynced_since.or(Some(open.opened));
        }
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
        let Some(sealing) = self.begin_seal()? else { return Ok(None) };
        sealing.finish_or_reopen().map(Some).map_err(|(error, open)| {
            self.open = open.map(|open| *open);
            error
        })
    }

    /// The same, for another thread to finish. The next append opens a new file in any case.
    ///
    /// # Errors
    /// When the disk refuses; the file stays open then, or is left to recovery.
    pub fn begin_seal(&mut self) -> Result<Option<Sealing>, Error> {
        self.come_home(None)?;
        let Some(mut open) = self.open.take_if(|open| open.points > 0) else { return Ok(None) };
        let (good, crc) = (open.len, open.crc);
        let trailer = format::Trailer { points: open.points, crc }.encode();
        if let Err(Torn { source, cut }) = open.write(trailer.as_bytes()) {
            let error = on("seal", &open.path)(source);
            self.open = cut.then_some(open);
            return Err(error);
        }
        Ok(Some(Sealing { dir: self.dir.clone(), open, good, crc }))
    }

    /// Writes what is in the open file into a new one, if its name no longer means it, because the directory was removed or
    /// replaced; or if it could not be synced: Linux tells of pages that were not written once, and of the next sync that
    /// all is well (fsync(2), Errors). On `Err` the old one is kept, for the next try.
    fn come_home(&mut self, now: Option<Timestamp>) -> Result<(), Error> {
        let Some(lost) = self.open.take_if(|open| open.distrusted || open.is_lost()) else { return Ok(()) };
        match OpenFile::create(&self.dir, lost.opened).and_then(|mut open| open.take_over(&lost).map(|()| open)) {
            Ok(mut open) => {
                if !lost.is_lost() {
                    // If that fails, recovery finds it too, and its points are the same ones.
                    let _ = fs::remove_file(&lost.path);
                }
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
    /// Waits for the disk.
    ///
    /// # Errors
    /// When it refuses.
    pub fn finish(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(on("sync", &self.path))?;
        self.folder.as_deref().map_or(Ok(()), sync_folder)
    }

    /// Of the file that is synced.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Sealing {
    /// Waits for the disk.
    ///
    /// # Errors
    /// When it refuses; the file is left to recovery then.
    pub fn finish(self) -> Result<Sealed, Error> {
        self.finish_or_reopen().map_err(|(error, _)| error)
    }

    /// On an error also the file as it was before, unless the disk refused that too.
    fn finish_or_reopen(self) -> Result<Sealed, (Error, Option<Box<OpenFile>>)> {
        let Self { dir, mut open, good, crc } = self;
        let spooled = dir.join(SPOOL).join(&open.name);
        let moved = open.file.sync_all().and_then(|()| match fs::rename(&open.path, &spooled) {
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

/// The time between two readings, whichever way the clock was set meanwhile.
fn apart(a: Timestamp, b: Timestamp) -> Duration {
    a.duration_until(b).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::reader;

    #[test]
    fn what_is_appended_while_a_sync_is_under_way_is_due_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        writer.append(now, b"a v=1i 1\n", 1).unwrap();
        let syncing = writer.begin_sync().unwrap().unwrap();
        assert!(!writer.needs_sync(now + SEAL_AGE, Duration::ZERO));
        writer.append(now, b"a v=1i 2\n", 1).unwrap();
        assert!(writer.needs_sync(now, Duration::ZERO));
        syncing.finish().unwrap();
        // It failed, say: all of it is written again.
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

    #[test]
    fn a_file_that_could_not_be_synced_is_written_again() {
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

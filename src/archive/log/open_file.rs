//! The file that this process appends to.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use jiff::Timestamp;

use crate::archive::{self, Error, OPEN, format, on};

/// The open file and what was written to it.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) name: String,
    /// Length of all whole batches, in bytes.
    pub(super) len: u64,
    pub(super) points: u64,
    pub(super) crc: u32,
    pub(super) opened: Timestamp,
    pub(super) unsynced_since: Option<Timestamp>,
    /// The file's name may not survive a power cut yet.
    pub(super) unsynced_name: bool,
    /// A sync failed. The data may not be on the disk, even if a later sync succeeds.
    pub(super) distrusted: bool,
}

/// A failed write, and whether the file was truncated to the last whole batch.
#[derive(Debug)]
pub(super) struct FailedWrite {
    pub(super) source: io::Error,
    pub(super) cut: bool,
}

impl OpenFile {
    /// Creates a file under a name that no folder has yet. The file gets its `.lp` name only when it is locked, so that
    /// recovery never takes it for an orphan.
    pub(super) fn create(dir: &Path, now: Timestamp) -> Result<Self, Error> {
        let mut time = now;
        for _ in 0..CREATE_ATTEMPTS {
            let name = format::name(time, process::id());
            time += Duration::from_nanos(1);
            if archive::FOLDERS.iter().any(|folder| dir.join(folder).join(&name).exists()) {
                continue;
            }
            let (temporary, path) = (dir.join(OPEN).join(format!(".{name}.new")), dir.join(OPEN).join(&name));
            let file = match archive::private().read(true).append(true).create_new(true).open(&temporary) {
                Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => {
                    archive::create(dir)?;
                    continue;
                }
                file => file.map_err(on("create", &temporary))?,
            };
            // Between creation and lock, a recovery may have locked or deleted the file. Then try again.
            if !archive::lock(&file, &temporary)? {
                continue;
            }
            match fs::rename(&temporary, &path) {
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => continue,
                renamed => renamed.map_err(on("create", &path))?,
            }
            return Ok(Self {
                file,
                path,
                name,
                len: 0,
                points: 0,
                crc: 0,
                opened: now,
                unsynced_since: None,
                unsynced_name: true,
                distrusted: false,
            });
        }
        Err(on("find a free name in", &dir.join(OPEN))(io::ErrorKind::AlreadyExists.into()))
    }

    /// Whether its path now names another file, or none.
    pub(super) fn is_lost(&self) -> bool {
        !archive::is_at(&self.file, &self.path)
    }

    /// Copies everything that was appended into a new file, and deletes this one. After a failed sync a second one says
    /// nothing: Linux reports the lost pages once and then success (fsync(2), Errors).
    pub(super) fn copied(&self, dir: &Path) -> Result<Self, Error> {
        let mut content = Vec::new();
        let mut file = &self.file;
        let read = file.rewind().and_then(|()| file.take(self.len).read_to_end(&mut content));
        read.map_err(on("read again", &self.path))?;
        let mut copy = Self::create(dir, self.opened)?;
        copy.points = self.points;
        copy.write(&content).map_err(|FailedWrite { source, .. }| on("append to", &copy.path)(source))?;
        if !self.is_lost() {
            // If this fails, recovery delivers the old file too. Its points are identical, so the database keeps each
            // once.
            let _ = fs::remove_file(&self.path);
        }
        Ok(copy)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), FailedWrite> {
        let good = self.len;
        write_or_cut(&mut self.file, bytes, |file| file.set_len(good))?;
        self.len += bytes.len() as u64;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        Ok(())
    }
}

/// Unlocks explicitly, because a child process may hold a copy of the descriptor until it executes its program.
impl Drop for OpenFile {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// Writes everything, or truncates: no batch is ever written after a torn one.
fn write_or_cut<W: Write>(
    to: &mut W,
    bytes: &[u8],
    cut: impl FnOnce(&mut W) -> io::Result<()>,
) -> Result<(), FailedWrite> {
    // A single write takes the whole batch, unless the disk is full or a signal interrupts it. `write_all` handles
    // both.
    to.write_all(bytes).map_err(|source| FailedWrite { source, cut: cut(to).is_ok() })
}

/// The number of names tried for a new file.
const CREATE_ATTEMPTS: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for `room` bytes.
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
    fn a_batch_is_written_whole_or_not_at_all() {
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

//! Moves what a killed process left in `open/` to the spool.
//!
//! A power cut may leave more than half a line: zeros or old bytes in the middle. Recovery does not handle them
//! specially. Everything between two newlines counts as a line, and the trailer seals the file as it was found. Readers
//! identify the intact lines by their checksums.
//!
//! A recovered file is a copy. Its writer may have died after a failed sync, and then another sync of the old file would
//! succeed whether its pages are on the disk or not.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::{
    Error, Locked, OPEN, SPOOL, damage::DamageKind, file_lines::FileLines, format, is_at, list, on, sync_folder,
};

/// What recovery did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The number of files moved to the spool.
    pub files: u64,
    /// The number of points in them.
    pub points: u64,
    /// The number of bytes cut off, because they were half a last line.
    pub cut_bytes: u64,
    /// The number of points that were announced but are missing: their append did not return, or the power failed
    /// before the sync.
    pub missing: u64,
}

/// Seals every open file whose process is gone: copies it up to its last newline, then trailer, sync, rename. Files of
/// running processes are left alone. May run at any time, in parallel with writers and other
/// recoveries.
///
/// # Errors
/// The first problem that [`recover_each`] reports.
pub fn recover(dir: &Path) -> Result<Recovered, Error> {
    let (recovered, problems) = recover_each(dir);
    problems.into_iter().next().map_or(Ok(recovered), Err)
}

/// Like [`recover`], with all problems: a file that the disk refuses to seal does not stop the others. The next
/// recovery finds it again.
#[must_use]
pub fn recover_each(dir: &Path) -> (Recovered, Vec<Error>) {
    let (mut recovered, mut problems) = (Recovered::default(), Vec::new());
    problems.extend(delete_unnamed(&dir.join(OPEN)).err());
    match list(&dir.join(OPEN)) {
        Ok(names) => {
            problems.extend(names.iter().filter_map(|name| recover_file(dir, name, &mut recovered).err()));
        }
        Err(problem) => problems.push(problem),
    }
    if recovered.files > 0 {
        problems.extend([SPOOL, OPEN].into_iter().filter_map(|folder| sync_folder(&dir.join(folder)).err()));
    }
    (recovered, problems)
}

fn recover_file(dir: &Path, name: &str, recovered: &mut Recovered) -> Result<(), Error> {
    let path = dir.join(OPEN).join(name);
    let Some(Locked(file)) = &lock_orphan(&path)? else { return Ok(()) };
    let Some(found) = scan(file, &path)? else { return Ok(()) };
    if found.is_foreign {
        // Nothing in the file is bandprobe's. Move it as it is; delivery sets it aside.
        file.sync_all().map_err(on("seal", &path))?;
        fs::rename(&path, dir.join(SPOOL).join(name)).map_err(on("seal", &path))?;
    } else if found.points == 0 && found.trailer.is_none() {
        fs::remove_file(&path).map_err(on("remove the empty", &path))?;
        recovered.cut_bytes += found.len - found.whole_lines;
        recovered.missing += found.missing;
        return Ok(());
    } else {
        // An existing trailer stays, even a wrong one: a new one would hide the damage.
        let trailer = if found.trailer.is_none() { found.seal.encode() } else { String::new() };
        let temporary = dir.join(OPEN).join(format!(".{name}.tmp"));
        let copied = copy(file, found.whole_lines, &trailer, &temporary)
            .and_then(|()| fs::rename(&temporary, dir.join(SPOOL).join(name)));
        if copied.is_err() {
            // If it stays, the next recovery replaces it.
            let _ = fs::remove_file(&temporary);
        }
        copied.map_err(on("seal", &path))?;
        fs::remove_file(&path).map_err(on("remove the recovered", &path))?;
        recovered.cut_bytes += found.len - found.whole_lines;
    }
    recovered.files += 1;
    recovered.points += found.points;
    recovered.missing += found.missing;
    Ok(())
}

/// Writes the first bytes of a file and the trailer to a new file, and syncs it. Reads the bytes, because `io::copy` may
/// share blocks of the disk, which lack what a failed sync lost.
fn copy(mut from: &File, len: u64, trailer: &str, to: &Path) -> io::Result<()> {
    let mut copy = super::private().truncate(true).open(to)?;
    from.rewind()?;
    let (mut from, mut piece) = (from.take(len), vec![0; PIECE]);
    loop {
        match from.read(&mut piece)? {
            0 => break,
            read => copy.write_all(&piece[..read])?,
        }
    }
    copy.write_all(trailer.as_bytes())?;
    copy.sync_all()
}

/// Opens and locks a file whose writer is gone. `None` when the writer runs, or when the file was moved in the
/// meantime.
fn lock_orphan(path: &Path) -> Result<Option<Locked>, Error> {
    let file = match OpenOptions::new().read(true).append(true).custom_flags(libc::O_NOFOLLOW).open(path) {
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(on("open", path))?,
    };
    if !super::lock(&file, path)? {
        return Ok(None);
    }
    let locked = Locked(file);
    // The writer may have sealed the file between open and lock: check that the path still names it.
    Ok(is_at(&locked.0, path).then_some(locked))
}

/// Deletes the temporary files of processes that died while they created a file. They never held anything.
fn delete_unnamed(open: &Path) -> Result<(), Error> {
    let entries = match fs::read_dir(open) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(on("list", open))?,
    };
    for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        let is_file = || fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
        if path.extension().is_some_and(|extension| extension == "new") && is_file() && lock_orphan(&path)?.is_some() {
            // If another recovery deletes it first, that is just as well.
            let _ = fs::remove_file(&path);
        }
    }
    Ok(())
}

/// The content of an open file.
struct Scan {
    len: u64,
    /// Bytes up to the last newline.
    whole_lines: u64,
    points: u64,
    missing: u64,
    /// The trailer that the file has, and the one that would seal it.
    trailer: Option<format::Trailer>,
    seal: format::Trailer,
    /// Neither the header nor any line is bandprobe's.
    is_foreign: bool,
}

/// Reads an open file to its end. `None` when a newer version wrote it.
fn scan(file: &File, path: &Path) -> Result<Option<Scan>, Error> {
    let copy = file.try_clone().and_then(|mut copy| copy.rewind().map(|()| copy)).map_err(on("read", path))?;
    let mut lines = FileLines::over(path.to_owned(), copy, false);
    let mut good = 0_u64;
    for line in &mut lines {
        match line.map_err(|damage| damage.kind) {
            Ok(_) => good += 1,
            Err(DamageKind::Newer(_)) => return Ok(None),
            Err(DamageKind::Read(problem)) => return Err(on("read", path)(io::Error::other(problem))),
            Err(_) => {}
        }
    }
    let rest = lines.span();
    let is_blank = rest.start == 0 && is_blank(lines.bytes());
    Ok(Some(Scan {
        len: rest.end,
        whole_lines: rest.start,
        points: lines.points(),
        missing: lines.missing(),
        trailer: lines.trailer(),
        seal: lines.seal(),
        is_foreign: good == 0 && !lines.has_our_header() && !is_blank,
    }))
}

/// Whether a first line without a newline is nothing at all: the start of the header, or zeros where a power cut
/// prevented the write.
fn is_blank(start: &[u8]) -> bool {
    format::HEADER.as_bytes().starts_with(start) || start.iter().all(|byte| *byte == 0)
}

const PIECE: usize = 64 * 1024;

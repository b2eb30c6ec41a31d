//! Divides a damaged file: the intact lines are delivered, the rest is kept for a person.
//!
//! The rest goes to `rejected/NAME.bad`, or `NAME.2.bad` if that name holds the rest of an earlier damage. It is raw
//! bytes, each line after a comment that says what is wrong with it, with a trailer that counts the lines. It is never
//! read as points again.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::Path,
};

use super::{
    Error, REJECTED, SPOOL,
    atomic_file::{self, AtomicFile},
    damage::DamageKind,
    file_lines::{FileLines, LineKind},
    format, on, raw_lines,
    reader::set_aside_name,
    spool::Spool,
    sync_folder,
};

/// What became of a damaged file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// The number of intact points. They wait under the same name. With 0, the file is gone.
    pub kept: u64,
    /// The number of lines in the place of points that went to `rejected/`.
    pub set_aside: u64,
    /// The number of points that were announced or sealed but are missing.
    pub missing: u64,
    /// The first problem in words, with the number of further problems and of missing points.
    pub damage: String,
}

impl Spool {
    /// Reads a waiting file to its end. `None` when every byte is intact or the file is gone. Otherwise the file is
    /// divided: its intact lines wait in a new file of the same name, the rest is in `rejected/`. A file without header
    /// and without any intact line is moved there as it is.
    ///
    /// # Errors
    /// When the file cannot be read to its end, when a newer version wrote it, or when the disk refuses. Nothing is
    /// then lost, and the next call starts again.
    pub fn salvage(&self, name: &str) -> Result<Option<Salvaged>, Error> {
        let Some(mut lines) = self.open(name)? else { return Ok(None) };
        let path = self.dir().join(SPOOL).join(name);
        let (mut good, mut problems, mut first) = (0_u64, 0_u64, None);
        for line in &mut lines {
            match line.map_err(|damage| damage.kind) {
                Ok(_) => good += 1,
                Err(DamageKind::Newer(format)) => return Err(Error::Newer { path, format }),
                Err(DamageKind::Read(problem)) => return Err(on("read", &path)(io::Error::other(problem))),
                Err(what) => {
                    problems += 1;
                    first.get_or_insert(what);
                }
            }
        }
        let Some(first) = first else { return Ok(None) };
        // Half a line at the end is set aside, so it does not count as missing.
        let half = !lines.span().is_empty() && format::is_point(lines.bytes());
        let missing = lines.missing().saturating_sub(u64::from(half));
        let more = |count: u64, what: &str| if count > 0 { format!("; {count} {what}") } else { String::new() };
        let damage = format!("{first}{}{}", more(problems - 1, "more problems"), more(missing, "points are missing"));
        let (kept, set_aside) =
            if good == 0 && !lines.has_our_header() { (0, self.set_aside(name)?) } else { self.divide(name, &first)? };
        Ok(Some(Salvaged { kept, set_aside, missing, damage }))
    }

    /// Moves a file to `rejected/` as it is. Returns the number of points that it claims to hold.
    fn set_aside(&self, name: &str) -> Result<u64, Error> {
        let (spool, rejected) = (self.dir().join(SPOOL), self.dir().join(REJECTED));
        let free = (1..).map(|number| set_aside_name(name, number)).find(|bad| !rejected.join(bad).exists());
        let bad = free.expect("invariant: names do not end");
        let path = spool.join(name);
        let points = atomic_file::points(&path).map_err(on("read", &path))?;
        fs::rename(&path, rejected.join(bad)).map_err(on("move", &path))?;
        sync_folder(&rejected)?;
        sync_folder(&spool)?;
        Ok(points)
    }

    /// Writes both parts and then gives them their names, the rest first, so that nothing is lost in between.
    fn divide(&self, name: &str, first: &DamageKind) -> Result<(u64, u64), Error> {
        let (spool, rejected) = (self.dir().join(SPOOL), self.dir().join(REJECTED));
        let path = spool.join(name);
        let mut good = AtomicFile::create(&spool, name, format::HEADER)?;
        let mut bad = AtomicFile::create(&rejected, &set_aside_name(name, 1), SET_ASIDE)?;
        // The size makes the rest of a later damage differ from this one even if their bytes are equal.
        let size = fs::metadata(&path).map_err(on("read", &path))?.len();
        bad.comment(&format!("# out of spool/{name} of {size} bytes: {first}\n"))?;
        let found_bad = copy(&path, &mut good, &mut bad)?;
        let (kept, set_aside) = (good.points(), bad.points());
        if found_bad {
            let trailer = bad.seal()?;
            // An earlier call may have published the same rest and then died.
            let same = |bad: &Path| atomic_file::trailer(bad).ok().flatten() == Some(trailer);
            let free = |bad: &String| same(&rejected.join(bad)) || !rejected.join(bad).exists();
            let name = (1..).map(|number| set_aside_name(name, number)).find(free);
            bad.publish(&name.expect("invariant: names do not end"))?;
        }
        if kept > 0 {
            good.seal()?;
            good.publish(name)?;
        } else {
            fs::remove_file(&path).map_err(on("delete", &path))?;
            sync_folder(&spool)?;
        }
        Ok((kept, set_aside))
    }
}

/// Copies each line to its part. Returns whether the bad part may contain a point. An unknown comment may be a changed
/// point only if a point is missing.
fn copy(path: &Path, good: &mut AtomicFile, bad: &mut AtomicFile) -> Result<bool, Error> {
    let mut lines = FileLines::open(path.to_owned(), true).map_err(on("open", path))?;
    let mut source = raw_lines::open(path).map_err(on("open", path))?;
    let (mut bad_points, mut comments) = (false, false);
    loop {
        let found = lines.next_line().map_err(on("read", path))?;
        let ended = found.is_none();
        let (what, is_point) = match found {
            Some(LineKind::Point(line)) => {
                good.line(&line)?;
                continue;
            }
            Some(LineKind::Format) => continue,
            Some(LineKind::Damaged(what)) => (what.to_string(), true),
            Some(LineKind::UnknownComment) => ("an unknown comment".to_owned(), false),
            None => ("half a line at the end".to_owned(), format::is_point(lines.bytes())),
        };
        if !lines.span().is_empty() {
            bad.comment(&format!("# {what}\n"))?;
            bad.raw_line(&mut part(&mut source, lines.span()).map_err(on("read", path))?, is_point)?;
            bad_points |= is_point;
            comments |= !is_point;
        }
        if ended {
            return Ok(bad_points || (comments && lines.missing() > 0));
        }
    }
}

/// A reader of these bytes of a file.
fn part(file: &mut File, span: Range<u64>) -> io::Result<impl Read> {
    file.seek(SeekFrom::Start(span.start))?;
    Ok(file.take(span.end - span.start))
}

const SET_ASIDE: &str = "# bandprobe set aside: changed lines, which were not delivered\n";

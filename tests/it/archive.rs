//! The data directory: whatever happens in between, what was appended is read back.

#![expect(clippy::unwrap_used, reason = "the lint's exception for tests does not reach their helpers")]

mod corruption;
mod influx;
mod merged;
mod model;
mod retained;
mod skipped;
mod strangers;
mod vanished;

use std::{
    collections::HashSet,
    fs::{self, OpenOptions},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use bandprobe::{
    archive::{
        Error,
        damage::DamageKind,
        format,
        log::{SEAL_AGE, SEAL_BYTES, Writer},
        merge::{Merged, merge},
        reader,
        recover::{Recovered, recover},
        retain,
        spool::{RejectedLine, Spool},
        status::{skipped_files, status, waiting},
    },
    model::units::Bytes,
};
use jiff::{Timestamp, ToSpan};
use tempfile::TempDir;

#[test]
fn each_file_is_line_protocol_with_a_count_and_a_checksum() {
    let dir = TempDir::new().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.append(time(0), b"a v=1i 1\nb v=2i 2\n", 2).unwrap();
    assert_eq!(
        fs::read_to_string(only(dir.path(), "open")).unwrap(),
        format!("{}# sums a145f796 0b730a32\na v=1i 1\nb v=2i 2\n", format::HEADER)
    );
    let sealed = writer.seal().unwrap().unwrap();
    assert_eq!((sealed.name, sealed.points), (format!("2026-11-21T100000.000000000Z-{}.lp", std::process::id()), 2));
    let text = fs::read_to_string(only(dir.path(), "spool")).unwrap();
    let expected = "# bandprobe lines format=1\n# sums a145f796 0b730a32\na v=1i 1\nb v=2i 2\n\
                    # end points=2 crc32c=f3e21573\n";
    assert_eq!(text, expected);
    assert_eq!(writer.seal().unwrap(), None, "nothing is sealed twice");
    assert_eq!(names(dir.path(), "open"), Vec::<String>::new());
}

#[test]
fn a_batch_that_is_not_whole_lines_is_refused_as_a_whole() {
    let dir = TempDir::new().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    for (lines, points) in
        [("a v=1i 1", 1), ("a v=1i 1\n", 2), ("a v=1i 1\nb", 1), ("", 1), ("\n", 1), ("a v=1i 1\n# b\n", 2)]
    {
        let refused = writer.append(time(0), lines.as_bytes(), points);
        assert!(matches!(refused, Err(Error::NotWholeLines { .. })), "{lines:?}");
    }
    assert_eq!((writer.seal().unwrap(), read(dir.path())), (None, vec![]));
}

#[test]
fn syncing_and_sealing_are_due_by_the_callers_clock() {
    let dir = TempDir::new().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let every = Duration::from_secs(10);
    assert!(!writer.needs_sync(time(100), every) && !writer.needs_seal(time(100_000)), "nothing was written");
    writer.append(time(0), b"a v=1i 1\n", 1).unwrap();
    writer.append(time(5), b"a v=1i 2\n", 1).unwrap();
    assert!(!writer.needs_sync(time(9), every) && writer.needs_sync(time(10), every));
    writer.sync().unwrap();
    assert!(!writer.needs_sync(time(100), every));
    let age = i64::try_from(SEAL_AGE.as_secs()).unwrap();
    assert!(!writer.needs_seal(time(age - 1)) && writer.needs_seal(time(age)));
    assert!(writer.needs_seal(time(-age)), "a clock that was set back must not keep the file open for ever");
    let line = format!("a v=\"{}\" 1\n", "x".repeat(usize::try_from(SEAL_BYTES).unwrap()));
    writer.append(time(5), line.as_bytes(), 1).unwrap();
    assert!(writer.needs_seal(time(5)));
}

#[test]
fn recovery_drops_half_a_line_and_ignores_live_writers() {
    let dir = TempDir::new().unwrap();
    let mut dead = Writer::open(dir.path()).unwrap();
    dead.append(time(0), b"a v=1i 1\na v=1i 2\n", 2).unwrap();
    let orphan = only(dir.path(), "open");
    let mut alive = Writer::open(dir.path()).unwrap();
    alive.append(time(1), b"b v=1i 1\n", 1).unwrap();
    assert_eq!(recover(dir.path()).unwrap(), Recovered::default());

    drop(dead);
    append_raw(&orphan, b"a v=1i 3 torn");
    assert_eq!(recover(dir.path()).unwrap(), Recovered { files: 1, points: 2, cut_bytes: 13, missing: 0 });
    assert_eq!(recover(dir.path()).unwrap(), Recovered::default());
    alive.append(time(2), b"b v=1i 2\n", 1).unwrap();
    assert_eq!(read(dir.path()), ["a v=1i 1", "a v=1i 2", "b v=1i 1", "b v=1i 2"]);
}

/// The file of a dead process may hold pages that a failed sync lost: only a sync of a copy says that they are on the disk.
#[test]
fn a_recovered_file_is_a_copy() {
    let dir = TempDir::new().unwrap();
    let mut dead = Writer::open(dir.path()).unwrap();
    dead.append(time(0), b"a v=1i 1\n", 1).unwrap();
    drop(dead);
    let orphan = only(dir.path(), "open");
    let content = fs::read(&orphan).unwrap();
    let name = orphan.file_name().unwrap().to_str().unwrap();
    // What a recovery that was killed leaves.
    let temporary = dir.path().join("open").join(format!(".{name}.tmp"));
    fs::write(&temporary, "half of a copy that was longer than the file, and so on, and so on").unwrap();
    for _ in 0..2 {
        let inode = fs::metadata(&orphan).unwrap().ino();
        assert_eq!(recover(dir.path()).unwrap(), Recovered { files: 1, points: 1, cut_bytes: 0, missing: 0 });
        assert_ne!(fs::metadata(dir.path().join("spool").join(name)).unwrap().ino(), inode);
        assert!(!orphan.exists() && !temporary.exists());
        // A recovery that was killed before it deleted the file.
        fs::write(&orphan, &content).unwrap();
        assert_eq!(read(dir.path()), ["a v=1i 1"]);
    }
}

#[test]
fn recovery_finishes_a_seal_and_deletes_empty_files() {
    let dir = TempDir::new().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.append(time(0), b"a v=1i 1\n", 1).unwrap();
    let name = writer.seal().unwrap().unwrap().name;
    fs::rename(dir.path().join("spool").join(&name), dir.path().join("open").join(&name)).unwrap();
    let before = fs::read(dir.path().join("open").join(&name)).unwrap();
    for (empty, content) in [("2026-11-21T110000.000000000Z-1.lp", format::HEADER), (".x.lp.new", "")] {
        fs::write(dir.path().join("open").join(empty), content).unwrap();
    }
    assert_eq!(recover(dir.path()).unwrap(), Recovered { files: 1, points: 1, cut_bytes: 0, missing: 0 });
    assert_eq!(fs::read(dir.path().join("spool").join(&name)).unwrap(), before);
    assert_eq!(fs::read_dir(dir.path().join("open")).unwrap().count(), 0);
}

#[test]
fn only_one_process_delivers() {
    let dir = TempDir::new().unwrap();
    let spool = Spool::lock(dir.path()).unwrap();
    let refused = Spool::lock(dir.path()).unwrap_err().to_string();
    assert!(refused.contains(&format!("delivered by another process (pid {})", std::process::id())), "{refused}");
    drop(spool);
    Spool::lock(dir.path()).unwrap();
}

#[test]
fn the_spool_can_be_locked_on_a_full_disk() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("spool")).unwrap();
    // Every write to it is ENOSPC (full(4)).
    std::os::unix::fs::symlink("/dev/full", dir.path().join("spool/.lock")).unwrap();
    Spool::lock(dir.path()).unwrap();
}

#[test]
fn status_counts_files_and_points_of_each_folder() {
    let dir = TempDir::new().unwrap();
    let names = fill(dir.path(), &[0, 60, 120, 180]);
    let spool = Spool::lock(dir.path()).unwrap();
    spool.delivered(&names[0]).unwrap();
    replace(&dir.path().join("spool").join(&names[1]), "a v=1i", "a v=7i");
    assert_eq!(spool.salvage(&names[1]).unwrap().map(|salvaged| (salvaged.kept, salvaged.set_aside)), Some((1, 1)));
    spool.delivered(&names[1]).unwrap();
    let rejected = [RejectedLine { line: "c v=1i 1".to_owned(), message: "no\nsuch field".to_owned() }];
    spool.quarantine(&names[2], &rejected).unwrap();
    spool.delivered(&names[2]).unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.append(time(300), b"a v=1i 1\n", 1).unwrap();

    let found = status(dir.path()).unwrap();
    let points = [found.open, found.spool, found.archived, found.rejected, found.bad].map(|a| (a.files, a.points));
    assert_eq!(points, [(1, 1), (1, 2), (3, 5), (1, 1), (1, 1)]);
    assert_eq!(found.oldest, Some(time(180)));
    let kept = fs::read_to_string(dir.path().join("rejected").join(&names[2])).unwrap();
    assert!(kept.contains("# no such field\n# sums 333d0dd8\nc v=1i 1\n"), "{kept}");
}

#[test]
fn files_last_written_before_since_are_not_read() {
    let dir = TempDir::new().unwrap();
    let names = fill(dir.path(), &[0, 60]);
    let old = OpenOptions::new().write(true).open(dir.path().join("spool").join(&names[0])).unwrap();
    old.set_modified(std::time::SystemTime::from(time(0))).unwrap();
    let since = |seconds| reader::lines(dir.path(), Some(time(seconds))).unwrap().count();
    assert_eq!((since(0), since(1)), (4, 2));
}

fn time(seconds: i64) -> Timestamp {
    "2026-11-21T10:00:00Z".parse::<Timestamp>().unwrap() + seconds.seconds()
}

/// Seals one file of two points at each of these times; returns their names.
fn fill(dir: &Path, times: &[i64]) -> Vec<String> {
    let mut writer = Writer::open(dir).unwrap();
    let mut seal = |&at: &i64| {
        writer.append(time(at), format!("a v=1i {at}\nb v=2i {at}\n").as_bytes(), 2).unwrap();
        writer.seal().unwrap().unwrap().name
    };
    times.iter().map(&mut seal).collect()
}

/// All lines of an undamaged directory.
fn read(dir: &Path) -> Vec<String> {
    reader::lines(dir, None).unwrap().collect::<Result<_, _>>().unwrap()
}

/// What housekeeping does in a large directory; how many files went into others.
fn merge_all(spool: &Spool, now: Timestamp) -> u64 {
    merge(spool, Bytes(u64::MAX), now).unwrap().files
}

/// An empty directory, in memory where there is such a place: the tests' many syncs cost nothing there.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

/// Deletes the files of a folder.
fn clear(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name != ".lock") {
            fs::remove_file(path).unwrap();
        }
    }
}

fn names(dir: &Path, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(dir.join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
    sorted(entries.map(|name| name.into_string().unwrap()).filter(|name| !name.starts_with('.')).collect())
}

fn only(dir: &Path, folder: &str) -> PathBuf {
    let names = names(dir, folder);
    assert_eq!(names.len(), 1, "{names:?}");
    dir.join(folder).join(&names[0])
}

fn append_raw(path: &Path, bytes: &[u8]) {
    std::io::Write::write_all(&mut OpenOptions::new().append(true).open(path).unwrap(), bytes).unwrap();
}

fn replace(path: &Path, from: &str, to: &str) {
    let content = fs::read_to_string(path).unwrap();
    assert!(content.contains(from), "{content}");
    fs::write(path, content.replacen(from, to, 1)).unwrap();
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort_unstable();
    lines
}

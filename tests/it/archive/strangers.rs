//! Directory entries that bandprobe did not write, or that a newer version wrote.

use std::{os::unix::fs::symlink, process::Command};

use bandprobe::archive::damage::Damage;

use super::*;

const NEWER: &str = "# bandprobe lines format=2 packed\n\x01\x02\n\x03\n# end points=7 crc32c=00000000\n";

#[test]
fn an_entry_that_is_not_a_file_is_ignored_and_named() {
    let dir = scratch();
    let names = fill(dir.path(), &[0, 60]);
    let spool = Spool::lock(dir.path()).unwrap();
    spool.delivered(&names[0]).unwrap();
    let mut strangers = Vec::new();
    for folder in ["archive", "open", "spool"] {
        let folder = dir.path().join(folder);
        let [directory, link, fifo] =
            ["2020-01-01.lp", "2020-01-02T100000.000000000Z-1.lp", "2020-01-03.lp"].map(|name| folder.join(name));
        fs::create_dir(&directory).unwrap();
        symlink("/dev/zero", &link).unwrap();
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        symlink("/nowhere", folder.join("dangling.txt")).unwrap();
        strangers.extend([directory, link, fifo]);
    }
    let named: Vec<_> =
        strangers.iter().map(|file| Damage { file: file.clone(), kind: DamageKind::NotAFile }).collect();
    assert_eq!(skipped_files(dir.path()).unwrap(), named);
    assert!(named[0].to_string().ends_with("archive/2020-01-01.lp: not a regular file: ignored"), "{}", named[0]);

    // Even by name, as when one takes a file's place after it was listed, nothing is opened, moved or waited for.
    for path in &strangers[6..] {
        let refused = spool.salvage(path.file_name().unwrap().to_str().unwrap()).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("cannot open {}: ", path.display())), "{refused}");
    }
    assert_eq!(read(dir.path()).len(), 4);
    assert_eq!(spool.oldest().unwrap(), Some(names[1].clone()));
    assert_eq!((spool.salvage(&names[1]).unwrap(), waiting(dir.path()).unwrap().len()), (None, 1));
    assert_eq!(recover(dir.path()).unwrap(), Recovered::default());
    assert_eq!(merge_all(&spool, time(86_400)), 0);
    let found = status(dir.path()).unwrap();
    assert_eq!((found.open.files, found.spool.files, found.archived.files), (0, 1, 1));
    let (removed, None) = retain::enforce(&spool, Bytes(0), Duration::ZERO, time(1_000_000)) else { panic!("refused") };
    assert_eq!((removed.delivered_files, removed.dropped_files, removed.dropped_points), (1, 1, 2));
    assert!(strangers.iter().all(|path| path.symlink_metadata().is_ok()), "they are not ours to delete");
}

#[test]
fn a_file_of_a_newer_version_waits_for_an_upgrade() {
    let dir = scratch();
    let names = fill(dir.path(), &[60, 120]);
    let spool = Spool::lock(dir.path()).unwrap();
    let newer = "2026-11-21T090000.000000000Z-1.lp";
    for folder in ["archive", "open", "spool"] {
        fs::write(dir.path().join(folder).join(newer), NEWER).unwrap();
    }
    let reported: Vec<_> = skipped_files(dir.path()).unwrap().into_iter().map(|damage| damage.kind).collect();
    assert_eq!(reported, [DamageKind::Newer(2), DamageKind::Newer(2), DamageKind::Newer(2)]);
    assert_eq!(recover(dir.path()).unwrap(), Recovered::default());
    assert_eq!(spool.oldest().unwrap(), Some(names[0].clone()));
    let waiting: Vec<_> = waiting(dir.path()).unwrap().into_iter().map(|file| (file.newer, file.points)).collect();
    assert_eq!(waiting, [(Some(2), 2), (None, 2), (None, 2)], "counted by its lines: its trailer is unknown");

    let (lines, reported): (Vec<_>, Vec<_>) = reader::lines(dir.path(), None).unwrap().partition(Result::is_ok);
    assert_eq!((lines.len(), reported.len()), (4, 1));
    let reported = reported[0].as_ref().unwrap_err().to_string();
    assert!(
        reported.ends_with("written by a newer version (format 2): upgrade to read and to deliver it"),
        "{reported}"
    );
    let refused = spool.salvage(newer).unwrap_err().to_string();
    assert!(refused.contains(newer) && refused.contains("newer version (format 2)"), "{refused}");
    for name in &names {
        spool.delivered(name).unwrap();
    }
    assert_eq!((spool.oldest().unwrap(), merge_all(&spool, time(86_400))), (None, 0), "something of that day waits");
    for folder in ["archive", "open", "spool"] {
        assert_eq!(fs::read_to_string(dir.path().join(folder).join(newer)).unwrap(), NEWER);
    }
    let enforce = |size| retain::enforce(&spool, Bytes(size), Duration::ZERO, time(1_000_000)).0;
    let (old, large) = (enforce(u64::MAX), enforce(0));
    assert_eq!((old.delivered_files, old.dropped_files), (2, 0));
    assert_eq!((large.delivered_files, large.dropped_files, large.dropped_points), (1, 1, 2));
}

#[test]
fn a_foreign_open_file_is_not_changed() {
    let dir = scratch();
    let spool = Spool::lock(dir.path()).unwrap();
    for (content, kept) in [("", false), ("# bandpr", false), ("\0\0\0", false), ("hello", true), ("a\nb", true)] {
        fs::write(dir.path().join("open/notes.lp"), content).unwrap();
        let recovered = recover(dir.path()).unwrap();
        assert_eq!((recovered.files, names(dir.path(), "open").len()), (u64::from(kept), 0), "{content:?}");
        assert_eq!(names(dir.path(), "spool").len(), usize::from(kept), "{content:?}");
        if kept {
            spool.salvage("notes.lp").unwrap().unwrap();
            assert_eq!(fs::read_to_string(only(dir.path(), "rejected")).unwrap(), content);
            clear(&dir.path().join("rejected"));
        }
    }
}

#[test]
fn the_next_file_is_the_oldest_or_newest_not_skipped() {
    let dir = scratch();
    let names = fill(dir.path(), &[0, 60, 120]);
    let spool = Spool::lock(dir.path()).unwrap();
    let check = |recent_first, passed: &[usize], expected: Option<usize>| {
        let passed: HashSet<_> = passed.iter().map(|at| names[*at].clone()).collect();
        let expected = expected.map(|at| names[at].clone());
        assert_eq!(spool.next(recent_first, &passed).unwrap(), expected, "{recent_first} {passed:?}");
    };
    check(false, &[], Some(0));
    check(true, &[], Some(2));
    check(false, &[0], Some(1));
    check(true, &[2, 1], Some(0));
    check(false, &[0, 1, 2], None);
}

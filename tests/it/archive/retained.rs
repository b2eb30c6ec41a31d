//! How the archive keeps within its limits: what is deleted, in which order, and what is counted.

use super::*;

/// Every file here takes one block of the disk.
const BLOCK: u64 = 4096;
const DAY: u64 = 86_400;

#[test]
fn limits_delete_delivered_files_first() {
    let dir = TempDir::new().unwrap();
    let names = fill(dir.path(), &[0, 60, 120, 180]);
    let spool = Spool::lock(dir.path()).unwrap();
    spool.delivered(&names[0]).unwrap();
    spool.delivered(&names[2]).unwrap();
    let enforce = |size, now| enforce(&spool, size, now);
    assert_eq!(enforce(u64::MAX, time(14 * 3600 + DAY as i64 - 1)), retain::Removed::default());
    assert_eq!(enforce(4 * BLOCK, time(0)), retain::Removed::default());

    let removed = enforce(4 * BLOCK - 1, time(0));
    assert_eq!(removed, retain::Removed { delivered_files: 1, ..Default::default() });
    assert_eq!(self::names(dir.path(), "archive"), [names[2].clone()], "the oldest delivered goes first, and no more");
    let removed = enforce(BLOCK, time(0));
    assert_eq!((removed.delivered_files, removed.dropped_files, removed.dropped_points), (1, 1, 2));
    assert_eq!(self::names(dir.path(), "spool"), [names[3].clone()], "the oldest undelivered goes first");

    spool.delivered(&names[3]).unwrap();
    let expired = enforce(u64::MAX, time(14 * 3600 + DAY as i64));
    assert_eq!((expired.delivered_files, expired.dropped_files), (1, 0));
}

#[test]
fn an_old_file_in_a_full_directory_is_counted_once() {
    let dir = TempDir::new().unwrap();
    let day = DAY as i64;
    let names = fill(dir.path(), &[0, 60, 3 * day, 3 * day + 60, 3 * day + 120]);
    let spool = Spool::lock(dir.path()).unwrap();
    for name in &names {
        spool.delivered(name).unwrap();
    }
    let removed = enforce(&spool, 2 * BLOCK, time(3 * day));
    assert_eq!((removed.delivered_files, self::names(dir.path(), "archive")), (3, names[3..].to_vec()));
}

#[test]
fn rejected_files_are_deleted_before_waiting_ones() {
    let dir = TempDir::new().unwrap();
    let names = fill(dir.path(), &[0, 60, 120]);
    let spool = Spool::lock(dir.path()).unwrap();
    let refused = [RejectedLine { line: "c v=1i 1".to_owned(), message: "no".to_owned() }];
    spool.quarantine(&names[1], &refused).unwrap();
    replace(&dir.path().join("spool").join(&names[0]), "a v=1i", "a v=7i");
    spool.salvage(&names[0]).unwrap().unwrap();
    let rejected = self::names(dir.path(), "rejected");
    assert_eq!((rejected.len(), self::names(dir.path(), "spool").len()), (2, 3));

    let removed = enforce(&spool, 4 * BLOCK, time(0));
    assert_eq!(removed, retain::Removed { rejected_files: 1, ..Default::default() });
    assert_eq!(self::names(dir.path(), "rejected"), [names[1].clone()], "damaged lines go first");
    let removed = enforce(&spool, 2 * BLOCK, time(0));
    let expected = retain::Removed { rejected_files: 1, dropped_files: 1, dropped_points: 1, ..Default::default() };
    assert_eq!((removed, self::names(dir.path(), "spool")), (expected, names[1..].to_vec()));
}

#[test]
fn an_unreadable_folder_does_not_stop_the_limits() {
    let dir = TempDir::new().unwrap();
    let names = fill(dir.path(), &[0]);
    let spool = Spool::lock(dir.path()).unwrap();
    fs::remove_dir_all(dir.path().join("archive")).unwrap();
    fs::write(dir.path().join("archive"), "no folder").unwrap();
    let (removed, problem) = retain::enforce(&spool, Bytes(0), Duration::ZERO, time(0));
    assert_eq!((removed.dropped_files, removed.dropped_points), (1, 2), "{names:?}");
    assert!(problem.unwrap().to_string().starts_with("cannot list "));
}

/// What went, files being kept for a day.
fn enforce(spool: &Spool, size: u64, now: Timestamp) -> retain::Removed {
    let (removed, problem) = retain::enforce(spool, Bytes(size), Duration::from_secs(DAY), now);
    assert!(problem.is_none(), "{problem:?}");
    removed
}

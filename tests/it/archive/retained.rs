//! The archive within its limits: what goes, and what becomes one.

use super::*;

#[test]
fn limits_delete_delivered_files_first_and_count_what_was_not() {
    let dir = TempDir::new().unwrap();
    let names = fill(dir.path(), &[0, 60, 120, 180]);
    let spool = Spool::lock(dir.path()).unwrap();
    spool.delivered(&names[0]).unwrap();
    spool.delivered(&names[2]).unwrap();
    let enforce = |size, keep, now| retain::enforce(&spool, Bytes(size), Duration::from_secs(keep), now).unwrap();
    let day = 86_400;
    assert_eq!(enforce(u64::MAX, day, time(14 * 3600 + day as i64 - 1)), retain::Removed::default());

    // Every file here takes one block of the disk.
    let block = 4096;
    let removed = enforce(3 * block, day, time(0));
    assert_eq!((removed.delivered_files, removed.dropped_files), (1, 0));
    assert_eq!(self::names(dir.path(), "archive"), [names[2].clone()]);
    let removed = enforce(block, day, time(0));
    assert_eq!((removed.delivered_files, removed.dropped_files, removed.dropped_points), (1, 1, 2));
    assert_eq!(self::names(dir.path(), "spool"), [names[3].clone()], "the oldest undelivered goes first");

    spool.delivered(&names[3]).unwrap();
    let expired = enforce(u64::MAX, day, time(14 * 3600 + day as i64));
    assert_eq!((expired.delivered_files, expired.dropped_files), (1, 0));
}

#[test]
fn finished_days_become_one_file_and_no_point_is_read_twice() {
    let dir = TempDir::new().unwrap();
    let hour = 3600;
    let names = fill(dir.path(), &[0, 60, 120, 20 * hour, 21 * hour]);
    let spool = Spool::lock(dir.path()).unwrap();
    let tomorrow = time(22 * hour);
    for name in [&names[0], &names[1], &names[3], &names[4]] {
        spool.delivered(name).unwrap();
    }
    let all = read(dir.path());
    let part = fs::read(dir.path().join("archive").join(&names[0])).unwrap();
    assert_eq!(retain::merge_days(&spool, tomorrow).unwrap(), 2);
    let today = [names[3].clone(), names[4].clone()];
    assert_eq!(self::names(dir.path(), "archive"), [&["2026-11-21.lp".to_owned()][..], &today].concat());
    assert_eq!(sorted(read(dir.path())), sorted(all.clone()));

    // The crash after the merged file got its name: a part is still there.
    fs::write(dir.path().join("archive").join(&names[0]), part).unwrap();
    assert_eq!(sorted(read(dir.path())), sorted(all.clone()));
    // A file of that day that was delivered late joins it, and the left-over part goes.
    spool.delivered(&names[2]).unwrap();
    let open = reader::lines(dir.path(), None).unwrap();
    assert_eq!(retain::merge_days(&spool, tomorrow).unwrap(), 0, "not under a reader's feet");
    drop(open);
    assert_eq!(retain::merge_days(&spool, tomorrow).unwrap(), 2);
    assert_eq!(self::names(dir.path(), "archive").len(), 3);
    assert_eq!(sorted(read(dir.path())), sorted(all));
}

#[test]
fn today_is_merged_too_when_it_has_many_files() {
    let dir = TempDir::new().unwrap();
    let spool = Spool::lock(dir.path()).unwrap();
    let deliver = |from: i64, count: i64| {
        for name in fill(dir.path(), &(from..from + count).collect::<Vec<_>>()) {
            spool.delivered(&name).unwrap();
        }
        retain::merge_days(&spool, time(3600)).unwrap()
    };
    assert_eq!([deliver(0, 100), deliver(100, 1), deliver(101, 99), deliver(200, 1)], [0, 101, 0, 101]);
    assert_eq!(names(dir.path(), "archive"), ["2026-11-21.lp"]);
    assert_eq!(read(dir.path()).len(), 402);
}

/// A worker that seals a file each second of its busiest minutes, tidied up each minute as the worker does.
#[test]
fn a_month_is_fewer_than_two_hundred_files() {
    let dir = scratch();
    let spool = Spool::lock(dir.path()).unwrap();
    let (minute, day) = (60, 86_400);
    let mut most = 0;
    for round in 0..31 * 4 {
        let begins = round / 4 * day + round % 4 * minute;
        for name in fill(dir.path(), &(begins..begins + minute).collect::<Vec<_>>()) {
            spool.delivered(&name).unwrap();
        }
        most = most.max(names(dir.path(), "archive").len());
        let now = time(begins + minute);
        retain::enforce(&spool, Bytes(u64::MAX), Duration::from_secs(30 * day as u64), now).unwrap();
        retain::merge_days(&spool, now).unwrap();
    }
    assert!((100..200).contains(&most), "{most} files");
    assert_eq!(read(dir.path()).len(), 31 * 4 * 60 * 2, "and every point of it");
}

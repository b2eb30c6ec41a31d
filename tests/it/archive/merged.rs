//! Merging: delivered files become few, at a bounded cost, and every line is read exactly once, even during a merge.

use std::os::unix::fs::symlink;

use super::*;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

#[test]
fn a_finished_day_becomes_one_file_with_its_late_files() {
    let dir = scratch();
    let names = fill(dir.path(), &[0, 60, 20 * HOUR, 21 * HOUR]);
    let spool = deliver(dir.path(), &names);
    let all = sorted(read(dir.path()));
    assert_eq!(merge_all(&spool, time(22 * HOUR)), 2);
    let day = merged_name(&names[0]);
    assert_eq!(self::names(dir.path(), "archive"), [day, names[2].clone(), names[3].clone()]);
    assert_eq!(sorted(read(dir.path())), all);

    let late = fill(dir.path(), &[-60]).remove(0);
    assert_eq!(merge_all(&spool, time(22 * HOUR)), 0, "one of that day is on its way");
    spool.delivered(&late).unwrap();
    let reading = reader::lines(dir.path(), None).unwrap();
    assert_eq!(merge_all(&spool, time(22 * HOUR)), 0, "not under a reader's feet");
    drop(reading);
    let all = sorted(read(dir.path()));
    assert_eq!(merge_all(&spool, time(22 * HOUR)), 2);
    assert_eq!(self::names(dir.path(), "archive"), [merged_name(&late), names[2].clone(), names[3].clone()]);
    assert_eq!((sorted(read(dir.path())), merge_all(&spool, time(22 * HOUR))), (all, 0));
}

#[test]
fn todays_files_of_similar_size_are_merged() {
    let dir = scratch();
    let spool = Spool::lock(dir.path()).unwrap();
    let arrive = |from: i64, count: i64| {
        for name in fill(dir.path(), &(from..from + count).collect::<Vec<_>>()) {
            spool.delivered(&name).unwrap();
        }
        merge_all(&spool, time(HOUR))
    };
    assert_eq!([arrive(0, 19), arrive(19, 1), arrive(20, 18), arrive(38, 100), arrive(138, 18)], [0, 20, 0, 119, 0]);
    assert_eq!((names(dir.path(), "archive").len(), read(dir.path()).len()), (19, 2 * 156));
}

/// A worker that seals a file each second of its busy minutes, tidied up each minute as the worker does.
#[test]
fn a_month_is_fewer_than_two_hundred_files() {
    let dir = scratch();
    let spool = Spool::lock(dir.path()).unwrap();
    let minute = 60;
    let mut most = 0;
    for round in 0..31 * 4 {
        let begins = round / 4 * DAY + round % 4 * minute;
        for name in fill(dir.path(), &(begins..begins + minute).collect::<Vec<_>>()) {
            spool.delivered(&name).unwrap();
        }
        most = most.max(names(dir.path(), "archive").len());
        let now = time(begins + minute);
        let (removed, None) = retain::enforce(&spool, Bytes(u64::MAX), Duration::from_secs(30 * DAY as u64), now)
        else {
            panic!("refused")
        };
        assert_eq!(removed, retain::Removed::default());
        merge_all(&spool, now);
    }
    assert!((60..200).contains(&most), "{most} files");
    assert_eq!(read(dir.path()).len(), 31 * 4 * 60 * 2, "and every point of it");
}

/// The same worker on its busiest day, with points of a usual size.
#[test]
fn a_point_is_rewritten_only_a_few_times() {
    let dir = scratch();
    let spool = Spool::lock(dir.path()).unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let (mut payload, mut written, mut most) = (0, 0, 0);
    let minutes = crate::rounds(45, 400);
    let mut keep = |now| {
        most = most.max(names(dir.path(), "archive").len());
        let merged = merge(&spool, Bytes(2_000_000_000), now).unwrap();
        written += merged.bytes;
        assert!(merged.bytes < 65_000_000, "a call is bounded");
        merged.files > 0
    };
    for minute in 0..minutes {
        for second in 0..60 {
            let now = time(-9 * HOUR + minute * 60 + second);
            writer.append(now, format!("a,x={} v=1i {now}\n", "x".repeat(560)).repeat(5).as_bytes(), 5).unwrap();
            let name = writer.seal().unwrap().unwrap().name;
            payload += fs::metadata(dir.path().join("spool").join(&name)).unwrap().len();
            spool.delivered(&name).unwrap();
        }
        keep(time(-9 * HOUR + minute * 60));
    }
    while keep(time(DAY)) {}
    assert!((2 * payload..6 * payload).contains(&written), "{written} bytes for {payload}");
    let expected = 1 + payload / 32_000_000;
    assert!(names(dir.path(), "archive").len() as u64 <= expected && most < 150, "{most}");
    assert_eq!(read(dir.path()).len() as i64, minutes * 300);
}

#[test]
fn merged_files_stay_below_a_share_of_the_maximum() {
    let dir = scratch();
    let names = fill(dir.path(), &(0..200).collect::<Vec<_>>());
    let spool = deliver(dir.path(), &names);
    let largest = 1000;
    while merge(&spool, Bytes(16 * largest), time(DAY)).unwrap() != Merged::default() {}
    let left = self::names(dir.path(), "archive");
    let size = |name: &String| fs::metadata(dir.path().join("archive").join(name)).unwrap().len();
    assert!(left.len() < 40 && left.iter().all(|name| size(name) < 3 * largest / 2), "{left:?}");
    assert_eq!(read(dir.path()).len(), 400);
}

/// The process died after the merged file got its name: some of its parts, or all, are still there.
#[test]
fn readers_skip_leftover_parts_and_a_merge_deletes_them() {
    for left in [&[0][..], &[1], &[2], &[0, 1, 2]] {
        let dir = scratch();
        let names = fill(dir.path(), &[0, 60, 120]);
        let archive = dir.path().join("archive");
        let spool = deliver(dir.path(), &names);
        let all = sorted(read(dir.path()));
        let parts: Vec<_> = names.iter().map(|name| fs::read(archive.join(name)).unwrap()).collect();
        assert_eq!(merge_all(&spool, time(DAY)), 3);
        drop(spool);
        for part in left {
            fs::write(archive.join(&names[*part]), &parts[*part]).unwrap();
        }
        fs::write(archive.join(format!(".{}.tmp", merged_name(&names[0]))), "# bandprobe li").unwrap();
        let spool = Spool::lock(dir.path()).unwrap();
        assert_eq!(sorted(read(dir.path())), all, "{left:?}");
        // A file that has not been merged yet must not be merged with them.
        spool.delivered(&fill(dir.path(), &[180]).remove(0)).unwrap();
        let all = sorted(read(dir.path()));
        assert_eq!((merge_all(&spool, time(DAY)), sorted(read(dir.path()))), (2, all), "{left:?}");
        assert_eq!(fs::read_dir(&archive).unwrap().count(), 2, "one file and the lock: {left:?}");
    }
}

/// The merged file was hit before its parts were gone: they are all that is left of some lines.
#[test]
fn parts_of_a_damaged_merged_file_are_kept() {
    let dir = scratch();
    let names = fill(dir.path(), &[0, 60, 120]);
    let archive = dir.path().join("archive");
    let spool = deliver(dir.path(), &names[..2]);
    let part = fs::read(archive.join(&names[1])).unwrap();
    assert_eq!(merge_all(&spool, time(DAY)), 0, "the third waits");
    fs::remove_file(dir.path().join("spool").join(&names[2])).unwrap();
    assert_eq!(merge_all(&spool, time(DAY)), 2);
    replace(&archive.join(merged_name(&names[0])), "b v=2i 60", "b v=3i 60");
    fs::write(archive.join(&names[1]), &part).unwrap();
    fill(dir.path(), &[180, 240]).iter().for_each(|late| spool.delivered(late).unwrap());
    let before = reader::lines(dir.path(), None).unwrap().filter_map(Result::ok).collect();
    assert_eq!((merge_all(&spool, time(DAY)), merge_all(&spool, time(DAY))), (2, 0), "the late ones");
    assert_eq!(fs::read(archive.join(&names[1])).unwrap(), part);
    let after: Vec<_> = reader::lines(dir.path(), None).unwrap().filter_map(Result::ok).collect();
    assert_eq!((after.len(), sorted(after)), (7, sorted(before)));
}

#[test]
fn a_file_that_cannot_be_merged_is_read_once() {
    let dir = scratch();
    let archive = dir.path().join("archive");
    let names = fill(dir.path(), &[0, 60, 120, 180, 240, DAY, DAY + 60]);
    let spool = deliver(dir.path(), &names);
    let [whole, damaged] = ["b v=2i 180", "b v=9i 180"];
    replace(&archive.join(&names[3]), whole, damaged);
    fs::write(archive.join(&names[1]), "# bandprobe lines format=2\n\x01").unwrap();
    fs::write(archive.join(&names[2]), "no line of ours\n").unwrap();
    fs::create_dir(archive.join("2026-11-21T100001.000000000Z-1.lp")).unwrap();
    symlink("/nowhere", archive.join("2026-11-21T100002.000000000Z-1.lp")).unwrap();
    // Where the merged file of the second day would be.
    symlink("/nowhere", archive.join(merged_name(&names[5]))).unwrap();
    let strangers = |names: &[&str]| names.iter().all(|name| archive.join(name).symlink_metadata().is_ok());

    assert_eq!(merge_all(&spool, time(2 * DAY)), 4, "two of each day");
    let left = [&names[1], &names[2], &names[3], &names[5]];
    assert!(left.iter().all(|name| archive.join(name).is_file()) && !archive.join(&names[6]).exists());
    assert!(archive.join(merged_name(&names[0])).is_file() && archive.join(merged_name(&names[5])).is_symlink());
    assert!(strangers(&["2026-11-21T100001.000000000Z-1.lp", "2026-11-21T100002.000000000Z-1.lp"]));

    // It would be merged now, if anyone looked.
    replace(&archive.join(&names[3]), damaged, whole);
    assert_eq!(merge_all(&spool, time(2 * DAY)), 0);
    drop(spool);
    assert_eq!(merge_all(&Spool::lock(dir.path()).unwrap(), time(2 * DAY)), 2, "another process looks");
}

/// Moves files on as if the database had them.
fn deliver(dir: &Path, names: &[String]) -> Spool {
    let spool = Spool::lock(dir).unwrap();
    names.iter().for_each(|name| spool.delivered(name).unwrap());
    spool
}

fn merged_name(first: &str) -> String {
    format::merged_name(first).unwrap()
}

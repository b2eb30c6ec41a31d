//! Files whose names show that they hold nothing from the requested time are not read.

use super::*;

/// Merged files of this many days, oldest first, each with a point at noon.
fn days(dir: &Path, first: Timestamp, count: i64) -> Vec<Timestamp> {
    drop(Writer::open(dir).unwrap());
    let noons: Vec<_> = (0..count).map(|day| first + (day * 24).hours()).collect();
    for noon in &noons {
        let mut writer = Writer::open(dir).unwrap();
        writer.append(*noon, format!("a v=1i {}\n", noon.as_nanosecond()).as_bytes(), 1).unwrap();
        let name = writer.seal().unwrap().unwrap().name;
        let merged = format::merged_name(&name).unwrap();
        fs::rename(dir.join("spool").join(name), dir.join("archive").join(merged)).unwrap();
    }
    noons
}

#[test]
fn files_of_earlier_days_are_not_read() {
    let dir = TempDir::new().unwrap();
    let noons = days(dir.path(), "2026-09-01T12:00:00Z".parse().unwrap(), 90);
    for (since, files) in [(None, 90), (Some(noons[0]), 90), (Some(noons[80]), 11), (Some(noons[89]), 2)] {
        let mut lines = reader::lines(dir.path(), since).unwrap();
        let read: Vec<_> = lines.by_ref().map(Result::unwrap).collect();
        assert_eq!((lines.files_read(), read.len() as u64), (files, files), "{since:?}");
        // A point of that time is in one of them, up to the one before midnight that is written after it.
        let wanted = noons.iter().filter(|noon| since.is_none_or(|since| **noon >= since)).count();
        assert!(read.len() >= wanted && read.len() <= wanted + 1, "{since:?}");
    }
    // Damage in a file that is skipped does not matter.
    let first = names(dir.path(), "archive").remove(0);
    fs::write(dir.path().join("archive").join(first), "no header\n").unwrap();
    assert!(reader::lines(dir.path(), Some(noons[80])).unwrap().all(|line| line.is_ok()));
}

#[test]
fn points_after_midnight_in_a_file_of_the_day_before_are_read() {
    let dir = TempDir::new().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.append("2026-11-20T23:59:00Z".parse().unwrap(), b"a v=1i 1\n", 1).unwrap();
    writer.append("2026-11-21T00:03:00Z".parse().unwrap(), b"a v=2i 2\n", 1).unwrap();
    writer.seal().unwrap();
    let since = Some("2026-11-21T00:02:00Z".parse().unwrap());
    assert_eq!(reader::lines(dir.path(), since).unwrap().count(), 2);
}

#[test]
fn files_from_before_the_clock_was_set_are_read() {
    let dir = TempDir::new().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.append("1970-01-01T00:00:07Z".parse().unwrap(), b"a v=1i 1\n", 1).unwrap();
    writer.seal().unwrap();
    let since = Some(Timestamp::now() - 1.hour());
    assert_eq!(reader::lines(dir.path(), since).unwrap().count(), 1);
}

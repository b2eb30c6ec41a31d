//! Every way in which a file can be damaged: which lines are still read, what is reported, and what salvage writes
//! where.

mod incomplete;

use bandprobe::{archive::salvage::Salvaged, record::line::MAX_LINE};

use super::*;

/// What a damaged file leads to.
struct Outcome {
    /// The letters of the lines that come out, before and after salvage.
    lines: &'static str,
    reported: Vec<DamageKind>,
    /// By salvage: lines in `rejected/`, and points that are nowhere.
    set_aside: u64,
    missing: u64,
    /// What the rest holds among others; no such file if empty.
    rest: &'static [u8],
}

fn outcome(
    lines: &'static str,
    reported: &[DamageKind],
    (set_aside, missing): (u64, u64),
    rest: &'static [u8],
) -> Outcome {
    Outcome { lines, reported: reported.to_vec(), set_aside, missing, rest }
}

#[test]
fn a_flipped_bit_loses_only_its_line() {
    check("nothing", |_| {}, outcome("abc", &[], (0, 0), b""));
    check("in a line", change("v=2i", "v=3i"), outcome("ac", &[DamageKind::Line(4)], (1, 0), b"\nb v=3i 2\n"));
    check("in its first letter", change("\nc v", "\n# v"), outcome("ab", &[count(3, 2)], (0, 1), b"\n# v=3i 3\n"));
    check("in a sum", change("# sums a", "# sums c"), outcome("bc", &[DamageKind::Line(3)], (1, 0), b"\na v=1i 1\n"));
    check(
        "in a sum's digit",
        change("# sums a", "# sums q"),
        outcome("bc", &[DamageKind::Line(3)], (1, 0), b"\na v=1i 1\n"),
    );
    check("in the word of sums", change("# sums", "# sumq"), outcome("abc", &[DamageKind::Checksum], (0, 0), b""));
    let word = outcome("abc", &[DamageKind::Line(2)], (1, 0), b"\n\" sums ");
    check("in the sign of sums", change("# sums", "\" sums"), word);
    check("in the header", change("lines", "mines"), outcome("abc", &[DamageKind::Header], (0, 0), b""));
    check("in the trailer's count", change("points=3", "points=7"), outcome("abc", &[count(7, 3)], (0, 4), b""));
    check("in the trailer's sum", change("crc32c=", "crc32c=f"), outcome("abc", &[DamageKind::Trailer], (0, 0), b""));
    check("in the trailer's word", change("# end", "# enD"), outcome("abc", &[DamageKind::Trailer], (0, 0), b""));
}

#[test]
fn lost_doubled_joined_and_inserted_lines_are_reported() {
    check("removed", change("b v=2i 2\n", ""), outcome("ac", &[count(3, 2)], (0, 1), b""));
    let doubled = outcome("abc", &[DamageKind::Line(5)], (1, 0), b"\nb v=2i 2\n");
    check("doubled", change("b v=2i 2\n", "b v=2i 2\nb v=2i 2\n"), doubled);
    let joined = outcome("c", &[DamageKind::Line(3), count(3, 2)], (1, 1), b"\na v=1i 1*b v=2i 2\n");
    check("joined", change("1\nb", "1*b"), joined);
    check(
        "joined with the sums",
        change("3i 3\n", "3i 3*"),
        outcome("ab", &[DamageKind::Line(6), DamageKind::Trailer], (1, 0), b"3*# end"),
    );
    check("inserted", change("b v", "d v=4i 4\nb v"), outcome("abc", &[DamageKind::Line(4)], (1, 0), b"\nd v=4i 4\n"));
    check(
        "a sums line removed",
        |content| drop(content.drain(27..52)),
        outcome("c", &[DamageKind::Line(2), DamageKind::Line(3)], (2, 0), b"b v"),
    );
    check("a header removed", |content| drop(content.drain(..27)), outcome("abc", &[DamageKind::Header], (0, 0), b""));
    check("empty lines", change("b v", "\n\nb v"), outcome("abc", &[DamageKind::Checksum], (0, 0), b""));
    let appended = outcome("abc", &[DamageKind::Line(8), DamageKind::AfterTrailer], (1, 0), b"\nd v=4i 4\n");
    check("appended", |content| content.extend(b"d v=4i 4\n"), appended);
    check(
        "half appended",
        |content| content.extend(b"half"),
        outcome("abc", &[DamageKind::AfterTrailer], (1, 0), b"\nhalf\n"),
    );
}

#[test]
fn zeros_and_non_text_lose_only_the_lines_they_hit() {
    let zeros = |content: &mut Vec<u8>, from: usize, to: usize| content[from..to].fill(0);
    let header = outcome("abc", &[DamageKind::Header, DamageKind::Line(1)], (1, 0), b"\0# sums ");
    check("a header of zeros", |content| zeros(content, 0, 27), header);
    let middle = outcome("", &[DamageKind::Line(3), count(3, 1)], (1, 2), b"a \0\0");
    check("zeros in the middle", |content| zeros(content, 54, 88), middle);
    check(
        "zeros at the end",
        |content| zeros(content, 86, 126),
        outcome("ab", &[DamageKind::Trailer], (1, 0), b"\n\0\0"),
    );
    check(
        "invalid UTF-8",
        change_bytes(b"2i", b"\xff\xfe"),
        outcome("ac", &[DamageKind::Line(4)], (1, 0), b"\xff\xfe"),
    );
    check("a control character", change("b v", "b\0v"), outcome("ac", &[DamageKind::Line(4)], (1, 0), b"b\0v"));
    let long = "x".repeat(MAX_LINE * 2) + "\nb v";
    check("a line without end", change("b v", &long), outcome("abc", &[DamageKind::Line(4)], (1, 0), b"\nxxxx"));
}

#[test]
fn a_line_that_is_not_text_is_never_sent() {
    let long = format!("b v=\"{}\" 2", "x".repeat(MAX_LINE));
    for bad in [&b"b\0v=2i 2"[..], b"b v=\xff 2", long.as_bytes()] {
        let dir = scratch();
        let mut writer = Writer::open(dir.path()).unwrap();
        writer.append(time(0), &[b"a v=1i 1\n", bad, b"\n"].concat(), 2).unwrap();
        let name = writer.seal().unwrap().unwrap().name;
        let (lines, reported) = read_all(dir.path());
        assert_eq!((lines, reported), (vec!["a v=1i 1".to_owned()], vec![DamageKind::NotText(4)]));
        let salvaged = Spool::lock(dir.path()).unwrap().salvage(&name).unwrap().unwrap();
        assert_eq!((salvaged.kept, salvaged.set_aside, salvaged.missing), (1, 1, 0));
    }
}

#[test]
fn foreign_files_are_set_aside_unchanged() {
    for (content, reported, points) in [
        (&b""[..], vec![DamageKind::Trailer], 0),
        (b"hello", vec![DamageKind::Trailer], 0),
        (
            b"a v=1i 1\nb v=2i 2\n",
            vec![DamageKind::Header, DamageKind::Line(1), DamageKind::Line(2), DamageKind::Trailer],
            2,
        ),
        (b"# by hand\n\na v=1i 1", vec![DamageKind::Header, DamageKind::Trailer], 0),
        (b"\x7fELF\n\0\0", vec![DamageKind::Header, DamageKind::Line(1), DamageKind::Trailer], 1),
    ] {
        let dir = scratch();
        let spool = Spool::lock(dir.path()).unwrap();
        fs::write(dir.path().join("spool/notes.lp"), content).unwrap();
        assert_eq!(read_all(dir.path()), (vec![], reported));
        let salvaged = spool.salvage("notes.lp").unwrap().unwrap();
        assert_eq!((salvaged.kept, salvaged.set_aside), (0, points));
        assert_eq!(fs::read(dir.path().join("rejected/notes.lp.bad")).unwrap(), content);
        assert_eq!(
            (names(dir.path(), "spool"), read_all(dir.path())),
            (vec![], (vec![], vec![DamageKind::SetAside(points)]))
        );
    }
}

#[test]
fn any_flipped_bit_loses_at_most_two_lines() {
    let (dir, path, whole) = sealed();
    let spool = Spool::lock(dir.path()).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut content = whole.clone();
            content[at] ^= 1 << bit;
            fs::write(&path, &content).unwrap();
            let (lines, reported) = read_all(dir.path());
            let shown = String::from_utf8_lossy(&content);
            assert!(!reported.is_empty(), "{shown}");
            if let [DamageKind::Newer(_)] = reported[..] {
                assert_eq!((at, lines.len(), spool.next(false, &HashSet::new()).unwrap()), (25, 0, None), "{shown}");
                continue;
            }
            assert!(lines.iter().all(|line| LINES.contains(&line.as_str())) && !lines.is_empty(), "{shown}");
            let salvaged = spool.salvage(name).unwrap().unwrap();
            assert_eq!(salvaged.kept, lines.len() as u64, "{shown}");
            assert_eq!(waiting_lines(&spool, name), lines, "{shown}");
            clear(&dir.path().join("rejected"));
        }
    }
}

#[test]
fn the_bad_lines_of_each_damage_are_kept_once() {
    let (dir, path, whole) = sealed();
    let spool = Spool::lock(dir.path()).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let damaged = String::from_utf8(whole).unwrap().replace("v=2i", "v=3i");
    for _ in 0..3 {
        // The second and the third time, the good lines did not get their name before the crash.
        fs::write(&path, &damaged).unwrap();
        fs::write(dir.path().join("spool").join(format!(".{name}.tmp")), "half a fi").unwrap();
        spool.salvage(name).unwrap().unwrap();
        assert_eq!(names(dir.path(), "rejected"), [format!("{name}.bad")]);
    }
    drop(spool);
    fs::write(dir.path().join(format!("rejected/.{name}.bad.tmp")), "half a fi").unwrap();
    let spool = Spool::lock(dir.path()).unwrap();
    assert_eq!(fs::read_dir(dir.path().join("rejected")).unwrap().count(), 1, "what has no name is swept");
    let first = fs::read_to_string(dir.path().join(format!("rejected/{name}.bad"))).unwrap();
    let (start, end) = (first.split_inclusive('\n').take(4), first.lines().last().unwrap());
    assert_eq!(
        start.collect::<String>(),
        format!(
            "# bandprobe set aside: changed lines, which were not delivered\n\
             # out of spool/{name} of {} bytes: line 4 was changed\n\
             # line 4 was changed\nb v=3i 2\n",
            damaged.len()
        )
    );
    assert!(end.starts_with("# end points=1 crc32c="), "{first}");

    replace(&path, "c v=3i", "c v=5i");
    let second = spool.salvage(name).unwrap().unwrap();
    assert_eq!((second.kept, second.set_aside), (1, 1));
    assert_eq!(names(dir.path(), "rejected"), [format!("{name}.2.bad"), format!("{name}.bad")]);
    assert_eq!(fs::read_to_string(dir.path().join(format!("rejected/{name}.bad"))).unwrap(), first);
    assert_eq!(
        read_all(dir.path()),
        (vec!["a v=1i 1".to_owned()], vec![DamageKind::SetAside(1), DamageKind::SetAside(1)])
    );
    assert_eq!(status(dir.path()).unwrap().bad.points, 2);
}

const LINES: [&str; 3] = ["a v=1i 1", "b v=2i 2", "c v=3i 3"];

/// A sealed file of two batches, its path, and its bytes.
fn sealed() -> (TempDir, PathBuf, Vec<u8>) {
    let dir = scratch();
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.append(time(0), b"a v=1i 1\nb v=2i 2\n", 2).unwrap();
    writer.append(time(0), b"c v=3i 3\n", 1).unwrap();
    writer.seal().unwrap().unwrap();
    let path = only(dir.path(), "spool");
    let content = fs::read(&path).unwrap();
    (dir, path, content)
}

fn check(case: &str, damage: impl FnOnce(&mut Vec<u8>), expected: Outcome) {
    let (dir, path, mut content) = sealed();
    damage(&mut content);
    fs::write(&path, &content).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let (lines, reported) = read_all(dir.path());
    let letters: String = lines.iter().map(|line| &line[..1]).collect();
    assert_eq!((letters.as_str(), reported), (expected.lines, expected.reported.clone()), "{case}");
    assert!(lines.iter().all(|line| LINES.contains(&line.as_str())), "{case}: {lines:?}");

    let spool = Spool::lock(dir.path()).unwrap();
    let salvaged = spool.salvage(&name).unwrap();
    assert_eq!(salvaged.is_none(), expected.reported.is_empty(), "{case}");
    if let Some(Salvaged { kept, set_aside, missing, damage }) = salvaged {
        assert_eq!((kept, set_aside, missing), (lines.len() as u64, expected.set_aside, expected.missing), "{case}");
        assert!(damage.starts_with(&expected.reported[0].to_string()), "{case}: {damage}");
    }
    let bad = format!("{name}.bad");
    let rest = if expected.rest.is_empty() { vec![] } else { vec![bad.clone()] };
    assert_eq!(names(dir.path(), "rejected"), rest, "{case}");
    if !rest.is_empty() {
        let rest = fs::read(dir.path().join("rejected").join(bad)).unwrap();
        let shown = String::from_utf8_lossy(&rest[..rest.len().min(500)]);
        assert!(rest.windows(expected.rest.len()).any(|part| part == expected.rest), "{case}: {shown}");
    }
    let (again, reported) = read_all(dir.path());
    let expected_reports =
        if expected.rest.is_empty() { vec![] } else { vec![DamageKind::SetAside(expected.set_aside)] };
    assert_eq!((again, reported), (lines.clone(), expected_reports), "{case}");
    let found = status(dir.path()).unwrap();
    assert_eq!((found.spool.points, found.bad.points), (lines.len() as u64, expected.set_aside), "{case}");
    assert_eq!(spool.salvage(&name).unwrap(), None, "{case}");
}

fn change(from: &str, to: &str) -> impl FnOnce(&mut Vec<u8>) {
    change_bytes(from.as_bytes(), to.as_bytes())
}

fn change_bytes(from: &[u8], to: &[u8]) -> impl FnOnce(&mut Vec<u8>) {
    move |content| {
        let at = content.windows(from.len()).position(|part| part == from).unwrap();
        content.splice(at..at + from.len(), to.iter().copied());
    }
}

fn count(sealed: u64, found: u64) -> DamageKind {
    DamageKind::Count { sealed, found }
}

/// The lines of an undamaged file in the spool; none when there is no such file.
fn waiting_lines(spool: &Spool, name: &str) -> Vec<String> {
    spool.open(name).unwrap().map_or_else(Vec::new, |lines| lines.collect::<Result<_, _>>().unwrap())
}

/// Everything that a reader gets: lines and damage.
fn read_all(dir: &Path) -> (Vec<String>, Vec<DamageKind>) {
    let (lines, reported): (Vec<_>, Vec<_>) = reader::lines(dir, None).unwrap().partition(Result::is_ok);
    (
        lines.into_iter().map(Result::unwrap).collect(),
        reported.into_iter().map(|damage| damage.unwrap_err().kind).collect(),
    )
}

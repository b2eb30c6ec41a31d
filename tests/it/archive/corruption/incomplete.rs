//! Files whose end, or a stretch in the middle, never reached the disk.

use super::*;

#[test]
fn a_truncated_file_keeps_its_whole_lines() {
    let (dir, path, whole) = sealed();
    let spool = Spool::lock(dir.path()).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    for len in 0..whole.len() {
        let text = str::from_utf8(&whole[..len]).unwrap();
        let kept = text.rfind('\n').map_or("", |end| &text[..end]);
        let expected: Vec<_> = kept.lines().filter(|line| !line.starts_with('#')).collect();

        fs::write(&path, text).unwrap();
        let (lines, reported) = read_all(dir.path());
        assert_eq!(
            (lines, reported.is_empty()),
            (expected.iter().map(|line| (*line).to_owned()).collect(), false),
            "{text}"
        );
        let salvaged = spool.salvage(name).unwrap().unwrap();
        assert_eq!(salvaged.kept, expected.len() as u64, "{text}");
        assert_eq!(waiting_lines(&spool, name), expected, "{text}");
        clear(&dir.path().join("rejected"));
        clear(&dir.path().join("spool"));

        fs::write(dir.path().join("open").join(name), text).unwrap();
        let recovered = recover(dir.path()).unwrap();
        let torn = (text.len() - kept.len()).saturating_sub(usize::from(!kept.is_empty()));
        assert_eq!((recovered.points, recovered.cut_bytes), (expected.len() as u64, torn as u64), "{text}");
        assert_eq!(spool.salvage(name).unwrap(), None, "{text}");
        assert_eq!(waiting_lines(&spool, name), expected, "{text}");
        clear(&dir.path().join("spool"));
    }
}

#[test]
fn a_power_cut_keeps_the_lines_between_the_zeros() {
    let (dir, path, whole) = sealed();
    let name = path.file_name().unwrap().to_str().unwrap();
    let open = dir.path().join("open").join(name);
    let trailer = whole.len() - 31;
    for (zeros, lines, points, missing) in
        [(0..27, 3, 4, 0), (54..58, 2, 3, 0), (54..88, 0, 1, 1), (86..trailer, 2, 2, 1), (0..trailer, 0, 0, 0)]
    {
        let mut content = whole[..trailer].to_vec();
        content[zeros.clone()].fill(0);
        clear(&dir.path().join("spool"));
        fs::write(&open, &content).unwrap();
        let recovered = recover(dir.path()).unwrap();
        assert_eq!((recovered.points, recovered.missing), (points, missing), "{zeros:?}");
        assert_eq!(read_all(dir.path()).0.len(), lines, "{zeros:?}");
    }
}

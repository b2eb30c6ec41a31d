//! The directory is removed, replaced or made inaccessible while bandprobe runs.

use super::*;

#[test]
fn appended_points_survive_a_removed_directory() {
    for remove in ["", "open", "spool"] {
        let dir = scratch();
        let archive = dir.path().join("archive");
        let mut writer = Writer::open(&archive).unwrap();
        writer.append(time(0), b"a v=1i 1\n", 1).unwrap();
        writer.sync().unwrap();
        fs::remove_dir_all(archive.join(remove)).unwrap();
        writer.append(time(1), b"a v=1i 2\n", 1).unwrap();
        assert!(writer.needs_sync(time(11), Duration::from_secs(10)), "{remove:?}");
        fs::create_dir_all(archive.join(remove)).unwrap();
        fs::remove_dir_all(archive.join(remove)).unwrap();
        let sealed = writer.seal().unwrap().unwrap();
        assert_eq!(
            (sealed.points, read(&archive)),
            (2, vec!["a v=1i 1".to_owned(), "a v=1i 2".to_owned()]),
            "{remove:?}"
        );
        let spool = Spool::lock(&archive).unwrap();
        fs::remove_dir_all(&archive).unwrap();
        assert_eq!((spool.is_ours(), spool.oldest().unwrap()), (false, None));
        assert_eq!((recover(&archive).unwrap(), merge_all(&spool, time(0))), (Recovered::default(), 0));
        // Between files there is nothing to bring back, only folders to make.
        writer.append(time(2), b"a v=1i 3\n", 1).unwrap();
        assert_eq!(read(&archive), ["a v=1i 3"], "{remove:?}");
    }
}

#[test]
fn appended_points_move_to_a_replaced_directory() {
    let dir = scratch();
    let archive = dir.path().join("archive");
    let mut writer = Writer::open(&archive).unwrap();
    let spool = Spool::lock(&archive).unwrap();
    assert!(spool.is_ours());
    writer.append(time(0), b"a v=1i 1\n", 1).unwrap();
    fs::rename(&archive, dir.path().join("moved")).unwrap();
    assert!(!spool.is_ours());
    fill(&archive, &[0]);
    let other = Spool::lock(&archive).unwrap();
    assert!(!spool.is_ours() && other.is_ours());
    writer.append(time(1), b"a v=1i 2\n", 1).unwrap();
    writer.seal().unwrap().unwrap();
    assert_eq!(read(&archive), ["a v=1i 0", "b v=2i 0", "a v=1i 1", "a v=1i 2"]);
}

#[test]
fn an_unwritable_directory_is_named_and_loses_nothing() {
    let dir = scratch();
    let archive = dir.path().join("archive");
    let mut writer = Writer::open(&archive).unwrap();
    writer.append(time(0), b"a v=1i 1\n", 1).unwrap();
    fs::remove_dir_all(&archive).unwrap();
    fs::write(&archive, "not a folder").unwrap();
    for _ in 0..2 {
        for refused in
            [writer.append(time(1), b"a v=1i 2\n", 1), writer.seal().map(drop), Spool::lock(&archive).map(drop)]
        {
            let refused = refused.unwrap_err().to_string();
            assert!(refused.starts_with("cannot create") && refused.contains("archive"), "{refused}");
            assert!(refused.ends_with("(os error 20)") || refused.ends_with("(os error 17)"), "{refused}");
        }
    }
    assert_eq!(writer.open_points(), 1);
    fs::remove_file(&archive).unwrap();
    writer.append(time(2), b"a v=1i 3\n", 1).unwrap();
    assert_eq!(read(&archive), ["a v=1i 1", "a v=1i 3"]);
}

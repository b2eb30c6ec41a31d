//! `bandprobe spool`.

use bandprobe::archive::reader;

use super::{World, bandprobe, sound};

#[test]
fn an_export_is_every_line_of_the_archive_and_damage_is_told() {
    let world = World::new(vec![sound("a")]);
    let config = world.config("here.toml", None, "");
    let config = config.to_str().unwrap();
    for _ in 0..2 {
        assert_eq!(bandprobe(&["once", "-c", config]).code, Some(0));
    }
    let kept: String = reader::lines(&world.archive(), None).unwrap().map(|line| line.unwrap() + "\n").collect();
    assert!(kept.lines().count() > 14, "two rounds of seven transfers, windows and workers: {kept}");
    let archive = world.archive();
    for source in [["-c", config], ["--archive", archive.to_str().unwrap()]] {
        let ended = bandprobe(&[&["spool", "export"][..], &source].concat());
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        assert!(ended.stdout == kept, "{}", ended.stdout);
        let all = bandprobe(&[&["spool", "export", "--since", "1h"][..], &source].concat());
        assert!(all.stdout == kept);
        let none = bandprobe(&[&["spool", "export", "--since", "1ms"][..], &source].concat());
        assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""));
    }

    let listed = bandprobe(&["spool", "list", "-c", config]);
    let names: Vec<_> = listed.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let mut there: Vec<_> = std::fs::read_dir(archive.join("spool"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| name.ends_with(".lp"))
        .collect();
    there.sort_unstable();
    assert_eq!((names.as_slice(), names.len()), (&*there.iter().map(String::as_str).collect::<Vec<_>>(), 2));

    let sealed = archive.join("spool/2026-11-21T100000.000000000Z-1.lp");
    std::fs::write(&sealed, "no header, no trailer\n").unwrap();
    let ended = bandprobe(&["spool", "export", "-c", config]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("2026-11-21T100000"), "{}", ended.stderr);
    assert!(kept.lines().all(|line| ended.stdout.contains(line)), "the rest is printed");
}

//! The reader of lines: written lines are read back, and any other line does no harm.

use bandprobe::record::{
    line::{self as encoder, MAX_LINE},
    scan::{AnyPoint, Line, LineCounts, Scan, read},
    transfer::transfer,
    transfer_point::TransferPoint,
    window::Windows,
};
use proptest::prelude::*;
use std::{convert::Infallible, time::Duration};

use super::{day, lines, points};
use crate::record::samples::video;

fn scan(text: &str) -> (Vec<TransferPoint>, LineCounts) {
    let mut scan = Scan::new(text.split_inclusive('\n').map(Ok::<_, Infallible>));
    let transfer = |found| match found {
        AnyPoint::Transfer(point) => Some(*point),
        AnyPoint::Node(_) => None,
    };
    let points = scan.by_ref().filter_map(|found| transfer(found.unwrap())).collect();
    (points, scan.seen())
}

#[test]
fn written_lines_read_back() {
    let (found, seen) = scan(&lines(&day()));
    assert_eq!(found, points(&day()));
    assert_eq!(seen, LineCounts { transfers: found.len() as u64, states: 0, others: 0, damaged: 0 });
}

#[test]
fn other_lines_are_counted_by_kind() {
    let mut windows = Windows::new(Duration::from_secs(3_600));
    windows.record(&video());
    let mut text = String::from("# bandprobe archive\n\n");
    windows.flush_all().for_each(|point| encoder::encode(&point, &mut text));
    text.push_str("bandprobe_transfer,vantage=eu\ncpu,host=a usage=3 1\nmem,host=a free=3i 1\n");
    let (found, seen) = scan(&text);
    assert!(found.is_empty());
    assert_eq!(seen, LineCounts { transfers: 0, states: 0, others: 9, damaged: 1 });
    let mut scan = Scan::new(text.lines().map(Ok::<_, Infallible>));
    assert_eq!(scan.by_ref().count(), 0);
    let expected = [("not line protocol", 1), ("of a measurement that is not bandprobe's", 2)];
    assert_eq!(scan.reasons().iter().collect::<Vec<_>>(), expected);
}

#[test]
fn errors_of_the_reader_are_passed_on() {
    let lines = [Ok("# x"), Err("disk on fire"), Ok("# y")];
    assert_eq!(Scan::new(lines).collect::<Vec<_>>(), [Err("disk on fire")]);
}

#[test]
fn hostile_lines_count_as_damaged() {
    let good = lines(&[video()]);
    let check = |name: &str, line: &str| assert_eq!(read(line.as_bytes()), Line::Damaged, "{name}");
    check("cut", &good[..good.len() / 2]);
    check("no time", good.trim_end().rsplit_once(' ').unwrap().0);
    check("time beyond 64 bits", &good.replace(" 1795341600123456789", " 17953416001234567890"));
    check("a float for an integer", &good.replace("ttfb_us=99999i", "ttfb_us=99999"));
    check("a negative time", &good.replace("ttfb_us=99999i", "ttfb_us=-1i"));
    check("neither yes nor no", &good.replace("valid=1i", "valid=2i"));
    check("an outcome that we do not know", &good.replace("outcome=ok", "outcome=splendid"));
    check("no node", &good.replace(",node=fra1", ""));
    check("no number", &good.replace("distance_km=12.5", "distance_km=NaN"));
    check("no end of a string", &good.replace("\"nginx", "\\\"nginx"));
    check("too many columns", &good.replace(",node=fra1", &",x=y".repeat(300)));
    check("too long", &good.replace("552149", &"5".repeat(MAX_LINE)));
    assert_eq!(read(b"bandprobe_transfer,node=\xff ok=1i 1"), Line::Damaged);
}

#[test]
fn names_cannot_write_to_the_terminal() {
    let line = lines(&[video()]).replace("node=fra1", "node=a\u{1b}[2Jb");
    let Line::Point(AnyPoint::Transfer(point)) = read(line.as_bytes()) else { panic!("{line}") };
    assert_eq!(&*point.node, "a\u{fffd}[2Jb");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }

    #[test]
    fn a_line_changed_in_one_place_is_read_without_panic(at in any::<prop::sample::Index>(), c in any::<char>()) {
        let mut line: Vec<char> = lines(&[video()]).chars().collect();
        let at = at.index(line.len());
        line[at] = c;
        let _ = read(line.into_iter().collect::<String>().as_bytes());
    }

    #[test]
    fn names_with_any_characters_read_back(node in "\\PC{0,30}", asset in "\\PC{0,30}") {
        let mut sample = video();
        sample.labels.node = node.as_str().into();
        sample.trail.asset_id = Some(asset.as_str().into());
        let point = transfer(&sample);
        let mut text = String::new();
        encoder::encode(&point, &mut text);
        prop_assert_eq!(scan(&text).0, vec![TransferPoint::from_point(&point).unwrap()]);
    }
}

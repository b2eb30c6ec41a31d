//! Random operations and faults, compared with a model: every undamaged line is read exactly once, and nothing else is.

mod faults;
mod world;

use proptest::{prelude::*, test_runner::FileFailurePersistence};

use self::world::World;
use super::*;

/// What happens to the directory. Shares are in thousandths.
#[derive(Clone, Debug)]
enum Act {
    Append(u64),
    Seal,
    Sync,
    /// The clock is moved by this number of hours.
    Clock(i64),
    /// The process dies in an append of this number of points, and only this share of their bytes is written.
    Kill(u64, u64),
    /// The machine dies: of what was not synced, from the first share on is gone, and from the second to the third is zeros.
    PowerCut(u64, u64, u64),
    /// A byte of some file, here, becomes another.
    Corrupt(prop::sample::Index, u64, u8),
    /// Some file ends here.
    Truncate(prop::sample::Index, u64),
    Recover,
    /// What the drain does with its next file.
    Deliver(bool),
    Merge,
}

fn act() -> impl Strategy<Value = Act> {
    let share = || 0..=1000_u64;
    prop_oneof![
        8 => (1..6_u64).prop_map(Act::Append),
        3 => Just(Act::Seal),
        2 => Just(Act::Sync),
        1 => (-50..50_i64).prop_map(Act::Clock),
        1 => (1..6_u64, share()).prop_map(|(points, written)| Act::Kill(points, written)),
        1 => (share(), share(), share()).prop_map(|(cut, from, to)| Act::PowerCut(cut, from, to)),
        2 => (any::<prop::sample::Index>(), share(), 1..=255_u8).prop_map(|(file, at, change)| Act::Corrupt(file, at, change)),
        1 => (any::<prop::sample::Index>(), share()).prop_map(|(file, at)| Act::Truncate(file, at)),
        2 => Just(Act::Recover),
        4 => any::<bool>().prop_map(Act::Deliver),
        1 => Just(Act::Merge),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: crate::rounds(500, 10_000),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/it/archive/model.regressions"))),
        ..ProptestConfig::default()
    })]

    /// CRC-32C finds every change within 32 bits in a row.
    #[test]
    fn no_changed_byte_goes_unnoticed(at in any::<prop::sample::Index>(), change in 1..=255_u8) {
        let dir = scratch();
        let path = dir.path().join("spool").join(fill(dir.path(), &[0]).remove(0));
        let mut content = fs::read(&path).unwrap();
        let at = at.index(content.len());
        content[at] ^= change;
        fs::write(&path, content).unwrap();
        prop_assert!(reader::lines(dir.path(), None).unwrap().any(|line| line.is_err()));
    }

    #[test]
    fn the_directory_agrees_with_the_reference(acts in prop::collection::vec(act(), 1..40)) {
        let mut world = World::new();
        for act in acts {
            world.act(act);
            world.check();
        }
        world.deliver_everything();
    }
}

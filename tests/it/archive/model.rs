//! Random acts against a list: the directory holds what the list holds.

use super::*;

/// What the model does to the directory.
#[derive(Clone, Debug)]
enum Act {
    Append(u64),
    Seal,
    /// The process dies; of the open file so many bytes (in thousandths) reach the disk.
    Crash(u64),
    Recover,
    Deliver,
    MergeDays,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (1..5_u64).prop_map(Act::Append),
        2 => Just(Act::Seal),
        1 => (0..=1000_u64).prop_map(Act::Crash),
        2 => Just(Act::Recover),
        3 => Just(Act::Deliver),
        1 => Just(Act::MergeDays),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// CRC-32C finds every change within 32 bits in a row.
    #[test]
    fn no_changed_byte_goes_unnoticed(at in any::<prop::sample::Index>(), change in 1..=255_u8) {
        let dir = TempDir::new().unwrap();
        let name = fill(dir.path(), &[0]).remove(0);
        let path = dir.path().join("spool").join(name);
        let mut content = fs::read(&path).unwrap();
        let at = at.index(content.len());
        content[at] ^= change;
        fs::write(&path, content).unwrap();
        prop_assert!(reader::lines(dir.path(), None).unwrap().any(|line| line.is_err()));
    }

    #[test]
    fn the_directory_agrees_with_a_list(acts in prop::collection::vec(act(), 1..40)) {
        let dir = TempDir::new().unwrap();
        let spool = Spool::lock(dir.path()).unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        // Per file: its lines, in the order of the files' names.
        let mut model: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut growing: Option<String> = None;
        let mut undelivered = 0;
        for (step, act) in acts.into_iter().enumerate() {
            let now = time(i64::try_from(step).unwrap() * 7200);
            match act {
                Act::Append(points) => {
                    let lines: Vec<_> = (0..points).map(|i| format!("m,step={step} v={i}i {step}")).collect();
                    writer.append(now, (lines.join("\n") + "\n").as_bytes(), points).unwrap();
                    let name = growing.get_or_insert_with(|| format::name(now, std::process::id()));
                    model.entry(name.clone()).or_default().extend(lines);
                }
                Act::Seal => {
                    let sealed = writer.seal().unwrap();
                    prop_assert_eq!(sealed.as_ref().map(|sealed| &sealed.name), growing.as_ref());
                    undelivered += u64::from(sealed.is_some());
                    growing = None;
                }
                Act::Crash(share) => {
                    drop(writer);
                    if let Some(name) = growing.take() {
                        let path = dir.path().join("open").join(&name);
                        let content = fs::read_to_string(&path).unwrap();
                        let left = usize::try_from(content.len() as u64 * share / 1000).unwrap();
                        File::options().write(true).open(&path).unwrap().set_len(left as u64).unwrap();
                        let whole = content[..left].rfind('\n').map_or("", |end| &content[..end]);
                        let lines: Vec<_> =
                            whole.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
                        model.insert(name, lines);
                    }
                    writer = Writer::open(dir.path()).unwrap();
                }
                Act::Recover => undelivered += recover(dir.path()).unwrap().files,
                Act::Deliver => {
                    let oldest = spool.oldest().unwrap();
                    prop_assert_eq!(oldest.is_some(), undelivered > 0);
                    if let Some(name) = oldest {
                        spool.delivered(&name).unwrap();
                        undelivered -= 1;
                    }
                }
                Act::MergeDays => { retain::merge_days(&spool, now).unwrap(); }
            }
            let expected: Vec<_> = model.values().flatten().cloned().collect();
            // A file cut within its header still has it as damage until it is recovered; every line must be there.
            let found: Vec<_> = reader::lines(dir.path(), None).unwrap().flatten().collect();
            prop_assert_eq!(sorted(found), sorted(expected));
            prop_assert_eq!(waiting(dir.path()).unwrap().len() as u64, undelivered);
        }
    }
}

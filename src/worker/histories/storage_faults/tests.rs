use std::fs;

use super::*;
use crate::measure::storage_faults::StorageFault;

fn failed(error: &str) -> StorageFaultChange {
    StorageFaultChange::Failed(StorageFault { at: Timestamp::now(), error: error.to_owned(), held_nothing: true })
}

impl SharedFaults {
    fn find(&self, node: &str, finding: StorageFaultChange) {
        let mut memory = self.memory();
        memory.faults.note(node, &finding);
        memory.new.insert(node.to_owned(), finding);
    }

    /// Ends the fault: the node has served something.
    fn end(&self, node: &str) {
        let stored = serde_json::to_value(&self.memory().faults).unwrap();
        let fault: StorageFault = serde_json::from_value(stored[node].clone()).unwrap();
        self.find(node, StorageFaultChange::Over(fault));
    }
}

#[test]
fn a_fault_is_known_after_a_restart_and_to_other_processes() {
    let dir = tempfile::tempdir().unwrap();
    let [ours, theirs] = [(); 2].map(|()| SharedFaults::load(dir.path()));
    ours.find("a", failed("status 500: no"));
    assert_eq!(ours.error("a").as_deref(), Some("status 500: no"), "at once");
    ours.save(false);
    assert_eq!(theirs.error("a"), None);
    theirs.save(false);
    assert_eq!((theirs.error("a").as_deref(), theirs.error("b")), (Some("status 500: no"), None));
    assert_eq!(SharedFaults::load(dir.path()).error("a").as_deref(), Some("status 500: no"));

    theirs.end("a");
    theirs.save(true);
    ours.save(false);
    assert_eq!((ours.error("a"), SharedFaults::load(dir.path()).error("a")), (None, None), "it serves again");
}

#[test]
fn a_newer_fault_outlives_the_end_of_an_older_one() {
    let dir = tempfile::tempdir().unwrap();
    let [ours, theirs] = [(); 2].map(|()| SharedFaults::load(dir.path()));
    ours.find("a", failed("old"));
    ours.save(false);
    theirs.save(false);
    theirs.end("a");
    ours.find("a", failed("new"));
    ours.save(false);
    theirs.save(false);
    assert_eq!(theirs.error("a").as_deref(), Some("new"));
}

#[test]
fn hostile_file_contents_do_no_harm() {
    let now = Timestamp::now();
    let entry = |at: &str, error: &str| format!(r#"{{"a":{{"at":"{at}","error":"{error}"}}}}"#);
    let (now, past) = (now.to_string(), (now - jiff::SignedDuration::from_hours(49)).to_string());
    for (text, expected) in [
        (entry(&now, "no"), Some("no".to_owned())),
        (entry(&now, r"a\u001b[2J"), Some("a\u{fffd}[2J".to_owned())),
        (entry(&now, &"x".repeat(9_000)), Some("x".repeat(200))),
        (entry(&past, "no"), None),
        (entry("9999-12-30T00:00:00Z", "no"), None),
        (entry("-009999-01-01T00:00:00Z", "no"), None),
        (entry("yesterday", "no"), None),
        (entry(&now, "no")[..20].to_owned(), None),
        (r#"{"a":7}"#.to_owned(), None),
        ("[".repeat(100_000), None),
        (format!("{}{}", entry(&now, "no"), " ".repeat(17 << 20)), None),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("state")).unwrap();
        let file = dir.path().join("state/storage-faults.json");
        fs::write(&file, &text).unwrap();
        let faults = SharedFaults::load(dir.path());
        assert_eq!(faults.error("a"), expected, "{}", &text[..text.len().min(90)]);
        faults.find("b", failed("no"));
        faults.save(false);
        assert_eq!(SharedFaults::load(dir.path()).error("b").as_deref(), Some("no"), "the file is written again");
        assert!(fs::metadata(&file).unwrap().len() < 1_000);
    }
}

#[test]
fn the_number_of_stored_nodes_is_limited() {
    let dir = tempfile::tempdir().unwrap();
    let faults = SharedFaults::load(dir.path());
    (0..10_100).for_each(|n| faults.find(&format!("n{n:05}"), failed("no")));
    faults.save(false);
    assert_eq!((faults.error("n09999").is_some(), faults.error("n10000")), (true, None));
}

#[test]
fn known_faults_survive_a_lost_file_and_a_failing_disk() {
    let dir = tempfile::tempdir().unwrap();
    let faults = SharedFaults::load(dir.path());
    faults.find("a", failed("no"));
    faults.save(false);
    fs::remove_dir_all(dir.path().join("state")).unwrap();
    faults.save(false);
    assert!(faults.error("a").is_some());
    fs::write(dir.path().join("state"), "no folder").unwrap();
    faults.find("b", failed("no"));
    faults.save(false);
    assert!(faults.error("a").is_some() && faults.error("b").is_some());
    fs::remove_file(dir.path().join("state")).unwrap();
    faults.save(true);
    let again = SharedFaults::load(dir.path());
    assert!(again.error("a").is_some() && again.error("b").is_some());
}

#[test]
fn a_failed_read_loses_nothing_that_others_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let [ours, theirs] = [(); 2].map(|()| SharedFaults::load(dir.path()));
    theirs.find("a", failed("no"));
    theirs.save(false);
    let [file, aside] = ["state/storage-faults.json", "aside"].map(|name| dir.path().join(name));
    fs::rename(&file, &aside).unwrap();
    // Its first bytes cannot be read: EIO.
    std::os::unix::fs::symlink("/proc/self/mem", &file).unwrap();
    ours.save(false);
    ours.find("b", failed("no"));
    ours.save(false);
    assert!(ours.error("b").is_some() && fs::symlink_metadata(&file).unwrap().is_symlink());
    fs::rename(&aside, &file).unwrap();
    ours.save(false);
    let again = SharedFaults::load(dir.path());
    assert!(again.error("a").is_some() && again.error("b").is_some());
}

#[test]
fn a_file_of_an_older_version_holds_what_the_check_found() {
    let text = r#"{"a":{"at":"2026-01-02T03:04:05Z","error":"no"}}"#;
    let old: BTreeMap<String, StorageFault> = serde_json::from_str(text).unwrap();
    assert!(old["a"].held_nothing);
}

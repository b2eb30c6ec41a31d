//! Tests that need more than Rust and loopback. Without it, they print one line and pass, or fail where nothing may be
//! skipped.

use std::{
    collections::BTreeSet,
    env,
    io::{self, Write},
    sync::{Mutex, PoisonError},
};

/// Prints once that `tests` are skipped because `missing` is. The line goes past the capture of the test runner, which would
/// hide that of a test that passes.
///
/// # Panics
/// With `BANDPROBE_REQUIRE_ALL=1`.
pub(crate) fn skip(tests: &str, missing: &str) {
    static PRINTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let line = format!("SKIPPED {tests}: {missing}\n");
    assert!(env::var("BANDPROBE_REQUIRE_ALL").as_deref() != Ok("1"), "nothing may be skipped: {line}");
    if PRINTED.lock().unwrap_or_else(PoisonError::into_inner).insert(line.clone()) {
        io::stderr().write_all(line.as_bytes()).expect("stderr is open");
    }
}

//! File descriptors: as many as the system lets us have, and how many checks they suffice for.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one. A low soft limit is for programs that use select(2), which this one does not.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!("the limit of open files cannot be raised: {error}");
    }
}

/// How many nodes may be asked for their status at the same time, next to this many transfers.
pub(super) fn checks_at_once(transfers: usize) -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    fitting(usize::try_from(limit).unwrap_or(usize::MAX), open().unwrap_or(OPEN), transfers)
}

/// How many checks fit, with this many descriptors open.
fn fitting(limit: usize, open: usize, transfers: usize) -> usize {
    let reserved = RESERVED.saturating_add(transfers.saturating_mul(PER_TRANSFER));
    let free = limit.saturating_sub(open).saturating_sub(reserved);
    (free / PER_CHECK).clamp(LEAST, MOST)
}

/// How many descriptors are open, by proc_pid_fd(5). Not known off Linux.
fn open() -> Option<usize> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count())
}

/// Checks at the same time, whatever the limit: a hostile list of thousands must not take all memory.
const MOST: usize = 1_024;
/// Some go through even when the limit is absurdly low.
const LEAST: usize = 4;
/// Its connection, and a socket for its lookup.
const PER_CHECK: usize = 2;
const PER_TRANSFER: usize = 2;
/// Files of the archive, delivery, the registry, and lookups under way.
const RESERVED: usize = 32;
/// Taken to be open where the system does not tell.
const OPEN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_leave_room_for_everything_else() {
        for (limit, open, transfers, expected) in [
            (usize::MAX, 20, 9, 1_024),
            (20_000, 20, 9, 1_024),
            (1_024, 20, 9, 477),
            (256, 20, 9, 93),
            (128, 20, 9, 29),
            (64, 20, 9, 4),
            (0, 20, usize::MAX, 4),
        ] {
            assert_eq!(fitting(limit, open, transfers), expected, "{limit} {open} {transfers}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn open_files_are_counted() {
        let before = open().unwrap();
        let files: Vec<_> = (0..100).map(|_| fs::File::open("/proc/self/stat").unwrap()).collect();
        assert!(open().unwrap() + 50 > before + files.len(), "other tests open and close some too");
    }
}

//! File descriptors: raises their limit, and derives how many connections and checks may be open.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard limit. The low soft limit exists for programs that use select(2),
/// a call that bandprobe does not use.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!("cannot raise the limit of open files: {error}");
    }
}

/// The most connections that runs may have open, if `transfers` transfers may run at the same time. This includes
/// connections that wait for their next transfer, and leaves room for status checks.
pub(super) fn connections(transfers: usize) -> usize {
    fitting_connections(free(), transfers)
}

/// The most status checks that may run at the same time, next to this many connections of runs.
pub(super) fn checks_at_once(connections: usize) -> usize {
    fitting_checks(free(), connections)
}

/// A quarter of the free descriptors, or more if the transfers need it, but at most half.
fn fitting_connections(free: usize, transfers: usize) -> usize {
    let room = (free / 4).max(transfers.saturating_mul(PER_CONNECTION)).min(free / 2);
    (room / PER_CONNECTION).clamp(MIN_CONNECTIONS, MAX_CONNECTIONS)
}

fn fitting_checks(free: usize, connections: usize) -> usize {
    let room = free.saturating_sub(connections.saturating_mul(PER_CONNECTION));
    (room / PER_CONNECTION).clamp(MIN_CONNECTIONS, MAX_CONNECTIONS)
}

/// Descriptors that are free for connections now.
fn free() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    limit.saturating_sub(open().unwrap_or(OPEN)).saturating_sub(RESERVED)
}

/// Descriptors that are open, from proc_pid_fd(5); `None` on systems without it.
fn open() -> Option<usize> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count())
}

/// The most connections of each kind, whatever the limit is. A hostile list of thousands of nodes must not use up the
/// memory.
const MAX_CONNECTIONS: usize = 1_024;
/// The fewest connections of each kind, so that probing continues even with a very low limit.
const MIN_CONNECTIONS: usize = 4;
/// One for the connection, and one for the socket of its lookup.
const PER_CONNECTION: usize = 2;
/// For files of the archive, delivery, the registry, and lookups under way.
const RESERVED: usize = 32;
/// Assumed number of open descriptors on systems that do not report it.
const OPEN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_and_checks_leave_room_for_each_other() {
        for (free, transfers, connections, checks) in [
            (usize::MAX, 9, 1_024, 1_024),
            (20_000, 9, 1_024, 1_024),
            (968, 9, 121, 363),
            (968, 200, 200, 284),
            (968, 10_000, 242, 242),
            (200, 9, 25, 75),
            (68, 9, 9, 25),
            (16, 9, 4, 4),
            (0, usize::MAX, 4, 4),
        ] {
            assert_eq!(fitting_connections(free, transfers), connections, "{free} {transfers}");
            assert_eq!(fitting_checks(free, connections), checks, "{free} {transfers}");
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

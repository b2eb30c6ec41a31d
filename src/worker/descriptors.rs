//! File descriptors: as many as the system lets us have, and how many transfers and checks they suffice for.

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
        tracing::debug!("cannot raise the limit of open files: {error}");
    }
}

/// How many connections the runs may have open, those that wait for their next transfer included, where this many
/// transfers may run at the same time. Checks are to have room next to them.
pub(super) fn connections(transfers: usize) -> usize {
    fitting_connections(free(), transfers)
}

/// How many nodes may be asked for their status at the same time, next to this many connections of runs.
pub(super) fn checks_at_once(connections: usize) -> usize {
    fitting_checks(free(), connections)
}

/// A quarter of the room, or more where the transfers alone need it, but at most half.
fn fitting_connections(free: usize, transfers: usize) -> usize {
    let room = (free / 4).max(transfers.saturating_mul(PER_CONNECTION)).min(free / 2);
    (room / PER_CONNECTION).clamp(LEAST, MOST)
}

fn fitting_checks(free: usize, connections: usize) -> usize {
    let room = free.saturating_sub(connections.saturating_mul(PER_CONNECTION));
    (room / PER_CONNECTION).clamp(LEAST, MOST)
}

/// How many descriptors are left for connections now.
fn free() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    limit.saturating_sub(open().unwrap_or(OPEN)).saturating_sub(RESERVED)
}

/// How many descriptors are open, by proc_pid_fd(5). Not known off Linux.
fn open() -> Option<usize> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count())
}

/// Connections of each sort, whatever the limit: a hostile list of thousands must not take all memory.
const MOST: usize = 1_024;
/// Some go through even when the limit is absurdly low.
const LEAST: usize = 4;
/// The connection, and a socket for its lookup.
const PER_CONNECTION: usize = 2;
/// Files of the archive, delivery, the registry, and lookups under way.
const RESERVED: usize = 32;
/// Assumed to be open where the system does not say.
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

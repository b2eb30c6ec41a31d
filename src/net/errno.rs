//! Recognizes errors of the operating system whose cause is this machine and not the node.

use std::io;

/// Whether this machine is at fault: it lacks descriptors, memory, ports, a route or a permission (errno(3)).
#[must_use]
pub fn is_local(error: &io::Error) -> bool {
    const OURS: [i32; 8] = [
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOMEM,
        libc::ENOBUFS,
        libc::EADDRNOTAVAIL,
        libc::ENETUNREACH,
        libc::EACCES,
        libc::EPERM,
    ];
    error.raw_os_error().is_some_and(|errno| OURS.contains(&errno))
}

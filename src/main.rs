//! The `bandprobe` binary: everything is in the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Large blocks begin at a page here, so that of two no address lies a few bytes behind the other's modulo 4096. With
/// glibc's allocator rustls' buffer and the record copied out of it lie just so: on AMD Zen 3 and 4 that copy, by
/// `rep movsb`, then takes 40 times as long, half of all CPU time over TLS (sourceware.org/bugzilla 30994, glibc < 2.40).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    bandprobe::cli::main()
}

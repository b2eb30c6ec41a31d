//! The `bandprobe` binary: everything is in the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// With glibc 2.36's allocator half of the CPU time of a download over TLS went into copying records out of rustls' buffer, on
/// an AMD EPYC: its `memcpy` of 16 KiB takes 40 times as long there when the target lies 3 to 11 bytes behind the source
/// modulo 4096.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    bandprobe::cli::main()
}

//! The `bandprobe` binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    bandprobe::cli::main()
}

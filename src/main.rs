//! The `bandprobe` binary.

fn main() {}

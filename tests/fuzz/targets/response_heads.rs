#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bandprobe_fuzz::response_heads(input));

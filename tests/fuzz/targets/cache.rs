//! libFuzzer's entry to the target of this name.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzz::target::cache::run(data));

//! libFuzzer's entry to the target of this name.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|data: &[u8]| fuzz::target::plan::run(data));
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    fuzz::target::plan::mutate(data, size, max_size, seed, &mut fuzzer_mutate)
});

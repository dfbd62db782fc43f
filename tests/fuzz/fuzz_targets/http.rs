//! The fuzzer's entry to `http`.
#![no_main]
#![expect(dead_code, reason = "each fuzzer uses one of the targets")]

#[path = "../targets/mod.rs"]
mod targets;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|data: &[u8]| targets::http::run(data));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    targets::mutate::for_fuzzer(data, size, max_size, seed, libfuzzer_sys::fuzzer_mutate)
});

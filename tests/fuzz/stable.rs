//! The fuzz targets without a fuzzer: all seeds, then a number of mutations of them by a fixed seed, the same everywhere.
//!
//! `FUZZ_SECONDS` makes it longer, `FUZZ_SEED` other; a failure prints the bytes that make it again.
#![expect(clippy::disallowed_methods, clippy::panic, reason = "a test with settings of its own")]
#![expect(clippy::unwrap_used, reason = "tests: a panic is how they fail")]

mod targets;

use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use targets::mutate::{Chance, mutated};

/// Longer bodies only cost time.
const MAX: usize = 64 << 10;
/// Entries that a corpus grows to.
const KEPT: usize = 2_000;
/// Mutations of a target, at least.
const RUNS_MIN: u64 = 2_000;
/// What one input may take, in a debug build on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(5);

fn hold(target: &str) {
    let run = targets::TARGETS.into_iter().find(|(name, _)| *name == target).map(|(_, run)| run);
    let run = run.unwrap_or_else(|| panic!("no target {target}"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../source_of_truth");
    let mut corpus = targets::seeds::seeds(&source, target);
    assert!(corpus.len() > 10, "{} seeds", corpus.len());
    for seed in &corpus {
        check(target, run, seed);
    }

    let mut chance = Chance::new(setting("FUZZ_SEED", 1));
    let end = Instant::now() + Duration::from_secs(setting("FUZZ_SECONDS", 0));
    let mut runs = 0_u64;
    while runs < RUNS_MIN || Instant::now() < end {
        let at = chance.below(corpus.len());
        let bytes = mutated(&corpus[at], MAX, &mut chance);
        check(target, run, &bytes);
        runs += 1;
        // Without the fuzzer's knowledge of branches, mutations of mutations are the way to odd places.
        if chance.below(4) == 0 {
            if corpus.len() < KEPT {
                corpus.push(bytes);
            } else {
                corpus[at] = bytes;
            }
        }
    }
}

fn check(target: &str, run: targets::Target, bytes: &[u8]) {
    let begun = Instant::now();
    let held = catch_unwind(|| run(bytes)).is_ok();
    assert!(held, "{target} fails for {}", String::from_utf8_lossy(bytes).escape_debug());
    let taken = begun.elapsed();
    assert!(
        taken < PATIENCE,
        "{target} takes {taken:?} for {}",
        String::from_utf8_lossy(bytes).escape_debug()
    );
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn callbacks() {
    hold("callback");
}

#[test]
fn records() {
    hold("record");
}

#[test]
fn results() {
    hold("result-json");
}

#[test]
fn model_files() {
    hold("model-file");
}

#[test]
fn inputs() {
    hold("input");
}

#[test]
fn requests() {
    hold("http");
}

#[test]
fn old_shops() {
    hold("import");
}

#[test]
fn mutations_for_the_fuzzer_stay_in_its_buffer() {
    let seed = br#"{"taskId":"a","data":{"state":"success"}}"#;
    for n in 0..2_000 {
        let mut buffer = vec![0_u8; 64];
        buffer[..seed.len()].copy_from_slice(seed);
        let length = targets::mutate::for_fuzzer(&mut buffer, seed.len(), 64, n, |_, size, _| size);
        assert!(length <= 64);
    }
}

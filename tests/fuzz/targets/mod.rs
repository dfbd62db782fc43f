//! What is done with hostile bytes, and what must hold. Used by the fuzzers, and by a test that needs no fuzzer.

pub(crate) mod callback;
pub(crate) mod http;
pub(crate) mod import;
pub(crate) mod input;
pub(crate) mod model_file;
pub(crate) mod mutate;
pub(crate) mod record;
pub(crate) mod result_json;
pub(crate) mod seeds;
pub(crate) mod shop;
pub(crate) mod world;

/// Panics when something does not hold for the bytes.
pub(crate) type Target = fn(&[u8]);

/// The names of the targets, as their programs are called, with what they run.
pub(crate) const TARGETS: [(&str, Target); 7] = [
    ("callback", callback::run),
    ("record", record::run),
    ("result-json", result_json::run),
    ("model-file", model_file::run),
    ("input", input::run),
    ("http", http::run),
    ("import", import::run),
];

#!/usr/bin/env bash
# Runs every fuzzer for FUZZ_SECONDS (default 300), beginning with sound inputs. Takes a nightly compiler, if there is one.
#
#   fuzz.sh [TARGET]...
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked --version 0.13.2
nightly=(+nightly)
cargo +nightly --version >/dev/null 2>&1 || {
    echo "fuzz: no nightly compiler here, so the stable one takes unstable flags (RUSTC_BOOTSTRAP=1)" >&2
    nightly=()
    export RUSTC_BOOTSTRAP=1
}

targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(callback record result-json model-file input http import)
for target in "${targets[@]}"; do
    cargo "${nightly[@]}" run --quiet --bin seeds -- "$target" ../../source_of_truth "target/seeds/$target"
    mkdir -p "corpus/$target"
    # One input may take 10 s and one process 1 GiB; more is a finding.
    cargo "${nightly[@]}" fuzz run --fuzz-dir . "$target" "corpus/$target" "target/seeds/$target" -- \
        -max_total_time="${FUZZ_SECONDS:-300}" -timeout=10 -rss_limit_mb=1024 -max_len=65536 -print_final_stats=1
done

#!/usr/bin/env bash
# What a new user does: an empty crate elsewhere, the example of kie-client's README, a simulated provider, a file.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD

folder=$(mktemp --directory)
sim=
# shellcheck disable=SC2317 # the trap below calls it
stop() {
    [ -z "$sim" ] || kill "$sim" 2>/dev/null || true
    rm -rf -- "$folder"
}
trap stop EXIT

# The first Rust block of the README, and nothing but its address is changed.
mkdir "$folder/src"
awk '/^```rust/ { inside = 1; next } /^```/ { if (inside) exit } inside' crates/kie-client/README.md |
    sed 's|Client::builder(std::env::var("KIE_API_KEY")?)|&.base_url(std::env::var("KIE_BASE_URL")?.parse()?)|' \
        >"$folder/src/main.rs"
grep -q 'KIE_BASE_URL' "$folder/src/main.rs" || { echo "outside-crate: the README's example has changed its first line" >&2; exit 1; }
cat >"$folder/Cargo.toml" <<EOF
[package]
name = "outside"
version = "0.1.0"
edition = "2024"

[dependencies]
kie-client = { path = "$root/crates/kie-client" }
serde_json = "1"
tokio = { version = "1", features = ["macros", "rt-multi-thread", "fs", "io-util"] }

[workspace]
EOF
# The versions that we test with.
cp Cargo.lock "$folder/Cargo.lock"

cargo build --quiet --package kie-sim
target=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")
"$target/debug/kie-sim" serve --listen 127.0.0.1:0 --image 200ms --url-file "$folder/url" >"$folder/sim.log" 2>&1 &
sim=$!
(cd "$folder" && CARGO_TARGET_DIR="$target" cargo build --quiet)
for _ in {1..100}; do
    [ ! -s "$folder/url" ] || break
    kill -0 "$sim" 2>/dev/null || { cat "$folder/sim.log" >&2; exit 1; }
    sleep 0.1
done
(cd "$folder" && KIE_API_KEY=kie-sim-key KIE_BASE_URL=$(cat url) timeout 60 "$target/debug/outside")
[ "$(head --bytes 4 "$folder/result" | tail --bytes 3)" = PNG ] || { echo "outside-crate: no picture arrived" >&2; exit 1; }
echo "outside-crate: the README's example fetched $(stat --format %s "$folder/result") bytes"

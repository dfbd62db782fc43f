#!/usr/bin/env bash
# Checks the dependencies with cargo-deny, which is built once where it is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=0.20.2
cargo deny --version >/dev/null 2>&1 || cargo install cargo-deny --locked --version "$version"

# Advisories need a database from the network: run `cargo deny check advisories` where it can be had.
cargo deny --workspace check --hide-inclusion-graph bans licenses sources

#!/usr/bin/env bash
# Compares the interfaces of the published crates with the last release: the newest tag of the form v1.2.3.
set -euo pipefail
cd "$(dirname "$0")/../.."

tag=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null) || {
    echo "semver: there is no release tag yet, so there is nothing to compare with"
    exit 0
}
cargo semver-checks --version >/dev/null 2>&1 || cargo install cargo-semver-checks --locked
cargo semver-checks --package kie-catalogue --package kie-client --all-features --baseline-rev "$tag"

#!/usr/bin/env bash
# Fail points are in the programs that the tests build, and in none that is built by itself, as for a release.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Read to its end: cut off by an early match, cargo would fail.
armed() { grep --quiet '^store feature "failpoints"' <<<"$(cargo tree --edges normal,features --prefix none "$@")"; }
for program in kie-web kie-bot kie-reconciler; do
    if armed --package "$program"; then
        echo "no-failpoints: a release of $program would have fail points" >&2
        exit 1
    fi
done
if armed; then
    echo "no-failpoints: a plain \`cargo build --release\` would have fail points" >&2
    exit 1
fi
armed --workspace || { echo "no-failpoints: the check looks for the wrong feature" >&2; exit 1; }

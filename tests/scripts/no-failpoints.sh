#!/usr/bin/env bash
# Fail points are in the programs that the tests build, and in none that is built by itself, as for a release.
set -euo pipefail
cd "$(dirname "$0")/../.."

features() { cargo tree --edges normal,features --prefix none "$@"; }
armed='^store feature "failpoints"'
for program in kie-web kie-bot kie-reconciler; do
    if features --package "$program" | grep --quiet "$armed"; then
        echo "no-failpoints: a release of $program would have fail points" >&2
        exit 1
    fi
done
features --workspace | grep --quiet "$armed" || { echo "no-failpoints: the check looks for the wrong feature" >&2; exit 1; }

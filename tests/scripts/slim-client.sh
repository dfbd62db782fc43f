#!/usr/bin/env bash
# Without its feature `catalogue`, kie-client pulls in neither the catalogue nor a schema library.
set -euo pipefail
cd "$(dirname "$0")/../.."

names() { cargo tree --package kie-client --edges normal --prefix none "$@" | cut --delimiter ' ' --fields 1 | sort --unique; }
for features in "--no-default-features --features rustls" ""; do
    # shellcheck disable=SC2086 # several words
    if names $features | grep --extended-regexp '^(jsonschema|kie-catalogue|strsim|regex)$'; then
        echo "slim-client: kie-client $features names the crates above" >&2
        exit 1
    fi
done
names --features catalogue | grep --quiet '^jsonschema$' || { echo "slim-client: the check looks for the wrong name" >&2; exit 1; }

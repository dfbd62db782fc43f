#!/usr/bin/env bash
# Measures the shop: builds it for release, starts a durable throw-away PostgreSQL, runs one bench or all.
#
#   run.sh [orders|memory|latency|idle|history|simulator|all]
#
# Exit code 0: every bar is met; 1: one is missed, or a run has no result. Figures mean something on a quiet machine only.
#
#   BENCH_TARGET        the target folder (default: target)
#   BENCH_SECONDS       seconds of one leg of `orders` (10); BENCH_ROUNDS: how many legs of each kind (3)
#   BENCH_CONNECTIONS   open connections of `orders` (32)
#   BENCH_HISTORY       final rows of `history` (1000000)
#   BENCH_DATABASE_URL  a server of your own instead, as its superuser; databases named kie_bench_* are made and dropped
set -euo pipefail
cd "$(dirname "$0")/../.."

bench=${1:-all}
export CARGO_TARGET_DIR=${BENCH_TARGET:-target}
tests/scripts/ensure-tools.sh cc certs postgres

cargo build --release --package kie-web --package kie-reconciler --package kie-sim
cargo build --release --package acceptance --bin s3-server --bench figures
figures=$(cargo build --release --package acceptance --bench figures --message-format json 2>/dev/null |
    sed --quiet 's/.*"name":"figures".*"executable":"\([^"]*\)".*/\1/p')
[ -x "$figures" ] || { echo "run.sh: the bench was not built" >&2; exit 1; }
BENCH_PROGRAMS=$(realpath "$CARGO_TARGET_DIR")/release
export BENCH_PROGRAMS

# Debian keeps pgbench beside the server.
newest=$(compgen -G '/usr/lib/postgresql/*/bin/pgbench' | sort --version-sort | tail --lines 1) || true
[ -z "$newest" ] || PATH=${newest%/*}:$PATH
command -v pgbench >/dev/null 2>&1 || { echo "run.sh: no pgbench here; it comes with PostgreSQL" >&2; exit 1; }

# A server that other tests use may not write durably, so that address is not taken.
unset TEST_DATABASE_URL
[ -z "${BENCH_DATABASE_URL:-}" ] || export TEST_DATABASE_URL=$BENCH_DATABASE_URL
PG_DURABLE=1 exec tests/scripts/with-postgres.sh "$figures" "$bench"

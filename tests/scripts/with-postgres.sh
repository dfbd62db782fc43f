#!/usr/bin/env bash
# Runs a command with TEST_DATABASE_URL set: the one that is given, or a throw-away PostgreSQL that ends with it.
#
#   with-postgres.sh COMMAND [ARGUMENT]...
#
# PG_DURABLE=1 lets it write durably, as a real one does: for benches.
set -euo pipefail

[ $# -gt 0 ] || { echo "usage: with-postgres.sh COMMAND [ARGUMENT]..." >&2; exit 64; }
[ -z "${TEST_DATABASE_URL:-}" ] || exec "$@"

newest_programs() {
    local initdb
    initdb=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort --version-sort | tail --lines 1) || true
    [ -n "$initdb" ] || initdb=$(command -v initdb || true)
    [ -n "$initdb" ] || { echo "with-postgres: no PostgreSQL here; run tests/scripts/ensure-tools.sh postgres" >&2; exit 1; }
    dirname "$(readlink --canonicalize "$initdb")"
}

# PostgreSQL refuses to run as root.
as_owner=()
owner=$(id -un)
if [ "$(id -u)" -eq 0 ]; then
    owner=postgres
    id "$owner" >/dev/null 2>&1 || owner=nobody
    as_owner=(runuser --user "$owner" --)
fi

# A socket's path holds at most 107 bytes, so TMPDIR, which may be long, is not used.
programs=$(newest_programs)
folder=$(mktemp --directory /tmp/kie-postgres.XXXXXX)
child=

# shellcheck disable=SC2317 # the trap below calls it
# Asks a process group to end; after 10 s it is ended.
end_group() {
    kill -TERM -- "-$1" 2>/dev/null || return 0
    for _ in {1..100}; do
        kill -0 -- "-$1" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -KILL -- "-$1" 2>/dev/null || true
}

# shellcheck disable=SC2317
stop() {
    trap - EXIT
    trap '' INT TERM HUP
    [ -z "$child" ] || end_group "$child"
    (cd / && "${as_owner[@]}" "$programs/pg_ctl" --pgdata "$folder/data" --mode immediate --silent stop) \
        >/dev/null 2>&1 || true
    rm -rf -- "$folder"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

start() {
    cd /
    "${as_owner[@]}" "$programs/initdb" --pgdata "$folder/data" --username postgres --auth trust \
        --encoding UTF8 --locale C.UTF-8 --no-sync >"$folder/initdb.log" 2>&1 || return
    # Nothing listens on the network; durability is not what a throw-away cluster is usually for.
    local durable=off
    [ "${PG_DURABLE:-0}" != 1 ] || durable=on
    "${as_owner[@]}" "$programs/pg_ctl" --pgdata "$folder/data" --log "$folder/data/server.log" --silent --wait \
        --options "-c listen_addresses='' -c unix_socket_directories='$folder' -c max_connections=200 -c fsync=$durable \
            -c synchronous_commit=$durable -c full_page_writes=$durable -c max_wal_size=4GB" start >/dev/null 2>&1
}
if [ -n "${as_owner[*]}" ]; then
    chown "$owner" "$folder"
fi
if ! (start); then
    echo "with-postgres: the throw-away PostgreSQL does not start" >&2
    cat "$folder/initdb.log" "$folder/data/server.log" >&2 2>/dev/null || true
    exit 1
fi
export TEST_DATABASE_URL="postgres://postgres@${folder//\//%2F}/postgres"

# The command gets a process group of its own, so that a signal to this script ends all of it, also when the signal
# comes from a terminal or a supervisor that tells nobody else.
set -m
"$@" <&0 &
child=$!
set +m
status=0
wait "$child" || status=$?
child=
exit "$status"

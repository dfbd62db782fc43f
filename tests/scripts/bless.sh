#!/usr/bin/env bash
# Renews what is made from other files: the packed catalogue, documents that tests print, checked-query data.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Checks a store against a fresh database and replaces its `.sqlx` folder by what the macros saw.
renew_queries() {
    local crate=$1
    local fresh
    fresh=$(mktemp --directory "crates/$crate/.sqlx.XXXXXX")
    # Macros expand only when the crate is compiled anew.
    touch "crates/$crate/src/lib.rs"
    if ! SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$PWD/$fresh" cargo check --package "$crate" --all-targets; then
        rm -rf -- "$fresh"
        return 1
    fi
    chmod 755 "$fresh" && rm -rf -- "crates/$crate/.sqlx" && mv -- "$fresh" "crates/$crate/.sqlx" || return
    touch "crates/$crate/src/lib.rs"
}

renew_postgres() {
    local name="kie_bless_$$" base=$TEST_DATABASE_URL status=0
    psql --quiet --no-psqlrc --command "create database $name" "$base"
    export KIE_SQLX_POSTGRES_URL="${base%/*}/$name"
    cat migrations/postgres/*.sql |
        psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --single-transaction "$KIE_SQLX_POSTGRES_URL" >/dev/null
    renew_queries store-postgres || status=$?
    psql --quiet --no-psqlrc --command "drop database $name" "$base"
    return "$status"
}

renew_sqlite() {
    local folder status=0
    folder=$(mktemp --directory)
    export KIE_SQLX_SQLITE_URL="sqlite://$folder/bless.db"
    cat migrations/sqlite/*.sql | sqlite3 -bail "$folder/bless.db"
    renew_queries store-sqlite || status=$?
    rm -rf -- "$folder"
    return "$status"
}

case "${1:-all}" in
all)
    cargo run --package kie-catalogue --example pack
    tests/scripts/ensure-tools.sh cc certs postgres sqlite3
    tests/scripts/with-postgres.sh tests/scripts/bless.sh queries
    BLESS=1 tests/scripts/with-postgres.sh cargo test --workspace
    ;;
queries)
    renew_sqlite
    renew_postgres
    ;;
*)
    echo "usage: bless.sh [all|queries]" >&2
    exit 64
    ;;
esac

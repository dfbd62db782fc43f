#!/usr/bin/env bash
# Makes sure that the named tools are here: uses what it finds, installs the rest by apt when it may.
#
#   ensure-tools.sh [cc] [certs] [postgres] [sqlite3] [faketime]
set -euo pipefail

has_postgres() {
    command -v initdb >/dev/null 2>&1 || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

# Without any certificate authority no HTTP client can be built, also where none is asked for.
has_certs() {
    [ -n "${SSL_CERT_FILE:-}${SSL_CERT_DIR:-}" ] || [ -s /etc/ssl/certs/ca-certificates.crt ] ||
        [ -s /etc/pki/tls/certs/ca-bundle.crt ] || [ -s /etc/ssl/cert.pem ]
}

missing=()
for tool in "$@"; do
    case "$tool" in
    cc) command -v cc >/dev/null 2>&1 || missing+=(build-essential) ;;
    certs) has_certs || missing+=(ca-certificates) ;;
    postgres) has_postgres || missing+=(postgresql) ;;
    sqlite3) command -v sqlite3 >/dev/null 2>&1 || missing+=(sqlite3) ;;
    faketime) compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || missing+=(libfaketime) ;;
    *)
        echo "ensure-tools: unknown tool \`$tool\` (known: cc, certs, postgres, sqlite3, faketime)" >&2
        exit 64
        ;;
    esac
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "Missing: ${missing[*]}. Install as root, then run this again:" >&2
    echo "  apt-get update && apt-get install --yes --no-install-recommends ${missing[*]}" >&2
    exit 1
fi

# Debian makes and starts a main cluster when the server is installed first; the tests only want the programs. The
# setting is there while apt works, so that the machine's owner gets the usual behaviour later.
setting=/etc/postgresql-common/createcluster.d/kie-tests.conf
mkdir -p "$(dirname "$setting")"
echo 'create_main_cluster = false' >"$setting"
trap 'rm -f -- "$setting"; rmdir --ignore-fail-on-non-empty -- "${setting%/*}"' EXIT

export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet
apt-get install --yes --quiet --no-install-recommends "${missing[@]}"

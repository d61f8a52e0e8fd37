#!/usr/bin/env bash
# Installs the Debian packages that are missing, and does nothing (needs no network) if none is.
#   scripts/install.sh [build | run | replicas | test | bench]
# build: to compile; run: also PostgreSQL and Redis for `make run`; replicas: also HAProxy; test (default): also
# all that tests and checks need; bench: also what `make bench` compares with.
# No system service is started or enabled by it: reli runs private ones of its own.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# a|b: either will do, the first that can be had is taken. +cmd: also satisfied by that command on the
# path (Node.js often comes from elsewhere than Debian).
build=(build-essential pkg-config libuv1-dev 'node-llhttp|libllhttp-dev' libpq-dev libhiredis-dev
    libcurl4-openssl-dev libssl-dev libwslay-dev libjansson-dev libsodium-dev libcjose-dev
    uthash-dev ca-certificates nodejs+node npm+npm)
run=(postgresql redis-server curl openssl procps util-linux)
replicas=(haproxy)
test=(gcc clang 'libclang-rt-14-dev|libclang-rt-dev' cppcheck clang-tidy clang-format shellcheck
    libcmocka-dev python3 python3-pytest python3-psycopg2 python3-redis python3-websocket
    python3-cryptography python3-pglast python3-pytest-xdist wrk
    nginx-light universal-ctags jq)
bench=(python3-flask gunicorn strace) # what reli is compared with, and what counts

case ${1:-test} in
build) wanted=("${build[@]}") ;;
run) wanted=("${build[@]}" "${run[@]}") ;;
replicas) wanted=("${build[@]}" "${run[@]}" "${replicas[@]}") ;;
test) wanted=("${build[@]}" "${run[@]}" "${replicas[@]}" "${test[@]}") ;;
bench) wanted=("${build[@]}" "${run[@]}" "${replicas[@]}" "${test[@]}" "${bench[@]}") ;;
*) die "usage: scripts/install.sh [build | run | replicas | test | bench]" ;;
esac

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

satisfied() { # satisfied ENTRY
    local entry=$1 name
    if [[ $entry == *+* ]] && command -v "${entry#*+}" >/dev/null; then return 0; fi
    for name in ${entry//|/ }; do
        if installed "${name%+*}"; then return 0; fi
    done
    return 1
}

missing=()
for entry in "${wanted[@]}"; do satisfied "$entry" || missing+=("$entry"); done
[ ${#missing[@]} -gt 0 ] || exit 0

command -v apt-get >/dev/null ||
    die "needs Debian 12 (apt-get); elsewhere install these yourself: ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "run as root, or install sudo; missing: ${missing[*]}"
    as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
root() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "$@"; }

say "installing packages: ${missing[*]}"
log=$(mktemp)
policy=/usr/sbin/policy-rc.d
policy_is_ours=
finish() {
    rm -f "$log"
    if [ -n "$policy_is_ours" ]; then root rm -f "$policy"; fi
}
trap finish EXIT

attempt() {
    root "$@" >>"$log" 2>&1 </dev/null || {
        tail_of "$log"
        die "failed: $*"
    }
}
attempt apt-get -o Acquire::Retries=3 update

names=()
for entry in "${missing[@]}"; do
    name=
    for choice in ${entry//|/ }; do
        choice=${choice%+*}
        if [ -n "$(apt-cache madison "$choice" 2>/dev/null)" ]; then
            name=$choice
            break
        fi
    done
    [ -n "$name" ] || die "no package for $entry in the configured sources (Debian 12 is needed)"
    names+=("$name")
done

# Maintainer scripts ask this file before they start a service: 101 means no.
if [ ! -e "$policy" ]; then
    policy_is_ours=yes
    printf '#!/bin/sh\nexit 101\n' | root tee "$policy" >/dev/null
    root chmod 0755 "$policy"
fi
# Keeps postgresql's package from making a cluster, which would start at the next boot.
if ! installed postgresql-common; then
    root mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' |
        root tee /etc/postgresql-common/createcluster.d/reli.conf >/dev/null
fi
attempt apt-get -o Acquire::Retries=3 install -y --no-install-recommends "${names[@]}"

if [ -d /run/systemd/system ]; then
    for name in "${names[@]}"; do
        case $name in
        redis-server) root systemctl disable redis-server >/dev/null 2>&1 || true ;;
        nginx-light) root systemctl disable nginx >/dev/null 2>&1 || true ;;
        haproxy) root systemctl disable haproxy >/dev/null 2>&1 || true ;;
        esac
    done
fi

#!/usr/bin/env bash
# Three nodes of Citus (a coordinator, two workers) with a Redis, reachable by unix sockets only, and the system tests
# against them. It needs a PostgreSQL that has the extension citus, which Debian does not package.
#   scripts/citus.sh start | stop | reset DIR
#   scripts/citus.sh test [FILE…]      (all of test/system but what SKIPPED names)
# start   writes DIR/services.env: what scripts/services.sh writes, of the coordinator, and CITUS_WORKERS, the
#         workers' sockets, by which test/system/stack.py knows what it deals with
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

usage() { die "usage: scripts/citus.sh start | stop | reset DIR, or test [FILE…]"; }

# What starts a PostgreSQL of its own, stops it, runs statements as they are prepared for one server, or looks at its
# locks and processes.
SKIPPED=(test_store.py test_standby.py test_replicas.py test_crash.py test_moves.py)

nodes=(coordinator one two)

has_citus() {
    local share
    share=$("$(find /usr/lib/postgresql -path '*/bin/pg_config' | sort -V | tail -n 1)" --sharedir) || return 1
    [ -f "$share/extension/citus.control" ]
}

setting() { # setting DIR OF ALTER SYSTEM
    (
        # shellcheck source=/dev/null
        . "$1/services.env"
        psql -X -q -v ON_ERROR_STOP=1 "$DATABASE_ADMIN_URL" -c "alter system set $2" -c "select pg_reload_conf()" >/dev/null
    )
}

socket_of() { sed -n 2p "$dir/$1/place"; }

start() {
    local node
    for node in "${nodes[@]}"; do
        scripts/services.sh start "$dir/$node"
        setting "$dir/$node" "shared_preload_libraries = 'citus'"
        setting "$dir/$node" "max_prepared_transactions = 400"
        setting "$dir/$node" "max_connections = 800"
        setting "$dir/$node" "max_worker_processes = 200" # a daemon of Citus's for each database
        setting "$dir/$node" "shared_buffers = '128MB'"
        setting "$dir/$node" "fsync = off" # processes fail here, not the machine
        scripts/services.sh stop "$dir/$node"
        scripts/services.sh start "$dir/$node"
    done
    setting "$dir/coordinator" "citus.shard_count = 8" # 32 are for machines that have more than two cores
    {
        cat "$dir/coordinator/services.env"
        printf "CITUS_WORKERS='%s %s'\n" "$(socket_of one)" "$(socket_of two)"
    } >"$dir/services.env"
}

each() { # each COMMAND: of scripts/services.sh
    local node
    for node in "${nodes[@]}"; do scripts/services.sh "$1" "$dir/$node"; done
}

run_tests() {
    local rc=0 skipped ignored=()
    dir=$(mktemp -d /tmp/reli-citus-XXXXXX)
    chmod 0755 "$dir"
    trap 'each reset || true; rm -rf "$dir"' EXIT
    start
    for skipped in "${SKIPPED[@]}"; do ignored+=("--ignore=test/system/$skipped"); done
    [ $# -gt 0 ] || set -- test/system "${ignored[@]}"
    set -a
    # shellcheck source=/dev/null
    . "$dir/services.env"
    set +a
    RELI_BIN=$(realpath "${RELI_BIN:-${BUILD:-build}/debug/reli}") RELI_TEST_SLOW=${RELI_TEST_SLOW:-4} \
        /usr/bin/python3 -m pytest -q -n 2 --dist loadfile -p no:cacheprovider --tb=short "$@" </dev/null || rc=$?
    return $rc
}

has_citus || die "this PostgreSQL has no extension citus: https://docs.citusdata.com says how to install it"
case ${1:-} in
start | stop | reset)
    [ $# -eq 2 ] || usage
    dir=$(realpath -m "$2")
    mkdir -p "$dir"
    if [ "$1" = start ]; then start; else each "$1"; fi
    ;;
test)
    shift
    run_tests "$@"
    ;;
*) usage ;;
esac

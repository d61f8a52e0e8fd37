#!/usr/bin/env bash
# Every layer of tests, with a PostgreSQL and a Redis of its own that end with it.
#   scripts/test.sh [debug | asan]
# Layers: unit; store against real services; conformance of providers; system; debug only: a short simulation, a
# few mutants, one run of the crash suite, which mostly waits and so runs beside others. The last line sums them all;
# a layer that does not build counts as one failure.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
variant=${1:-debug}
build=${BUILD:-build}
scripts/install.sh test

dir=$(mktemp -d /tmp/reli-test-XXXXXX)
beside=()
finish() {
    local group
    trap '' INT TERM
    for group in "${beside[@]}"; do kill -INT -- "-$group" 2>/dev/null || true; done
    wait
    scripts/services.sh reset "$dir" || true
    rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
tally_open

layer() { # layer TITLE COMMAND…: a command that fails has counted its failures, or is one
    local title=$1 before rc=0 start=$SECONDS
    shift
    printf '%s\n' "== $title"
    before=$(wc -l <"$RELI_TALLY")
    "$@" || rc=$?
    printf '   %s: %d s\n' "$title" $((SECONDS - start))
    if [ $rc -eq 0 ]; then return 0; fi
    if [ "$(wc -l <"$RELI_TALLY")" -eq "$before" ]; then
        printf '  FAIL  %s\n' "$title"
        tally 0 1
    fi
}

begin() { # begin TITLE COMMAND…: a layer beside the next ones, in a process group of its own, until joined
    local place=$dir/beside-${#beside[@]}
    : >"$place.tally"
    set -m
    RELI_TALLY=$place.tally layer "$@" >"$place.log" 2>&1 </dev/null &
    beside+=($!)
    set +m
}
joined() {
    local i
    for i in "${!beside[@]}"; do
        wait "${beside[i]}" || tally 0 1
        cat "$dir/beside-$i.log"
        cat "$dir/beside-$i.tally" >>"$RELI_TALLY"
    done
    beside=()
}

built() { # built TARGET…
    make_here "$@" >"$dir/build.log" 2>&1 </dev/null && return 0
    tail_of "$dir/build.log" 60
    return 1
}

# Each program has a database to itself, owned by its role.
service_tests() {
    local program name failed=0
    # shellcheck source=/dev/null
    . "$dir/services.env"
    for program in $(make_here -s V="$variant" list-service-tests); do
        name=t_$(basename "$program" | tr -c 'a-z0-9\n' _)
        psql -X -q "$DATABASE_ADMIN_URL" -c "create database $name owner reli_owner" >&2 || return 1
        DATABASE_URL=${DATABASE_MIGRATE_URL/\/reli\?/\/$name?} REDIS_URL=$REDIS_URL \
            DATABASE_ADMIN_URL=$DATABASE_ADMIN_URL scripts/unit.sh "$program" >"$dir/program.log" 2>&1 || failed=1
        grep -vE '^[0-9]+ passed, [0-9]+ failed$' "$dir/program.log" || true
    done
    return $failed
}

# Under the sanitizers everything takes longer; deadlines are for hangs.
system_tests() {
    local rc=0 passed=0 failed=1 slow=2
    if [ "$variant" = asan ]; then slow=5; fi
    RELI_BIN=$(realpath "$build/$variant/reli") RELI_TEST_SLOW=${RELI_TEST_SLOW:-$slow} \
        /usr/bin/python3 test/system/side_by_side.py </dev/null | tee "$dir/system.log" || rc=$?
    read -r passed _ failed _ < <(tail -n 1 "$dir/system.log") || true
    if ! [[ $passed$failed =~ ^[0-9]+$ ]]; then return 1; fi
    tally "$passed" "$failed"
    return $rc
}

layer "build" built V="$variant" all unit-programs service-tests
layer "unit" make_here -s V="$variant" unit
layer "private PostgreSQL and Redis" scripts/services.sh start "$dir"
layer "store, against them" service_tests
if [ "$variant" = debug ]; then
    RELI_BIN=$build/debug/reli RUNS=1 begin "crash" scripts/crash.sh
fi
layer "conformance of providers" scripts/conform.sh "$variant"
if [ "$variant" = debug ]; then
    SIM_LIFECYCLES=${SIM_LIFECYCLES:-20000} layer "simulation" scripts/sim.sh
    layer "mutants" scripts/mutants.sh "${MUTANTS:-8}"
fi
joined
layer "system" system_tests
tally_close

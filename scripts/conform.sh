#!/usr/bin/env bash
# The conformance kit: each registered provider through the same checks, then the kit itself against adapters
# that are wrong in one thing each; then a build in which only CPay is registered, with its tests.
#   scripts/conform.sh [release | debug | asan]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
variant=${1:-release}
out=${BUILD:-build}/$variant
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

tests=()
for file in test/gateways/cpay_*_test.c test/gateways/cpay_test.c; do
    name=${file%.c}
    tests+=("$out/only/$name")
done
make_here -s V="$variant" "$out/conform" "$out/only/conform" "$out/only/reli" "${tests[@]}" >"$log" 2>&1 </dev/null || {
    tail_of "$log" 60
    die "it does not build"
}

tally_open
run() { # run PROGRAM [PART]: its lines but for the last, which is tallied
    local rc=0 passed failed
    "$@" >"$log" 2>&1 </dev/null || rc=$?
    read -r passed _ failed _ < <(tail -n 1 "$log") || true
    if ! [[ ${passed:-x}${failed:-x} =~ ^[0-9]+$ ]]; then
        cat "$log"
        printf '  FAIL  %s ended with %d\n' "$1" "$rc"
        tally 0 1
        return
    fi
    sed '$d' "$log"
    if [ "$rc" -ne 0 ] && [ "$failed" -eq 0 ]; then # a leak, at the end
        printf '  FAIL  %s ended with %d\n' "$1" "$rc"
        failed=1
    fi
    tally "$passed" "$failed"
}

run "$out/conform"
printf '%s\n' "-- with CPay alone"
run "$out/only/conform" registry
scripts/unit.sh "${tests[@]}" | sed '$d' || true

# Nothing of another provider has come along.
others=$(nm "$out/only/reli" | grep -cE ' [A-Za-z] gateway_(mpesa|stripe|cash)$' || true)
if [ "$others" -eq 0 ] && "$out/only/reli" version >/dev/null; then
    printf '  ok    reli with no other provider in it\n'
    tally 1 0
else
    printf '  FAIL  %s other providers in reli\n' "$others"
    tally 0 1
fi
tally_close

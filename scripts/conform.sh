#!/usr/bin/env bash
# The conformance kit: each registered provider through the same checks, then the kit itself against adapters
# that are wrong in one thing each; then a build in which only CPay is registered, with its tests.
#   scripts/conform.sh [debug | release | asan]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
variant=${1:-debug}
out=${BUILD:-build}/$variant
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

tests=()
for file in test/gateways/cpay_*_test.c test/gateways/cpay_test.c; do
    name=${file%.c}
    tests+=("$out/only/$name")
done
make_here -s V="$variant" "$out/conform" "$out/only/conform" "$out/only/reli" "${tests[@]}" >"$work/make.log" 2>&1 </dev/null || {
    tail_of "$work/make.log" 60
    die "it does not build"
}

# Each makes up its mind by itself: all at once, told one after the other.
tally_open
begin() { # begin NAME PROGRAM [PART]
    local name=$1 rc=0
    shift
    {
        "$@" >"$work/$name.log" 2>&1 </dev/null || rc=$?
        echo "$rc" >"$work/$name.rc"
    } &
}
told() { # told NAME: its lines but for the last, which is tallied
    local log=$work/$1.log rc passed failed
    rc=$(cat "$work/$1.rc" || echo lost)
    read -r passed _ failed _ < <(tail -n 1 "$log") || true
    if ! [[ ${passed:-x}${failed:-x} =~ ^[0-9]+$ ]]; then
        cat "$log"
        printf '  FAIL  conform %s ended with %s\n' "$1" "$rc"
        tally 0 1
        return
    fi
    sed '$d' "$log"
    if [ "$rc" != 0 ] && [ "$failed" -eq 0 ]; then # a leak, at the end
        printf '  FAIL  conform %s ended with %s\n' "$1" "$rc"
        failed=1
    fi
    tally "$passed" "$failed"
}

begin registry "$out/conform" registry
begin itself "$out/conform" itself
begin alone "$out/only/conform" registry
scripts/unit.sh "${tests[@]}" >"$work/unit.log" || true
wait
told registry
told itself
printf '%s\n' "-- with CPay alone"
told alone
sed '$d' "$work/unit.log"

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

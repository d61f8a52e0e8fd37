#!/usr/bin/env bash
# Measures a release build against what the same machine does without it, in one run: ratios and targets.
#   scripts/bench.sh [--growth N] [--readme]
# --growth N  payments per second beside N older ones, loaded here, against 10 000, and the plans of all that
#             was run: exit code 1 too if one of them reads or sorts without bound
# --readme    everything, N of a million unless said otherwise (0: no growth), and then into the README as a
#             table and a plot. For a machine that does nothing else; half an hour
# Environment: BENCH=smoke for what CI has time for (a minute; the ratios are then rough); ONLY=peers,reads for
# some groups of rows (test/bench/bench.py names them). It has a PostgreSQL and a Redis of its own, which end
# with it. Exit code 1 if something answered wrongly; a target that is missed is printed, no more.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
build=${BUILD:-build}
tools=$build/bench
scripts/install.sh bench
mkdir -p "$tools"

growth='' readme=''
while [ $# -gt 0 ]; do
    case $1 in
    --growth)
        [[ ${2:-} =~ ^[0-9]+$ ]] || die "--growth wants a number of payments"
        growth=$2
        shift
        ;;
    --readme) readme=yes ;;
    *) die "usage: scripts/bench.sh [--growth N] [--readme]" ;;
    esac
    shift
done
arguments=()
if [ "${BENCH:-}" = smoke ]; then arguments+=(--smoke); fi

make_here V=release all >"$tools/build.log" 2>&1 </dev/null || {
    tail_of "$tools/build.log" 60
    die "the build failed"
}
compile() { # compile OUTPUT SOURCE [OPTION…]
    gcc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -O2 -D_FORTIFY_SOURCE=2 \
        -o "$tools/$1" "test/bench/$2" "${@:3}"
}
for name in pace watch receiver courier; do compile "$name" "$name.c" -lcurl; done
compile allocations.so allocations.c -fPIC -shared

dir=$(mktemp -d /tmp/reli-bench-XXXXXX)
chmod 0711 "$dir"
finish() {
    trap '' INT TERM
    for place in "$dir"/*/place; do [ ! -f "$place" ] || scripts/services.sh reset "${place%/*}" || true; done
    rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

run() { # run SCRIPT PLACE [ARGUMENT…]
    mkdir -p "$dir/$2"
    PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "test/bench/$1" "$dir/$2" "$build/reli" "$tools" "${@:3}" </dev/null &
    local bench=$!
    # shellcheck disable=SC2064  # as it is now
    trap "kill $bench 2>/dev/null; wait $bench; exit 143" INT TERM
    wait "$bench"
}

failed=0
rm -f "$tools/rows.json" "$tools/growth.json"
if [ -z "$growth" ] || [ -n "$readme" ]; then
    only=()
    if [ -n "${ONLY:-}" ]; then only=(--only "$ONLY"); fi
    run bench.py all "${arguments[@]}" "${only[@]}"
fi
if [ -n "$readme" ]; then growth=${growth:-1000000}; fi
if [ "${growth:-0}" -gt 0 ]; then
    run growth.py . --rows "$growth" "${arguments[@]}" || failed=$?
fi
if [ -n "$readme" ]; then
    figures=("$tools/rows.json")
    if [ "$growth" -gt 0 ]; then figures+=("$tools/growth.json"); fi
    PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 test/bench/report.py "${figures[@]}"
fi
[ "$failed" -eq 0 ]

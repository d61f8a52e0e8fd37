#!/usr/bin/env bash
# Runs cmocka programs, as many at a time as there are processors, a line for each, then the sum. Exit code 77 of a
# program that ran no test: skipped.
#   scripts/unit.sh PROGRAM…
set -euo pipefail
. "$(dirname "$0")/lib.sh"
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

one() { # one PROGRAM N: runs it, says how it went, keeps what it counted in N.sum
    local name=${1##*/test/} out=$dir/$2.out rc=0 passed failed
    { timeout -k 5 "${TEST_TIMEOUT:-400}" "$1" >"$out" 2>&1 </dev/null; } 2>/dev/null || rc=$?
    if [ $rc -eq 77 ] && ! grep -q '^\[ RUN' "$out"; then
        printf '  skip  %s\n' "$name"
        echo 0 0 >"$dir/$2.sum"
        return
    fi
    passed=$(grep -cE '^\[ +OK \]' "$out" || true)
    failed=$(sed -nE 's/^ ([0-9]+) FAILED TEST\(S\)$/\1/p' "$out" | awk '{n += $1} END {print n + 0}')
    # A crash, a leak, a time-out or a program without tests: cmocka counts none of them.
    if [ "$failed" -eq 0 ] && { [ $rc -ne 0 ] || [ "$passed" -eq 0 ]; }; then
        failed=$(($(grep -cE '^\[  FAILED  \] [A-Za-z_0-9]+$' "$out" || true) + 1))
    fi
    if [ "$failed" -eq 0 ]; then
        printf '  ok    %s (%d)\n' "$name" "$passed"
    else
        printf '  FAIL  %s (%d passed, %d failed, exit %d)\n%s\n' "$name" "$passed" "$failed" $rc \
            "$(grep -vE '^\[ (RUN|      OK) ' "$out" | tail -n 60 | sed 's/^/    /')"
    fi
    echo "$passed $failed" >"$dir/$2.sum"
}

jobs=$(nproc) n=0
for program in "$@"; do
    if [ $n -ge "$jobs" ]; then wait -n || true; fi
    n=$((n + 1))
    one "$program" $n &
done
wait
# One that left no sum has failed.
for ((i = 1; i <= n; i++)); do
    [ -s "$dir/$i.sum" ] || echo 0 1 >"$dir/$i.sum"
done
read -r passed failed < <(cat "$dir"/*.sum | awk '{p += $1; f += $2} END {print p + 0, f + 0}')
tally "$passed" "$failed"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]

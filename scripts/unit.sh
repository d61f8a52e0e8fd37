#!/usr/bin/env bash
# Runs cmocka programs, a line for each, then the sum. Exit code 77 of a program that ran no test: skipped.
#   scripts/unit.sh PROGRAM…
set -euo pipefail
. "$(dirname "$0")/lib.sh"
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
out=$(mktemp)
trap 'rm -f "$out"' EXIT

count() { grep -cE "$1" "$out" || true; }

total_passed=0 total_failed=0
for program in "$@"; do
    name=${program##*/test/}
    rc=0
    { timeout -k 5 "${TEST_TIMEOUT:-180}" "$program" >"$out" 2>&1 </dev/null; } 2>/dev/null || rc=$?
    if [ $rc -eq 77 ] && ! grep -q '^\[ RUN' "$out"; then
        printf '  skip  %s\n' "$name"
        continue
    fi
    passed=$(count '^\[ +OK \]')
    failed=$(sed -nE 's/^ ([0-9]+) FAILED TEST\(S\)$/\1/p' "$out" | awk '{n += $1} END {print n + 0}')
    # A crash, a leak, a time-out or a program without tests: cmocka counts none of them.
    if [ "$failed" -eq 0 ] && { [ $rc -ne 0 ] || [ "$passed" -eq 0 ]; }; then
        failed=$(($(count '^\[  FAILED  \] [A-Za-z_0-9]+$') + 1))
    fi
    total_passed=$((total_passed + passed))
    total_failed=$((total_failed + failed))
    if [ "$failed" -eq 0 ]; then
        printf '  ok    %s (%d)\n' "$name" "$passed"
    else
        printf '  FAIL  %s (%d passed, %d failed, exit %d)\n' "$name" "$passed" "$failed" $rc
        grep -vE '^\[ (RUN|      OK) ' "$out" | tail -n 60 | sed 's/^/    /'
    fi
done
tally $total_passed $total_failed
printf '%d passed, %d failed\n' $total_passed $total_failed
[ $total_failed -eq 0 ]

#!/usr/bin/env bash
# Runs each fuzzer for FUZZ_SECONDS (10); what it learns stays under build/fuzz/corpus.
#   scripts/fuzz.sh PROGRAM…
# Seeds: test/fuzz/seeds/NAME/, words: test/fuzz/NAME.dict, where they exist. A finding is kept beside
# the corpus, and its path printed.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
seconds=${FUZZ_SECONDS:-10}
root=${BUILD:-build}/fuzz
out=$(mktemp)
trap 'rm -f "$out"' EXIT

passed=0 failed=0
for program in "$@"; do
    name=${program##*/}
    mkdir -p "$root/corpus/$name" "$root/found"
    arguments=(-max_total_time="$seconds" -timeout=5 -rss_limit_mb=2048 -print_final_stats=1
        -artifact_prefix="$root/found/$name-")
    if [ -f "test/fuzz/$name.dict" ]; then arguments+=(-dict="test/fuzz/$name.dict"); fi
    corpus=("$root/corpus/$name")
    if [ -d "test/fuzz/seeds/$name" ]; then corpus+=("test/fuzz/seeds/$name"); fi
    if { timeout -k 5 $((seconds + 60)) "$program" "${arguments[@]}" "${corpus[@]}" \
        >"$out" 2>&1 </dev/null; } 2>/dev/null; then
        passed=$((passed + 1))
        printf '  ok    %s (%s inputs in %s s)\n' "$name" \
            "$(awk '/number_of_executed_units/ {print $2}' "$out")" "$seconds"
    else
        failed=$((failed + 1))
        printf '  FAIL  %s\n' "$name"
        grep -vE '^#[0-9]+' "$out" | tail -n 50 | sed 's/^/    /'
    fi
done
tally $passed $failed
printf '%d passed, %d failed\n' $passed $failed
[ $failed -eq 0 ]

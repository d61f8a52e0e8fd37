#!/usr/bin/env bash
# Runs each fuzzer for FUZZ_SECONDS (10); what it learns stays under build/fuzz/corpus.
#   scripts/fuzz.sh PROGRAM…
# Seeds: test/fuzz/seeds/NAME/, words: test/fuzz/NAME.dict, where they exist. A finding is kept beside
# the corpus, and its path printed.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
seconds=${FUZZ_SECONDS:-10}
root=${BUILD:-build}/fuzz
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

one() { # one PROGRAM N: runs it, says how it went; N.ok if it found nothing
    local name=${1##*/} out=$dir/$2.out arguments corpus
    mkdir -p "$root/corpus/$name" "$root/found"
    arguments=(-max_total_time="$seconds" -timeout=5 -rss_limit_mb=2048 -print_final_stats=1
        -artifact_prefix="$root/found/$name-")
    if [ -f "test/fuzz/$name.dict" ]; then arguments+=(-dict="test/fuzz/$name.dict"); fi
    corpus=("$root/corpus/$name")
    if [ -d "test/fuzz/seeds/$name" ]; then corpus+=("test/fuzz/seeds/$name"); fi
    if { timeout -k 5 $((seconds + 60)) "$1" "${arguments[@]}" "${corpus[@]}" \
        >"$out" 2>&1 </dev/null; } 2>/dev/null; then
        touch "$dir/$2.ok"
        printf '  ok    %s (%s inputs in %s s)\n' "$name" \
            "$(awk '/number_of_executed_units/ {print $2}' "$out")" "$seconds"
    else
        printf '  FAIL  %s\n%s\n' "$name" "$(grep -vE '^#[0-9]+' "$out" | tail -n 50 | sed 's/^/    /')"
    fi
}

# As many at a time as there are processors.
n=0 passed=0
for program in "$@"; do
    if [ $n -ge "$(nproc)" ]; then wait -n || true; fi
    n=$((n + 1))
    one "$program" $n &
done
wait
for ((i = 1; i <= n; i++)); do
    if [ -e "$dir/$i.ok" ]; then passed=$((passed + 1)); fi
done
failed=$((n - passed))
tally $passed $failed
printf '%d passed, %d failed\n' $passed $failed
[ $failed -eq 0 ]

#!/usr/bin/env bash
# The exhaustive search: every order of up to 8 events through the real transition functions of payments and
# refunds, every order at all of those of payouts, and the moves that occur against tables written from domain.md
# alone. Prints states and transitions.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
build=${BUILD:-build}
names=(domain/payment_search_test domain/payment_table_test domain/refund_search_test domain/payout_test)
programs=("${names[@]/#/$build/release/test/}")
out=$(mktemp)
trap 'rm -f "$out"' EXIT
make_here -s V=release "${programs[@]}" >&2 </dev/null

tally_open
for i in "${!names[@]}"; do
    began=$SECONDS rc=0
    "${programs[$i]}" >"$out" 2>&1 </dev/null || rc=$?
    passed=$(grep -cE '^\[ +OK \]' "$out" || true)
    sed -n 's/^\(.* states, .* transitions, .*\)$/  \1/p' "$out"
    if [ $rc -eq 0 ] && [ "$passed" -gt 0 ]; then
        printf '  ok    %s (%d, %d s)\n' "${names[$i]}" "$passed" $((SECONDS - began))
        tally "$passed" 0
    else
        printf '  FAIL  %s (exit %d)\n' "${names[$i]}" $rc
        grep -vE '^\[ (RUN|      OK) ' "$out" | tail -n 20 | sed 's/^/    /'
        tally "$passed" 1
    fi
done
tally_close

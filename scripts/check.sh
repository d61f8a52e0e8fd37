#!/usr/bin/env bash
# After lint: the other compiler, then every layer of tests with the sanitizers on.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
scripts/install.sh test
log=$(mktemp)
trap 'rm -f "$log"' EXIT
tally_open

printf '%s\n' "== clang"
if make_here V=clang all unit-programs >"$log" 2>&1 </dev/null; then
    printf '  ok    builds without a warning\n'
    tally 1 0
else
    printf '  FAIL  clang\n'
    tail_of "$log" 60
    tally 0 1
fi

printf '%s\n' "== under AddressSanitizer and UndefinedBehaviorSanitizer"
scripts/test.sh asan || true
tally_close

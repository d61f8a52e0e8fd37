#!/usr/bin/env bash
# Breaks reli in many small ways, one at a time (test/mutants/mutants.txt); each must be noticed.
#   scripts/mutants.sh [N | NAME…]      N: that many at random (SEED=… repeats them), none of which needs services
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
out=$(mktemp)
trap 'rm -f "$out"' EXIT
rc=0
PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 test/mutants/run.py --build "${BUILD:-build}" "$@" </dev/null |
    tee "$out" || rc=$?
if read -r passed _ failed _ < <(tail -n 1 "$out") && [[ $passed$failed =~ ^[0-9]+$ ]]; then
    tally "$passed" "$failed"
fi
exit $rc

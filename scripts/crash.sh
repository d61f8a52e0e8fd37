#!/usr/bin/env bash
# The crash suite: RUNS runs (default 1) of two replicas under load while everything dies, each judged by an
# independent checker that must itself see through doctored evidence (once, after the first run).
#   RUNS=25 SEED=7 SECONDS_OF_LOAD=14 scripts/crash.sh      (SEED: fresh and printed)
# RELI_BIN names the binary; without it the debug build is made, whose crash points the plan also uses.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
runs=${RUNS:-1}
build=${BUILD:-build}
if [ -z "${RELI_BIN:-}" ]; then
    scripts/install.sh test
    make_here V=debug all >&2
fi
RELI_BIN=$(realpath "${RELI_BIN:-$build/debug/reli}")
export RELI_BIN
args=(--runs "$runs" --seconds "${SECONDS_OF_LOAD:-14}")
if [ -n "${SEED:-}" ]; then args+=(--seed "$SEED"); fi
if [ "${SELF_TEST:-}" = 1 ] || { [ -z "${SELF_TEST:-}" ] && [ "$runs" -gt 1 ]; }; then
    args+=(--self-test)
fi

out=$(mktemp)
trap 'rm -f "$out"' EXIT
rc=0
PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 test/crash/run.py "${args[@]}" </dev/null | tee "$out" || rc=$?
if read -r passed _ failed _ < <(tail -n 1 "$out") && [[ $passed$failed =~ ^[0-9]+$ ]]; then
    tally "$passed" "$failed"
fi
exit $rc

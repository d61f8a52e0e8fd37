#!/usr/bin/env bash
# The crash suite: RUNS runs (default 1) of two replicas under load while everything dies, each judged by an
# independent checker, which must itself see through doctored evidence (after the first run of a series).
#   scripts/crash.sh                       RUNS, SEED (fresh and printed; run K has SEED + K), SECONDS_OF_LOAD (14)
#   scripts/crash.sh --self-test           one run, then its evidence doctored in many ways
#   scripts/crash.sh --broken [NAME…]      builds that are broken on purpose: the checker must see through each
# RELI_BIN names the binary; without it the debug build is made, whose crash points the plan also uses.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
runs=${RUNS:-1}
build=${BUILD:-build}
export PYTHONDONTWRITEBYTECODE=1

program=test/crash/run.py
args=()
if [ "${1:-}" = --broken ]; then
    program=test/crash/broken.py
    args=("${@:2}")
    scripts/install.sh test
else
    args=(--runs "$runs" --seconds "${SECONDS_OF_LOAD:-14}")
    if [ "${1:-}" = --self-test ] || [ "$runs" -gt 1 ]; then args+=(--self-test); fi
    if [ -z "${RELI_BIN:-}" ]; then
        scripts/install.sh test
        make_here V=debug all >&2
    fi
    RELI_BIN=$(realpath "${RELI_BIN:-$build/debug/reli}")
    export RELI_BIN
fi
if [ -n "${SEED:-}" ]; then args+=(--seed "$SEED"); fi

out=$(mktemp)
trap 'rm -f "$out"' EXIT
rc=0
/usr/bin/python3 "$program" "${args[@]}" </dev/null | tee "$out" || rc=$?
if read -r passed _ failed _ < <(tail -n 1 "$out") && [[ $passed$failed =~ ^[0-9]+$ ]]; then
    tally "$passed" "$failed"
fi
exit $rc

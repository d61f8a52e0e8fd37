#!/usr/bin/env bash
# Measures a release build against what the same machine does without it, in one run: ratios and targets.
#   scripts/bench.sh [--readme]
# --readme writes what was found into the README, as a table and a plot. Environment: BENCH=smoke for what
# CI has time for (a minute; the ratios are then rough); ONLY=peers,reads for some groups of rows
# (test/bench/bench.py names them). It has a PostgreSQL and a Redis of its own, which end with it. Exit code
# 1 if something answered wrongly; a target that is missed is printed, no more.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
build=${BUILD:-build}
tools=$build/bench
scripts/install.sh bench
mkdir -p "$tools"

arguments=()
while [ $# -gt 0 ]; do
    case $1 in
    --readme) arguments+=(--readme) ;;
    *) die "usage: scripts/bench.sh [--readme]" ;;
    esac
    shift
done
if [ "${BENCH:-}" = smoke ]; then arguments+=(--smoke); fi
if [ -n "${ONLY:-}" ]; then arguments+=(--only "$ONLY"); fi

make_here V=release all >"$tools/build.log" 2>&1 </dev/null || {
    tail_of "$tools/build.log" 60
    die "the build failed"
}
for name in pace watch receiver courier; do
    gcc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -O2 \
        -D_FORTIFY_SOURCE=2 -o "$tools/$name" "test/bench/$name.c" -lcurl
done

dir=$(mktemp -d /tmp/reli-bench-XXXXXX)
finish() {
    trap '' INT TERM
    scripts/services.sh reset "$dir" || true
    rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 test/bench/bench.py "$dir" "$build/reli" "$tools" "${arguments[@]}" \
    </dev/null &
bench=$!
trap 'kill "$bench" 2>/dev/null; wait "$bench"; exit 143' INT TERM
wait "$bench"

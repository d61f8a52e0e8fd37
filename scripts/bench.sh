#!/usr/bin/env bash
# Measures a release build against pgbench, nginx and write() on this machine, in one run: ratios and
# targets. It has a PostgreSQL and a Redis of its own, which end with it.
# Environment: BENCH=smoke for what CI has time for (a minute; the ratios are then rough). A table for the
# README is left in build/bench/table.md. Exit code 1 if something answered wrongly; a target that is
# missed is printed, no more.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
build=${BUILD:-build}
tools=$build/bench
scripts/install.sh test
mkdir -p "$tools"

make_here V=release all >"$tools/build.log" 2>&1 </dev/null || {
    tail_of "$tools/build.log" 60
    die "the build failed"
}
for name in pace watch; do
    gcc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -O2 \
        -D_FORTIFY_SOURCE=2 -o "$tools/$name" "test/bench/$name.c"
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

arguments=("$dir" "$build/reli" "$tools" --table "$tools/table.md")
if [ "${BENCH:-}" = smoke ]; then arguments+=(--smoke); fi
PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 test/bench/bench.py "${arguments[@]}" </dev/null &
bench=$!
trap 'kill "$bench" 2>/dev/null; wait "$bench"; exit 143' INT TERM
wait "$bench"

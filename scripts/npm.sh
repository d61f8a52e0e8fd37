#!/usr/bin/env bash
# Puts the npm packages of FROM/package-lock.json, and nothing else, into DIR/node_modules.
#   scripts/npm.sh FROM DIR [--omit=dev]
# No package's own scripts run. Does nothing, and needs no network, if the lockfile is the installed one.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
from=$(dirname "$0")/../$1
dir=$2
shift 2
key=$(cat "$from/package.json" "$from/package-lock.json" | sha256sum)-$*
if [ -d "$dir/node_modules" ] && [ "$(cat "$dir/installed" 2>/dev/null)" = "$key" ]; then exit 0; fi

mkdir -p "$dir"
rm -f "$dir/installed"
cp "$from/package.json" "$from/package-lock.json" "$dir/"
(cd "$dir" && timeout 600 npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier "$@") \
    >"$dir/npm.log" 2>&1 </dev/null || {
    tail_of "$dir/npm.log" 20
    die "npm could not install what $from/package-lock.json names (is the registry reachable?)"
}
printf '%s' "$key" >"$dir/installed"

#!/usr/bin/env bash
# Fetches the third-party files that the binary serves, each beside a .gz of itself, into OUT/static.
#   scripts/vendor.sh OUT
set -euo pipefail
. "$(dirname "$0")/lib.sh"
out=$1
"$(dirname "$0")/npm.sh" http/ui "$out/npm" --omit=dev

from=$out/npm/node_modules/swagger-ui-dist
new=$out/static.new
rm -rf "$new"
mkdir -p "$new"
# Without the line that sends a browser's tools to a map which is not served.
for name in swagger-ui-bundle.js swagger-ui.css; do
    sed -E '/^(\/\/|\/\*)# sourceMappingURL=/d' "$from/$name" >"$new/$name"
done
cat "$from/LICENSE" "$from/NOTICE" >"$new/swagger-ui-license.txt"
for file in "$new"/*; do gzip -9nk "$file"; done
rm -rf "$out/static"
mv "$new" "$out/static"
touch "$out/stamp"

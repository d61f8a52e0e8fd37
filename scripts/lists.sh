#!/usr/bin/env bash
# The statements that each list of sql/list stands for:
#   scripts/lists.sh OUTDIR
# writes of NAME.sql
#   NAME        as it is written: from where a page begins onwards
#   NAME_newer  the other way round: lines that begin with "order by" have asc for desc, and desc for asc
#   NAME_count  how many rows its part has, with the limit that it is given; none of NAME_reach
# A list's last parameters are its part: the first key and what follows the last, limit and offset. Where more is joined
# to the rows of a page than they are counted with, these come from a CTE `page`.
set -euo pipefail
out=$1
mkdir -p "$out"
rm -f "$out"/*.sql
for f in sql/list/*.sql; do
    name=$(basename "$f" .sql)
    cp "$f" "$out/$name.sql"
    sed -E '/^ *order by /{s/\bdesc\b/_/g;s/\basc\b/desc/g;s/\b_\b/asc/g}' "$f" >"$out/${name}_newer.sql"
    case $name in *_reach) continue ;; esac
    if grep -q 'page as ($' "$f"; then
        sed '/page as ($/,/^)$/!b;/^)$/!b;s/$/\nselect count(*) from page/;q' "$f"
    else
        printf 'select count(*) from (\n%s\n) as found\n' "$(cat "$f")"
    fi >"$out/${name}_count.sql"
done

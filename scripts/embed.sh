#!/usr/bin/env bash
# Turns files into an assembler source that carries them and a C table that names them.
#   scripts/embed.sh OUTDIR
# writes OUTDIR/embed.S, OUTDIR/embed.c and OUTDIR/queries.h; a file is rewritten only when it changes.
set -euo pipefail
out=$1
mkdir -p "$out"
asm=$(mktemp) table=$(mktemp) list=$(mktemp)
trap 'rm -f "$asm" "$table" "$list"' EXIT

put() { # put LABEL FILE
    printf '.global %s\n.balign 8\n%s:\n.incbin "%s"\n.global %s_end\n%s_end:\n.byte 0\n' \
        "$1" "$1" "$2" "$1" "$1" >>"$asm"
}
table_open() { printf 'const struct embed_file %s[] = {\n' "$1" >>"$table"; }
table_row() { printf '    {"%s", embed_%s, embed_%s_end},\n' "$1" "$2" "$2" >>"$table"; }
table_close() { printf '    {0},\n};\n' >>"$table"; }

printf '.section .rodata\n' >>"$asm"
printf '/* Made by scripts/embed.sh. */\n#include "core/base/embed.h"\n' >>"$table"
printf '/* Made by scripts/embed.sh from sql/query and sql/list. */\n#define QUERIES(X)' >>"$list"

n=0
declare -a rows=()
add_group() { # add_group TABLE FILE=NAME…
    local group=$1 pair
    shift
    rows=()
    for pair in "$@"; do
        local file=${pair%%=*} name=${pair#*=}
        printf 'extern const unsigned char embed_%d[], embed_%d_end[];\n' "$n" "$n" >>"$table"
        put "embed_$n" "$file"
        rows+=("$name $n")
        n=$((n + 1))
    done
    table_open "$group"
    for pair in "${rows[@]}"; do table_row "${pair% *}" "${pair##* }"; done
    table_close
}

scripts/lists.sh "$out/list"
pairs=()
for f in sql/query/*.sql "$out"/list/*.sql; do
    name=$(basename "$f" .sql)
    pairs+=("$f=$name")
    printf ' X(%s)' "$name" >>"$list"
done
printf '\n' >>"$list"
add_group embed_queries "${pairs[@]}"

pairs=()
for f in sql/citus/*.sql; do pairs+=("$f=$(basename "$f" .sql)"); done
add_group embed_citus "${pairs[@]}"

pairs=()
for f in sql/migrations/*.sql; do pairs+=("$f=$(basename "$f" .sql)"); done
add_group embed_migrations "${pairs[@]}"

pairs=()
for f in http/static/* "${BUILD:-build}"/vendor/static/*; do [ -f "$f" ] && pairs+=("$f=$(basename "$f")"); done
add_group embed_static "${pairs[@]}"

printf '.section .note.GNU-stack,"",@progbits\n' >>"$asm"
keep() { cmp -s "$1" "$2" || cp "$1" "$2"; }
keep "$asm" "$out/embed.S"
keep "$table" "$out/embed.c"
keep "$list" "$out/queries.h"
# The assembler does not tell make what it includes: the objects are older than any changed file.
touch "$out/stamp"

# shellcheck shell=bash
# What several scripts share: words on standard error, and the count of what passed.

say() { printf '%s\n' "$*" >&2; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# The last lines of a log, indented, for the one who must mend it.
tail_of() { # tail_of FILE [LINES]
    [ -s "$1" ] || return 0
    say "--- the end of $1:"
    tail -n "${2:-40}" "$1" | sed 's/^/    /' >&2
}

# make of this tree, free of the variables of a make that may have called us.
make_here() {
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make --no-print-directory -j "$(nproc)" "$@"
}

# Every layer adds a line "passed failed" to this file; the one that made it prints the sum.
tally_open() {
    TALLY_PARENT=${RELI_TALLY:-}
    RELI_TALLY=$(mktemp)
    export RELI_TALLY
}
tally() { # tally PASSED FAILED
    [ -z "${RELI_TALLY:-}" ] || printf '%d %d\n' "$1" "$2" >>"$RELI_TALLY"
}
# Prints "N passed, N failed", tells the caller's tally; false if anything failed or nothing ran.
tally_close() {
    local passed failed
    read -r passed failed < <(awk '{p += $1; f += $2} END {print p + 0, f + 0}' "$RELI_TALLY")
    rm -f "$RELI_TALLY"
    RELI_TALLY=$TALLY_PARENT
    tally "$passed" "$failed"
    printf '%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

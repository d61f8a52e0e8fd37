#!/usr/bin/env bash
# What a compiler does not see: room borders, words that do not belong, headers that lean on others,
# static analysis, the OpenAPI document, shell and Python. One line for each, then the sum.
#   scripts/lint.sh [CHECK…]      (all of them when none is named)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
export LC_ALL=C.UTF-8
build=${BUILD:-build}

scripts/install.sh test
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
make_here "$build/gen/stamp" >"$work/make.log" 2>&1 || {
    tail_of "$work/make.log"
    die "the files to embed could not be made"
}

rooms_there=()
for room in core gateways store http ws; do [ ! -d "$room" ] || rooms_there+=("$room"); done
mapfile -t sources < <(find "${rooms_there[@]}" -name '*.c' | sort)
mapfile -t headers < <(find "${rooms_there[@]}" -name '*.h' | sort)
mapfile -t tests < <(find test -name '*.[ch]' | sort)
ours=("${sources[@]}" "${headers[@]}")
flags=(-std=c11 -D_GNU_SOURCE '-DRELI_VERSION="lint"' -I. "-I$build/gen" -isystem /usr/share/include/llhttp
    -isystem /usr/include/postgresql)

# ---- rooms ----

# A file's room, and the rooms (or single headers) that it may include; its own goes without saying.
# A line for core/*.c is missing on purpose: wiring knows everything.
rooms='
core/base
core/codec        core/base
core/crypto       core/base core/codec
core/domain       core/base
core/loop         core/base core/crypto/tls.h
gateways          core/base core/codec core/crypto core/domain core/loop
gateways/sandbox  core/base core/codec core/crypto core/domain core/loop http gateways/outbound.h
store             core/base core/crypto core/domain core/loop
core/flow         core/base core/codec core/crypto core/domain core/loop gateways store
http              core/base core/codec core/crypto core/domain core/loop core/flow
ws                core/base core/codec core/crypto core/domain core/loop core/flow http
'
# Somebody else's header, and the only places that may know it.
foreign='
uv.h         core/loop store/ gateways/outbound
libpq-fe.h   store
hiredis/     store
curl/        gateways/outbound
llhttp.h     http
wslay/       ws
jansson.h    core/codec
openssl/     core/crypto
sodium.h     core/crypto
cjose/       core/crypto
'

check_rooms() {
    grep -nE '^[[:space:]]*#[[:space:]]*include' "${ours[@]}" /dev/null |
        sed -E 's/^([^:]+):([0-9]+):[^<"]*([<"])([^>"]+)[>"].*/\1 \2 \3 \4/' |
        awk -v rooms="$rooms" -v foreign="$foreign" '
        BEGIN {
            n = split(rooms, lines, "\n")
            for (i = 1; i <= n; i++) {
                m = split(lines[i], f, " ")
                if (m) known[f[1]] = 1
                for (j = 1; j <= m; j++) may[f[1], f[j]] = 1
            }
            n_foreign = split(foreign, theirs, "\n")
        }
        function room_of(path,   r) {
            r = path
            sub(/\/[^\/]*$/, "", r)
            return r
        }
        $3 == "\"" && (room_of($1) in known) {
            if ($4 == "queries.h" && $1 ~ /^store\//) next
            to = room_of($4)
            if (!((room_of($1), to) in may) && !((room_of($1), $4) in may)) {
                print $1 ":" $2 ": a file of " room_of($1) " must not include " $4
                bad = 1
            }
        }
        $3 == "<" {
            for (i = 1; i <= n_foreign; i++) {
                m = split(theirs[i], f, " ")
                if (m < 2 || index($4, f[1]) != 1 || $1 ~ /^core\/[^\/]*$/) continue
                found = 0
                for (j = 2; j <= m; j++) if (index($1, f[j]) == 1) found = 1
                if (!found) {
                    print $1 ":" $2 ": " $4 " belongs elsewhere: " theirs[i]
                    bad = 1
                }
            }
        }
        END { exit bad }'
}

check_store_headers() { # no type of libpq or hiredis shows in a header that others include
    ! grep -nE 'PG(conn|result)|redis(Async)?Context|redisReply' store/store.h store/value.h store/redis.h
}

# ---- words ----

# A file's C without its comments.
code_of() { gcc -fpreprocessed -dD -E -P "$1" 2>/dev/null; }

absent_from_code() { # absent_from_code PATTERN WORDS FILE…: WORDS explain a hit; (?i) ignores case
    local pattern=$1 words=$2 file bad=0
    shift 2
    for file in "$@"; do
        [ -f "$file" ] || continue
        if code_of "$file" | grep -nP "$pattern"; then
            echo "$file: $words"
            bad=1
        fi
    done
    return $bad
}

check_providers() {
    local files=() file
    for file in "${ours[@]}"; do
        case $file in
        gateways/*) ;;
        core/app*.[ch] | core/main.c | core/config*.[ch]) ;; # wiring and the environment name them
        *) files+=("$file") ;;
        esac
    done
    absent_from_code '(?i)\b(mpesa|m-pesa|daraja|stripe|paystack|flutterwave|paypal|airtel|eversend|cpay)' \
        'a provider has a name only in gateways/' "${files[@]}"
}

check_floats() {
    absent_from_code '(?<![".])\b(double|float)\b' 'no floating point near money' \
        core/base/*.[ch] core/domain/*.[ch] core/flow/*.[ch]
}

check_typedefs() { # a function type is what a callback needs one for
    grep -nE '^[[:space:]]*typedef\b' "${ours[@]}" "${tests[@]}" |
        grep -vE 'typedef [^;]*\b[a-z0-9_]+_fn\(' && return 1 || return 0
}

check_words() {
    grep -nE '\b(TODO|FIXME|XXX)\b' "${ours[@]}" "${tests[@]}" && return 1 || return 0
}

check_columns() {
    grep -nE '^.{101,}' "${ours[@]}" "${tests[@]}" sql/*/*.sql |
        sed -E 's/^([^:]+:[0-9]+):.*/\1: over 100 columns/' | grep . && return 1 || return 0
}

# ---- compilers and analysers ----

check_headers() {
    local file bad=0
    for file in "${headers[@]}"; do
        grep -q '^#ifndef RELI_' "$file" || continue # a list for X macros
        gcc "${flags[@]}" -Wall -Wextra -Werror -fsyntax-only -x c "$file" \
            2>"$work/header.log" || {
            sed 's/^/    /' "$work/header.log"
            bad=1
        }
    done
    return $bad
}

# Not asked for: what it says of compound literals in variadic macros and of uthash's loops (compilers
# and sanitizers look for uninitialised values better), and where its own parser gives up.
check_cppcheck() {
    local id quiet=()
    for id in missingInclude missingIncludeSystem unusedStructMember unknownEvaluationOrder \
        uninitvar internalAstError varFuncNullUB memleak:core/base/secret.c \
        returnDanglingLifetime:core/flow/charge_reserve.c \
        returnDanglingLifetime:core/flow/callback_receive.c \
        returnDanglingLifetime:core/flow/payout.c; do
        quiet+=("--suppress=$id")
    done
    cppcheck -j "$(nproc)" --std=c11 --language=c --quiet --inline-suppr --max-configs=2 \
        --enable=warning,performance,portability --library=posix "${quiet[@]}" -D_GNU_SOURCE -I. \
        "-I$build/gen" --error-exitcode=1 \
        --template='{file}:{line}: {severity}: {message} [{id}]' "${sources[@]}" 2>&1
}

check_tidy() {
    local checks='-*,bugprone-suspicious-memset-usage,bugprone-suspicious-memory-comparison'
    checks+=',bugprone-suspicious-string-compare,bugprone-suspicious-missing-comma'
    checks+=',bugprone-suspicious-semicolon,bugprone-sizeof-container,bugprone-infinite-loop'
    checks+=',bugprone-integer-division,bugprone-misplaced-widening-cast,bugprone-signal-handler'
    checks+=',bugprone-string-literal-with-embedded-nul,bugprone-too-small-loop-variable'
    checks+=',bugprone-terminating-continue'
    checks+=',misc-redundant-expression,cert-err34-c'
    # shellcheck disable=SC2016  # for the inner shell
    printf '%s\0' "${sources[@]}" |
        CHECKS=$checks FLAGS="${flags[*]}" xargs -0 -n 6 -P "$(nproc)" bash -c \
            'clang-tidy --quiet --checks="$CHECKS" --warnings-as-errors="*" "$@" -- $FLAGS' tidy \
            >"$work/tidy.log" 2>&1 || {
        grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed' "$work/tidy.log" | head -n 60
        return 1
    }
}

# ---- the rest ----

check_openapi() {
    local document=http/static/openapi.json
    [ -f "$document" ] || {
        echo "$document is missing"
        return 1
    }
    scripts/npm.sh http/ui "$build/npm" || return 1
    REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true CI=true \
        "$build/npm/node_modules/.bin/redocly" lint --format=stylish "$document" 2>&1 </dev/null
}

check_shell() { shellcheck -x --source-path=SCRIPTDIR scripts/*.sh .ci/run; }

check_python() {
    local files
    mapfile -t files < <(find test scripts -name '*.py' | sort)
    /usr/bin/python3 - "${files[@]}" <<'END'
import sys

bad = 0
for name in sys.argv[1:]:
    try:
        compile(open(name, encoding="utf-8").read(), name, "exec")
    except SyntaxError as error:
        print(f"{name}:{error.lineno}: {error.msg}")
        bad = 1
sys.exit(bad)
END
}

check_schema() { scripts/schema.py --self-test && scripts/schema.py; }

check_mutants() { /usr/bin/python3 test/mutants/run.py --check; }

check_lockfile() { # a registry's host in it would bind everybody to that registry
    ! grep -nE '"resolved":' http/ui/package-lock.json test/system/npm/package-lock.json
}

checks=(rooms store_headers providers floats typedefs words columns headers cppcheck tidy openapi
    shell python schema mutants lockfile)
if [ $# -gt 0 ]; then checks=("$@"); fi
passed=0 failed=0
for name in "${checks[@]}"; do
    declare -F "check_$name" >/dev/null || die "no such check: $name (there are: ${checks[*]})"
    began=$SECONDS
    if "check_$name" >"$work/out" 2>&1; then
        printf '  ok    %s (%d s)\n' "$name" $((SECONDS - began))
        passed=$((passed + 1))
    else
        printf '  FAIL  %s (%d s)\n' "$name" $((SECONDS - began))
        head -n 80 "$work/out" | sed 's/^/    /'
        failed=$((failed + 1))
    fi
done
tally $passed $failed
printf '%d passed, %d failed\n' $passed $failed
[ $failed -eq 0 ]

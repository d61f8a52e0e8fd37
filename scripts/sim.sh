#!/usr/bin/env bash
# Builds the simulation and runs it: SIM_LIFECYCLES (default 1 000 000) from SIM_SEED (fresh, printed).
#   scripts/sim.sh [release | asan]
# Of SIM_WORLD only that world of the seed, told step by step.
# It stands on its own objects: the flows are compiled with the simulation's allocator.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
variant=${1:-release}
build=${BUILD:-build}
out=$build/sim/$variant
gen=$build/gen
cc=${CC:-gcc}

[ -f "$gen/queries.h" ] || make_here "$gen/stamp" >&2
mkdir -p "$out"

warn=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
flags=(-std=c11 -D_GNU_SOURCE -DRELI_CRASH_POINTS -g -I. "-I$gen" -isystem /usr/include/postgresql)
case $variant in
    release) flags+=(-O3) ;;
    asan) flags+=(-O1 "-fsanitize=address,undefined" -fno-sanitize-recover=all -fno-omit-frame-pointer) ;;
    *) die "no variant $variant" ;;
esac
own=(-Dmalloc=sim_malloc -Dcalloc=sim_calloc -Drealloc=sim_realloc -Dfree=sim_free)

# What runs inside a process of the simulation, and so allocates in its memory.
inside=(core/base/buf.c
    core/domain/{delivery,exception,failure,fee,lane,ledger,limit,payment_move,payment_names,payment_refund}.c
    core/domain/{payment_watch,person,phone,reference,refund_names,refund_rules,refund_watch,rush,schedule}.c
    core/flow/{account,account_text,ask,attempt,callback,callback_receive,charge,charge_known,charge_reserve,customer,deliver,dispute,erasure,failover,fanout,fee_terms,flow,idempotency,jobs,keys,limit_count,move,once,receipt,receipt_book,receipt_news,record,render,reseal,retention,route,route_next,tick}.c
    core/flow/{payout,payout_move,payout_rows,payout_run,refund,refund_move,refund_run,resolve,sending,webhook,webhook_sign}.c
    core/codec/jsonw.c store/{kinds,payout_rows,refund_rows,rows}.c)
# The rest: allocates nothing, or only between begin and end of one call, or once for all worlds.
outside=(core/base/{address,err,fsm,log,metric,money,secret,str,times,uuid}.c core/codec/{fields,json}.c core/crypto/{ed25519,text}.c
    core/flow/vault.c)

jobs=()
objects=()
compile() { # compile SOURCE OBJECT FLAG…: if anything that it was made of has changed
    local source=$1 object=$2
    shift 2
    objects+=("$object")
    if [ -f "$object" ] && [ -f "$object.d" ] && [ "$object" -nt scripts/sim.sh ] &&
        ! grep -oE '[^ \\]+\.[ch]' "$object.d" | while read -r file; do
            [ -z "$file" ] || [ "$object" -nt "$file" ] || echo old
        done | grep old >/dev/null; then
        return 0
    fi
    mkdir -p "$(dirname "$object")"
    "$cc" "${warn[@]}" "${flags[@]}" "$@" -MMD -MF "$object.d" -c "$source" -o "$object" &
    jobs+=($!)
    if [ ${#jobs[@]} -ge "$(nproc)" ]; then
        wait "${jobs[0]}"
        jobs=("${jobs[@]:1}")
    fi
}
for f in "${inside[@]}"; do compile "$f" "$out/inside/$f.o" "${own[@]}"; done
compile core/base/arena.c "$out/inside/core/base/arena.c.o" -Dmalloc=sim_malloc_chunk -Dfree=sim_free
for f in "${outside[@]}"; do compile "$f" "$out/outside/$f.o"; done
# The list of crash points; crash_point() itself is the simulation's.
compile core/base/crash.c "$out/outside/core/base/crash.c.o" -URELI_CRASH_POINTS
for f in test/sim/*.c; do compile "$f" "$out/$f.o"; done
for job in "${jobs[@]}"; do wait "$job"; done

"$cc" "${flags[@]}" -o "$out/sim" "${objects[@]}" -ljansson -lcrypto

if [ -n "${SIM_WORLD:-}" ]; then exec "$out/sim"; fi
export SIM_SEED=${SIM_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
log=$out/log
closing() { # closing PASSED FAILED: the last line, for whoever sums up
    tally "$1" "$2"
    printf '%d passed, %d failed\n' "$1" "$2"
    if [ "$2" -gt 0 ]; then exit 1; else exit 0; fi
}

# One seed, two processes: what happens must not depend on anything else.
traces=()
for n in 1 2; do
    if ! SIM_QUIET=1 SIM_LIFECYCLES=${SIM_TWICE:-2000} "$out/sim" >"$log.$n"; then
        sed '$d' "$log.$n"
        closing 0 1
    fi
    traces+=("$(grep '^hash ' "$log.$n")")
done
if [ "${traces[0]}" != "${traces[1]}" ]; then
    printf 'seed %s: %s, then %s\n' "$SIM_SEED" "${traces[@]}"
    closing 0 1
fi

rc=0
"$out/sim" >"$log" || rc=$?
read -r passed _ failed _ < <(tail -n 1 "$log") || true
if ! [[ ${passed:-x}${failed:-x} =~ ^[0-9]+$ ]]; then
    cat "$log"
    printf 'seed %s: ended with %d\n' "$SIM_SEED" "$rc"
    closing 0 1
fi
sed '$d' "$log"
closing "$((passed + 1))" "$failed"

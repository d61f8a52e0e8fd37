#!/usr/bin/env bash
# Everything for a first payment: packages, build, private PostgreSQL and Redis, migrations, the sandbox,
# the service, a demo merchant. Stays in the foreground; Ctrl-C or SIGTERM stops what it started. What a
# run made is found again by the next.
# Environment: RELI_LISTEN (127.0.0.1:8080), RELI_SANDBOX_LISTEN (127.0.0.1:8090), RELI_PUBLIC_URL,
# RELI_LOCAL (.local: where data, logs and demo.env are).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
build=${BUILD:-build}
reli=$build/reli
dir=$(realpath -m "${RELI_LOCAL:-.local}")
mkdir -p "$dir/log"
chmod 0700 "$dir/log"

exec 8>"$dir/run.lock"
flock -n 8 || die "another make run uses $dir"

# ---- what it started, and how that ends ----

build_pid='' sandbox_pid='' serve_pid='' services_up=''

child_stop() { # child_stop PID SECONDS
    local pid=$1 i
    [ -n "$pid" ] && kill -TERM "$pid" 2>/dev/null || return 0
    for ((i = 0; i < $2 * 10; i++)); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
}

stop_all() {
    trap '' INT TERM HUP
    trap - EXIT
    child_stop "$build_pid" 5
    child_stop "$serve_pid" 40
    child_stop "$sandbox_pid" 10
    if [ -n "$services_up" ]; then scripts/services.sh stop "$dir" 8>&- || true; fi
    rm -f "$dir/children"
}

leave() { # leave CODE
    stop_all
    exit "$1"
}

trap 'say "stopping"; leave 0' INT TERM HUP
trap stop_all EXIT

fail() { # fail WORDS [LOG]
    say "make run: $1"
    if [ $# -gt 1 ]; then tail_of "$2"; fi
    leave 1
}

# A run that was killed may have left its children: those, and no other process of the same number.
# By its command line: what is in its memory and where it came from a process keeps to itself.
leftovers() {
    local pid program
    [ -f "$dir/children" ] || return 0
    while read -r pid; do
        program=
        IFS= read -r -d '' program 2>/dev/null <"/proc/$pid/cmdline" || true
        if [ -n "$program" ] && [ "$(realpath -m "$program")" = "$(realpath -m "$reli")" ]; then
            child_stop "$pid" 10
        fi
    done <"$dir/children"
    rm -f "$dir/children"
}

# ---- addresses ----

url_of() { # url_of LISTEN: where a client on this machine finds it
    local address=${1%%,*}
    address=${address%%;*}
    case $address in
    0.0.0.0:* | '[::]':*) address=127.0.0.1:${address##*:} ;;
    unix:*) fail "make run needs a host and a port, not $address" ;;
    esac
    printf 'http://%s' "$address"
}

port_is_free() { # port_is_free URL VARIABLE
    local address=${1#http://} host port
    port=${address##*:}
    host=${address%:*}
    host=${host#[}
    host=${host%]}
    if (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null; then
        fail "something listens on $address already; choose another with $2=host:port"
    fi
}

# ---- the steps ----

configure() {
    export RELI_LISTEN=${RELI_LISTEN:-127.0.0.1:8080}
    export RELI_SANDBOX_LISTEN=${RELI_SANDBOX_LISTEN:-127.0.0.1:8090}
    url=$(url_of "$RELI_LISTEN")
    sandbox_url=$(url_of "$RELI_SANDBOX_LISTEN")
    export RELI_PUBLIC_URL=${RELI_PUBLIC_URL:-$url}
    export RELI_PROVIDER_MODE=test RELI_WEBHOOK_ALLOW_PRIVATE=1
    # The sandbox's own account. Nothing real is ever called from here.
    export MPESA_BASE_URL=$sandbox_url/mpesa
    export MPESA_CONSUMER_KEY=sandbox_consumer_key MPESA_CONSUMER_SECRET=sandbox_consumer_secret
    export MPESA_SHORTCODE=174379
    export MPESA_PASSKEY=bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919
    # The sandbox writes its certificate there before it listens; refunds are encrypted with it.
    export SANDBOX_MPESA_CERTIFICATE_OUT=$dir/sandbox-certificate.pem
    export MPESA_CERTIFICATE=$SANDBOX_MPESA_CERTIFICATE_OUT
    export MPESA_INITIATOR_NAME=testapi MPESA_INITIATOR_PASSWORD=sandbox_initiator_password
    export CPAY_BASE_URL=$sandbox_url/cpay/v1
    export CPAY_API_KEY=cpk_sandbox:cps_cmVsaSBzYW5kYm94IENQYXkgZGVtbyBzZWNyZXQgMDE
    export CPAY_WEBHOOK_SECRET=cpw_sandbox_webhook_secret
    export SANDBOX_CPAY_WEBHOOK_URL=$url/api/v1/webhooks/cpay
    export STRIPE_BASE_URL=$sandbox_url/stripe
    export STRIPE_API_KEY=sk_test_reliSandbox
    export STRIPE_WEBHOOK_SECRET=whsec_reliSandbox
    export SANDBOX_STRIPE_WEBHOOK_URL=$url/api/v1/webhooks/stripe
    export FIREBASE_PROJECT_ID=reli-demo FIREBASE_CERTS_URL=$sandbox_url/firebase/certs

    if [ ! -s "$dir/keys.env" ]; then
        (
            umask 077
            printf "RELI_MASTER_KEY='local:%s'\nJWT_SECRET_KEY='%s'\n" \
                "$(openssl rand -base64 32)" "$(openssl rand -hex 32)" >"$dir/keys.env.new"
            mv "$dir/keys.env.new" "$dir/keys.env"
        )
    fi
    set -a
    # shellcheck source=/dev/null
    . "$dir/keys.env"
    set +a
}

services() {
    services_up=yes
    scripts/services.sh start "$dir" 8>&- || fail "the private PostgreSQL and Redis did not start"
    set -a
    # shellcheck source=/dev/null
    . "$dir/services.env"
    set +a
    unset DATABASE_ADMIN_URL
}

answers() { # answers URL [CURL-ARGUMENTS…]
    local at=$1
    shift
    curl -fsS -o /dev/null --max-time 3 "$@" "$at" 2>/dev/null
}

launch() { # launch NAME: `reli NAME` in a session of its own, so that Ctrl-C reaches this script alone
    local log=$dir/log/$1.log
    if [ -f "$log" ]; then mv -f "$log" "$log.1"; fi
    setsid "$reli" "$1" >"$log" 2>&1 </dev/null 8>&- &
    launched=$!
    echo "$launched" >>"$dir/children"
}

ready() { # ready NAME PID URL SECONDS
    local i
    for ((i = 0; i < $4 * 10; i++)); do
        answers "$3" && return 0
        kill -0 "$2" 2>/dev/null || fail "reli $1 ended" "$dir/log/$1.log"
        sleep 0.1
    done
    fail "reli $1 does not answer on $3 within $4 s" "$dir/log/$1.log"
}

said_before() { # said_before NAME: what demo.env had for it, if anything
    if [ -s "$dir/demo.env" ]; then sed -n "s/^$1='\(.*\)'$/\1/p" "$dir/demo.env"; fi
}

value_of() { # value_of NAME TEXT: of a line NAME=value
    sed -n "s/^$1=//p" <<<"$2" | head -n 1
}

demo() {
    local out merchant secret key email password
    key=$(said_before RELI_API_KEY)
    if [ -n "$key" ] && demo_answers "$key"; then
        merchant=$(said_before RELI_MERCHANT_ID)
        secret=$(said_before RELI_WEBHOOK_SECRET)
        email=$(said_before RELI_ADMIN_EMAIL)
        password=$(said_before RELI_ADMIN_PASSWORD)
        if [ -z "$password" ]; then demo_operator "$merchant"; fi
        demo_write "$merchant" "$secret" "$key"
        return 0
    fi
    out=$("$reli" merchant create --name "Demo shop" --country KE 2>"$dir/log/demo.log") ||
        fail "the demo merchant could not be made" "$dir/log/demo.log"
    merchant=$(value_of merchant_id "$out")
    secret=$(value_of webhook_secret "$out")
    out=$("$reli" keys create --merchant "$merchant" --mode test 2>"$dir/log/demo.log") ||
        fail "the demo API key could not be made" "$dir/log/demo.log"
    key=$(value_of api_key "$out")
    if [ -z "$merchant" ] || [ -z "$secret" ] || [ -z "$key" ]; then
        fail "reli merchant create and keys create did not print what they should"
    fi
    demo_operator "$merchant"
    demo_write "$merchant" "$secret" "$key"
    demo_answers "$key" || fail "the demo API key is not accepted" "$dir/log/serve.log"
}

# One person who owns the demo shop, and is the installation's first operator. Sets email and password.
demo_operator() { # demo_operator MERCHANT
    local place
    email=operator@demo.example
    password=$(openssl rand -hex 12)
    for place in "--merchant $1" ''; do
        # shellcheck disable=SC2086
        "$reli" admin create --email "$email" --name 'Demo operator' $place \
            <<<"$password" >/dev/null 2>"$dir/log/demo.log" ||
            fail "the demo operator could not be made" "$dir/log/demo.log"
    done
}

# The key goes by standard input: an argument shows in the list of processes.
demo_answers() { # demo_answers KEY
    printf 'header = "Authorization: Bearer %s"\n' "$1" |
        answers "$url/api/v1/payments?limit=1" --config -
}

demo_write() { # demo_write MERCHANT SECRET KEY
    (
        umask 077
        cat >"$dir/demo.env.new" <<END
RELI_URL='$url'
RELI_SANDBOX_URL='$sandbox_url'
RELI_API_KEY='$3'
RELI_MERCHANT_ID='$1'
RELI_WEBHOOK_SECRET='$2'
RELI_ADMIN_EMAIL='$email'
RELI_ADMIN_PASSWORD='$password'
DATABASE_URL='$DATABASE_URL'
DATABASE_MIGRATE_URL='$DATABASE_MIGRATE_URL'
REDIS_URL='$REDIS_URL'
END
        mv "$dir/demo.env.new" "$dir/demo.env"
    )
}

summary() {
    local shown=${dir#"$PWD"/}
    # shellcheck source=/dev/null
    . "$dir/demo.env"
    cat <<END

  service   $url        docs: $url/docs
  sandbox   $sandbox_url        calls: $sandbox_url/_sandbox/calls
  logs      $shown/log/serve.log, $shown/log/sandbox.log
  settings  $shown/demo.env    (source it: RELI_URL, RELI_API_KEY, RELI_ADMIN_EMAIL, …)

Take a payment by M-Pesa (the sandbox pays it after a second):

  curl -sS $url/api/v1/payments/initialize \\
    -H 'Authorization: Bearer $RELI_API_KEY' \\
    -H 'Content-Type: application/json' -H "Idempotency-Key: order-\$(date +%s)" \\
    -d '{"provider": "mpesa", "amount": "1000.00", "currency": "KES",
         "customer": {"phone": "+254700000000"}}'

See what became of it:

  curl -sS '$url/api/v1/payments?limit=1' -H 'Authorization: Bearer $RELI_API_KEY'

reli is ready
END
}

# Its own children must neither hold the lock nor be waited for by somebody who reads our output.
scripts/install.sh run 8>&-
make_here V=release all >"$dir/log/build.log" 2>&1 </dev/null 8>&- &
build_pid=$! # in the background, since a shell hears no signal while it runs something in front
wait "$build_pid" || fail "the build failed" "$dir/log/build.log"
build_pid=''
configure
leftovers
port_is_free "$url" RELI_LISTEN
port_is_free "$sandbox_url" RELI_SANDBOX_LISTEN
services
"$reli" migrate >"$dir/log/migrate.log" 2>&1 </dev/null 8>&- ||
    fail "reli migrate failed" "$dir/log/migrate.log"
launch sandbox
sandbox_pid=$launched
launch serve
serve_pid=$launched
ready sandbox "$sandbox_pid" "$sandbox_url/_sandbox/calls?limit=1" 15
ready serve "$serve_pid" "$url/readyz" 30
demo
summary

wait -n "$sandbox_pid" "$serve_pid" || true
if kill -0 "$serve_pid" 2>/dev/null; then
    fail "reli sandbox ended" "$dir/log/sandbox.log"
fi
fail "reli serve ended" "$dir/log/serve.log"

#!/usr/bin/env bash
# N replicas behind HAProxy with one PostgreSQL, one Redis and one sandbox, on loopback and ports of their own.
#   scripts/replicas.sh start [N] | roll | stop | reset | status      (N: 3)
# start   services, sandbox, replicas, balancer; writes DIR/replicas.env: RELI_URL (the balancer's), RELI_URLS
#         (each replica's), RELI_BALANCER_URL (its counters), DATABASE_…, REDIS_URL, what the replicas run with
# roll    restarts the replicas one after the other: SIGTERM, its end, a new process, until it takes requests
# stop    ends all that start started, by process id;  reset  stops and removes the data
# Environment: RELI_BIN (build/reli, which is then made), RELI_REPLICAS_DIR (.local/replicas); RELI_… settings go
# on to the replicas.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
dir=$(realpath -m "${RELI_REPLICAS_DIR:-.local/replicas}")
reli=$(realpath -m "${RELI_BIN:-${BUILD:-build}/reli}")

usage() { die "usage: scripts/replicas.sh start [N] | roll | stop | reset | status"; }

# ---- processes: a file NAME.pid for each, which holds the number and the program ----

launch() { # launch NAME PROGRAM ARGUMENT…: in a session of its own, its log in log/
    local name=$1
    shift
    setsid "$@" >>"$dir/log/$name.log" 2>&1 </dev/null 9>&- &
    printf '%d %s\n' "$!" "$1" >"$dir/$name.pid"
}

# The number alone proves nothing, it may be somebody else's by now.
pid_of() { # pid_of NAME
    local pid program actual=
    [ -f "$dir/$1.pid" ] && read -r pid program <"$dir/$1.pid" || return 1
    IFS= read -r -d '' actual 2>/dev/null <"/proc/$pid/cmdline" || true
    [ "$actual" = "$program" ] || return 1
    echo "$pid"
}

is_alive() { # is_alive NAME: for one that has just been launched, and may not have become its program yet
    local pid
    read -r pid _ <"$dir/$1.pid" && kill -0 "$pid" 2>/dev/null
}

end() { # end NAME SECONDS: SIGTERM; after so long SIGKILL, which counts as a failure
    local pid i
    pid=$(pid_of "$1") || return 0
    kill -TERM "$pid" 2>/dev/null || true
    for ((i = 0; i < $2 * 20; i++)); do
        pid_of "$1" >/dev/null || return 0
        sleep 0.05
    done
    say "$1 did not end within $2 s"
    kill -KILL "$pid" 2>/dev/null || true
    return 1
}

until_true() { # until_true NAME SECONDS COMMAND…: NAME must go on running meanwhile
    local name=$1 i most=$2
    shift 2
    for ((i = 0; i < most * 20; i++)); do
        "$@" && return 0
        is_alive "$name" || {
            tail_of "$dir/log/$name.log"
            die "$name has ended"
        }
        sleep 0.05
    done
    tail_of "$dir/log/$name.log"
    die "$name is not there after $most s"
}

answers() { curl -fsS -o /dev/null --max-time 3 "$1" 2>/dev/null; }

# ---- addresses ----

# Below what the kernel takes for connections that leave: one of these would not be free again when it is wanted,
# as a replica's is not while it is being replaced.
free_ports() { # free_ports N: numbers that nobody listens on
    local found=() port
    while [ ${#found[@]} -lt "$1" ]; do
        port=$((20000 + RANDOM % 12000))
        case " ${found[*]} " in *" $port "*) continue ;; esac
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then found+=("$port"); fi
    done
    echo "${found[@]}"
}

# ---- the balancer ----

# A replica that stops says 503 on /readyz for 3 s before it takes no connections any more: two looks within a
# second find that. What could not be connected goes to another replica, whatever it is. What was sent to one that
# then closed without a word goes to another only if it may be done twice: GET, HEAD, what has an Idempotency-Key,
# and what providers report. An answer that was begun is never asked for again.
balancer_conf() { # balancer_conf PORT STATS_PORT REPLICA_PORT…
    local port=$1 stats=$2 i=0
    shift 2
    cat <<END_CONF
global
    maxconn 4096
    stats socket $dir/haproxy.sock mode 600

defaults
    mode http
    timeout connect 2s
    timeout client 75s
    timeout server 75s
    timeout http-request 30s
    timeout tunnel 1h
    timeout check 5s
    retries 3
    option redispatch 1
    retry-on conn-failure empty-response
    http-reuse safe

frontend api
    bind 127.0.0.1:$port
    option forwardfor
    http-request set-header X-Forwarded-Proto http
    acl again_is_safe method GET HEAD
    acl again_is_safe req.hdr(Idempotency-Key) -m found
    acl again_is_safe path_beg /api/v1/webhooks/ /callbacks/
    http-request disable-l7-retry unless again_is_safe
    default_backend replicas

backend replicas
    balance leastconn
    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host balancer
    http-check expect status 200
    default-server check inter 500ms fall 2 rise 1
END_CONF
    for port in "$@"; do
        i=$((i + 1))
        printf '    server replica%d 127.0.0.1:%d\n' "$i" "$port"
    done
    cat <<END_CONF

frontend counters
    bind 127.0.0.1:$stats
    stats enable
    stats uri /
END_CONF
}

server_is_up() { # server_is_up NAME: in the balancer's eyes
    curl -fsS --max-time 3 "http://127.0.0.1:$stats_port/;csv" 2>/dev/null |
        awk -F, -v name="$1" '$1 == "replicas" && $2 == name && $18 ~ /^UP/ {up = 1} END {exit !up}'
}

# ---- the commands ----

start_sandbox() {
    export RELI_SANDBOX_LISTEN=127.0.0.1:$sandbox_port
    export SANDBOX_MPESA_CERTIFICATE_OUT=$dir/sandbox-certificate.pem
    launch sandbox "$reli" sandbox
    until_true sandbox 15 answers "http://127.0.0.1:$sandbox_port/_sandbox/calls?limit=1"
}

# What all replicas run with: one database, one Redis, the same keys. Each adds the address it listens on.
settings() {
    local sandbox=http://127.0.0.1:$sandbox_port
    if [ ! -s "$dir/keys.env" ]; then
        (
            umask 077
            printf "RELI_MASTER_KEY='local:%s'\nJWT_SECRET_KEY='%s'\n" \
                "$(openssl rand -base64 32)" "$(openssl rand -hex 32)" >"$dir/keys.env.new"
            mv "$dir/keys.env.new" "$dir/keys.env"
        )
    fi
    cat "$dir/services.env" "$dir/keys.env"
    cat <<END_ENV
RELI_URL='http://127.0.0.1:$port'
RELI_URLS='$(printf 'http://127.0.0.1:%d ' "${ports[@]}")'
RELI_BALANCER_URL='http://127.0.0.1:$stats_port'
RELI_SANDBOX_URL='$sandbox'
RELI_PUBLIC_URL='http://127.0.0.1:$port'
RELI_TRUSTED_PROXIES='127.0.0.0/8'
RELI_PROVIDER_MODE='test'
RELI_WEBHOOK_ALLOW_PRIVATE='1'
MPESA_BASE_URL='$sandbox/mpesa'
MPESA_CONSUMER_KEY='sandbox_consumer_key'
MPESA_CONSUMER_SECRET='sandbox_consumer_secret'
MPESA_SHORTCODE='174379'
MPESA_PASSKEY='bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919'
END_ENV
}

load_settings() {
    [ -s "$dir/replicas.env" ] || die "nothing was started in $dir"
    set -a
    # shellcheck source=/dev/null
    . "$dir/replicas.env"
    set +a
    unset DATABASE_ADMIN_URL
    read -ra urls <<<"$RELI_URLS"
    stats_port=${RELI_BALANCER_URL##*:}
}

start_replica() { # start_replica NUMBER
    RELI_LISTEN=${urls[$1 - 1]#http://} launch "replica$1" "$reli" serve
    until_true "replica$1" 30 answers "${urls[$1 - 1]}/readyz"
}

start() {
    local n=$1 i chosen
    scripts/install.sh replicas
    if [ -z "${RELI_BIN:-}" ]; then make_here V=release all >&2; fi
    pid_of haproxy >/dev/null && die "already started: stop it first"
    mkdir -p "$dir/log"
    chmod 0700 "$dir/log"
    scripts/services.sh start "$dir" 9>&-
    read -ra chosen < <(free_ports $((n + 3)))
    port=${chosen[0]} stats_port=${chosen[1]} sandbox_port=${chosen[2]} ports=("${chosen[@]:3}")
    (umask 077 && settings >"$dir/replicas.env")
    start_sandbox
    load_settings
    "$reli" migrate >>"$dir/log/migrate.log" 2>&1 || {
        tail_of "$dir/log/migrate.log"
        die "the database could not be migrated"
    }
    for ((i = 1; i <= n; i++)); do start_replica "$i"; done
    balancer_conf "$port" "$stats_port" "${ports[@]}" >"$dir/haproxy.cfg"
    launch haproxy "$(command -v haproxy)" -db -f "$dir/haproxy.cfg"
    for ((i = 1; i <= n; i++)); do until_true haproxy 15 server_is_up "replica$i"; done
    say "$n replicas behind $RELI_URL; settings in $dir/replicas.env"
}

roll() {
    local i
    load_settings
    for ((i = 1; i <= ${#urls[@]}; i++)); do
        end "replica$i" 60 || die "replica$i had to be killed"
        start_replica "$i"
        until_true haproxy 15 server_is_up "replica$i"
        say "replica$i has been replaced"
    done
}

stop() {
    local file name rc=0
    for file in "$dir"/haproxy.pid "$dir"/replica*.pid "$dir"/sandbox.pid; do
        [ -f "$file" ] || continue
        name=$(basename "$file" .pid)
        if [ "$name" = haproxy ]; then # nobody else asks the replicas any more: they need not wait
            end "$name" 5 || rc=1
            continue
        fi
        kill -TERM "$(pid_of "$name")" 2>/dev/null || true
        sleep 0.1
        end "$name" 60 || rc=1
    done
    rm -f "$dir"/*.pid
    [ ! -f "$dir/place" ] || scripts/services.sh stop "$dir" 9>&-
    return $rc
}

reset() {
    stop
    [ ! -f "$dir/place" ] || scripts/services.sh reset "$dir" 9>&-
    rm -rf "$dir/log" "$dir/replicas.env" "$dir/keys.env" "$dir/haproxy.cfg" "$dir/haproxy.sock" \
        "$dir/sandbox-certificate.pem"
}

status() {
    local file name rc=3
    for file in "$dir"/*.pid; do
        [ -f "$file" ] || continue
        name=$(basename "$file" .pid)
        if pid_of "$name" >/dev/null; then echo "$name runs" && rc=0; else echo "$name has ended"; fi
    done
    return $rc
}

case $# in 1 | 2) ;; *) usage ;; esac
case $1 in
start)
    n=${2:-3}
    [[ $n =~ ^[1-9][0-9]?$ ]] || usage
    ;;
roll | stop | reset | status)
    [ $# -eq 1 ] || usage
    [ -d "$dir" ] || { [ "$1" = status ] && exit 3 || exit 0; }
    ;;
*) usage ;;
esac
mkdir -p "$dir"
chmod go+x "$dir"
if [ "$1" = status ]; then
    status
    exit
fi
exec 9>"$dir/replicas.lock"
flock -n 9 || die "another command uses $dir"
"$1" "${n:-}"

#!/usr/bin/env bash
# A private PostgreSQL and Redis, reachable by unix sockets only.
#   scripts/services.sh start | stop | reset | status [DIR]      (DIR: .local)
# start   makes what is missing, starts what is not running, writes DIR/services.env: DATABASE_URL (the
#         service's role), DATABASE_MIGRATE_URL (the owner's), DATABASE_ADMIN_URL, REDIS_URL
# stop    ends both, by their own process ids;  reset  stops and removes the data
# status  exit 0 if both run, 3 if not
# PostgreSQL refuses to be root: for root both run as the user postgres. If that user cannot reach DIR
# (a home directory of mode 0700), the data lives in a directory under /var/tmp that DIR/place names; if
# the path is too long for a socket (107 bytes), the sockets live under /tmp.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() { die "usage: scripts/services.sh start | stop | reset | status [DIR]"; }
case $# in 1 | 2) ;; *) usage ;; esac
what=$1
dir=$(realpath -m "${2:-$(dirname "$0")/../.local}")
base='' run='' user=''

# ---- where things are, and as whom they run ----

# All file work inside base and run goes through this.
as_user() {
    if [ "$(id -un)" = "$user" ]; then
        (cd / && "$@")
    else
        (cd / && runuser -u "$user" -- "$@")
    fi
}

pg_bin() {
    local found
    found=$(find /usr/lib/postgresql -mindepth 3 -maxdepth 3 -path '*/bin/pg_ctl' 2>/dev/null |
        sort -V | tail -n 1)
    [ -n "$found" ] || die "PostgreSQL is not installed: run scripts/install.sh run"
    dirname "$found"
}

place_load() {
    [ -f "$dir/place" ] || return 1
    { read -r base && read -r run; } <"$dir/place" || return 1
    if [ -d "$base/pg" ]; then user=$(stat -c %U "$base/pg"); else user=$(service_user); fi
}

service_user() {
    if [ "$(id -u)" -eq 0 ]; then echo postgres; else id -un; fi
}

# A socket's path may have 107 bytes, and an URL takes these characters as they are.
socket_dir_ok() {
    local longest="$1/.s.PGSQL.5432.lock"
    [ ${#longest} -le 107 ] && [[ $1 =~ ^[A-Za-z0-9/._-]+$ ]]
}

place_choose() {
    user=$(service_user)
    id "$user" >/dev/null 2>&1 || die "no user $user: run scripts/install.sh run"
    base=$dir
    if ! as_user test -x "$dir"; then
        base=$(mktemp -d /var/tmp/reli-XXXXXX)
        chmod 0755 "$base"
    fi
    run=$base/run
    if ! socket_dir_ok "$run"; then
        run=$(mktemp -d /tmp/reli-XXXXXX)
    fi
    place_save
}

place_save() { printf '%s\n%s\n' "$base" "$run" >"$dir/place"; }

own_dir() { # own_dir PATH: exists, mode 0700, of the services' user
    mkdir -p "$1"
    if [ "$(stat -c %U "$1")" != "$user" ]; then chown "$user" "$1"; fi
    chmod 0700 "$1"
}

# ---- PostgreSQL ----

pg_settings() {
    cat <<END
listen_addresses = ''
unix_socket_directories = '$run'
max_connections = 200
shared_buffers = 256MB
fsync = on
synchronous_commit = on
wal_init_zero = off
min_wal_size = 512MB
max_wal_size = 4GB
checkpoint_timeout = 15min
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %u@%d '
END
}

pg_make() {
    [ -s "$base/pg/PG_VERSION" ] && return 0
    # Under another name first: half an initdb must not look like a database.
    rm -rf "$base/pg" "$base/pg.new"
    own_dir "$base/pg.new"
    as_user "$(pg_bin)/initdb" -D "$base/pg.new" -U postgres -A trust -E UTF8 --locale=C \
        >"$dir/initdb.log" 2>&1 || {
        tail_of "$dir/initdb.log"
        die "initdb failed"
    }
    rm -f "$dir/initdb.log"
    # The directory of the socket is closed to everybody else: who gets there is trusted.
    echo 'local all all trust' | as_user tee "$base/pg.new/pg_hba.conf" >/dev/null
    mv "$base/pg.new" "$base/pg"
}

pg_up() { as_user "$(pg_bin)/pg_ctl" -D "$base/pg" status >/dev/null 2>&1; }

pg_start() {
    pg_make
    pg_up && return 0
    pg_settings | as_user tee "$base/pg/postgresql.conf" >/dev/null
    as_user "$(pg_bin)/pg_ctl" -D "$base/pg" -l "$run/postgres.log" -w -t 60 start \
        >/dev/null 2>&1 </dev/null 9>&- || {
        as_user tail -n 20 "$run/postgres.log" >&2 || true
        die "PostgreSQL did not start"
    }
}

sql() { "$(pg_bin)/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$run" -U postgres "$@"; }

pg_roles() {
    [ "$(sql -d postgres -c "select count(*) from pg_database where datname = 'reli'")" = 0 ] ||
        return 0
    sql -d postgres <<'END'
do $$
begin
    if not exists (select from pg_roles where rolname = 'reli_owner') then
        create role reli_owner login;
    end if;
    if not exists (select from pg_roles where rolname = 'reli_service') then
        create role reli_service login;
    end if;
end
$$;
create database reli owner reli_owner;
revoke all on database reli from public;
grant connect on database reli to reli_service;
END
}

pg_stop() {
    [ -d "$base/pg" ] && pg_up || return 0
    as_user "$(pg_bin)/pg_ctl" -D "$base/pg" -m fast -w -t 60 stop >/dev/null 2>&1 ||
        as_user "$(pg_bin)/pg_ctl" -D "$base/pg" -m immediate -w -t 30 stop >/dev/null 2>&1 ||
        die "PostgreSQL did not stop"
}

# ---- Redis ----

# The number alone proves nothing, it may be somebody else's by now.
redis_pid() {
    local pid
    pid=$(as_user cat "$run/redis.pid" 2>/dev/null) || return 1
    [ -n "$pid" ] && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" |
        grep -qF "redis-server unixsocket:$run/redis.sock" || return 1
    echo "$pid"
}

redis_start() {
    redis_pid >/dev/null && return 0
    as_user rm -f "$run/redis.sock"
    as_user redis-server --port 0 --unixsocket "$run/redis.sock" --unixsocketperm 700 \
        --save '' --appendonly no --maxmemory 256mb --maxmemory-policy volatile-lru \
        --daemonize yes --pidfile "$run/redis.pid" --logfile "$run/redis.log" --dir "$run" \
        >/dev/null 2>&1 </dev/null 9>&- || die "Redis did not start"
    local i
    for ((i = 0; i < 100; i++)); do
        [ "$(redis-cli -s "$run/redis.sock" ping 2>/dev/null)" = PONG ] && return 0
        sleep 0.05
    done
    as_user tail -n 20 "$run/redis.log" >&2 || true
    die "Redis did not answer within 5 s"
}

redis_stop() {
    local pid i
    pid=$(redis_pid) || return 0
    as_user kill -TERM "$pid" 2>/dev/null || return 0
    for ((i = 0; i < 100; i++)); do
        redis_pid >/dev/null || return 0
        sleep 0.05
    done
    as_user kill -KILL "$pid" 2>/dev/null || true
}

# ---- the commands ----

write_env() {
    local host=${run//\//%2F}
    cat >"$dir/services.env.new" <<END
DATABASE_URL='postgresql://reli_service@/reli?host=$host'
DATABASE_MIGRATE_URL='postgresql://reli_owner@/reli?host=$host'
DATABASE_ADMIN_URL='postgresql://postgres@/reli?host=$host'
REDIS_URL='unix://$run/redis.sock'
END
    mv "$dir/services.env.new" "$dir/services.env"
}

start() {
    place_load || place_choose
    if [ ! -d "$run" ] && [ "$run" != "$base/run" ]; then # /tmp has been swept
        run=$(mktemp -d /tmp/reli-XXXXXX)
        place_save
    fi
    if [ "$(id -un)" != "$user" ] && [ "$(id -u)" -ne 0 ]; then
        die "$base/pg belongs to $user: run as $user or root"
    fi
    own_dir "$run"
    pg_start
    pg_roles
    redis_start
    write_env
}

stop() {
    place_load || return 0
    redis_stop
    pg_stop
}

reset() {
    stop
    place_load || return 0
    rm -rf "$base/pg" "$base/pg.new" "$run"
    [ "$base" = "$dir" ] || rm -rf "$base"
    rm -f "$dir/place" "$dir/services.env" "$dir/demo.env"
}

status() {
    local missing=0
    place_load || {
        echo "nothing in $dir"
        return 3
    }
    if pg_up; then echo "postgres runs ($base/pg)"; else echo "postgres is stopped" && missing=3; fi
    if redis_pid >/dev/null; then echo "redis runs ($run)"; else echo "redis is stopped" && missing=3; fi
    return $missing
}

case $what in
start)
    mkdir -p "$dir"
    # Nothing secret lies in it by itself: each file and folder has its own mode.
    chmod go+x "$dir"
    ;;
stop | reset | status) [ -d "$dir" ] || { [ "$what" = status ] && exit 3 || exit 0; } ;;
*) usage ;;
esac
exec 9>"$dir/services.lock"
flock -w 120 9 || die "another start or stop in $dir does not end"
"$what"

"""What an operator sees: health, metrics, logs, commands, how it starts and how it stops."""

import concurrent.futures
import errno
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest
import test_websocket
from helpers import SLOW, V1, Connection, Site, cash, free_port, new_key, parse_time, phone, stk, wait_until
from stack import REDIS_OFF, binary, needs_redis

LONG_MS = 600_000  # longer than anybody here waits
COMMANDS = ("serve", "sandbox", "migrate", "merchant", "admin", "keys", "ledger", "audit", "doctor", "health",
            "version", "help")


def status(replica, path, timeout=5):
    """The status, None if nobody listens."""
    try:
        return replica.get(path, timeout=timeout).status
    except (OSError, http.client.HTTPException):
        return None


# ---- health ----


def test_health(reli):
    site = Site(reli.url)
    for path in ("/livez", "/readyz", "/health", V1 + "/health", "/health/detailed", V1 + "/health/detailed"):
        assert site.get(path).status == 200, path
    assert site.get("/health").json == {"status": "ok"}
    before = time.time()
    h = site.get("/health/detailed").json
    assert h["status"] == "ok" and h["detail"] is None and h["maintenance"] is False
    assert h["components"] == {"postgresql": "ok", "redis": "unavailable" if REDIS_OFF else "ok"}
    assert before - 0.1 <= parse_time(h["time"]) <= time.time() + 0.1
    assert parse_time(h["started_at"]) <= parse_time(h["time"])
    assert reli.replica.p.pid and h["version"] in subprocess.run(
        [binary(), "version"], text=True, capture_output=True, timeout=60).stdout


def test_health_without_redis(replicas):
    one = replicas.one(clock=False, REDIS_URL=None)
    assert one.get("/health/detailed").json["components"]["redis"] == "not_configured"
    replicas.shop(one).pay()


# ---- metrics ----

SAMPLE = re.compile(r'([a-z_:][a-z0-9_:]*)(?:\{([a-z0-9_]+="[^"\n]*"(?:,[a-z0-9_]+="[^"\n]*")*)\})? '
                    r"(-?[0-9]+(?:\.[0-9]+)?|\+Inf|NaN)")


def samples(text):
    """Prometheus' text format: (name, labels) → value; every sample stands below HELP and TYPE of its family."""
    assert text.endswith("\n")
    out, kinds, family = {}, {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split(" ")[2]
            assert family not in kinds and len(line.split(" ", 3)[3]) > 0, line
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family and kind in ("counter", "gauge", "histogram"), line
            kinds[name] = kind
        else:
            name, labels, value = SAMPLE.fullmatch(line).groups()
            suffixes = ("_bucket", "_sum", "_count") if kinds[family] == "histogram" else ("",)
            assert name in {family + s for s in suffixes}, line
            assert (name, labels) not in out, line
            out[name, labels] = float(value)
    assert out
    return out, kinds


def test_metrics(reli):
    before, kinds = samples(reli.get("/metrics").text)
    assert set(kinds.values()) == {"counter", "gauge", "histogram"}
    p = reli.pay()
    reli.post(f"{V1}/payments/{p['id']}/confirm", {})
    reli.get(f"{V1}/payments/{p['id']}", headers={"Authorization": "Bearer sk_test_" + "0" * 48})
    after, kinds = samples(reli.get("/metrics").text)
    for key, value in before.items():
        if kinds.get(key[0]) != "gauge":
            assert after[key] >= value, key
    assert sum(after.values()) > sum(before.values())
    histograms = {name for name, kind in kinds.items() if kind == "histogram"}
    for name in histograms:
        series = {}
        for (n, labels), value in after.items():
            if n == name + "_bucket":
                rest, _, le = labels.rpartition('le="')
                series.setdefault(rest.rstrip(","), []).append((le.rstrip('"'), value))
        for rest, buckets in series.items():
            counts = [v for _, v in buckets]
            assert counts == sorted(counts) and buckets[-1][0] == "+Inf", name
            assert after[name + "_count", rest or None] == counts[-1]
    text = reli.get("/metrics").text
    for private in (reli.key, reli.merchant, p["id"], p["client_token"]):
        assert private not in text


def test_metrics_are_for_allowed_addresses(replicas):
    one = replicas.one(clock=False, RELI_METRICS_CIDRS="192.0.2.0/24")
    r = one.get("/metrics")
    assert r.status == 403 and r.code == "forbidden"


def test_metrics_of_their_own_listener(replicas):
    port = free_port()
    one = replicas.one(clock=False, RELI_METRICS_LISTEN=f"127.0.0.1:{port}")
    own = Site(f"http://127.0.0.1:{port}")
    samples(own.get("/metrics").text)
    assert own.get("/livez").status == own.get("/readyz").status == 200
    assert own.get(V1 + "/payments").status == 404
    assert one.get("/livez").status == 200


@pytest.mark.parametrize("own", [False, True])
def test_metrics_on_an_address_of_the_api(replicas, own):
    """One listener with all of it: of two the kernel would give each some of the requests."""
    port, other = free_port(), free_port()
    one = replicas.one(clock=False, port=port,
                       RELI_METRICS_LISTEN=(f"127.0.0.1:{other}, " if own else "") + f" 127.0.0.1:{port}")
    for _ in range(20):
        samples(one.get("/metrics").text)
        assert one.get(V1 + "/payments").status == 401
    if own:
        site = Site(f"http://127.0.0.1:{other}")
        samples(site.get("/metrics").text)
        assert site.get(V1 + "/payments").status == 404


# ---- stopping ----


def test_told_to_stop_until_it_has(replicas):
    """A signal in the last moments, when nobody listened to signals any more, killed what was already leaving."""
    one = replicas.one(clock=False)
    while one.running():
        one.term()
    assert one.wait() == 0
    assert one.logs()[-1]["event"] == "app.stopped"


def test_stopping(replicas, sandbox):
    """Not ready for three seconds, in which everything still works; then what is in flight ends; then it goes."""
    one = replicas.one(clock=False, RELI_DRAIN_TIMEOUT="1h", RELI_PROVIDER_TIMEOUT="1h")
    shop = replicas.shop(one)
    shop.pay(stk())  # there is a token from here on
    sandbox.chaos(answer_delay_ms={"min": LONG_MS, "max": LONG_MS})

    def told(ask):
        """What is asked before the three seconds are over is answered; later, nobody may be there any more."""
        soon = time.monotonic() - began < 2.5
        try:
            return ask()
        except (OSError, http.client.HTTPException):
            assert not soon

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        kept = Connection(one.host, one.port)
        assert kept.request("GET", "/livez").status == 200
        slow = pool.submit(shop.initialize, stk(), key=new_key())
        wait_until(lambda: len(sandbox.calls(op="push")) == 2, what="the provider is asked")
        began = time.monotonic()
        one.term()
        wait_until(lambda: status(one, "/readyz") in (503, None), what="/readyz is 503")
        if r := told(lambda: one.get("/readyz")):
            assert r.status == 503 and r.text == "draining\n" and r.header("Retry-After")
        if r := told(lambda: one.get("/livez")):
            assert r.status == 200
        if p := told(shop.pay):
            assert p["status"] == "requires_action"
        wait_until(lambda: status(one, "/readyz") is None, what="the listener is closed")
        took = time.monotonic() - began
        assert took >= 2.9, took
        assert one.running(), "what is in flight is waited for"
        sandbox.skip(LONG_MS // 1000)
        assert slow.result().status == 201
        with pytest.raises((OSError, http.client.HTTPException)):
            kept.conn.request("GET", "/livez")
            kept.conn.getresponse()
    assert one.wait() == 0, "and nothing else"
    events = [line["event"] for line in one.logs()]
    assert "app.stopping" in events and events[-1] == "app.stopped"
    assert one.database.value("select count(*) from reli.attempt where provider_ref <> ''") == 2


def test_a_second_signal_does_not_wait(replicas):
    one = replicas.one(clock=False)
    one.term()
    wait_until(lambda: "app.stopping" in one.tail(), what="it is heard")
    again = time.time()
    one.term()
    assert one.wait() == 0
    at = {line["event"]: parse_time(line["time"]) for line in one.logs()}
    assert at["app.stopped"] < at["app.stopping"] + 2.9 or again > at["app.stopping"] + 1, "on a machine that stood still"


def test_an_interrupt_stops_as_well(replicas):
    one = replicas.one(clock=False)
    one.p.send_signal(signal.SIGINT)
    wait_until(lambda: "app.stopping" in one.tail(), what="it is heard")
    one.p.send_signal(signal.SIGINT)
    assert one.wait() == 0


def test_without_standard_files_no_log_line_goes_elsewhere(stack, db):
    """What is opened first must not get the numbers of those that were closed."""
    port = free_port()
    env = stack.env(db, RELI_LISTEN=f"127.0.0.1:{port}", RELI_PUBLIC_URL=f"http://127.0.0.1:{port}",
                    RELI_CORE_DUMPS="1")  # lets its owner see its files
    p = subprocess.Popen(["/bin/sh", "-c", 'exec "$0" serve 0<&- 1>&- 2>&-', stack.binary], env=env)
    try:
        site = Site(f"http://127.0.0.1:{port}")
        wait_until(lambda: status(site, "/readyz") == 200, 20, "ready")
        assert {os.readlink(f"/proc/{p.pid}/fd/{fd}") for fd in range(3)} == {"/dev/null"}
        p.terminate()
        assert p.wait(20 * SLOW) == 0
    finally:
        p.kill()
        p.wait()


def test_a_hangup_without_certificates_ends_nothing(replicas):
    (one,) = replicas(1)
    one.p.send_signal(signal.SIGHUP)
    wait_until(lambda: any(line["event"] == "app.nothing_to_reload" for line in one.logs()), 10, "it is heard")
    assert one.get("/readyz").status == 200


def test_what_does_not_end_is_cut_off(replicas, sandbox):
    """The drain has an end; the payment whose answer is missing stays open."""
    one = replicas.one(clock=False, RELI_DRAIN_TIMEOUT="1s", RELI_PROVIDER_TIMEOUT="1h")
    shop = replicas.shop(one)
    sandbox.chaos(answer_delay_ms={"min": LONG_MS, "max": LONG_MS})
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        slow = pool.submit(shop.initialize, stk(), key=new_key())
        wait_until(lambda: sandbox.calls(op="token") or sandbox.calls(op="push"), 5, "the provider is asked")
        one.term()
        assert one.wait() == 0
        assert slow.exception() is not None or slow.result().status in (202, 503)
    assert one.database.value("select status from reli.payment") in ("processing", "failed")


# ---- several on one machine ----


def test_two_share_a_port(replicas):
    """One dies, is replaced, and the other leaves: somebody always answers."""
    one = replicas.one(clock=False)
    two = replicas.stack.serve(one.database, port=one.port)
    replicas.replicas.append(two)
    wait_until(lambda: "app.ready" in two.tail(10000), 15, "the second one is ready")
    shop = replicas.shop(one)
    made = [shop.pay() for _ in range(40)]

    def served():
        return [sum(line.get("status") == 201 for line in r.logs()) for r in (one, two)]

    wait_until(lambda: sum(served()) == 40, 2, "all are in the logs")
    assert min(served()) > 0, served()
    one.kill()
    made += [shop.pay() for _ in range(10)]
    assert {p["id"] for p in made} == {r["id"] for r in one.database.rows("select id from reli.payment")}


def test_somebody_elses_port(replicas):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        one = replicas(1, clock=False, ready=False, RELI_LISTEN=f"127.0.0.1:{port}")[0]
        assert one.wait(10) == 1
        one.killed = True  # its exit code is as it should be
    (line,) = [line for line in one.logs() if line["event"] == "app.failed"]
    assert (line["error_what"], line["error_detail"]) == ("bind", -errno.EADDRINUSE)
    (line,) = [line for line in one.logs() if line["event"] == "http.not_listening"]
    assert (line["address"], line["error_words"]) == (f"127.0.0.1:{port}", "Address already in use")


def test_a_second_sandbox_does_not_share_the_port(stack, db, sandbox):
    done = stack.cli(db, "sandbox", RELI_SANDBOX_LISTEN=f"127.0.0.1:{sandbox.port}")
    assert done.returncode == 1 and "somebody listens there already" in done.stderr, done
    assert "Address already in use" in done.stderr


@pytest.mark.parametrize("value", ["here", "127.0.0.1", "127.0.0.1:65536", "127.0.0.1:8090;tls"])
def test_a_sandbox_that_can_listen_nowhere(stack, db, value):
    done = stack.cli(db, "sandbox", RELI_SANDBOX_LISTEN=value)
    assert done.returncode == 2 and "RELI_SANDBOX_LISTEN" in done.stderr, done


def test_a_unix_socket(replicas, tmp_path):
    path = str(tmp_path / "reli.sock")
    one = replicas(1, clock=False, ready=False, RELI_LISTEN=f"unix:{path}",
                   RELI_PUBLIC_URL="http://shop.example")[0]

    def ask(request):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            try:
                s.connect(path)
            except OSError:
                return b""
            s.sendall(request)
            return s.recv(4096)

    wait_until(lambda: b" 200 OK" in ask(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), 15, "ready")
    health = replicas.stack.cli(one.database, "health", RELI_LISTEN=f"unix:{path}")
    assert (health.returncode, health.stdout) == (0, "ready\n")


# ---- configuration ----

FAULTS = {
    "DATABASE_URL": None, "RELI_MASTER_KEY": None, "JWT_SECRET_KEY": "too-short-canary", "RELI_PG_WRITERS": "0",
    "RELI_PG_READERS": "many", "RELI_BATCH": "one",
    "RELI_TRUSTED_PROXIES": "10.0.0.0/99", "RELI_WEBHOOK_SCHEDULE": "1m,,5m",
    "RELI_POLL_SCHEDULE": "soon", "RELI_WEBHOOK_ALLOW_PRIVATE": "maybe", "RELI_PAYMENT_EXPIRY": "15",
    "RELI_PROVIDER_TIMEOUT": "-1s", "RELI_IDEMPOTENCY_RETENTION": "1h", "RELI_DRAIN_TIMEOUT": "0s",
    "RELI_MAINTENANCE": "yes please", "RELI_PROVIDER_MODE": "both", "RELI_LOG_LEVEL": "loud",
    "RELI_PUBLIC_URL": "shop.example", "MPESA_PASSKEY": None, "RELI_RATE_LIMIT": "fast",
    "RELI_RATE_LIMIT_WEBHOOKS": "0/s", "RELI_RATE_LIMIT_LOGIN": "10/m burst", "RELI_FIREBASE_LOGIN": "maybe",
    "RELI_ACCESS_TTL": "2d", "RELI_REFRESH_TTL": "0d", "RELI_SESSION_IDLE": "never", "RELI_SESSION_MAX": "12",
    "JWT_SECRET_KEY_PREVIOUS": "another-canary", "FIREBASE_PROJECT_ID": "no project",
    "FIREBASE_CERTS_URL": "certs.example", "FIREBASE_CLOCK_SKEW": "6m",
    "MPESA_MAX_AMOUNT": "1000.50", "MPESA_MIN_PAYOUT": "250001", "MPESA_MAX_PAYOUT": "0", "STRIPE_UGX_DECIMALS": "1",
}


def test_all_faults_are_named_at_once(stack, db):
    done = stack.cli(db, "serve", **FAULTS)
    assert done.returncode == 2, done
    said = done.stderr + done.stdout
    for name in FAULTS:
        assert name in said, f"{name} is not named in:\n{said}"
    assert "canary" not in said, "names, never values"


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_each_fault_alone_stops_it(stack, db, name):
    done = stack.cli(db, "serve", RELI_LISTEN=f"127.0.0.1:{free_port()}", **{name: FAULTS[name]})
    assert done.returncode == 2 and name in done.stderr, done


@pytest.mark.parametrize("name, value", [
    ("DATABASE_URL", "nonsense"), ("DATABASE_URL", "mysql://canary@here/there"), ("DATABASE_MIGRATE_URL", "nonsense"),
    ("RELI_TEST_CLOCK", "/nowhere/clock"), ("RELI_PUBLIC_URL", "https://"), ("RELI_PUBLIC_URL", "https://pay.example:99999"),
    ("RELI_PUBLIC_URL", "https://pay.example/?a=b"), ("RELI_PUBLIC_URL", "https://a:canary@pay.example"),
])
def test_what_cannot_be_is_named_with_all_the_rest(stack, db, name, value):
    done = stack.cli(db, "serve", RELI_LISTEN=f"127.0.0.1:{free_port()}", RELI_LOG_LEVEL="loud", **{name: value})
    assert done.returncode == 2 and f"reli: {name} " in done.stderr and "reli: RELI_LOG_LEVEL " in done.stderr, done
    assert "canary" not in done.stderr, "names, never values"


@pytest.mark.parametrize("name, value", [
    ("MPESA_SHORTCODE", "174 379"), ("MPESA_C2B_UNKNOWN", "rejct"), ("MPESA_C2B_VERSION", "3"),
    ("MPESA_CERTIFICATE", "certificate.pem"), ("MPESA_B2C_SHORTCODE", "x"), ("CPAY_API_KEY", "cpk_x"),
    ("STRIPE_API_KEY", "pk_test_x"),
])
def test_settings_that_a_provider_cannot_have_are_named_at_the_start(stack, db, name, value):
    done = stack.cli(db, "serve", RELI_LISTEN=f"127.0.0.1:{free_port()}", **{name: value})
    assert done.returncode == 2 and f"reli: {name}: " in done.stderr, done


@pytest.mark.parametrize("value", ["", "x", "1:", "1:AAAA", "1:not base64 at all", "1:" + "A" * 44 + ",1:" + "A" * 44])
def test_master_keys_that_are_none(stack, db, value):
    done = stack.cli(db, "serve", RELI_LISTEN=f"127.0.0.1:{free_port()}", RELI_MASTER_KEY=value)
    assert done.returncode == 2, done
    assert value == "" or len(value) < 10 or value not in done.stderr


def test_another_installations_master_key(stack, reli):
    other = "9:" + "QUJD" * 10 + "QUI="
    done = stack.cli(reli.replica.database, "serve", RELI_LISTEN=f"127.0.0.1:{free_port()}", RELI_MASTER_KEY=other)
    assert done.returncode == 2 and "RELI_MASTER_KEY" in done.stderr + done.stdout, done


def test_live_keys_and_what_they_forbid(replicas, stack, clock):
    """No test clock, and no role that could change the audit trail."""
    one = replicas.one(clock=False)
    shop = replicas.shop(one)
    live = shop.with_key(stack.api_key(one, shop.merchant, "live"))
    assert live.get(V1 + "/payments").status == 200
    listen = f"127.0.0.1:{free_port()}"
    done = stack.cli(one.database, "serve", RELI_LISTEN=listen, RELI_TEST_CLOCK=str(clock.path))
    assert done.returncode == 2 and "RELI_TEST_CLOCK" in done.stderr + done.stdout, done
    done = stack.cli(one.database, "serve", RELI_LISTEN=listen, DATABASE_URL=one.database.owner_url)
    assert done.returncode == 2 and "audit_log" in done.stderr + done.stdout, done


# ---- commands ----


def run(*args, env=None):
    return subprocess.run([binary(), *args], env=env or {"PATH": "/usr/bin:/bin"}, text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=60)


def test_help():
    all_of_them = run("help")
    assert all_of_them.returncode == 0
    for name in COMMANDS:
        assert re.search(rf"^  reli {name}\b", all_of_them.stdout, re.M), name
        one = run("help", name)
        assert one.returncode == 0 and len(one.stdout.splitlines()) == 1 and f"reli {name}" in one.stdout
        for asked in ((name, "--help"), (name, "-h"), (name, "create", "--name", "A", "--help")):
            assert (run(*asked).returncode, run(*asked).stdout) == (0, one.stdout), asked
    assert run("nonsense", "--help").returncode == 2
    for other in ((), ("--help",), ("-h",)):
        assert run(*other).stdout == all_of_them.stdout
    assert run("--version").stdout == run("version").stdout
    assert re.fullmatch(r"reli \S+\n", run("version").stdout)


@pytest.mark.parametrize("args", [
    ("nonsense",), ("serve", "now"), ("migrate", "back"), ("merchant",), ("merchant", "create"),
    ("merchant", "create", "--name"), ("merchant", "create", "--name", "x" * 200), ("merchant", "create", "--name", ""),
    ("merchant", "create", "--name", "A", "--country", "Kenya"),
    ("merchant", "create", "--name", "A", "--refund-approval-above", "-5"), ("keys", "create"),
    ("keys", "create", "--merchant", "x", "--mode", "test"),
    ("keys", "create", "--merchant", "01900000-0000-7000-8000-000000000000", "--mode", "both"),
    ("keys", "create", "--merchant", "01900000-0000-7000-8000-000000000000", "--mode", "test", "--scopes", "all"),
    ("admin",), ("admin", "create"), ("admin", "disable"), ("admin", "enable", "--email", "x"),
    ("admin", "create", "--email", "nobody"),
    ("admin", "create", "--email", "a@b", "--role", "king"), ("admin", "create", "--email", "a@b", "--merchant", "x"),
    ("ledger",), ("ledger", "balance"), ("audit",), ("audit", "verify", "--head", "x"), ("doctor", "please"),
    ("health", "now"), ("version", "--now"), ("routes", "list", "--mode", "live"), ("fees", "list", "now"),
    ("limits", "list", "--merchant"), ("keys", "list", "--merchant", "01900000-0000-7000-8000-000000000000", "--live"),
])
def test_wrong_usage(stack, db, args):
    done = stack.cli(db, *args)
    assert done.returncode == 2, done
    assert done.stderr and done.stdout == "", done


@pytest.mark.parametrize("args, names", [
    (("migrate",), ["DATABASE_URL"]), (("merchant", "create", "--name", "A"), ["DATABASE_URL", "RELI_MASTER_KEY"]),
    (("ledger", "prove"), ["DATABASE_URL"]), (("audit", "verify"), ["DATABASE_URL", "RELI_MASTER_KEY"]),
    (("doctor",), ["DATABASE_URL", "RELI_MASTER_KEY"]), (("serve",), ["DATABASE_URL", "RELI_MASTER_KEY"]),
])
def test_commands_without_configuration(args, names):
    done = run(*args)
    assert done.returncode == 2, done
    assert all(name in done.stderr for name in names), done.stderr


def test_a_merchant_that_does_not_exist(stack, db):
    done = stack.cli(db, "keys", "create", "--merchant", "01900000-0000-7000-8000-000000000000", "--mode", "test")
    assert done.returncode == 1 and "no such active merchant" in done.stderr and done.stdout == "", done


def test_live_keys_need_papers(stack, reli):
    done = stack.cli(reli.replica.database, "keys", "create", "--merchant", reli.merchant, "--mode", "live")
    assert done.returncode == 1 and "papers" in done.stderr and done.stdout == "", done


@pytest.mark.parametrize("args", [("migrate",), ("ledger", "prove"), ("audit", "verify"), ("doctor",),
                                  ("merchant", "create", "--name", "A")])
def test_commands_without_a_database(stack, db, args):
    nowhere = "postgresql://reli:pass-canary@127.0.0.1:1/reli?connect_timeout=2"
    done = stack.cli(db, *args, DATABASE_URL=nowhere, DATABASE_MIGRATE_URL=nowhere)
    assert done.returncode == 1, done
    assert "pass-canary" not in done.stdout + done.stderr


def test_the_health_command(stack, reli):
    listen = f"127.0.0.1:{reli.port}"
    done = stack.cli(reli.replica.database, "health", RELI_LISTEN=listen)
    assert (done.returncode, done.stdout) == (0, "ready\n")
    done = stack.cli(reli.replica.database, "health", RELI_LISTEN=f"127.0.0.1:{free_port()}")
    assert (done.returncode, done.stdout) == (1, "not ready\n")


@pytest.mark.parametrize("host", ["[::1]", "[::]"])
def test_the_health_command_of_a_service_on_ipv6(replicas, host):
    with socket.socket(socket.AF_INET6) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        s.bind((host.strip("[]"), 0))
        port = s.getsockname()[1]
        one = replicas(1, clock=False, ready=False, RELI_LISTEN=f"{host}:{port}")[0]

        def health():
            done = replicas.stack.cli(one.database, "health", RELI_LISTEN=f"{host}:{port}")
            return (done.returncode, done.stdout) == (0, "ready\n")

        wait_until(health, 15, "ready")


@needs_redis
def test_the_doctor(stack, reli):
    database = reli.replica.database
    done = stack.cli(database, "doctor")
    assert done.returncode == 0 and "FAULT" not in done.stdout, done
    assert len(re.findall(r"^ok ", done.stdout, re.M)) >= 4
    wrong_key = stack.cli(database, "doctor", RELI_MASTER_KEY="9:" + "QUJD" * 10 + "QUI=")
    assert wrong_key.returncode == 1 and "RELI_MASTER_KEY" in wrong_key.stdout, wrong_key
    no_provider = {name: None for name in stack.env(database) if name.startswith("MPESA_")}
    poor = stack.cli(database, "doctor", REDIS_URL=None, **no_provider)
    assert "REDIS_URL" in poor.stdout and "provider" in poor.stdout, poor
    for everybody in ("0.0.0.0/0", "::/0", "10.0.0.0/8,::/0"):
        trusting = stack.cli(database, "doctor", RELI_TRUSTED_PROXIES=everybody)
        assert trusting.returncode == 1 and "FAULT  not everybody" in trusting.stdout, trusting


def faults_of(done):
    assert done.returncode == (1 if "FAULT" in done.stdout else 0), done
    return [line for line in done.stdout.splitlines() if line.startswith("FAULT") and "Redis" not in line]


def test_the_doctor_tells_a_database_that_is_away_from_one_without_the_schema(stack, db):
    (away,) = faults_of(stack.cli(db, "doctor", DATABASE_URL="postgresql:///reli?host=/nonexistent"))
    assert away.startswith("FAULT  PostgreSQL answers") and "DATABASE_URL" in away
    empty = db.service_url.replace(db.name, "postgres")
    (without,) = faults_of(stack.cli(db, "doctor", DATABASE_URL=empty))
    assert without.startswith("FAULT  the database has the schema") and "reli migrate" in without


def test_the_doctor_looks_for_what_goes_wrong_later(stack, db, tmp_path):
    (line,) = faults_of(stack.cli(db, "doctor", MPESA_CERTIFICATE=str(tmp_path / "none.pem")))
    assert "certificate of mpesa can be read" in line
    for listen, mode in (("0.0.0.0:8080", "test"), ("[::]:8080", "test"), ("127.0.0.1:8080", "live")):
        live = {"STRIPE_API_KEY": None, "STRIPE_WEBHOOK_SECRET": None}
        done = stack.cli(db, "doctor", RELI_LISTEN=listen, RELI_PUBLIC_URL=None, RELI_PROVIDER_MODE=mode,
                         FIREBASE_PROJECT_ID=None, FIREBASE_CERTS_URL=None, **live)
        (line,) = faults_of(done)
        assert "RELI_PUBLIC_URL" in line, done


def test_the_books_are_proved_and_what_was_changed_is_found(replicas, stack, clock):
    one = replicas.one()
    shop = replicas.shop(one)
    database = one.database
    for _ in range(3):
        p = shop.pay()
        assert shop.post(f"{V1}/payments/{p['id']}/confirm", {}).status == 200
    assert stack.cli(database, "ledger", "prove").returncode == 0

    def sealed():
        """All of the shop's rows are; others' seals say nothing of them."""
        return database.value("""select (select max(to_position) from reli.audit_seal where merchant_id = %s) =
            (select count(*) from reli.audit_log where merchant_id = %s)""", shop.merchant, shop.merchant) and \
            stack.cli(database, "audit", "verify").returncode == 0

    wait_until(sealed, 10, "the trail is sealed", every=0.2)
    heads = [line for line in one.logs() if line["event"] == "audit.sealed" and line["merchant"] == shop.merchant]
    head = f"{shop.merchant}:{heads[-1]['n']}:{heads[-1]['head']}"
    assert stack.cli(database, "audit", "verify", "--head", head).returncode == 0
    one.term()  # else it seals anew what is taken away below
    assert one.wait() == 0

    def wrong(*args):
        done = stack.cli(database, *args)
        assert done.returncode == 1 and "wrong: " in done.stdout, done
        return done.stdout

    row = database.one("select merchant_id, journal_id, step from reli.ledger_transfer limit 1")
    database.rows("update reli.ledger_transfer set amount = amount + 1 where journal_id = %s and step = %s",
                  row["journal_id"], row["step"])
    assert shop.merchant in wrong("ledger", "prove")
    database.rows("update reli.ledger_transfer set amount = amount - 1 where journal_id = %s and step = %s",
                  row["journal_id"], row["step"])
    assert stack.cli(database, "ledger", "prove").returncode == 0

    (action,) = database.rows("select id, action from reli.audit_log where merchant_id = %s limit 1", shop.merchant)
    database.rows("update reli.audit_log set action = 'nothing' where id = %s", action["id"])
    assert shop.merchant in wrong("audit", "verify")
    database.rows("update reli.audit_log set action = %s where id = %s", action["action"], action["id"])
    assert stack.cli(database, "audit", "verify").returncode == 0
    database.rows("delete from reli.audit_seal where merchant_id = %s", shop.merchant)
    assert "head" in wrong("audit", "verify", "--head", head)


# ---- logs ----


def test_logs_are_json_and_say_nothing_private(replicas, sandbox, receiver):
    """Everything that is private passes through once, at the most talkative level."""
    one = replicas.one(clock=False, RELI_LOG_LEVEL="debug", RELI_TRUSTED_PROXIES="127.0.0.0/8")
    shop = replicas.shop(one)
    endpoint = shop.endpoint(receiver.url("/endpoint-path"))
    number = phone()
    customer = {"id": "cust-canary", "phone": number, "email": "canary@example.com", "name": "Canary Bird"}
    key = "key-canary-" + new_key()
    paid = shop.initialize(stk(phone=number) | {"customer": customer, "description": "descanary",
                                                "metadata": {"note": "metacanary"},
                                                "callback_url": receiver.url("/own-path")}, key=key).json
    shop.wait_status(paid["id"], "completed")
    receiver.wait(3, "/own-path")
    receiver.wait(3, "/endpoint-path")
    refused = shop.initialize(stk("049"), key=new_key()).json
    shop.get(f"{V1}/payments/{paid['id']}", headers={"Authorization": f"Bearer {paid['client_token']}"})
    w = test_websocket.Watch(one, f"/ws/transaction/{paid['id']}?ticket={paid['client_token']}")
    w.frame()
    w.close()
    ticket = shop.post(V1 + "/ws/tickets", {"channel": f"transaction/{paid['id']}"}).json["ticket"]
    w = test_websocket.Watch(one, f"/ws/transaction/{paid['id']}?ticket={ticket}")
    w.frame()
    w.close()
    wrong = "sk_test_" + "c0ffee" * 8
    assert shop.with_key(wrong).get(V1 + "/payments").status == 401
    forged = "ab" * 48
    assert shop.post(f"{V1}/cb/{forged}", {"Body": "bodycanary"}).status == 401
    shop.get(f"/nowhere/{forged}?phone={number}")
    shop.initialize({"provider": "cash", "phone": "0799canary", "amount": "1", "currency": "KES"})
    shop.initialize('{"phone": "0788canary", ')
    one.term()
    one.term()
    assert one.wait() == 0

    text = one.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        assert list(line)[:4] == ["time", "level", "event", "request_id"], line
        parse_time(line["time"])
        assert line["level"] in ("debug", "info", "warn", "error"), line
        assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", line["event"]), line
    requests = [line for line in lines if line["event"] == "http.request"]
    assert len(requests) >= 15 and all(line["request_id"] for line in requests)
    assert any(line["route"] == V1 + "/cb/{token}" for line in requests), "the route, not the path"
    assert any(line.get("payment") == paid["id"] for line in lines if line["event"] == "charge.sent")

    digits = number.lstrip("+")
    private = {
        "API key": shop.key, "wrong key": wrong, "client token": paid["client_token"], "ticket": ticket,
        "endpoint's secret": endpoint["secret"], "merchant's secret": shop.webhook_secret, "forged token": forged,
        "phone": digits, "national number": digits[3:], "e-mail": "canary@example.com", "name": "Canary Bird",
        "idempotency key": key, "pass key": one.env["MPESA_PASSKEY"], "secret": one.env["MPESA_CONSUMER_SECRET"],
        "JWT secret": one.env["JWT_SECRET_KEY"], "master key": one.env["RELI_MASTER_KEY"].partition(":")[2],
        "any other": "canary", "callback URL's path": "/own-path", "endpoint's path": "/endpoint-path",
    }
    low = text.lower()
    for what, word in private.items():
        assert word.lower() not in low, f"the {what} is in the log"
    tokens = {t for t in re.findall(r"[0-9a-f]{96}", text)}
    assert tokens == set(), "a callback's token"
    assert refused["id"] in text, "ids are for looking things up"


def test_polls_of_a_provider_that_hangs_keep_nothing_waiting(replicas, clock, sandbox, receiver):
    """More questions than may run at once, none of them answered; a webhook whose time has come does not wait."""
    one = replicas.one(RELI_PROVIDER_TIMEOUT="1h", RELI_WEBHOOK_SCHEDULE="1m,1m")
    shop = replicas.shop(one)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: shop.pay(stk("063"))["id"], range(700)))  # pending for ever
    receiver.answers["/hook"] = [500, 200]
    shop.endpoint(receiver.url(), ["payment.initiated"])
    shop.pay()
    assert receiver.wait(1)
    wait_until(lambda: replicas.database.value(
        "select count(*) from reli.job where kind = 'delivery' and run_at > to_timestamp(%s)", clock.now()), 10, "put off")
    sandbox.chaos(answer_delay_ms={"min": LONG_MS, "max": LONG_MS})
    asked = sandbox.get("/_sandbox/calls?limit=0").json["received"]
    clock.advance(62)
    assert receiver.wait(2)
    wait_until(lambda: sandbox.get("/_sandbox/calls?limit=0").json["received"] - asked >= 50, 20,
               "as many are asked as may be at once")
    assert len(made) == 700
    sandbox.reset()  # nobody waits any more

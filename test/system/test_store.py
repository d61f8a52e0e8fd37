"""PostgreSQL and Redis go away, come back, and lose connections: slower, never wrong."""

import concurrent.futures
import contextlib
import os
import pathlib
import signal
import subprocess
import threading
import time

import psycopg2
import pytest
import test_feeds
import test_websocket
from helpers import SLOW, V1, cash, new_key, phone, stk, wait_until
from stack import Database, Services


def running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Own:
    """A PostgreSQL that a test may kill."""

    def __init__(self, stack, folder):
        self.services = Services(str(folder))
        self.folder = pathlib.Path(folder)
        self.database = Database(self.services, "reli")
        self.stack = stack
        done = stack.cli(self.database, "migrate")
        assert done.returncode == 0, done.stderr

    def postmaster(self):
        base = pathlib.Path(self.folder, "place").read_text().split("\n")[0]
        return int(pathlib.Path(base, "pg/postmaster.pid").read_text().split("\n")[0])

    def backends(self):
        """The processes of PostgreSQL that serve reli's role."""
        rows = self.services.admin("select pid from pg_stat_activity where usename = 'reli_service'")
        return [r[0] for r in rows]

    def kill(self):
        pid = self.postmaster()
        os.kill(pid, signal.SIGKILL)
        self.database.close()
        wait_until(lambda: not running(pid), 10, "the postmaster is gone")

    def stop(self):
        self.services.script("stop")
        self.database.close()

    def start(self):
        def up():
            try:
                self.services.script("start")
                return self.services.admin("select 1")
            except (subprocess.CalledProcessError, psycopg2.OperationalError):
                return False  # after a SIGKILL the old backends need a moment to notice

        wait_until(up, 30, "PostgreSQL is up again")

    def close(self):
        self.database.close()
        self.services.script("reset")


@pytest.fixture(scope="module")
def own(stack):
    o = Own(stack, stack.folder / "own")
    yield o
    o.close()


@pytest.fixture
def shop(stack, own, sandbox):
    """A merchant at a replica on that PostgreSQL; it is there at the end."""
    replica = stack.serve(own.database).ready()
    yield stack.shop(replica)
    own.start()
    stack.leave(replica)


def is_unavailable(r):
    assert r.status == 503 and r.code == "unavailable", r
    assert int(r.header("Retry-After")) >= 1


def create_until_there(shop, key, body, results):
    """A client as it should be: the same key until there is an answer."""
    end = time.monotonic() + 60 * SLOW
    while time.monotonic() < end:
        try:
            r = shop.initialize(body, key=key, timeout=40)
        except OSError:
            continue
        if r.status in (201, 202):
            results[key] = r.json["id"]
            return
        assert r.status in (409, 503), r
        if r.status == 409:
            assert r.code == "idempotency_in_progress", r
    raise AssertionError("no answer in a minute")


@contextlib.contextmanager
def cutting(own, results, every):
    """Cuts all connections of the service in the middle of its work, once for every so many results."""
    stop, cut = threading.Event(), []

    conn = psycopg2.connect(own.services.url("postgres", "postgres"))  # one: to connect takes as long as 30 results
    conn.autocommit = True

    def cutter():
        last = 0
        while not stop.wait(0.005):
            if len(results) >= last + every:
                last = len(results)
                with conn.cursor() as c:
                    c.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'reli_service'")
                    cut.append(len(c.fetchall()))

    thread = threading.Thread(target=cutter)
    thread.start()
    try:
        yield cut
    finally:
        stop.set()
        thread.join()
        conn.close()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_postgresql_goes_and_comes_back(own, shop, how):
    before = shop.pay(reference=f"BEFORE-{how}")
    getattr(own, how)()
    wait_until(lambda: shop.get("/readyz").status == 503, 10, "/readyz is 503")
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(shop.request, *request) for request in (
            ("GET", f"{V1}/payments/{before['id']}"), ("GET", V1 + "/payments"),
            ("POST", V1 + "/payments/initialize", cash()), ("POST", f"{V1}/payments/{before['id']}/confirm", {}),
            ("GET", V1 + "/webhook-endpoints"))]
        for request in asked:
            is_unavailable(request.result())
    assert time.monotonic() - began < 6 * SLOW
    assert shop.get("/livez").status == 200 and shop.get("/health").status == 200
    assert shop.get("/health/detailed").json["components"]["postgresql"] == "unavailable"
    own.start()
    wait_until(lambda: shop.get("/readyz").status == 200, 15, "/readyz is 200 again")
    assert shop.payment(before["id"])["status"] == "requires_action"
    assert shop.post(f"{V1}/payments/{before['id']}/confirm", {}).status == 200
    assert shop.pay()["status"] == "requires_action"


def test_killed_under_load(own, shop):
    """Whatever was answered 201 is there, once; whatever was not is taken up by the client's retry."""
    results, keys = {}, [new_key() for _ in range(200)]
    started = threading.Event()

    def go(key):
        started.set()
        create_until_there(shop, key, cash(), results)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        work = [pool.submit(go, k) for k in keys]
        wait_until(lambda: len(results) > 20, 20, "some are done")
        own.kill()
        own.start()
        for w in work:
            w.result()
    stored = {r["id"] for r in own.database.rows(
        "select id from reli.payment where merchant_id = %s", shop.merchant)}
    assert stored == set(results.values()) and len(stored) == 200


def test_backends_are_terminated_all_the_time(own, shop):
    """500 payments while every connection is cut again and again: none lost, none doubled."""
    results, keys = {}, [new_key() for _ in range(500)]
    with cutting(own, results, 15) as cut:
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            for w in [pool.submit(create_until_there, shop, k, cash(), results) for k in keys]:
                w.result()
    assert len(cut) >= 10 and sum(cut) >= 20, cut
    rows = own.database.rows("select id, version from reli.payment where merchant_id = %s", shop.merchant)
    assert {r["id"] for r in rows} == set(results.values()) and len(rows) == 500
    assert own.database.value("""select count(*) from reli.event e join reli.payment p
        on p.merchant_id = e.merchant_id and p.id = e.subject_id where p.merchant_id = %s""",
                              shop.merchant) == 1000
    again = {}
    for key in keys[:20]:  # the last cut may be noticed only now, by a 503
        create_until_there(shop, key, cash(), again)
    assert again == {key: results[key] for key in keys[:20]}


def test_pushes_while_backends_are_terminated(own, shop, sandbox):
    """The provider is asked once for each, whatever becomes of the commits."""
    sandbox.chaos(delay_ms=0)
    results, work = {}, {new_key(): stk(phone=phone()) for _ in range(40)}
    with cutting(own, results, 4) as cut:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            done = [pool.submit(create_until_there, shop, k, b, results) for k, b in work.items()]
            for w in done:
                w.result()
    assert len(cut) >= 2 and sum(cut) >= 8, cut
    pushes = sandbox.calls(op="push")
    assert len({c["phone"] for c in pushes}) == len(pushes), "somebody was asked twice"
    assert len(set(results.values())) == 40
    for body in work.values():
        assert len(sandbox.pushes(body["customer"]["phone"])) <= 1


def test_postgresql_is_frozen(own, shop):
    """Connections that say nothing: an answer comes nevertheless, and it goes on afterwards."""
    pids = own.backends()
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        r = shop.get(V1 + "/payments", timeout=40)
        is_unavailable(r)
        assert time.monotonic() - began < 30 * SLOW
    finally:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
    wait_until(lambda: shop.get("/readyz").status == 200, 20, "/readyz is 200 again")
    shop.pay()


def test_stopping_while_a_read_hangs(own, stack):
    """The hub's question for a watcher's events is still out when everything is taken down."""
    replica = stack.serve(own.database, REDIS_URL=None, RELI_DRAIN_TIMEOUT="1s").ready()
    shop = stack.shop(replica)
    w = test_websocket.watch(shop, shop.pay()["id"])
    w.frame()
    lock = psycopg2.connect(own.services.url("postgres", "reli"))
    try:
        lock.cursor().execute("lock table reli.event in access exclusive mode")
        waiting = """select count(*) from pg_stat_activity where usename = 'reli_service'
                     and wait_event_type = 'Lock' and query like '%reli.event%'"""
        wait_until(lambda: own.services.admin(waiting)[0][0] > 0, 10, "the question waits for the lock")
        replica.term()
        wait_until(lambda: "app.stopping" in replica.tail(), what="it is heard")
        replica.term()
        assert replica.wait() == 0, replica.tail()
    finally:
        lock.close()
        w.ws.shutdown()
    stack.check_end(replica)


def test_started_before_postgresql(own, stack):
    """The order of starting does not matter."""
    own.stop()
    replica = stack.serve(own.database)
    wait_until(lambda: "app.listening" in replica.tail(), 5, "it listens")
    assert replica.get("/readyz").status == 503
    own.start()
    replica.ready()
    stack.shop(replica).pay()
    stack.leave(replica)


def test_a_database_that_was_made_read_only(replicas, stack):
    """Hosts do that when a disk is full, operators when they move a database."""
    replica = replicas.one(clock=False)
    shop, name = replicas.shop(replica), replicas.database.name
    there = shop.pay()["id"]
    before = len(replica.logs())
    stack.services.admin([f"alter database {name} set default_transaction_read_only = on",
                          f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"])
    wait_until(lambda: "takes no writes" in replica.tail(), 10, "the writers refuse it")
    assert replica.get("/readyz").status == 503
    assert shop.payment(there)["id"] == there, "it is read all the same"
    is_unavailable(shop.initialize(cash(), key=new_key()))
    connected = [e for e in replica.logs()[before:] if e["event"] == "store.connected"]
    assert {e["role"] for e in connected} == {"reader"}, "ready now and then, and never to any purpose"
    doctor = stack.cli(replicas.database, "doctor")
    assert doctor.returncode == 1 and "FAULT  the database takes writes: " in doctor.stdout, doctor
    stack.services.admin(f"alter database {name} reset default_transaction_read_only")
    replica.ready()
    shop.pay()


# ---- Redis ----


class Redis:
    """A Redis of the test's own."""

    def __init__(self, folder):
        self.path = str(folder / "redis.sock")
        self.url = f"unix://{self.path}"
        self.folder = folder
        self.start()

    def start(self):
        self.p = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.path, "--save", "", "--appendonly", "no",
             "--dir", str(self.folder)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_until(lambda: self.cli("ping") == "PONG", 5, "Redis answers")

    def cli(self, *args):
        return subprocess.run(["redis-cli", "-s", self.path, *args], text=True, capture_output=True,
                              timeout=10).stdout.strip()

    def signal(self, number):
        self.p.send_signal(number)
        if number == signal.SIGKILL:
            self.p.wait(5)

    def close(self):
        self.p.kill()
        self.p.wait(5)


@pytest.fixture
def own_redis(tmp_path):
    r = Redis(tmp_path)
    yield r
    r.close()


def redis_state(replica):
    return replica.get("/health/detailed").json["components"]["redis"]


def test_redis_is_killed_flushed_and_started(replicas, own_redis, sandbox):
    one, two = replicas(2, clock=False, REDIS_URL=own_redis.url)
    shop = replicas.shop(one)
    wait_until(lambda: redis_state(two) == "ok", 5, "Redis is up")

    def a_payment_is_seen(within):
        """By Redis, not by the clock: without a hint it would be read every 10 s."""
        p = shop.pay()
        w = test_websocket.watch(shop, p["id"], "?after=2", replica=two)
        assert w.frame()["type"] == "hello"
        began = time.monotonic()
        assert shop.post(f"{V1}/payments/{p['id']}/confirm", {}).status == 200
        assert w.frame(deadline=15)["type"] == "payment.completed"
        took = time.monotonic() - began
        assert took < within * SLOW, took
        w.close()

    a_payment_is_seen(4)
    own_redis.cli("flushall")
    a_payment_is_seen(4)
    held = shop.pay()
    w = test_websocket.watch(shop, held["id"], "?after=2", replica=two)
    w.frame()
    own_redis.signal(signal.SIGKILL)
    a_payment_is_seen(6)
    shop.wait_status(shop.pay(stk())["id"], "completed")
    wait_until(lambda: redis_state(two) == "unavailable", 5, "Redis is missed")
    assert one.get("/readyz").status == two.get("/readyz").status == 200
    own_redis.start()
    wait_until(lambda: redis_state(one) == redis_state(two) == "ok", 10, "Redis is found again")
    a_payment_is_seen(4)
    shop.post(f"{V1}/payments/{held['id']}/confirm", {})
    assert w.frame()["type"] == "payment.completed", "the same WebSocket, from before the crash"
    w.close()


def test_redis_is_frozen(replicas, own_redis, sandbox):
    """A Redis that answers nothing holds nobody up for long."""
    one = replicas.one(clock=False, REDIS_URL=own_redis.url)
    shop = replicas.shop(one)
    wait_until(lambda: redis_state(one) == "ok", 5, "Redis is up")
    own_redis.signal(signal.SIGSTOP)
    try:
        for _ in range(3):
            began = time.monotonic()
            p = shop.pay(stk())
            assert time.monotonic() - began < 5 * SLOW
            shop.wait_status(p["id"], "completed")
    finally:
        own_redis.signal(signal.SIGCONT)
    wait_until(lambda: redis_state(one) == "ok", 10, "Redis is found again")


def test_months_begin_beside_who_reads_two_tables(replicas, clock):
    """Partitions are made a table at a time: who holds one table and asks for another neither waits nor is chosen as the
    victim of a deadlock, and who holds one for long (pg_dump) keeps nobody from it."""
    one = replicas.one()
    shop = replicas.shop(one)
    db = replicas.database
    reader = psycopg2.connect(db.owner_url)
    try:
        with reader.cursor() as c:
            c.execute("set statement_timeout = '2500ms'; select count(*) from reli.payout")
            clock.advance(70 * 86400)
            wait_until(lambda: db.value("select count(*) from pg_locks where not granted"), 10, "partitions wait for the reader")
            c.execute("select count(*) from reli.payment")
        wait_until(lambda: not db.value("select count(*) from pg_locks where not granted"), 10, "they wait no longer")
        assert shop.initialize(cash(), key=new_key()).status == 201
        assert not [line for line in one.logs() if line.get("sqlstate") == "40P01"]
    finally:
        reader.close()


def test_redis_that_never_was(replicas, tmp_path, sandbox):
    one = replicas.one(clock=False, REDIS_URL=f"unix://{tmp_path}/nowhere.sock")
    shop = replicas.shop(one)
    shop.wait_status(shop.pay(stk())["id"], "completed")


# ---- the schema ----


def empty(stack, own, name):
    own.services.admin(f"create database {name} owner reli_owner")
    own.services.admin(f"grant connect on database {name} to reli_service")
    return Database(own.services, name)


def test_migrations_at_once_and_twice(stack, own):
    database = empty(stack, own, "at_once")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: stack.cli(database, "migrate"), range(4)))
    assert [d.returncode for d in done] == [0] * 4, [d.stderr for d in done]
    applied = sorted(int(d.stdout.strip().rpartition("=")[2]) for d in done)
    assert applied[:3] == [0, 0, 0] and applied[3] >= 1
    again = stack.cli(database, "migrate")
    assert again.returncode == 0 and again.stdout.strip() == "migrations_applied=0"
    replica = stack.serve(database).ready()
    stack.shop(replica).pay()
    stack.leave(replica)
    database.close()


def test_a_schema_of_the_future_is_refused(stack, own):
    database = empty(stack, own, "future")
    assert stack.cli(database, "migrate").returncode == 0
    database.rows("""insert into reli.schema_migration (name, checksum, applied_at)
                     values ('9999_tomorrow.sql', 'x', now())""")
    done = stack.cli(database, "migrate")
    assert done.returncode == 2 and "9999_tomorrow" in done.stderr, done.stderr
    database.close()


def test_without_a_schema_it_is_not_ready(stack, own):
    database = empty(stack, own, "bare")
    replica = stack.serve(database)
    wait_until(lambda: "app.listening" in replica.tail(), 5, "it listens")
    r = replica.get("/readyz")
    assert r.status == 503
    assert stack.cli(database, "migrate").returncode == 0
    replica.ready()
    stack.leave(replica)
    database.close()


@pytest.mark.parametrize("table", ["audit_log", "event", "ledger_transfer"])
@pytest.mark.parametrize("statement", [
    "update reli.{0} set created_at = now()", "delete from reli.{0}", "truncate reli.{0}",
    "drop table reli.{0}", "alter table reli.{0} disable trigger all",
])
def test_the_services_role_only_appends(db, table, statement):
    c = psycopg2.connect(db.service_url)
    try:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege), c.cursor() as cursor:
            cursor.execute(statement.format(table))
    finally:
        c.close()


@pytest.mark.parametrize("statement", [
    "create table reli.mine (a int)", "create table public.mine (a int)",
    "update reli.schema_migration set checksum = ''", "delete from reli.schema_lock",
    "insert into reli.schema_migration values ('x', 'y', now())", "drop function reli.grant_service(text)",
])
def test_the_services_role_leaves_the_schema_alone(db, statement):
    c = psycopg2.connect(db.service_url)
    try:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege), c.cursor() as cursor:
            cursor.execute(statement)
    finally:
        c.close()


# ---- both ----


@pytest.fixture
def followed(stack, own, own_redis):
    """A shop, two replicas of it, and one who follows its log at each, by WebSocket and by event stream."""
    one, two = [stack.serve(own.database, REDIS_URL=own_redis.url).ready() for _ in range(2)]
    shop = stack.shop(one)
    followers = [test_feeds.ByWebSocket(shop, two), test_feeds.ByStream(shop, one)]
    yield shop, (one, two), followers
    for f in followers:
        f.end()
    own.start()
    for replica in (one, two):
        stack.leave(replica)


def test_followers_lose_nothing(followed, own, own_redis, sandbox):
    """While connections, Redis and PostgreSQL are cut, and by whichever replica things happen."""
    shop, replicas, followers = followed
    results = {}

    def make(n):
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            made = [pool.submit(create_until_there, shop.at(replicas[i % 2]), new_key(), cash(), results)
                    for i in range(n)]
            for done in made:
                done.result()

    def all_seen():
        return all(len(f.seen) >= 2 * len(results) for f in followers)

    make(60)
    wait_until(all_seen, 20, "all is seen")
    for f in followers:
        f.cut()
    make(60)
    own_redis.signal(signal.SIGKILL)
    make(60)
    wait_until(all_seen, 20, "all is seen without Redis")
    own_redis.start()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        rest = pool.submit(make, 120)
        wait_until(lambda: len(results) > 200, 20, "some of them")
        own.stop()
        own.start()
        rest.result()
    wait_until(all_seen, 30, "all is seen")
    wanted = [(i + 1, e["payment_id"], e["seq"]) for i, e in enumerate(test_feeds.log(shop))]
    assert len(wanted) == 600 and {p for _, p, _ in wanted} == set(results.values())
    for f in followers:
        assert f.seen == wanted and f.times >= 2

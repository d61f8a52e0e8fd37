"""Many replicas behind a balancer (scripts/replicas.sh), restarted one after the other under load; whose work shares
a commit."""

import contextlib
import csv
import http.client
import json
import os
import pathlib
import queue
import signal
import subprocess
import threading
import time

import pytest
import websocket
from helpers import ROOT, SANITIZER, SLOW, V1, cash, new_key, stk, wait_until
from stack import binary

OVER = ("completed", "failed", "expired", "cancelled")


# ---- whose work shares a commit ----


@pytest.mark.parametrize("batch", ["all", "merchant"])
def test_whose_work_shares_a_commit(replicas, batch):
    """One writer, whose server stands still: what comes meanwhile leaves in one commit, or in one for each merchant."""
    one = replicas.one(clock=False, RELI_PG_WRITERS="1", RELI_BATCH=batch)
    shops = [replicas.shop(one) for _ in range(4)]
    payers = [threading.Thread(target=shop.pay) for shop in shops for _ in range(2)]

    def commits_last():
        shops[0].pay()
        return replicas.stack.services.admin(f"""select pid from pg_stat_activity where query = 'commit'
            and datname = '{replicas.database.name}' and application_name = 'reli'""")

    ((writer,),) = wait_until(commits_last, 10, "the writer is known")
    before = replicas.database.value("select count(*) from reli.payment")
    os.kill(writer, signal.SIGSTOP)
    try:
        for payer in payers:
            payer.start()
        wait_until(lambda: one.metrics()["reli_store_waiting"] >= len(payers) - 1, 5, "they wait for it")
    finally:
        os.kill(writer, signal.SIGCONT)
    for payer in payers:
        payer.join(20 * SLOW)
    commits = replicas.database.rows("""select count(*) as payments, count(distinct merchant_id) as merchants
                                        from reli.payment group by xmin::text order by 1, 2""")
    assert sum(c["payments"] for c in commits) == len(payers) + before
    assert max(c["payments"] for c in commits) >= 2, "work is combined"
    assert (max(c["merchants"] for c in commits) == 1) == (batch == "merchant"), commits


# ---- a balancer and replicas ----


class Farm:
    """scripts/replicas.sh in a directory of its own."""

    def __init__(self, folder, n):
        self.folder, self.binary = pathlib.Path(folder), binary()
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("RELI_", "MPESA_", "CPAY_", "STRIPE_", "DATABASE_", "REDIS_", "JWT_", "PG"))}
        self.env |= {"RELI_BIN": self.binary, "RELI_REPLICAS_DIR": str(folder), "RELI_RATE_LIMIT": "0",
                     "RELI_DRAIN_TIMEOUT": "20s", "RELI_BREAKER_CALLS": "0"}
        self.settings = {}
        self.script("start", str(n))
        for line in (self.folder / "replicas.env").read_text().splitlines():
            name, _, value = line.partition("=")
            self.settings[name] = value.strip("'")
        self.host, _, port = self.settings["RELI_URL"].removeprefix("http://").partition(":")
        self.port = int(port)
        words = {}
        for command in (("merchant", "create", "--name", "A shop", "--country", "KE"),
                        ("keys", "create", "--mode", "test")):
            merchant = ("--merchant", words["merchant_id"]) if words else ()
            done = self.reli(*command, *merchant)
            words |= dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        self.key = words["api_key"]

    def script(self, *what):
        done = subprocess.run([ROOT / "scripts/replicas.sh", *what], env=self.env, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=120 * SLOW)
        assert done.returncode == 0, done.stderr

    def reli(self, *args):
        done = subprocess.run([self.binary, *args], env=self.env | self.settings, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60 * SLOW)
        assert done.returncode == 0, done.stderr + done.stdout
        return done

    def json_of(self, setting, path):
        """What a server beside the balancer says."""
        host, _, port = self.settings[setting].removeprefix("http://").partition(":")
        with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=10 * SLOW)) as c:
            c.request("GET", path)
            return c.getresponse().read().decode()

    def counters(self):
        """The balancer's, by server."""
        rows = csv.DictReader(self.json_of("RELI_BALANCER_URL", "/;csv").removeprefix("# ").splitlines())
        return {r["svname"]: r for r in rows if r["pxname"] == "replicas"}


class Client:
    """A thread's connection to the balancer, kept open as long as that keeps it open. Nothing is tried again here."""

    def __init__(self, farm):
        self.farm, self.conn = farm, None

    def __call__(self, method, path, body=None, key=None):
        """The parsed answer; anything but a 2xx is an AssertionError."""
        if self.conn is None:
            self.conn = http.client.HTTPConnection(self.farm.host, self.farm.port, timeout=40 * SLOW)
        headers = {"Authorization": f"Bearer {self.farm.key}", "Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        self.conn.request(method, V1 + path, None if body is None else json.dumps(body), headers)
        r = self.conn.getresponse()
        data = r.read()
        if r.will_close:
            self.conn.close()
            self.conn = None
        assert 200 <= r.status < 300, (method, path, r.status, data[:500])
        return json.loads(data)


def follow(farm, payment, opened=lambda: None):
    """All events of a payment until its end, over as many connections as it takes: (seqs, types, codes of closing)."""
    seqs, types, codes = [], [], []
    while True:
        ws = websocket.create_connection(
            f"ws://{farm.host}:{farm.port}/ws/transaction/{payment}?after={seqs[-1] if seqs else 0}",
            timeout=60 * SLOW, header={"Authorization": f"Bearer {farm.key}"})
        opened()
        try:
            while True:
                opcode, data = ws.recv_data(control_frame=True)
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    codes.append(int.from_bytes(data[:2], "big"))
                    break
                if opcode != websocket.ABNF.OPCODE_TEXT:
                    continue
                event = json.loads(data)
                if event["type"] == "hello":
                    continue
                seqs.append(event["seq"])
                types.append(event["type"])
                if event["data"]["status"] in OVER:
                    return seqs, types, codes
        finally:
            ws.shutdown()


def follow_stream(farm, payment, opened):
    """The same by server-sent events, as a browser does it; it is told no codes, so there is a 0 for each end."""
    seqs, types, ends = [], [], []
    while True:
        headers = {"Authorization": f"Bearer {farm.key}", "Accept": "text/event-stream",
                   "Last-Event-ID": str(seqs[-1] if seqs else 0)}
        with contextlib.closing(http.client.HTTPConnection(farm.host, farm.port, timeout=60 * SLOW)) as c:
            c.request("GET", f"{V1}/payments/{payment}/events", headers=headers)
            r = c.getresponse()
            assert r.status == 200, (r.status, r.read())
            opened()
            for line in r:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                event = json.loads(value) if name == "data" else {}
                if "seq" not in event or event["type"] == "hello":
                    continue
                seqs.append(event["seq"])
                types.append(event["type"])
                if event["data"]["status"] in OVER:
                    return seqs, types, ends
        ends.append(0)


class Log:
    """Watches the merchant's whole log, over as many connections as it takes."""

    def __init__(self, farm):
        self.farm, self.positions, self.ends, self.over = farm, [], 0, False
        self.ws = self.open()

    def open(self):
        after = self.positions[-1] if self.positions else 0
        return websocket.create_connection(f"ws://{self.farm.host}:{self.farm.port}/ws/merchant?after={after}",
                                           timeout=60 * SLOW, header={"Authorization": f"Bearer {self.farm.key}"})

    def watch(self):
        while True:
            opcode, data = self.ws.recv_data(control_frame=True)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                self.ws.shutdown()
                if self.over:
                    return
                self.ends += 1
                self.ws = self.open()
            elif opcode == websocket.ABNF.OPCODE_TEXT and "position" in (event := json.loads(data)):
                self.positions.append(event["position"])

    def end(self):
        self.over = True
        self.ws.send_close()


class Crowd:
    """Threads, the first error of which is everybody's."""

    def __init__(self):
        self.threads, self.errors, self.stopped = [], [], threading.Event()

    def start(self, work, *args):
        def run():
            try:
                work(*args)
            except Exception as e:  # told by `end`, from the test's own thread
                self.errors.append(e)
                self.stopped.set()

        self.threads.append(threading.Thread(target=run, daemon=True))
        self.threads[-1].start()

    def end(self, deadline=60):
        until = time.monotonic() + deadline * SLOW
        for thread in self.threads:
            thread.join(max(0, until - time.monotonic()))
        if self.errors:
            raise self.errors[0]
        assert not any(t.is_alive() for t in self.threads), "somebody does not come to an end"


@pytest.fixture
def farm(stack):
    n = int(os.environ.get("RELI_TEST_REPLICAS", "2"))
    f = None
    try:
        f = Farm(stack.folder / "farm", n)
        f.n = n
        yield f
    finally:
        subprocess.run([ROOT / "scripts/replicas.sh", "reset"], stdin=subprocess.DEVNULL, timeout=120 * SLOW,
                       env=os.environ | {"RELI_REPLICAS_DIR": str(stack.folder / "farm")})


def test_replicas_are_replaced_under_load(farm):
    """Not one request fails, and every watcher sees the end of every payment, each event once."""
    crowd, watched, seen, made = Crowd(), queue.Queue(maxsize=16), {}, []
    client = Client(farm)
    patient = [client("POST", "/payments/initialize", cash(), new_key())["id"] for _ in range(3 * farm.n)]
    open_now = threading.Semaphore(0)
    log = Log(farm)
    watchers = Crowd()
    watchers.start(log.watch)

    def watch_one(payment, how):
        seen[payment] = how(farm, payment, open_now.release)

    def watch_many():
        while (payment := watched.get()) is not None:
            seen[payment] = follow(farm, payment)

    def pay(n):
        request, i = Client(farm), n
        while not crowd.stopped.is_set():
            i += 1
            payment = request("POST", "/payments/initialize", stk() if i % 2 else cash(), new_key())
            made.append(payment["id"])
            while not crowd.stopped.is_set():
                with contextlib.suppress(queue.Full):
                    watched.put(payment["id"], timeout=0.2)
                    break
            if payment["provider"] == "cash":
                request("POST", f"/payments/{payment['id']}/confirm", {})
            request("GET", f"/payments/{payment['id']}")

    for i, payment in enumerate(patient):
        crowd.start(watch_one, payment, follow_stream if i % 3 == 2 else follow)
    for _ in patient:
        assert open_now.acquire(timeout=20 * SLOW)
    for _ in range(6):
        watchers.start(watch_many)
    for n in range(4):
        crowd.start(pay, n)
    farm.script("roll")
    after = len(made)
    wait_until(lambda: crowd.errors or len(made) >= after + 20, 20, "the load goes on")
    crowd.stopped.set()
    for payment in patient:
        client("POST", f"/payments/{payment}/confirm", {})
    crowd.end()
    for payment in set(made) - set(seen):
        watched.put(payment, timeout=20 * SLOW)
    for _ in range(6):
        watched.put(None, timeout=20 * SLOW)
    made_of = set(made) | set(patient)
    wait_until(lambda: watchers.errors or set(seen) == made_of, 20, "every payment has been watched to its end")
    written = sum(len(seqs) for seqs, _, _ in seen.values())
    wait_until(lambda: watchers.errors or len(log.positions) >= written, 20, "the log is told to its end")
    log.end()
    watchers.end()

    for payment, (seqs, types, codes) in seen.items():
        assert seqs == list(range(1, len(seqs) + 1)), (payment, seqs, types, codes)
        assert types[-1] == "payment.completed" and set(codes) <= {0, 1001}, (payment, types, codes)
    assert all(seen[payment][2] for payment in patient), "each of them was led to another replica"
    assert log.positions == list(range(1, written + 1)) and log.ends >= 1
    sent = [c for c in json.loads(farm.json_of("RELI_SANDBOX_URL", "/_sandbox/callbacks?limit=10000"))["data"]]
    assert sent and all(c["http_status"] == 200 for c in sent), [c for c in sent if c["http_status"] != 200]
    counters = farm.counters()
    for name in (f"replica{i + 1}" for i in range(farm.n)):
        assert int(counters[name]["chkdown"]) >= 1 and int(counters[name]["hrsp_2xx"]) > 0, counters[name]
    for proof in (("ledger", "prove"), ("audit", "verify"), ("replay", "--verify")):
        farm.reli(*proof)
    farm.script("stop")
    for log in (farm.folder / "log").glob("*.log"):
        text = log.read_bytes()
        assert not SANITIZER.search(text) and b'"level":"error"' not in text, text[-3000:]
        assert not log.name.startswith("replica") or text.count(b'"event":"app.stopped"') == 2, "each ended by itself"

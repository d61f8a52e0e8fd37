"""What a run starts, breaks and ends: PostgreSQL, Redis, the sandbox, two replicas, the merchants' server, a fault
proxy on every link between them, and the clients."""

import base64
import contextlib
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time

import psycopg2
import psycopg2.extras

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
MASTER_KEY = "1:" + base64.b64encode(b"reli-crash-suite-master-key-32-b").decode()
JWT_KEY = "jwt-secret-of-the-crash-suite-0123456789"
PASSKEY = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"
INITIATOR_PASSWORD = "sandbox_initiator_password"
# What a test build does to the schedules: short enough to be met under load.
WEBHOOK_WAITS = ["1s", "2s", "4s", "20s", "2m"]
LATE_S = 8

_given = set()


def free_port():
    """Below what the kernel takes for connections that leave: one of these could be taken before it is wanted."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as s:
            if port not in _given and s.connect_ex(("127.0.0.1", port)) != 0:
                _given.add(port)
                return port


def until(predicate, seconds, what, every=0.05):
    end = time.monotonic() + seconds
    while True:
        found = predicate()
        if found:
            return found
        if time.monotonic() > end:
            raise RuntimeError(f"not within {seconds} s: {what}")
        time.sleep(every)


class Process:
    """A child that can die and be started again. Its log is appended to."""

    def __init__(self, command, log, env=None):
        self.command, self.log, self.env = [str(c) for c in command], pathlib.Path(log), env
        self.p = None
        self.stopped = False

    def start(self, **more):
        with open(self.log, "ab") as out:
            self.p = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out,
                                      stderr=subprocess.STDOUT, start_new_session=True,
                                      env=None if self.env is None else self.env | more)
        self.stopped = False
        return self

    def running(self):
        return self.p is not None and self.p.poll() is None

    def kill(self):
        if self.running():
            self.p.kill()
            self.p.wait()

    def stop(self):
        if self.running():
            self.p.send_signal(signal.SIGSTOP)
            self.stopped = True

    def go_on(self):
        if self.running() and self.stopped:
            self.p.send_signal(signal.SIGCONT)
        self.stopped = False

    def term(self, seconds=40):
        """Its exit code; None if it had to be killed."""
        self.go_on()
        if self.running():
            self.p.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.p.wait(seconds)
            self.kill()
            return None
        return self.p.returncode

    def tail(self, n=2000):
        return self.log.read_bytes()[-n:].decode(errors="replace")


class Helper:
    """A program of the suite that is told what to do on its standard input."""

    def __init__(self, folder, name, config):
        path = folder / f"{name}.json"
        path.write_text(json.dumps(config))
        self.log = open(folder / f"{name}.log", "ab")
        self.p = subprocess.Popen([sys.executable, "-B", HERE / f"{name}.py", path], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=self.log, text=True, start_new_session=True)

    def say(self, word):
        self.p.stdin.write(word + "\n")
        self.p.stdin.flush()

    def line(self):
        text = self.p.stdout.readline().strip()
        if not text:
            raise RuntimeError(f"{self.log.name}: " + pathlib.Path(self.log.name).read_text()[-2000:])
        return text

    def close(self):
        with contextlib.suppress(OSError):
            self.p.stdin.close()
        try:
            self.p.wait(5)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
        self.p.stdout.close()
        self.log.close()


class World:
    def __init__(self, folder, binary, seed, seconds):
        self.folder, self.binary, self.seed, self.seconds = pathlib.Path(folder), binary, seed, seconds
        self.clock, self.offset = self.folder / "clock", 0
        self.replicas, self.helpers = {}, []
        self.sandbox = self.proxy = self.load = None
        self.conn = None
        self.postmaster = None
        self.services("start")
        self.urls = dict(line.split("=", 1) for line in
                         (self.folder / "services.env").read_text().replace("'", "").splitlines())
        self.no_late_flush()
        self.sockets = pathlib.Path(self.urls["REDIS_URL"].removeprefix("unix://")).parent
        self.set_clock(0)

    # ---- services ----

    def services(self, what):
        done = subprocess.run([ROOT / "scripts/services.sh", what, self.folder], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"services.sh {what}: {done.stderr[-2000:]}")

    def no_late_flush(self):
        """What was committed without being flushed shall be lost when the server stops, not saved a moment later."""
        c = psycopg2.connect(self.urls["DATABASE_ADMIN_URL"])
        c.autocommit = True
        with c.cursor() as cursor:
            cursor.execute("alter system set wal_writer_delay = '10s'")
            cursor.execute("alter system set wal_writer_flush_after = '1GB'")
            cursor.execute("select pg_reload_conf()")
        c.close()

    def postgres_stop(self):
        """An immediate stop: as a crash of the server, but nothing of it stays behind."""
        pid = self.child_pid("postgres", str(self.sockets))
        if pid:
            os.kill(pid, signal.SIGQUIT)
            until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), 20, "PostgreSQL has stopped")

    def redis_kill(self):
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.sockets / "redis.pid").read_text())
            if str(self.sockets) in pathlib.Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGKILL)

    def redis_flush(self):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as s:
            s.settimeout(2)
            s.connect(str(self.sockets / "redis.sock"))
            s.sendall(b"FLUSHALL\r\n")
            s.recv(64)

    def child_pid(self, name, run):
        """The postmaster, by the directory that its pid file names."""
        base = (self.folder / "place").read_text().splitlines()[0]
        with contextlib.suppress(OSError, ValueError, IndexError):
            lines = pathlib.Path(base, "pg", "postmaster.pid").read_text().splitlines()
            pid = int(lines[0])
            if lines[4] == run and name in pathlib.Path(f"/proc/{pid}/comm").read_text():
                return pid
        return None

    def connection(self, role="reli_owner"):
        url = self.urls["DATABASE_MIGRATE_URL"].replace("reli_owner@", role + "@")
        return psycopg2.connect(url)

    def rows(self, statement, *params):
        if self.conn is None or self.conn.closed:
            self.conn = self.connection()
            self.conn.autocommit = True
        with self.conn.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as c:
            c.execute(statement, params)
            return [dict(r) for r in c.fetchall()]

    # ---- the clock ----

    def set_clock(self, offset):
        self.offset = offset
        new = self.clock.with_suffix(".new")
        new.write_text(f"{offset}s")
        os.replace(new, self.clock)

    def now(self):
        return time.time() + self.offset

    # ---- reli ----

    def environment(self):
        env = {k: v for k, v in os.environ.items()
               if not k.startswith(("RELI_", "MPESA_", "SANDBOX_", "DATABASE_", "REDIS_", "JWT_", "PG"))}
        return env | {
            "DATABASE_URL": self.urls["DATABASE_URL"], "REDIS_URL": self.urls["REDIS_URL"],
            "DATABASE_MIGRATE_URL": self.urls["DATABASE_MIGRATE_URL"], "RELI_MASTER_KEY": MASTER_KEY,
            "JWT_SECRET_KEY": JWT_KEY, "RELI_TEST_CLOCK": str(self.clock), "RELI_WEBHOOK_ALLOW_PRIVATE": "1",
            "RELI_WEBHOOK_SCHEDULE": ",".join(WEBHOOK_WAITS), "RELI_PROVIDER_TIMEOUT": "3s",
            "RELI_POLL_SCHEDULE": "2s,3s,5s,10s,20s,60s,120s,300s", "RELI_RATE_LIMIT": "50000/s burst 50000",
            "RELI_DRAIN_TIMEOUT": "8s", "RELI_PROVIDER_MODE": "test",
            "MPESA_CONSUMER_KEY": "sandbox_consumer_key", "MPESA_CONSUMER_SECRET": "sandbox_consumer_secret",
            "MPESA_SHORTCODE": "174379", "MPESA_PASSKEY": PASSKEY, "MPESA_INITIATOR_NAME": "testapi",
            "MPESA_INITIATOR_PASSWORD": INITIATOR_PASSWORD, "MPESA_CERTIFICATE": str(self.folder / "sandbox.pem"),
        }

    def cli(self, *args, check=True):
        done = subprocess.run([self.binary, *args], env=self.environment(), text=True, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=120)
        if check and done.returncode != 0:
            raise RuntimeError(f"reli {' '.join(args)}: exit {done.returncode}\n{done.stderr[-2000:]}")
        return done

    def words(self, *args):
        return dict(line.split("=", 1) for line in self.cli(*args).stdout.splitlines() if "=" in line)

    def call(self, port, method, path, body=None, key=None):
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            headers = {"Content-Type": "application/json"}
            if key is not None:
                headers["Authorization"] = "Bearer " + key
            c.request(method, path, None if body is None else json.dumps(body), headers)
            r = c.getresponse()
            return r.status, r.read()
        finally:
            c.close()

    def answers(self, port, path):
        try:
            return self.call(port, "GET", path)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def ready(self, seconds=90):
        for name, r in self.replicas.items():
            until(lambda r=r: self.answers(r.port, "/readyz"), seconds,
                  f"replica {name} is ready:\n{r.tail()}")

    # ---- the whole ----

    def open(self):
        self.cli("migrate")
        self.points = [line.split()[0] for line in
                       self.cli("version", "--crash-points", check=False).stdout.splitlines() if line.strip()]
        self.sandbox_port, self.receiver_port = free_port(), free_port()
        self.sandbox = Process([self.binary, "sandbox"], self.folder / "sandbox.log", self.environment() | {
            "RELI_SANDBOX_LISTEN": f"127.0.0.1:{self.sandbox_port}",
            "SANDBOX_MPESA_CERTIFICATE_OUT": str(self.folder / "sandbox.pem")}).start()
        links, names = [], ("a", "b")
        self.client_ports = {n: free_port() for n in names}
        for name in names:
            self.make_replica(name, links)
        self.webhook_port = free_port()
        links.append({"name": "receiver", "kind": "receiver", "listen": self.webhook_port, "to": self.receiver_port})
        self.proxy = self.helper("proxy", {"seed": self.seed, "links": links,
                                           "journal": str(self.folder / "faults.jsonl")})
        self.helper("receiver", {"seed": self.seed, "port": self.receiver_port,
                                 "journal": str(self.folder / "receiver.jsonl")})
        until(lambda: self.answers(self.sandbox_port, "/_sandbox/calls?limit=0"), 20, "the sandbox answers")
        for r in self.replicas.values():
            r.start()
        self.ready()
        self.calibrate()
        self.make_merchants()

    def helper(self, name, config):
        h = Helper(self.folder, name, config)
        self.helpers.append(h)
        if name != "load":
            h.line()
        return h

    def make_replica(self, name, links):
        port, provider, callback = free_port(), free_port(), free_port()
        sockets = self.folder / f"px-{name}"
        sockets.mkdir()
        sockets.chmod(0o755)
        links += [
            {"name": f"client-{name}", "kind": "client", "listen": self.client_ports[name], "to": port},
            {"name": f"provider-{name}", "kind": "provider", "listen": provider, "to": self.sandbox_port},
            {"name": f"callback-{name}", "kind": "callback", "listen": callback, "to": port},
            {"name": f"postgres-{name}", "kind": "postgres", "listen": str(sockets / ".s.PGSQL.5432"),
             "to": str(self.sockets / ".s.PGSQL.5432")},
            {"name": f"redis-{name}", "kind": "redis", "listen": str(sockets / "redis.sock"),
             "to": str(self.sockets / "redis.sock")},
        ]
        url = self.urls["DATABASE_URL"].partition("host=")[0] + "host=" + str(sockets).replace("/", "%2F")
        r = Process([self.binary, "serve"], self.folder / f"serve-{name}.log", self.environment() | {
            "DATABASE_URL": url, "REDIS_URL": f"unix://{sockets}/redis.sock",
            "RELI_LISTEN": f"127.0.0.1:{port}", "RELI_PUBLIC_URL": f"http://127.0.0.1:{callback}",
            "MPESA_BASE_URL": f"http://127.0.0.1:{provider}/mpesa"})
        r.port = port
        self.replicas[name] = r

    def calibrate(self):
        status, said = self.call(self.sandbox_port, "POST", "/_sandbox/chaos", {
            "delay_ms": 400, "timeout_delay_ms": 1500, "late_delay_s": LATE_S, "slow_answer_ms": 3500,
            "timestamp_tolerance_s": 0, "fail_rate": 5, "reset_rate": 5, "drop_answer_rate": 10,
            "callback_loss_rate": 20, "callback_dup_rate": 30, "answer_delay_ms": {"min": 0, "max": 30},
            "seed": self.seed % 2**31 or 1})
        if status != 200:
            raise RuntimeError(f"chaos: {said!r}")

    def make_merchants(self):
        self.merchants = []
        port = next(iter(self.replicas.values())).port
        hook = f"http://127.0.0.1:{self.webhook_port}"
        second = [("/well/second", ["*"]), ("/dead", ["payment.completed"])]
        for name, above, fees, endpoints in (("first", None, "1.5% + 20 cap 500", [("/well/first", ["*"])]),
                                             ("second", 150000, "2%; payer customer", second)):
            more = [] if above is None else ["--refund-approval-above", str(above)]
            made = self.words("merchant", "create", "--name", name, "--country", "KE", *more)
            self.cli("fees", "set", "--merchant", made["merchant_id"], "--currency", "KES", "--mode", "test",
                     "--schedule", fees)
            keys = [self.words("keys", "create", "--merchant", made["merchant_id"], "--mode", "test")["api_key"]
                    for _ in range(2)]
            m = {"id": made["merchant_id"], "secret": made["webhook_secret"], "endpoints": [],
                 "key": keys[0], "second_key": keys[1], "approval_above": above}
            for path, events in endpoints:
                status, said = self.call(port, "POST", "/api/v1/webhook-endpoints",
                                         {"url": hook + path, "events": events}, m["key"])
                if status != 201:
                    raise RuntimeError(f"webhook-endpoints: {said!r}")
                said = json.loads(said)
                m["endpoints"].append({"id": said["id"], "path": path, "events": events,
                                       "secret": said["secret"]})
            self.merchants.append(m)

    def load_config(self, threads):
        outcomes = json.loads(self.call(self.sandbox_port, "GET", "/_sandbox/outcomes")[1])["data"]
        return {"seed": self.seed, "seconds": self.seconds, "threads": threads, "watchers": 24,
                "merchants": self.merchants, "ports": list(self.client_ports.values()),
                "direct": [r.port for r in self.replicas.values()], "receiver": self.webhook_port,
                "endings": [o["suffix"] for o in outcomes], "first_phone": self.seed * 7919 % 90000,
                "journal": str(self.folder / "client.jsonl"), "frames": str(self.folder / "frames.jsonl")}

    def close(self):
        """Ends what it started, by process id."""
        for h in reversed(self.helpers):
            h.close()
        for p in [*self.replicas.values(), self.sandbox]:
            if p is not None:
                p.go_on()
                p.kill()
        if self.conn is not None:
            self.conn.close()
        self.services("reset")

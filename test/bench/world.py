"""What the bench runs and looks at: services, processes, their CPU and memory, load generators."""

import base64
import contextlib
import http.client
import json
import os
import pathlib
import random
import re
import resource
import signal
import socket
import subprocess
import time

import psycopg2
import psycopg2.extras

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "test/bench"
PASSKEY = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"

_given = set()


def free_port():
    """Below what the kernel takes for connections that leave: one of these could be taken before it is wanted."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as s:
            if port not in _given and s.connect_ex(("127.0.0.1", port)) != 0:
                _given.add(port)
                return port


def run(*command, **more):
    """A command to its end; its standard output."""
    done = subprocess.run([str(c) for c in command], text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, **more)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))[:200]}: exit {done.returncode}\n"
                           f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


# ---- what the kernel counts ----

def cpu_ns(pid):
    ns = 0
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            ns += int((task / "schedstat").read_text().split()[0])
    return ns


class Cpu:
    """CPU seconds that processes use from now on. Those that end meanwhile are not counted."""

    def __init__(self, pids):
        self.before = {pid: cpu_ns(pid) for pid in pids}

    def seconds(self):
        return sum(max(0, cpu_ns(pid) - ns) for pid, ns in self.before.items()) / 1e9


def children(pid):
    text = "".join(p.read_text() for p in pathlib.Path(f"/proc/{pid}/task").glob("*/children"))
    return [int(p) for p in text.split()]


def memory_kib(pid):
    """RssAnon and VmRSS."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return tuple(int(re.search(rf"^{name}:\s+(\d+) kB", text, re.M)[1]) for name in ("RssAnon", "VmRSS"))


# ---- processes ----

class Process:
    def __init__(self, command, log, env=None):
        self.log = pathlib.Path(log)
        with open(self.log, "ab") as out:
            self.p = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=out,
                                      stderr=subprocess.STDOUT, env=env, start_new_session=True)
        self.pid = self.p.pid

    def stop(self):
        if self.p.poll() is None:
            for _ in range(2):  # reli does not wait for balancers when it is told twice
                self.p.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.p.wait(0.2)  # two that wait together are one
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.p.wait(15)
            if self.p.poll() is None:
                self.p.kill()
                self.p.wait()

    def tail(self):
        return self.log.read_text(errors="replace")[-2000:]


class Server(Process):
    """A process that answers HTTP on 127.0.0.1."""

    def __init__(self, command, log, port, env=None, own_port=None):
        super().__init__(command, log, env)
        self.port = port
        self.own_port = own_port or port  # where nobody else answers, if `port` is shared

    def call(self, method, path, body=None, key=None, headers=None, port=None):
        """Status, headers, body."""
        c = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=20)
        try:
            send = dict(headers or {})
            if key is not None:
                send["Authorization"] = f"Bearer {key}"
            if body is not None:
                send["Content-Type"] = "application/json"
            c.request(method, path, body, send)
            r = c.getresponse()
            return r.status, r.getheaders(), r.read().decode()
        finally:
            c.close()

    def ready(self, path, seconds=15):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.call("GET", path, port=self.own_port)[0] == 200:
                    return self
            if self.p.poll() is not None:
                break
            time.sleep(0.002)
        raise RuntimeError(f"{path} does not answer:\n{self.tail()}")

    def metrics(self):
        return {name: float(value) for name, value in
                re.findall(r"^(\w+) ([\d.e+]+)$", self.call("GET", "/metrics", port=self.own_port)[2], re.M)}


class Database:
    def __init__(self, url):
        self.conn = psycopg2.connect(url, cursor_factory=psycopg2.extras.RealDictCursor)
        self.conn.autocommit = True

    def rows(self, statement, *params):
        with self.conn.cursor() as c:
            c.execute(statement, params or None)
            return [dict(r) for r in c.fetchall()] if c.description else None

    def one(self, statement, *params):
        (row,) = self.rows(statement, *params)
        return row

    def value(self, statement, *params):
        (value,) = self.one(statement, *params).values()
        return value


class World:
    """Everything that is started, and its end."""

    def __init__(self, folder, binary, tools):
        self.folder, self.binary, self.tools = pathlib.Path(folder), pathlib.Path(binary), pathlib.Path(tools)
        self.processes = []
        self.numbers = iter(range(1, 1000))
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
        self.max_files = limit[1]
        run(ROOT / "scripts/services.sh", "start", self.folder)
        self.urls = {}
        for line in (self.folder / "services.env").read_text().splitlines():
            name, _, value = line.partition("=")
            self.urls[name] = value.strip("'")
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("RELI_", "MPESA_", "DATABASE_", "REDIS_", "JWT_", "PG"))}
        self.env |= {k: v for k, v in self.urls.items() if k != "DATABASE_ADMIN_URL"} | {
            "RELI_MASTER_KEY": "1:" + base64.b64encode(bytes(range(32))).decode(),
            "JWT_SECRET_KEY": "a-secret-of-benches-0123456789-0123456789",
            # The limits stay on, but one key asks for more than any is allowed.
            "RELI_RATE_LIMIT": "50000/s burst 1000000", "RELI_RATE_LIMIT_WEBHOOKS": "50000/s burst 1000000",
            # Of all replicas: whichever is free takes what has to be sent again.
            "RELI_WEBHOOK_ALLOW_PRIVATE": "1", "RELI_WEBHOOK_SCHEDULE": ",".join(["300ms"] * 16),
            "MPESA_CONSUMER_KEY": "sandbox_consumer_key", "MPESA_CONSUMER_SECRET": "sandbox_consumer_secret",
            "MPESA_SHORTCODE": "174379", "MPESA_PASSKEY": PASSKEY}
        self.cli("migrate")
        self.db = Database(self.urls["DATABASE_MIGRATE_URL"])
        admin = self.admin()
        self.postmaster = int(admin.value("select pg_read_file('postmaster.pid')").split()[0])
        admin.conn.close()

    def admin(self):
        """Another connection, as PostgreSQL's own superuser."""
        return Database(self.urls["DATABASE_ADMIN_URL"])

    def postgres(self):
        """The processes of PostgreSQL."""
        return [self.postmaster, *children(self.postmaster)]

    def cli(self, *args):
        text = run(self.binary, *args, env=self.env)
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def shop(self):
        """A merchant's id and key."""
        merchant = self.cli("merchant", "create", "--name", "Bench", "--country", "KE")["merchant_id"]
        return merchant, self.cli("keys", "create", "--merchant", merchant, "--mode", "test")["api_key"]

    def start(self, process):
        self.processes.append(process)
        return process

    def serve(self, port=None, **more):
        """A replica that is ready. Its log, with the access log, goes to a file."""
        port = port or free_port()
        metrics = free_port()
        env = self.env | {"RELI_LISTEN": f"127.0.0.1:{port}", "RELI_METRICS_LISTEN": f"127.0.0.1:{metrics}",
                          "RELI_PUBLIC_URL": f"http://127.0.0.1:{port}"} | more
        return self.start(Server([self.binary, "serve"], self.log("serve"), port, env, metrics)).ready(
            "/readyz")

    def sandbox(self):
        port = free_port()
        env = self.env | {"RELI_SANDBOX_LISTEN": f"127.0.0.1:{port}"}
        return self.start(Server([self.binary, "sandbox"], self.log("sandbox"), port, env)).ready(
            "/_sandbox/calls?limit=0")

    def nginx(self, body, headers):
        ports = {f"{name}_PORT": str(free_port()) for name in ("HEALTH", "PUSH", "ANSWER")}
        words = ports | {
            "DIR": str(self.folder), "USER": "user root;" if os.getuid() == 0 else "", "BODY": body,
            "HEADERS": "\n".join(f"            add_header {k} \"{v}\";" for k, v in headers)}
        text = (HERE / "nginx.conf").read_text()
        for name, value in words.items():
            text = text.replace(f"@{name}@", value)
        conf = self.folder / "nginx.conf"
        conf.write_text(text)
        server = self.start(Server(["/usr/sbin/nginx", "-p", self.folder, "-c", conf, "-e",
                                    self.folder / "nginx-error.log"], self.log("nginx"),
                                   int(ports["HEALTH_PORT"])))
        server.push_port = int(ports["PUSH_PORT"])
        return server.ready("/health")

    def log(self, name):
        return self.folder / f"{name}-{next(self.numbers)}.log"

    def stop(self, process):
        process.stop()
        self.processes.remove(process)

    def close(self):
        for process in reversed(self.processes):
            process.stop()
        self.processes.clear()
        self.db.conn.close()

    # ---- load ----

    def wrk(self, server, connections, seconds, *args):
        """What load.lua prints, with the CPU that wrk itself took."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        text = run("wrk", "-t", 1, "-c", connections, "-d", f"{max(1, round(seconds))}s", "--timeout", "10s", "-s",
                   HERE / "load.lua", f"http://127.0.0.1:{server.port}", "--", *args)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = json.loads(text.strip().splitlines()[-1])
        found["cpu_s"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return checked(found, f"wrk {args[0]}")

    def pgbench(self, script, clients, seconds, variables=(), mode="prepared", url=None):
        """Transactions per second."""
        path = self.folder / f"script-{next(self.numbers)}.sql"
        path.write_text(script)
        env = self.env | {"PGOPTIONS": "-c plan_cache_mode=force_generic_plan -c jit=off"}
        text = run("pgbench", "-n", "-M", mode, "-c", clients, "-j", min(2, clients), "-T",
                   f"{max(1, round(seconds))}", "-f", path, *variables,
                   url or self.urls["DATABASE_URL"], env=env)
        if "number of failed transactions: 0 " not in text:
            raise RuntimeError(text)
        return float(re.search(r"^tps = ([\d.]+)", text, re.M)[1])

    def pace(self, server, connections, rate, seconds, request):
        text = run(self.tools / "pace", "127.0.0.1", server.port, connections, rate, seconds, request)
        return checked(json.loads(text), "pace")


def checked(found, what):
    """Numbers of answers that were errors are numbers of something else."""
    if found["status"] > 0 or found["lost"] > 0 or found["requests"] == 0:
        raise RuntimeError(f"{what}: {found}")
    found["rate"] = found["requests"] / found["seconds"]
    return found

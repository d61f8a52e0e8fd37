"""What the system tests share: processes, clients, the test clock, a receiver of webhooks.

Nothing here sleeps for its own sake: whoever waits, waits for something, by wait_until, with a
deadline that fails the test.
"""

import base64
import fcntl
import functools
import hashlib
import hmac
import http.client
import http.server
import itertools
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
V1 = "/api/v1"
PASSKEY = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"

# Sanitizers make everything slower; deadlines are for hangs, not for speed.
SLOW = float(os.environ.get("RELI_TEST_SLOW", "1"))


def scaled(standard):
    """A number of repetitions: RELI_TEST_SCALE is in per cent of the standard."""
    return max(1, int(standard * float(os.environ.get("RELI_TEST_SCALE", "100")) / 100))


@functools.cache
def npm_packages():
    """The folder in whose node_modules is what test/system/npm names; whoever comes first puts it there."""
    folder = (ROOT / os.environ.get("BUILD", "build") / "npm-test").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run([ROOT / "scripts/npm.sh", "test/system/npm", folder], check=True, timeout=600)
    return folder


# Nobody waits for less: a machine that has much else to do may be that late, and whoever is in time pays nothing for it.
PATIENCE = 30.0


def wait_until(predicate, deadline=PATIENCE, what="", every=0.02):
    """The first true value of predicate(), asked again and again; AssertionError at the deadline."""
    deadline = max(deadline, PATIENCE) * SLOW
    end = time.monotonic() + deadline
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"not within {deadline:g} s: {what or predicate}")
        time.sleep(every)


# ---- addresses and words ----

_reserved = []


def free_port():
    """A port that nobody else on this machine gets before this process ends. reli may listen on it, since it shares
    ports; without this the replicas of two workers did, and one answered for the other."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(("127.0.0.1", 0))
    _reserved.append(s)
    return s.getsockname()[1]


_numbers = itertools.count(int(time.time()) % 50000)


def phone(ending="000"):
    """A Kenyan number of its own; the ending chooses what the sandbox does with it."""
    return f"+2547{next(_numbers) % 100000:05d}{ending}"


def new_key():
    return str(uuid.uuid4())


def word(prefix="ref"):
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


# ---- HTTP ----


class Response:
    """An answer, read whole."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def header(self, name):
        return self.headers.get(name)

    getheader = header

    def read(self):
        return self.body

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The stable word of a problem."""
        assert self.header("Content-Type") == "application/problem+json", self
        return self.json["code"]

    def __repr__(self):
        return f"<{self.status} {self.body[:600]!r}>"


class Connection:
    """One keep-alive connection. A closed one is opened again for the next request only."""

    def __init__(self, host, port, timeout=30):
        self.args = (host, port, timeout)
        self.conn = None

    def request(self, method, path, body=None, headers=None):
        fresh = self.conn is None
        if fresh:
            host, port, timeout = self.args
            self.conn = http.client.HTTPConnection(host, port, timeout=timeout * SLOW)
        try:
            self.conn.request(method, path, body=body, headers=headers or {})
            r = self.conn.getresponse()
            out = Response(r.status, r.headers, r.read())
        except (OSError, http.client.HTTPException):
            self.close()
            if fresh or method != "GET":
                raise
            return self.request(method, path, body, headers)
        if r.will_close:
            self.close()
        return out

    def close(self):
        if self.conn is not None:
            self.conn.close()
            self.conn = None


class Site:
    """Somebody's HTTP API. Each request has a connection of its own."""

    def __init__(self, url):
        self.url = url
        parts = urllib.parse.urlsplit(url)
        self.host, self.port = parts.hostname, parts.port

    def request(self, method, path, body=None, headers=None, timeout=30):
        c = Connection(self.host, self.port, timeout)
        try:
            return c.request(method, path, body, headers)
        finally:
            c.close()

    def get(self, path, **kw):
        return self.request("GET", path, **kw)


class Shop(Site):
    """A merchant with an API key, talking to one replica."""

    def __init__(self, replica, merchant, secret, key):
        super().__init__(replica.url)
        self.replica = replica
        self.merchant = merchant
        self.webhook_secret = secret
        self.key = key

    def at(self, replica):
        """The same shop, talking to another replica."""
        return Shop(replica, self.merchant, self.webhook_secret, self.key)

    def with_key(self, key):
        return Shop(self.replica, self.merchant, self.webhook_secret, key)

    def headers(self, extra=None):
        out = {"Authorization": f"Bearer {self.key}"}
        out.update(extra or {})
        return {k: v for k, v in out.items() if v is not None}

    def request(self, method, path, body=None, headers=None, timeout=30):
        extra = {}
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if body is not None:
            extra["Content-Type"] = "application/json"
        extra.update(headers or {})
        return super().request(method, path, body, self.headers(extra), timeout)

    def post(self, path, body=None, **kw):
        return self.request("POST", path, body=body, **kw)

    def patch(self, path, body=None, **kw):
        return self.request("PATCH", path, body=body, **kw)

    def delete(self, path, **kw):
        return self.request("DELETE", path, **kw)

    # -- payments --

    def initialize(self, body, key=None, headers=None, **kw):
        h = dict(headers or {})
        if key is not None:
            h["Idempotency-Key"] = key
        return self.post(V1 + "/payments/initialize", body, headers=h, **kw)

    def pay(self, body=None, **fields):
        """A payment that must come into being."""
        r = self.initialize(body or cash(**fields), key=new_key())
        assert r.status in (201, 202), r
        return r.json

    def payment(self, payment_id):
        r = self.get(f"{V1}/payments/{payment_id}")
        assert r.status == 200, r
        return r.json

    def wait_status(self, payment_id, status, deadline=PATIENCE):
        states = [status] if isinstance(status, str) else status
        last = {}

        def there():
            last.update(self.payment(payment_id))
            return last["status"] in states

        try:
            wait_until(there, deadline, f"payment {payment_id} {states}")
        except AssertionError as e:
            raise AssertionError(f"{e}; it is {json.dumps(last)}") from None
        return last

    def endpoint(self, url, events=None):
        body = {"url": url}
        if events is not None:
            body["events"] = events
        r = self.post(V1 + "/webhook-endpoints", body)
        assert r.status == 201, r
        return r.json


def cash(**fields):
    return {"provider": "cash", "amount": "1000.00", "currency": "KES", **fields}


def stk(ending="000", **fields):
    number = fields.pop("phone", None) or phone(ending)
    out = {"provider": "mpesa", "amount": "100.00", "currency": "KES", "customer": {"phone": number}}
    out.update(fields)
    return out


# ---- raw bytes ----


def exchange(port, data, deadline=PATIENCE, close=False):
    """Sends these bytes and gives all that comes until the peer closes (or, with close, until it
    has answered what was sent after we shut our side). Fails if the connection hangs."""
    with socket.create_connection(("127.0.0.1", port), timeout=deadline * SLOW) as s:
        try:
            s.sendall(data)
            if close:
                s.shutdown(socket.SHUT_WR)
        except (ConnectionResetError, BrokenPipeError):
            pass  # answered early; what it said may still be there
        return read_all(s, deadline)


def read_all(s, deadline=PATIENCE):
    out = b""
    end = time.monotonic() + deadline * SLOW
    while True:
        left = end - time.monotonic()
        assert left > 0, f"the connection hangs after {out[:200]!r}"
        s.settimeout(left)
        try:
            chunk = s.recv(65536)
        except socket.timeout:
            raise AssertionError(f"the connection hangs after {out[:200]!r}") from None
        except ConnectionResetError:
            return out
        if not chunk:
            return out
        out += chunk


def answers(data):
    """The answers in a stream of bytes: (status, headers by lower-case name, body)."""
    out = []
    while data:
        head, gap, rest = data.partition(b"\r\n\r\n")
        assert gap, f"half an answer: {data[:200]!r}"
        lines = head.decode("latin-1").split("\r\n")
        status = int(re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", lines[0]).group(1))
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        n = 0 if status < 200 or status == 204 else int(headers.get("content-length", 0))
        out.append((status, headers, rest[:n]))
        assert len(rest) >= n, f"half a body: {data[:200]!r}"
        data = rest[n:]
    return out


# ---- webhooks ----


def secret_key(secret):
    assert secret.startswith("whsec_"), "a secret starts with whsec_"
    return base64.b64decode(secret[6:], validate=True)


def signature(secret, message_id, timestamp, body):
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(
        hmac.new(secret_key(secret), signed, hashlib.sha256).digest()).decode()


class Hook:
    """One webhook request, as it came."""

    def __init__(self, path, headers, body, at):
        self.path, self.headers, self.body, self.at = path, headers, body, at
        self.id = headers.get("webhook-id")
        self.timestamp = headers.get("webhook-timestamp")
        self.signatures = (headers.get("webhook-signature") or "").split(" ")

    @property
    def json(self):
        return json.loads(self.body)

    def signed_by(self, secret):
        return signature(secret, self.id, self.timestamp, self.body) in self.signatures

    def __repr__(self):
        return f"<{self.path} {self.id} {self.json.get('type')} {self.json.get('seq')}>"


class HttpServer(http.server.ThreadingHTTPServer):
    """With room for all who connect at once: the 5 of http.server make the next ones wait seconds."""
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *args):
        pass  # a client that was killed in the middle


class Receiver:
    """A merchant's server. `answers[path]` is what it says: a status, (status, headers), (status,
    headers, body), a list of those of which the last repeats, or a function of the Hook."""

    def __init__(self):
        self.lock = threading.Lock()
        self.hooks = []
        self.answers = {}
        self.released = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, headers, said = outer.got(Hook(self.path, self.headers, body, time.time()))
                if status is None:  # says nothing
                    outer.released.wait(60)
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *args):
                pass

        self.server = HttpServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def got(self, hook):
        with self.lock:
            self.hooks.append(hook)
            n = sum(1 for h in self.hooks if h.path == hook.path)
            answer = self.answers.get(hook.path, 200)
        if callable(answer):
            answer = answer(hook)
        if isinstance(answer, list):
            answer = answer[min(n, len(answer)) - 1]
        answer = answer if isinstance(answer, tuple) else (answer, {})
        return answer if len(answer) == 3 else (*answer, b"")

    def url(self, path="/hook"):
        return f"http://127.0.0.1:{self.port}{path}"

    def at(self, path="/hook", payment=None):
        with self.lock:
            return [h for h in self.hooks if h.path == path and
                    (payment is None or h.json["payment_id"] == payment)]

    def wait(self, n, path="/hook", payment=None, deadline=PATIENCE):
        wait_until(lambda: len(self.at(path, payment)) >= n, deadline, f"{n} webhooks at {path}")
        return self.at(path, payment)

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


# ---- time ----


class Clock:
    """The file of RELI_TEST_CLOCK. advance() returns when every process that shares it has seen it."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.offset = 0
        self.replicas = []
        self.write()

    def write(self):
        new = self.path.with_suffix(".new")
        new.write_text(f"{self.offset}s")
        os.replace(new, self.path)

    def now(self):
        return time.time() + self.offset

    def advance(self, seconds):
        self.offset += int(seconds)
        self.write()
        for r in self.replicas:
            if r.running():
                wait_until(lambda r=r: self.seen_by(r), what="the test clock is seen")

    def seen_by(self, replica):
        asked = self.now() - 0.1  # both are rounded
        try:
            return replica.time() >= asked
        except (OSError, http.client.HTTPException):
            return False  # time has jumped over this very request's deadline


# ---- processes ----

SANITIZER = re.compile(rb"(ERROR: (Address|Leak|Undefined)|SUMMARY: |runtime error:)")


class Process:
    """A program with a log; every one that was started is looked after by conftest."""

    def __init__(self, args, env, log):
        self.log = pathlib.Path(log)
        self.args = args
        self.killed = False
        with open(self.log, "ab") as out:
            self.p = subprocess.Popen(args, env=env, stdin=subprocess.DEVNULL, stdout=out,
                                      stderr=subprocess.STDOUT, cwd="/")

    def running(self):
        return self.p.poll() is None

    def tail(self, n=3000):
        return self.log.read_bytes()[-n:].decode(errors="replace")

    def logs(self):
        """The lines of its log as objects."""
        out = []
        for line in self.log.read_bytes().splitlines():
            try:
                out.append(json.loads(line))
            except ValueError:
                pass
        return out

    def kill(self):
        """SIGKILL: no time for anything."""
        self.killed = True
        if self.running():
            self.p.kill()
        self.p.wait(30 * SLOW)

    def term(self):
        if self.running():
            self.p.send_signal(signal.SIGTERM)

    def wait(self, timeout=40):
        return self.p.wait(timeout * SLOW)


class Replica(Process, Site):
    """One `reli serve`."""

    def __init__(self, binary, env, log, port, clock=None):
        Site.__init__(self, f"http://127.0.0.1:{port}")
        Process.__init__(self, [binary, "serve"], env, log)
        self.binary, self.env, self.clock = binary, env, clock
        self.staff = None  # who is logged in here and opens shops
        if clock is not None and self not in clock.replicas:
            clock.replicas.append(self)

    def ready(self):
        def there():
            assert self.running(), f"serve ended with {self.p.returncode}:\n{self.tail()}"
            try:
                return self.get("/readyz").status == 200
            except (OSError, http.client.HTTPException):
                return False

        try:
            wait_until(there, what="/readyz is 200")
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.tail()}") from None
        return self

    def time(self):
        """Wall time as the process sees it."""
        at = self.get(V1 + "/health/detailed").json["time"]
        return parse_time(at)

    def metrics(self):
        """Prometheus samples by name with labels."""
        r = self.get("/metrics")
        assert r.status == 200, r
        out = {}
        for line in r.text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                out[name] = float(value)
        return out


def parse_time(text):
    import datetime

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text), text
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Sandbox(Process, Site):
    """One `reli sandbox`."""

    def __init__(self, binary, env, log, port):
        Site.__init__(self, f"http://127.0.0.1:{port}")
        Process.__init__(self, [binary, "sandbox"], env, log)

    def ready(self):
        def there():
            assert self.running(), f"sandbox ended:\n{self.tail()}"
            try:
                return self.get("/_sandbox/calls?limit=1").status == 200
            except (OSError, http.client.HTTPException):
                return False

        wait_until(there, what="the sandbox answers")
        return self

    def chaos(self, **settings):
        r = self.request("POST", "/_sandbox/chaos", json.dumps(settings),
                         {"Content-Type": "application/json"})
        assert r.status == 200, r
        return r.json

    def firebase(self, what, **wishes):
        r = self.request("POST", f"/firebase/{what}", json.dumps(wishes), {"Content-Type": "application/json"})
        assert r.status == 200, r
        return r.json

    def id_token(self, **wishes):
        """An ID token of Firebase: claims=, without=, payload=, header=, signer= (gateways/sandbox/README.md)."""
        return self.firebase("_token", **wishes)["id_token"]

    def reset(self):
        """As at the start, but quick, and indifferent to the test clock."""
        r = self.request("POST", "/_sandbox/reset")
        assert r.status == 200, r
        self.chaos(delay_ms=100, timeout_delay_ms=300, timestamp_tolerance_s=0)

    def skip(self, seconds):
        """So much time goes by for the providers at once: whatever takes that long has happened, or does so now."""
        r = self.request("POST", f"/_sandbox/skip?s={seconds}")
        assert r.status == 200, r

    def calls(self, **filters):
        return self._list("calls", filters)

    def charges(self, **filters):
        return self._list("charges", filters)

    def callbacks(self, **filters):
        return self._list("callbacks", filters)

    def refunds(self, **filters):
        return self._list("refunds", filters)

    def _list(self, what, filters):
        filters.setdefault("limit", 10000)
        r = self.get(f"/_sandbox/{what}?" + urllib.parse.urlencode(filters))
        assert r.status == 200, r
        return r.json["data"]

    def pushes(self, number, accepted=None):
        """Pushes to this phone, as the provider has them."""
        calls = self.calls(op="push", phone=number.lstrip("+"))
        return [c for c in calls if accepted is None or c["accepted"] == accepted]

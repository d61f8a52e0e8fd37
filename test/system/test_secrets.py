"""Canaries: secrets and people's data of every kind go through a busy service, and are found neither in what it
writes (logs, errors, metrics) nor in what it keeps (PostgreSQL, Redis). What is sealed is sealed; what is hashed is
hashed."""

import base64
import glob
import json
import os
import re
import signal
import subprocess
import urllib.parse

import pytest
import redis
from helpers import PASSKEY, V1, Clock, Receiver, Shop, Site, cash, free_port, new_key, stk, wait_until, word
from people import Person, totp
from stack import Launcher, needs_redis
from test_websocket import Watch

MASTER = base64.b64encode(b"canary-master-key-of-32-bytes-!!").decode()
JWT = "canary-jwt-secret-0123456789-0123456789"
CARD = "4111111111111111"


class Canaries:
    """Words that must not be seen; each is looked for as it is, in hex and in base64."""

    def __init__(self):
        self.words = {}

    def add(self, what, value):
        assert len(value) >= 7, f"{what} would be found by chance"
        self.words[what] = value
        return value

    def found_in(self, data, but=()):
        low = data.lower()
        return [what for what, value in self.words.items() if what not in but
                and any(form in low for form in self.forms(value))]

    @staticmethod
    def forms(value):
        raw = value.encode()
        yield raw.lower()
        yield raw.hex().encode()
        yield urllib.parse.quote(value, safe="").encode().lower()
        for skip in range(3):  # base64 at each of its three alignments, without the characters that it shares
            text = base64.b64encode(b"x" * skip + raw)[(4 if skip else 0):]
            yield text[:len(text) // 4 * 4 - 4].lower()
            yield text.replace(b"+", b"-").replace(b"/", b"_")[:len(text) // 4 * 4 - 4].lower()


class Scene:
    """One life of everything."""

    def __init__(self, stack, replica, receiver, canaries):
        self.stack, self.replica, self.receiver, self.c = stack, replica, receiver, canaries
        self.errors = []  # bodies of refusals
        self.outputs = []  # of commands
        self.site = Site(replica.url)

    def command(self, *args, typed=""):
        done = subprocess.run([self.stack.binary, *args], env=self.replica.env, input=typed, text=True,
                              capture_output=True, timeout=60)
        assert done.returncode == 0, done
        self.outputs.append(done.stderr)
        return done.stdout

    def refused(self, answer, wanted=(400, 401, 403, 404, 409, 415, 422)):
        assert answer.status in wanted, answer
        self.errors.append(answer.body)
        return answer

    def play(self):
        self.shop()
        self.payments()
        self.providers()
        self.people()
        self.sockets()
        self.rubbish()

    def shop(self):
        c = self.c
        made = dict(line.split("=", 1) for line in self.command("merchant", "create", "--name", "A shop").splitlines()
                    if "=" in line)
        key = dict(line.split("=", 1) for line in self.command(
            "keys", "create", "--merchant", made["merchant_id"], "--mode", "test").splitlines())["api_key"]
        secret = c.add("default secret", made["webhook_secret"])
        self.shop_ = shop = Shop(self.replica, made["merchant_id"], secret, key)
        c.add("API key", key[12:])
        other = shop.post(V1 + "/api-keys", {"scopes": ["payments:read"]}).json
        c.add("restricted key", other["key"][12:])
        rotated = shop.post(f"{V1}/api-keys/{other['id']}/rotate", {"overlap": "0s"}).json
        c.add("rotated key", rotated["key"][12:])
        wait_until(lambda: shop.with_key(other["key"]).get(V1 + "/payments").status == 401, what="revoked")
        self.refused(shop.with_key(other["key"]).get(V1 + "/payments"))
        self.refused(shop.with_key(rotated["key"]).post(V1 + "/api-keys", {"scopes": ["*"]}))
        endpoint = shop.endpoint(self.receiver.url("/endpoint"))
        c.add("endpoint's secret", endpoint["secret"])
        again = shop.post(f"{V1}/webhook-endpoints/{endpoint['id']}/rotate-secret", {}).json
        c.add("endpoint's new secret", again["secret"])

    def payments(self):
        shop, c = self.shop_, self.c
        self.paid = []
        for i, ending in enumerate(("000", "001", "020", "026", "041", "049")):
            number = c.add(f"phone {ending}", f"25472286{i}{ending}")  # as providers take it
            c.add(f"national phone {ending}", number[3:])
            person = {"id": f"cust-{i}", "phone": "+" + number,
                      "email": c.add(f"e-mail {i}", f"canary{i}@bird.example"),
                      "name": c.add(f"name {i}", f"Kanarienvogel {i}")}
            answer = shop.initialize(stk(phone="+" + number) | {
                "customer": person, "callback_url": self.receiver.url("/own")}, key=new_key())
            assert answer.status in (201, 202), answer
            self.paid.append(answer.json)
            c.add(f"client token {i}", answer.json["client_token"])
        shop.wait_status(self.paid[0]["id"], "completed")
        shop.wait_status(self.paid[3]["id"], "in_reconciliation")
        self.receiver.wait(3, "/own")
        assert shop.post(f"{V1}/payments/{self.paid[0]['id']}/refund", {"amount": "10"}).status == 201
        number = c.words["phone 000"]
        for query in (f"phone=%2B{number}", "email=canary1%40bird.example", "external_id=cust-0"):
            shop.get(f"{V1}/customers?{query}")
        shop.get(f"{V1}/payments?customer_id=cust-0")
        shop.pay(cash(phone="+" + c.add("phone of cash", "254733900100"), name="Kanarienvogel 1"))

    def providers(self):
        """Accounts of one's own: good ones that are used, and such as are refused."""
        shop, c = self.shop_, self.c
        secret = c.add("own webhook secret", "whsec_" + word("canary").replace("-", ""))
        made = shop.post(V1 + "/providers/stripe/config", {
            "mode": "test", "is_active": False, "api_key": c.add("own provider key", "sk_test_" + "Canary" * 5),
            "webhook_secret": secret})
        assert made.status in (200, 201), made
        shop.get(V1 + "/providers/stripe/config")
        self.refused(shop.post(V1 + "/providers/stripe/config", {
            "mode": "test", "api_key": c.add("refused provider key", "sk_live_" + "Nightingale" * 3), "surprise": 1}))
        self.refused(shop.post(V1 + "/providers/mpesa/config", {
            "mode": "test", "api_key": "k",
            "api_secret": c.add("refused provider secret", "blackbird-in-the-dead-of-night"),
            "config": {"shortcode": "x", "passkey": PASSKEY}}))
        urls = shop.post(V1 + "/providers/mpesa/register-callbacks")
        if urls.status == 200:
            c.add("callback token", urls.json["confirmation_url"].rpartition("/")[2].partition(".")[0])

    def people(self):
        c, replica = self.c, self.replica
        email, password = c.add("person's e-mail", "warden@aviary.example"), c.add("password", "nightjar-at-dusk-77")
        self.command("admin", "create", "--email", email, "--role", "owner", "--merchant", self.shop_.merchant,
                     typed=password + "\n")
        person = Person.__new__(Person)
        Site.__init__(person, replica.url)
        person.replica, person.merchant, person.extra = replica, self.shop_.merchant, {}
        person.email, person.password = email, password
        person.login()
        c.add("access token", person.tokens["access"])
        c.add("refresh token", person.tokens["refresh"])
        wrong = c.add("wrong password", "a-goose-is-no-nightjar")
        self.refused(person.try_login(password=wrong))
        self.refused(person.try_login(email=c.add("unknown e-mail", "nobody@aviary.example")))
        secret = c.add("second factor", person.enrol())
        self.refused(person.try_login())
        self.refused(person.try_login(totp="000000"))
        person.login(totp=totp(secret, replica.time(), 1))
        self.refused(person.refresh("rrt_" + "0" * 72))
        old = c.add("second refresh token", person.tokens["refresh"])
        assert person.refresh().status == 200
        self.refused(person.refresh(old))  # reused
        self.refused(person.get(V1 + "/auth/me"))

    def sockets(self):
        shop, c, payment = self.shop_, self.c, self.paid[0]["id"]
        ticket = c.add("ticket", shop.post(V1 + "/ws/tickets", {"channel": f"transaction/{payment}"}).json["ticket"])
        for token in (ticket, c.words["client token 0"]):
            w = Watch(self.replica, f"/ws/transaction/{payment}?ticket={token}")
            w.frame()
            w.close()
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                   "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
        self.refused(self.site.get(f"/ws/transaction/{payment}?ticket={ticket}", headers=upgrade))

    def rubbish(self):
        """Secrets where they do not belong."""
        shop, site, c = self.shop_, self.site, self.c
        c.add("card number", CARD)
        number = c.words["phone 000"]
        for body in (cash(description=CARD), cash(metadata={"a": [CARD]}), cash(customer={"name": CARD}),
                     stk(phone=CARD), {"provider": CARD}):
            self.refused(shop.initialize(body))
        for body in (f'{{"phone": "+{number}", ', f'{{"phone": "+{number}"', f'["{CARD}"]', f'"{JWT}"',
                     json.dumps(stk(phone=f"+{number}99")), json.dumps(cash(amount=f"{number}.123", email=number)),
                     json.dumps(cash(callback_url=f"http://{number}@x/")), json.dumps(cash(email=f"{number} x"))):
            self.refused(shop.initialize(body))
        for path in (f"/nowhere/{JWT}", f"/nowhere?key={JWT}", f"{V1}/payments/{JWT}", f"{V1}/payments/+{number}",
                     f"{V1}/payments?status={JWT}", f"{V1}/webhooks/{JWT}", f"{V1}/cb/{JWT}"):
            for method in ("GET", "POST"):
                self.refused(shop.request(method, path), (400, 401, 404, 405, 415, 422))
        for credential in (f"Bearer {JWT}", f"Basic {JWT}", JWT, f"Bearer sk_test_{JWT}",
                           f"Bearer eyJhbGciOiJub25lIn0.{JWT}."):
            self.refused(site.get(V1 + "/payments", headers={"Authorization": credential}))
        self.refused(site.request("POST", V1 + "/webhooks/stripe", json.dumps({"card": CARD, "phone": number}),
                                  {"Content-Type": "application/json", "Stripe-Signature": f"t=1,v1={JWT}"}))
        shop.request("POST", V1 + "/payments/initialize", json.dumps(cash()), headers={
            "X-Request-Id": f"{number} {CARD}", "Idempotency-Key": c.add("key of a request", "canary-" + new_key())})


@pytest.fixture(scope="module")
def scene(stack):
    """Played once, and what it has left behind."""
    receiver, canaries = Receiver(), Canaries()
    stack.sandbox.reset()
    launcher = Launcher(stack, Clock(stack.folder / "clock-of-secrets"))
    replica = launcher.one(clock=False, RELI_LOG_LEVEL="debug", RELI_MASTER_KEY=f"canary:{MASTER}", JWT_SECRET_KEY=JWT)
    try:
        s = Scene(stack, replica, receiver, canaries)
        for what, name in (("consumer secret", "MPESA_CONSUMER_SECRET"),
                           ("initiator's password", "MPESA_INITIATOR_PASSWORD"), ("pass key", "MPESA_PASSKEY"),
                           ("CPay webhook secret", "CPAY_WEBHOOK_SECRET"),
                           ("Stripe webhook secret", "STRIPE_WEBHOOK_SECRET")):
            canaries.add(what, replica.env[name])
        canaries.add("CPay secret", replica.env["CPAY_API_KEY"].partition(":")[2])
        canaries.add("master key", MASTER)
        canaries.add("JWT secret", JWT)
        s.play()
        yield s
    finally:
        launcher.close()
        receiver.close()


def dump_of(database):
    program = sorted(glob.glob("/usr/lib/postgresql/*/bin/pg_dump"))[-1]
    done = subprocess.run([program, "--dbname", database.owner_url], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def held_by(client):
    """Everything in Redis: keys and values."""
    read = {b"string": client.get, b"hash": client.hgetall, b"set": client.smembers,
            b"list": lambda k: client.lrange(k, 0, -1), b"zset": lambda k: client.zrange(k, 0, -1, withscores=True)}
    out = b""
    for key in client.scan_iter(count=1000):
        out += key + b" " + repr(read[client.type(key)](key)).encode() + b"\n"
        out += b"" if client.type(key) != b"string" else (client.get(key) or b"") + b"\n"
    return out


def test_no_log_has_one(scene):
    last = word("the-last")
    scene.site.get("/livez", headers={"X-Request-Id": last})
    wait_until(lambda: last in scene.replica.log.read_text(), what="the log is written")
    text = scene.replica.log.read_bytes()
    assert text.count(b'"event":"http.request"') > 60 and b"security.event" in text
    assert scene.c.found_in(text) == []
    assert not re.search(rb"[0-9a-f]{96}", text), "a token"
    assert scene.c.found_in("\n".join(scene.outputs).encode()) == []


def test_no_error_has_one(scene):
    assert len(scene.errors) > 40
    for body in scene.errors:
        assert scene.c.found_in(body) == [], body


def test_no_page_about_the_service_has_one(scene):
    for path in ("/metrics", "/health", "/health/detailed", "/readyz", "/docs/errors", V1 + "/providers"):
        answer = scene.shop_.get(path)
        assert answer.status == 200 and scene.c.found_in(answer.body) == [], path


def test_the_database_has_none(scene):
    dump = dump_of(scene.replica.database)
    assert scene.paid[0]["id"].encode() in dump and b"security_event" in dump
    assert scene.c.found_in(dump, but=("key of a request",)) == []  # which is what requests are known again by


@needs_redis
def test_redis_has_none(scene):
    data = held_by(redis.Redis.from_url(scene.replica.env["REDIS_URL"]))
    assert b"reli:" in data
    assert scene.c.found_in(data) == []


def test_the_canaries_would_be_found():
    c = Canaries()
    c.add("secret", "a-secret-of-some-length")
    for form in (b"x a-secret-of-some-length x", b"\\x" + b"a-secret-of-some-length".hex().encode(),
                 base64.b64encode(b"a-secret-of-some-length"), base64.b64encode(b"{" + b"a-secret-of-some-length}"),
                 base64.b64encode(b"{\"" + b"a-secret-of-some-length\"}"), b"A-SECRET-OF-SOME-LENGTH"):
        assert c.found_in(form) == ["secret"], form
    assert c.found_in(b"a-secret-of-some-lengt") == []


@pytest.mark.parametrize("asked", ["1", None])
def test_a_process_keeps_its_memory(stack, tmp_path, asked):
    env = stack.base_env() | {"RELI_SANDBOX_LISTEN": f"127.0.0.1:{free_port()}"}
    env["ASAN_OPTIONS"] += ":disable_coredump=0"  # which sanitizers do by themselves
    if asked is not None:
        env["RELI_CORE_DUMPS"] = asked
    p = subprocess.Popen(["bash", "-c", 'ulimit -c unlimited; ulimit -c; exec "$0" sandbox', stack.binary], env=env,
                         cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    given = p.stdout.readline().decode().strip()
    while b"sandbox.listening" not in p.stderr.readline():
        assert p.poll() is None
    with open(f"/proc/{p.pid}/limits") as limits:
        (limit,) = [line.split()[4] for line in limits if line.startswith("Max core file size")]
    p.send_signal(signal.SIGTERM if asked else signal.SIGABRT)
    _, status = os.waitpid(p.pid, 0)
    p.returncode = 0
    p.communicate()
    assert limit == ("0" if asked is None else given)
    assert asked is not None or os.WIFSIGNALED(status) and not os.WCOREDUMP(status)

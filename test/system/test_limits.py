"""Limits on requests, over replicas that share a Redis and without it."""

import re
import signal
import socket
import threading
import time

import pytest
from helpers import V1, Connection, new_key, stk, wait_until
from stack import REDIS_OFF
from test_store import own_redis, redis_state  # noqa: F401  (own_redis is a fixture)

PATH = V1 + "/payments?limit=1"
RATE, BURST = 40, 60
LIMIT = f"{RATE}/s burst {BURST}"


class Crowd:
    """Clients who ask as fast as they can, each over a connection of its own to its own replica."""

    def __init__(self, shop, replicas, per_replica=3, path=PATH):
        self.shop, self.path, self.stop = shop, path, threading.Event()
        self.answers = []  # (when it was asked, when it was answered, status), of all
        self.errors = []
        self.threads = [threading.Thread(target=self.ask, args=(r,)) for r in replicas for _ in range(per_replica)]
        for t in self.threads:
            t.start()

    def ask(self, replica):
        c = Connection(replica.host, replica.port)
        try:
            while not self.stop.is_set():
                asked = time.monotonic()
                r = c.request("GET", self.path, headers=self.shop.headers())
                self.answers.append((asked, time.monotonic(), r.status))
                assert r.status == 200 or (r.status == 429 and int(r.header("Retry-After")) >= 1), r
        except Exception as e:  # noqa: BLE001  (told by end())
            self.errors.append(e)
        finally:
            c.close()

    def admitted(self):
        return sum(status == 200 for _, _, status in list(self.answers))

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(60)
        assert not self.errors, self.errors
        return self

    def eager(self):
        """They have asked for much more than there was; whom a busy machine gives no time may not have."""
        return sum(status == 429 for _, _, status in self.answers) > 2 * self.admitted()

    def since(self, when):
        """How many were admitted of what was asked after that, and in which time at most and at least."""
        mine = [a for a in self.answers if a[0] >= when]
        return (sum(a[2] == 200 for a in mine), max(a[1] for a in mine) - min(a[0] for a in mine),
                max(a[0] for a in mine) - min(a[1] for a in mine))


def alone(*replicas):
    """How often they have answered by themselves, because Redis did not in time."""
    return sum(v for r in replicas for m, v in r.metrics().items() if m.startswith("reli_rate_alone_total"))


def test_two_replicas_keep_one_limit(replicas, own_redis):  # noqa: F811
    one, two = replicas(2, clock=False, RELI_RATE_LIMIT=LIMIT, REDIS_URL=own_redis.url)
    wait_until(lambda: redis_state(one) == redis_state(two) == "ok", 10, "Redis is up")
    shop = replicas.shop(one)
    crowd = Crowd(shop, [one, two])
    wait_until(lambda: crowd.admitted() >= BURST + 2 * RATE, 30, "two seconds' worth")
    n, most, least = crowd.end().since(0)
    assert n <= BURST + RATE * most + (BURST // 2 if alone(one, two) else 0), (n, most)
    assert n >= 0.95 * (BURST + RATE * least) or not crowd.eager(), (n, least)
    for replica in (one, two):  # none of them alone
        assert any(m.startswith("reli_rate_leases_total") and v > 0 for m, v in replica.metrics().items())


def test_redis_dies_in_the_middle(replicas, own_redis):  # noqa: F811
    """Each goes on with its half, from the fill that it knew."""
    one, two = replicas(2, clock=False, RELI_RATE_LIMIT=LIMIT, REDIS_URL=own_redis.url)
    wait_until(lambda: redis_state(one) == redis_state(two) == "ok", 10, "Redis is up")
    shop = replicas.shop(one)
    # the replica that came first has to hear of the second one: its next heartbeat
    wait_until(lambda: replicas.database.value("select count(*) from reli.replica where seen_at > started_at "
                                               "+ interval '0.5 s'") == 2, 30, "both have beaten again")
    crowd = Crowd(shop, [one, two])
    wait_until(lambda: crowd.admitted() >= BURST + RATE, 30, "a second's worth")
    own_redis.signal(signal.SIGKILL)
    killed = time.monotonic()
    before = crowd.admitted()
    wait_until(lambda: crowd.admitted() >= before + 2 * RATE, 30, "two seconds' worth without Redis")
    all_of_it = crowd.end().since(0)
    assert all_of_it[0] <= BURST + RATE * all_of_it[1] + BURST // 2, all_of_it
    n, most, least = crowd.since(killed)
    assert n <= RATE * most + BURST // 2, (n, most)
    assert n >= 0.95 * RATE * least - 5 or not crowd.eager(), (n, least)
    assert alone(one, two) > RATE


def test_the_headers_and_what_lies_over_the_limit(replicas):
    one = replicas.one(clock=False, RELI_RATE_LIMIT="2/m burst 3")
    shop, other = replicas.shop(one), replicas.shop(one)
    if not REDIS_OFF:  # without it one replica counts for itself
        wait_until(lambda: redis_state(one) == "ok", 10, "Redis is up")
    for left in (2, 1, 0):
        r = shop.get(PATH)
        assert r.status == 200 and r.header("RateLimit-Policy") == '"api";q=3;w=90', r.headers
        found = re.fullmatch(r'"api";r=(\d);t=(\d+)', r.header("RateLimit"))
        assert int(found[1]) == left and 0 < int(found[2]) <= 30 * (3 - left), r.headers
    r = shop.initialize({"provider": "cash", "amount": "1", "currency": "KES"}, key=new_key())
    assert r.status == 429 and r.code == "rate_limited", r
    assert 0 < int(r.header("Retry-After")) <= 30
    assert r.header("RateLimit-Policy") == '"api";q=3;w=90'
    assert r.header("RateLimit").startswith('"api";r=0;t=')
    # a refusal is an answer to one who is known, too; and another key has a limit of its own
    r = other.get(V1 + "/payments/no-such-id")
    assert r.status == 404 and r.header("RateLimit") is not None, r
    assert shop.get("/health").status == 200
    assert shop.get("/health").header("RateLimit") is None
    assert replicas.database.value("select count(*) from reli.payment") == 0
    wait_until(lambda: replicas.database.value(
        "select count(*) from reli.security_event where kind = 'rate_limited'") > 0, 10, "it was noted")


def test_who_watches_counts_too(replicas):
    """A handshake reads as much as a request does: of a key it counts with its requests, of a client token by itself."""
    replica = replicas.one(RELI_RATE_LIMIT="1/h burst 5", RELI_RATE_LIMIT_WEBHOOKS="0")
    shop = replicas.shop(replica)
    p = shop.pay(stk())
    handshake = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                 "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    path = f"/ws/transaction/{p['id']}"

    def opened(query, headers=None):
        with socket.create_connection((replica.host, replica.port), timeout=30) as s:
            lines = [f"{k}: {v}" for k, v in (handshake | {"Host": "x"} | (headers or {})).items()]
            s.sendall("\r\n".join([f"GET {path}{query} HTTP/1.1", *lines, "", ""]).encode())
            return int(s.recv(12)[9:])

    assert [opened("?ticket=" + p["client_token"]) for _ in range(6)] == [101] * 5 + [429]
    stream = replica.request("GET", f"{V1}/payments/{p['id']}/events?ticket={p['client_token']}", None,
                             {"Accept": "text/event-stream"})
    assert stream.status == 429 and int(stream.header("Retry-After")) > 0, stream
    assert [opened("", shop.headers()) for _ in range(5)] == [101] * 4 + [429]  # one was the payment
    assert shop.get(PATH).status == 429


def test_wrong_credentials_count_by_address(replicas, own_redis):  # noqa: F811
    one = replicas.one(clock=False, RELI_RATE_LIMIT="1/h burst 5", REDIS_URL=own_redis.url)
    shop = replicas.shop(one)
    wait_until(lambda: redis_state(one) == "ok", 10, "Redis is up")
    wrong = shop.with_key("sk_test_" + "0" * 48)
    bad = [wrong.get(PATH).status, wrong.with_key("rubbish").get(PATH).status,
           one.request("POST", V1 + "/cb/" + "0" * 96, "{}").status, one.get(PATH).status,
           wrong.get(PATH).status]
    assert bad == [401] * 5
    r = wrong.get(PATH)
    assert r.status == 429 and r.code == "rate_limited" and int(r.header("Retry-After")) > 60, r
    assert one.request("POST", V1 + "/cb/" + "0" * 96, "{}").status == 429
    assert shop.get(PATH).status == 429, "who shares the address of an attack, and was not known a second ago"


def test_genuine_callbacks_over_the_limit_may_come_again(replicas, own_redis):  # noqa: F811
    """503 before anything is stored; what is forged does not count."""
    one = replicas.one(RELI_RATE_LIMIT_WEBHOOKS="1/h burst 1", REDIS_URL=own_redis.url, RELI_POLL_SCHEDULE="1h")
    shop = replicas.shop(one)
    wait_until(lambda: redis_state(one) == "ok", 10, "Redis is up")
    for _ in range(3):
        assert one.request("POST", V1 + "/cb/" + "0" * 96, "{}").status == 401
    paid = [shop.pay(stk()) for _ in range(2)]
    wait_until(lambda: one.metrics().get('reli_rate_limited_total{class="provider"}') == 1, 15, "one is refused")
    wait_until(lambda: sorted(shop.payment(p["id"])["status"] for p in paid) == ["completed", "processing"], 15,
               "the one that was taken")
    assert replicas.database.value("select count(*) from reli.provider_event") == 1

    def said():
        return sorted(line["status"] for line in one.logs()
                      if line.get("event") == "http.request" and "/cb/" in line["route"])

    wait_until(lambda: said() == [200, 401, 401, 401, 503], 10, "what each callback was told")


@pytest.mark.parametrize("value", ["100", "100/d", "60000/s", "100/s burst 0", "100/s burst", "-1", "off"])
@pytest.mark.parametrize("name", ["RELI_RATE_LIMIT"])
def test_what_is_no_limit(stack, db, name, value):
    done = stack.cli(db, "serve", **{name: value})
    assert done.returncode == 2 and name in done.stderr and "burst 50" in done.stderr, done

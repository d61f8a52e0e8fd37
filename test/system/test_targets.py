"""Where a merchant may not send us: registered, stored, or behind a name, in whatever spelling, no packet leaves."""

import socket
import threading

import pytest
from helpers import PASSKEY, V1, cash, stk, wait_until

ENDPOINTS = V1 + "/webhook-endpoints"
DOOR = 8443  # the one that endpoints may have and that needs no rights to open

RANGES = ["0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.254", "100.64.0.1", "100.127.255.254", "127.0.0.1",
          "127.255.255.254", "169.254.1.1", "169.254.169.254", "172.16.0.1", "172.31.255.254", "192.0.0.1", "192.0.2.1",
          "192.88.99.1", "192.168.0.1", "192.168.255.254", "198.18.0.1", "198.19.255.254", "198.51.100.1", "203.0.113.1",
          "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
          "[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "[0000:0000:0000:0000:0000:0000:0000:0001]", "[fe80::1]", "[febf::1]",
          "[fec0::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[2001:db8::1]", "[100::1]", "[4000::1]", "[5f00::1]",
          "[3fff::1]", "[2001:2::1]", "[2001:20::1]"]
CARRIED = ["[::127.0.0.1]", "[::7f00:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::FFFF:10.0.0.1]",
           "[::ffff:169.254.169.254]", "[::ffff:8.8.8.8]", "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]",
           "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2002:a00:1::1]",
           "[2001:0:7f00:1::]", "[2001:0:4136:e378:8000:63bf:80ff:fffe]"]
NUMBERS = ["0", "1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0X7F.1", "0x7f.0.0.1", "0x7f.0x0.0x0.0x1",
           "017700000001", "0177.0.0.1", "0177.1", "00000177.0.0.1", "127.0x1", "3232235777", "2852039166", "0xa9fea9fe",
           "0251.0376.0251.0376", "10.1", "0xa.1", "4294967295"]
ODD = ["127.0.0.1.", "2130706433.", "%31%32%37.0.0.1", "127%2e0%2e0%2e1", "127.0.0.%31", "localhost", "LOCALHOST",
       "localhost.", "a.localhost", "loc%61lhost", "printer.local", "metadata.google.internal", "router.home.arpa",
       "intranet", "1.2.3.4.5", "256.0.0.1", "[fe80::1%25lo]", "[127.0.0.1]", "shop.example@127.0.0.1",
       "127.0.0.1@shop.example", "user:pw@shop.example", "127.0.0.1%00.shop.example", "127.0.0.1%0a.shop.example",
       "shop.example\\@127.0.0.1", "127.0.0.1\\.shop.example", "127.0.0.1 ", "１２７.0.0.1", "127。0。0。1", "①②⑦.0.0.1",
       "ｌｏｃａｌｈｏｓｔ", "b\u00fccher.example"]
WHOLE = ["http://shop.example/", "http://127.0.0.1/", "https:///127.0.0.1/", "https:127.0.0.1/", "https:/127.0.0.1/",
         "https:\\\\127.0.0.1\\", "//127.0.0.1/", "ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1:6379/_PING",
         "dict://127.0.0.1:11211/", "unix:/run/postgresql/.s.PGSQL.5432", "http+unix://%2frun%2fdocker.sock/",
         "https://shop.example#@127.0.0.1/", "https://127.0.0.1#.shop.example/", "https://shop.example:22/",
         "https://shop.example:6379/", "https://shop.example:0/", "https://shop.example:65536/", "https://::1/",
         "https://[::1", "javascript:alert(1)", "https://127.0.0.1\n/"]
SPELLINGS = [f"https://{host}:{DOOR}/hook" for host in RANGES + CARRIED + NUMBERS + ODD] + \
    [f"https://{host}/" for host in ("127.0.0.1", "[::1]", "169.254.169.254", "2130706433")] + WHOLE


class Trap:
    """Whoever knocks at the door of this machine, by whatever address of it."""

    def __init__(self):
        self.seen = []
        self.lock = threading.Lock()
        self.server = socket.create_server(("::", DOOR), family=socket.AF_INET6, dualstack_ipv6=True)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                s, peer = self.server.accept()
            except OSError:
                return
            with self.lock:
                self.seen.append(peer)
            s.close()

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


@pytest.fixture
def trap():
    t = Trap()
    yield t
    t.close()


@pytest.fixture(scope="module")
def strict(stack):
    """A replica that may not call private addresses."""
    replica = stack.serve(stack.database(), RELI_WEBHOOK_ALLOW_PRIVATE=None).ready()
    yield replica
    stack.leave(replica)


def params(r):
    assert r.status == 422 and r.code == "validation_failed", r
    return {e["param"] for e in r.json["errors"]}


def paybill(base_url):
    return {"api_key": "k", "api_secret": "s", "mode": "test",
            "config": {"base_url": base_url, "shortcode": "174379", "passkey": PASSKEY}}


def test_none_can_be_registered(stack, strict, trap):
    assert len(SPELLINGS) == len(set(SPELLINGS)) >= 80
    shop = stack.shop(strict)
    kept = shop.endpoint("https://hooks.shop.example/kept")
    for url in SPELLINGS:
        assert params(shop.post(ENDPOINTS, {"url": url})) == {"url"}, url
        assert params(shop.patch(f"{ENDPOINTS}/{kept['id']}", {"url": url})) == {"url"}, url
        assert params(shop.initialize(cash(callback_url=url))) == {"callback_url"}, url
        assert params(shop.post(f"{V1}/providers/mpesa/config", paybill(url))) == {"config.base_url"}, url
    assert [e["url"] for e in shop.get(ENDPOINTS).json["data"]] == [kept["url"]]
    assert trap.seen == []


def deliver_to(shop, database, urls):
    """Puts these into the table, as if the rules had been others before, and lets a payment's event go to them.
    The tries: by URL."""
    ids = sorted(e["id"] for e in shop.get(ENDPOINTS).json["data"])
    ids += [shop.endpoint("https://hooks.shop.example/", ["payment.initiated"])["id"]
            for _ in range(min(len(urls), 15) - len(ids))]
    seen = {}
    for at in range(0, len(urls), len(ids)):
        group = dict(zip(ids, urls[at:at + len(ids)]))
        database.rows("update reli.webhook_endpoint set status = 'enabled', failing_since = null")
        for endpoint, url in group.items():
            database.rows("update reli.webhook_endpoint set url = %s where id = %s", url, endpoint)
        p = shop.pay()

        def tried(p=p):
            rows = database.rows("select endpoint_id, last_http, last_error from reli.webhook_delivery "
                                 "where payment_id = %s and tries > 0", p["id"])
            return rows if len(rows) == len(ids) else None

        for d in wait_until(tried, 30, "a try at each"):
            if d["endpoint_id"] in group:
                seen[group[d["endpoint_id"]]] = d
    return seen


def refused(tries):
    return {url: d for url, d in tries.items()
            if d["last_http"] or d["last_error"] not in ("address not allowed", "cannot be sent",
                                                                     "the name does not resolve")}


def test_none_is_called_even_if_it_is_stored(replicas, trap):
    lax = replicas.one(clock=False, RELI_WEBHOOK_ALLOW_PRIVATE="1")
    shop = replicas.shop(lax)
    database = lax.database
    # that the trap is one: with private addresses allowed, the packet comes
    deliver_to(shop, database, [f"https://127.0.0.1:{DOOR}/hook"])
    wait_until(lambda: trap.seen, 10, "somebody knocks")
    lax.kill()
    database.rows("delete from reli.job")
    strict = replicas.one(clock=False, RELI_WEBHOOK_ALLOW_PRIVATE=None)
    trap.seen.clear()
    shop = shop.at(strict)
    names = [f"https://{host}:{DOOR}/hook" for host in (socket.gethostname(), "localhost.localdomain", "ip6-localhost")]
    tries = deliver_to(shop, database, SPELLINGS + names)
    assert len(tries) == len(SPELLINGS) + len(names)
    assert refused(tries) == {}
    assert trap.seen == []
    # a payment's own address, stored likewise
    p = shop.pay(callback_url="https://hooks.shop.example/")
    database.rows("update reli.payment set callback_url = %s where id = %s", f"https://127.0.0.1:{DOOR}/hook", p["id"])
    database.rows("delete from reli.webhook_endpoint")
    assert shop.post(f"{V1}/payments/{p['id']}/confirm", {}).status == 200
    wait_until(lambda: database.rows(
        "select 1 from reli.webhook_delivery where payment_id = %s and event_type = 'payment.completed' and tries > 0",
        p["id"]), 30, "a try")
    assert trap.seen == []


def test_no_provider_is_asked_there(replicas, trap):
    """A merchant's own account names the provider's host: stored while that was allowed, not called any more."""
    lax = replicas.one(clock=False, RELI_WEBHOOK_ALLOW_PRIVATE="1")
    shops = {}
    for url in (f"https://127.0.0.1:{DOOR}", f"https://[::ffff:127.0.0.1]:{DOOR}", f"https://localhost:{DOOR}",
                f"https://{socket.gethostname()}:{DOOR}"):
        shops[url] = replicas.shop(lax)
        r = shops[url].post(f"{V1}/providers/mpesa/config", paybill(url))
        assert r.status == 201, r
    first = shops[f"https://127.0.0.1:{DOOR}"]
    first.pay(stk())
    wait_until(lambda: trap.seen, 10, "somebody knocks")
    lax.kill()
    lax.database.rows("delete from reli.job")
    strict = replicas.one(clock=False, RELI_WEBHOOK_ALLOW_PRIVATE=None)
    trap.seen.clear()
    for url, shop in shops.items():
        p = shop.at(strict).pay(stk())
        assert shop.at(strict).wait_status(p["id"], "failed", 20)["failure"]["code"], url
    assert trap.seen == []
    assert replicas.sandbox.calls(op="push") == []


def test_redirects_lead_nowhere(reli, receiver, trap):
    for n, (status, to) in enumerate(((301, f"https://127.0.0.1:{DOOR}/"), (302, receiver.url("/elsewhere")),
                                      (303, "/elsewhere"), (307, f"//127.0.0.1:{receiver.port}/elsewhere"),
                                      (308, "http://169.254.169.254/"), (300, "file:///etc/passwd"))):
        receiver.answers[f"/{n}"] = (status, {"Location": to})
        reli.endpoint(receiver.url(f"/{n}"), ["payment.initiated"])
    p = reli.pay()
    for n in range(6):
        receiver.wait(1, f"/{n}", p["id"])
    wait_until(lambda: len([d for d in reli.get(V1 + "/webhook-deliveries").json["data"]
                            if d["tries"] == 1 and 300 <= (d["last_http_status"] or 0) < 400]) == 6, 10, "all failed")
    assert receiver.at("/elsewhere") == [] and trap.seen == []

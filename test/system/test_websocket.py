"""Live events over WebSockets."""

import concurrent.futures
import json

import pytest
import websocket
from helpers import PATIENCE, SLOW, V1, stk, wait_until


class Watch:
    """One WebSocket. A frame that does not come in time fails the test."""

    def __init__(self, replica, path, **kw):
        self.ws = websocket.create_connection(replica.url.replace("http", "ws") + path, timeout=PATIENCE * SLOW, **kw)

    def frame(self, deadline=PATIENCE):
        self.ws.settimeout(deadline * SLOW)
        return json.loads(self.ws.recv())

    def events(self, n, deadline=PATIENCE):
        return [self.frame(deadline) for _ in range(n)]

    def close_code(self, deadline=PATIENCE):
        self.ws.settimeout(deadline * SLOW)
        while True:
            opcode, data = self.ws.recv_data(control_frame=True)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return int.from_bytes(data[:2], "big")

    def nothing(self, seconds):
        """No frame comes within this time."""
        self.ws.settimeout(seconds)
        try:
            frame = self.ws.recv()
        except websocket.WebSocketTimeoutException:
            return True
        raise AssertionError(f"unexpected: {frame!r}")

    def close(self):
        self.ws.close(timeout=2)


def watch(shop, payment_id, query="", replica=None, **kw):
    kw.setdefault("header", {"Authorization": f"Bearer {shop.key}"})
    return Watch(replica or shop.replica, f"/ws/transaction/{payment_id}{query}", **kw)


def refused(shop, path, **kw):
    with pytest.raises(websocket.WebSocketBadStatusException) as e:
        Watch(shop.replica, path, **kw)
    return e.value.status_code


def hello(payment_id, seq):
    return {"type": "hello", "channel": f"transaction/{payment_id}", "seq": seq}


def confirm(shop, p):
    assert shop.post(f"{V1}/payments/{p['id']}/confirm", {}).status == 200


def test_a_payment_from_its_beginning(reli, sandbox):
    sandbox.chaos(delay_ms=60_000)
    p = reli.pay(stk())
    w = watch(reli, p["id"])
    assert w.frame() == hello(p["id"], 2)
    sandbox.skip(60)
    events = w.events(3)
    assert [(e["seq"], e["type"]) for e in events] == [
        (1, "payment.initiated"), (2, "payment.processing"), (3, "payment.completed")]
    assert [e["data"]["status"] for e in events] == ["pending", "processing", "completed"]
    for e in events:
        assert list(e) == ["id", "type", "seq", "timestamp", "mode", "payment_id", "data"]
        assert e["payment_id"] == e["data"]["id"] == p["id"]
    assert events[2]["data"]["provider_receipt"] and events[2]["data"]["customer"]["phone"]
    w.close()


def test_after(reli):
    p = reli.pay()
    confirm(reli, p)
    for after, seqs in ((0, [1, 2, 3]), (1, [2, 3]), (2, [3]), (3, [])):
        w = watch(reli, p["id"], f"?after={after}")
        assert w.frame() == hello(p["id"], 3)
        assert [e["seq"] for e in w.events(len(seqs))] == seqs
        assert w.nothing(0.2)
        w.close()


def test_the_other_name_of_the_route(reli):
    p = reli.pay()
    w = Watch(reli.replica, f"{V1}/ws/transaction/{p['id']}?after=2",
              header={"Authorization": f"Bearer {reli.key}"})
    assert w.frame() == hello(p["id"], 2)
    confirm(reli, p)
    assert w.frame()["type"] == "payment.completed"
    w.close()


def test_the_same_event_as_webhooks_have(reli, receiver):
    reli.endpoint(receiver.url())
    p = reli.pay(customer={"name": "Ann", "phone": "+254700000001"})
    w = watch(reli, p["id"])
    w.frame()
    seen = {e["seq"]: e for e in w.events(2)}
    for hook in receiver.wait(2):
        assert hook.json == seen[hook.json["seq"]]
    w.close()


def test_another_replica(replicas):
    """Trap 10 aside: what one replica commits the others' watchers see at once."""
    one, two = replicas(2, clock=False)
    shop = replicas.shop(one)
    made = [shop.pay() for _ in range(10)]
    watches = [watch(shop, p["id"], "?after=2", replica=two) for p in made]
    for p, w in zip(made, watches):
        assert w.frame() == hello(p["id"], 2)
    for p in made:
        confirm(shop, p)
    for p, w in zip(made, watches):
        e = w.frame()
        assert (e["payment_id"], e["seq"], e["type"]) == (p["id"], 3, "payment.completed")
    for w in watches:
        w.close()


def test_another_replica_without_redis(replicas):
    """A replica with subscribers reads their events every second."""
    one, two = replicas(2, clock=False, REDIS_URL=None)
    shop = replicas.shop(one)
    p = shop.pay()
    w = watch(shop, p["id"], "?after=2", replica=two)
    assert w.frame() == hello(p["id"], 2)
    confirm(shop, p)
    assert w.frame()["seq"] == 3
    w.close()


def test_many_watchers_of_one_payment(reli):
    p = reli.pay()
    watches = [watch(reli, p["id"], "?after=2") for _ in range(30)]
    for w in watches:
        assert w.frame()["type"] == "hello"
    confirm(reli, p)
    for w in watches:
        assert w.frame()["seq"] == 3
    watches[0].close()
    for w in watches[1:]:
        w.ws.shutdown()


def test_nothing_is_missed_between_hello_and_live(reli):
    """A watcher that joins while the payment moves sees each event exactly once."""
    def one(_):
        p = reli.pay()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            done = pool.submit(confirm, reli, p)
            w = watch(reli, p["id"])
            assert w.frame()["type"] == "hello"
            seqs = [e["seq"] for e in w.events(3)]
            done.result()
        w.close()
        return seqs

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for seqs in pool.map(one, range(40)):
            assert seqs == [1, 2, 3]


# ---- who may watch ----


def test_client_token(reli):
    p, other = reli.pay(), reli.pay()
    path = f"/ws/transaction/{p['id']}?ticket="
    w = Watch(reli.replica, path + p["client_token"])
    assert w.frame() == hello(p["id"], 2)
    w.close()
    w = Watch(reli.replica, path + p["client_token"])
    assert w.frame() == hello(p["id"], 2), "as often as one likes"
    w.close()
    assert refused(reli, path + other["client_token"]) == 401
    assert refused(reli, path + p["client_token"][:-1]) == 401
    assert refused(reli, path) == 401


def test_a_client_token_ends_an_hour_after_its_payment(replicas, clock):
    shop = replicas.shop(replicas.one())
    p = shop.pay()
    path = f"/ws/transaction/{p['id']}?ticket={p['client_token']}"
    clock.advance(7 * 86400 + 3500)
    w = Watch(shop.replica, path)
    assert w.frame()["type"] == "hello"
    w.close()
    clock.advance(200)
    assert refused(shop, path) == 401


def ticket(shop, payment_id):
    r = shop.post(V1 + "/ws/tickets", {"channel": f"transaction/{payment_id}"})
    assert r.status == 201, r
    return r.json["ticket"]


def test_a_ticket_is_for_one_use(reli):
    p, other = reli.pay(), reli.pay()
    t = ticket(reli, p["id"])
    assert refused(reli, f"/ws/transaction/{other['id']}?ticket={t}") == 401
    w = Watch(reli.replica, f"/ws/transaction/{p['id']}?ticket={t}")
    assert w.frame() == hello(p["id"], 2)
    assert refused(reli, f"/ws/transaction/{p['id']}?ticket={t}") == 401
    w.close()


def test_a_ticket_used_by_many_at_once_opens_one(replicas):
    one, two = replicas(2, clock=False)
    shop = replicas.shop(one)
    p = shop.pay()
    t = ticket(shop, p["id"])

    def go(i):
        try:
            w = Watch((one, two)[i % 2], f"/ws/transaction/{p['id']}?ticket={t}")
        except websocket.WebSocketBadStatusException as e:
            return e.status_code
        w.close()
        return 101

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        assert sorted(pool.map(go, range(10))) == [101] + [401] * 9


def test_a_ticket_lives_a_minute(replicas, clock):
    shop = replicas.shop(replicas.one())
    p = shop.pay()
    t = ticket(shop, p["id"])
    clock.advance(62)
    assert refused(shop, f"/ws/transaction/{p['id']}?ticket={t}") == 401


def test_tickets_refused(reli, stack, shared):
    p = reli.pay()
    for body in ({}, {"channel": 1}, {"channel": "transaction/x"}, {"channel": "user/"},
                 {"channel": "merchants"}, {"channel": f"users/{p['id']}"},
                 {"channel": f"transaction/{p['id']}", "more": 1}):
        r = reli.post(V1 + "/ws/tickets", body)
        assert r.status == 422 and r.code == "validation_failed", r
    # Another merchant's ticket for it opens nothing.
    other = stack.shop(shared)
    r = other.post(V1 + "/ws/tickets", {"channel": f"transaction/{p['id']}"})
    assert r.status in (201, 404)
    if r.status == 201:
        assert refused(other, f"/ws/transaction/{p['id']}?ticket={r.json['ticket']}") == 404


def test_who_may_not(reli, stack, shared):
    p = reli.pay()
    path = f"/ws/transaction/{p['id']}"
    assert refused(reli, path) == 401
    for auth in ("Bearer sk_test_" + "0" * 48, "Bearer x", "Basic eA=="):
        assert refused(reli, path, header={"Authorization": auth}) == 401
    other = stack.shop(shared)
    assert refused(other, path, header={"Authorization": f"Bearer {other.key}"}) == 404
    live = stack.api_key(shared, reli.merchant, "live")
    assert refused(reli, path, header={"Authorization": f"Bearer {live}"}) == 404
    writer = stack.api_key(shared, reli.merchant, "test", "--scopes", "payments:write")
    assert refused(reli, path, header={"Authorization": f"Bearer {writer}"}) == 403
    mine = {"Authorization": f"Bearer {reli.key}"}
    assert refused(reli, "/ws/transaction/not-an-id", header=mine) == 404
    assert refused(reli, "/ws/transaction/01900000-0000-7000-8000-000000000000", header=mine) == 404
    for after in ("x", "-1", "99999999999999999999"):
        assert refused(reli, f"{path}?after={after}", header=mine) == 400


def test_origins(replicas):
    shop = replicas.shop(replicas.one(clock=False, RELI_CORS_ORIGINS="https://shop.example,https://b.example"))
    p = shop.pay()
    path = f"/ws/transaction/{p['id']}?ticket={p['client_token']}"
    for origin in ("https://shop.example", "https://b.example"):
        w = Watch(shop.replica, path, origin=origin)
        assert w.frame()["type"] == "hello"
        w.close()
    own = shop.replica.url  # pages of the public URL
    w = Watch(shop.replica, path, origin=own)
    w.close()
    for origin in ("https://evil.example", "https://shop.example.evil.example", "http://shop.example", "null",
                   "https://shop.example:8443", "https://shop.example:443", "https://SHOP.example",
                   "https://evil-shop.example", "https://shop.exampl", "https://shop.example/", "wss://shop.example",
                   "https://shop.example,https://b.example", "file://", own.replace("http", "ftp"), own + "0"):
        assert refused(shop, path, origin=origin) == 403, origin
    # a name of somebody's own that points here: the page and the Host agree, and it is still a stranger
    assert refused(shop, path, origin="http://rebound.example", host="rebound.example") == 403


# ---- the protocol; test_rfc6455.py has its letter ----


def test_ping_and_close(reli):
    p = reli.pay()
    w = watch(reli, p["id"], "?after=2")
    w.frame()
    w.ws.ping(b"are you there")
    opcode, data = w.ws.recv_data(control_frame=True)
    assert (opcode, data) == (websocket.ABNF.OPCODE_PONG, b"are you there")
    w.ws.send_close(1000, b"bye")
    assert w.close_code() == 1000


def test_what_clients_say_is_ignored(reli):
    p = reli.pay()
    w = watch(reli, p["id"], "?after=2")
    w.frame()
    for text in ("hello", "{}", "x" * 60000):
        w.ws.send(text)
    confirm(reli, p)
    assert w.frame()["seq"] == 3
    w.close()


def test_pings_come(replicas, clock):
    """Every 30 s; who does not answer is gone."""
    shop = replicas.shop(replicas.one())
    p = shop.pay()
    w = watch(shop, p["id"], "?after=2")
    w.frame()
    clock.advance(31)
    w.ws.settimeout(PATIENCE * SLOW)
    opcode, _ = w.ws.recv_data(control_frame=True)
    assert opcode == websocket.ABNF.OPCODE_PING
    w.close()


def test_sigterm_says_goodbye(replicas):
    one = replicas.one(clock=False)
    shop = replicas.shop(one)
    p = shop.pay()
    w = watch(shop, p["id"], "?after=2")
    w.frame()
    one.term()
    assert w.close_code() == 1001
    wait_until(lambda: not one.running(), 12, "the end")
    assert one.p.returncode == 0

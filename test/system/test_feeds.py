"""Feeds: what a merchant's whole log, or one customer's part of it, shows to those who watch it grow; and server-sent
events, for whoever cannot have a WebSocket."""

import concurrent.futures
import contextlib
import json
import socket
import threading

import pytest
import websocket
from helpers import SLOW, V1, Clock, cash, wait_until, word
from people import Person
from test_payouts import pay_out
from test_websocket import Watch, refused


def bearer(shop):
    return {"Authorization": f"Bearer {shop.key}"}


def feed(shop, path="/ws/merchant", replica=None, **kw):
    kw.setdefault("header", bearer(shop))
    return Watch(replica or shop.replica, path, **kw)


def confirm(shop, p):
    assert shop.post(f"{V1}/payments/{p['id']}/confirm", {}).status == 200


def of(customer, **fields):
    return cash(customer={"id": customer, "name": "Ann"}, **fields)


def log(shop):
    """The merchant's log, as GET /events pages it."""
    out, after = [], "0"
    while True:
        page = shop.get(f"{V1}/events?limit=100&after={after}").json
        out += page["data"]
        if not page["has_more"]:
            return out
        after = page["next"]


def test_a_merchants_log(reli):
    w = feed(reli)
    assert w.frame() == {"type": "hello", "channel": "merchant", "seq": 0}
    p = reli.pay(of("cust-1"))
    confirm(reli, p)
    events = w.events(3)
    assert [(e["type"], e["position"]) for e in events] == [
        ("payment.initiated", 1), ("payment.requires_action", 2), ("payment.completed", 3)]
    assert events[0]["data"]["customer"]["name"] == "Ann"
    bare = [{k: v for k, v in e.items() if k != "position"} for e in events]
    assert bare == log(reli)
    w.close()
    for after, positions in ((0, [1, 2, 3]), (1, [2, 3]), (3, []), (1000, [])):
        w = feed(reli, f"{V1}/ws/merchant?after={after}")
        assert w.frame() == {"type": "hello", "channel": "merchant", "seq": 3}
        assert [e["position"] for e in w.events(len(positions))] == positions
        assert w.nothing(0.1)
        w.close()


def test_a_page_of_the_log_looks_so_far_and_no_further(reli):
    """A type that hardly anything has: a page stops after four thousand positions and says where to go on."""
    confirm(reli, reli.pay())
    wait_until(lambda: len(log(reli)) == 3, 10, "the log has the three")
    reli.replica.database.rows(
        "insert into reli.log_position (merchant_id, kind, position, n, subjects, seqs) "
        "select %s, 1, 4, 6000, array_agg(gen_random_uuid()), array_agg(1) from generate_series(1, 6000)", reli.merchant)
    pages, after = [], 0
    while not pages or pages[-1]["has_more"]:
        pages.append(reli.get(f"{V1}/events?type=payment.completed&after={after}").json)
        after = pages[-1]["next"]
    assert [(len(p["data"]), p["has_more"], p["next"]) for p in pages] == [(1, True, "4000"), (0, False, "6003")]
    assert reli.get(f"{V1}/events?after=6003").json == {
        "object": "list", "data": [], "has_more": False, "next": "6003"}


def test_a_type_that_there_is_not(reli):
    """A typing error would be a list without events, for ever."""
    confirm(reli, reli.pay())
    wait_until(lambda: len(log(reli)) == 3, 10, "the log has the three")
    for kind in ("payment.complete", "payment.*", "*", "", "payment.completed,payment.failed"):
        r = reli.get(f"{V1}/events?type={kind}")
        assert (r.status, r.json["param"]) == (422, "type"), r
    for kind, n in (("payment.completed", 1), ("refund.failed", 0), ("payout.pending", 0)):
        assert len(reli.get(f"{V1}/events?type={kind}").json["data"]) == n


def test_a_customers_part(reli):
    ann, bob = word("ann"), word('b/"ö')
    first = reli.pay(of(ann))
    reli.pay(of(bob))
    wait_until(lambda: len(log(reli)) == 4, what="the log has them")
    path = "/ws/user/" + ann
    w = feed(reli, path + "?after=0")
    assert w.frame() == {"type": "hello", "channel": f"user/{ann}", "seq": 4}
    assert [(e["payment_id"], e["seq"]) for e in w.events(2)] == [(first["id"], 1), (first["id"], 2)]
    other = feed(reli, f"{V1}/ws/user/{bob}".replace("/\"ö", "%2F%22%C3%B6"))
    assert other.frame() == {"type": "hello", "channel": f"user/{bob}", "seq": 4}
    hers, his = reli.pay(of(ann)), reli.pay(of(bob))
    reli.pay()
    assert [e["payment_id"] for e in w.events(2)] == [hers["id"]] * 2
    assert [e["payment_id"] for e in other.events(2)] == [his["id"]] * 2
    for x in (w, other):
        assert x.nothing(0.1)
        x.close()


def test_a_payout(reli):
    """It is in the log with no payment, and whom it goes to is filled in."""
    confirm(reli, reli.pay())
    w = feed(reli, "/ws/merchant?after=0")
    w.frame()
    made = pay_out(reli)
    events = w.events(4)
    while events[-1]["type"] != "payout.completed":
        events.append(w.frame())
    assert [e["position"] for e in events] == list(range(1, len(events) + 1))
    assert [{k: v for k, v in e.items() if k != "position"} for e in events] == log(reli)
    for e in events[3:]:
        assert e["payment_id"] is None and e["payout_id"] == made["id"]
        assert e["data"]["destination"] == made["destination"]
    w.close()


# ---- who may watch ----


def test_tenants_and_modes(reli, stack, shared):
    ann = word("ann")
    p = reli.pay(of(ann))
    wait_until(lambda: len(log(reli)) == 2, what="the log has it")
    other = stack.shop(shared)
    live = reli.with_key(stack.api_key(shared, reli.merchant, "live"))
    strangers = [feed(shop, "/ws/merchant?after=0") for shop in (other, live)]
    assert [w.frame()["seq"] for w in strangers] == [0, 2]
    for shop in (other, live):
        assert refused(shop, f"/ws/user/{ann}", header=bearer(shop)) == 404
    assert refused(reli, "/ws/user/nobody", header=bearer(reli)) == 404
    own = other.pay(of(ann))  # who has the same name there
    theirs = feed(other, f"/ws/user/{ann}?after=0")
    theirs.frame()
    assert [e["payment_id"] for e in theirs.events(2)] == [own["id"]] * 2
    assert [e["payment_id"] for e in strangers[0].events(2)] == [own["id"]] * 2
    confirm(reli, p)
    wait_until(lambda: len(log(reli)) == 3, what="the log has it")
    for w in strangers + [theirs]:
        assert w.nothing(0.2)
        w.close()


def test_who_may_not(reli, stack, shared):
    writer = stack.api_key(shared, reli.merchant, "test", "--scopes", "payments:write")
    p = reli.pay(of("cust-1"))
    for path in ("/ws/merchant", "/ws/user/cust-1"):
        assert refused(reli, path) == 401
        assert refused(reli, f"{path}?ticket={p['client_token']}") == 401
        assert refused(reli, path, header={"Authorization": f"Bearer {writer}"}) == 403
        assert refused(reli, path, header=bearer(reli), origin="https://evil.example") == 403
        for after in ("x", "-1", "99999999999999999999"):
            assert refused(reli, f"{path}?after={after}", header=bearer(reli)) == 400
    support = Person(stack, shared, reli.merchant, "support")
    header = {"Authorization": "Bearer " + support.tokens["access"]}
    assert refused(reli, "/ws/merchant", header=header) == 403  # may not list events
    assert support.post(V1 + "/ws/tickets", {"channel": "merchant"}).status == 403
    w = feed(reli, "/ws/user/cust-1", header=header)
    assert w.frame()["type"] == "hello"
    w.close()


def test_tickets(reli):
    reli.pay(of("cust-1"))
    reli.pay(of("cust-2"))
    paths = {"merchant": "/ws/merchant", "user/cust-1": "/ws/user/cust-1", "user/cust-2": "/ws/user/cust-2"}
    tickets = {}
    for channel in paths:
        r = reli.post(V1 + "/ws/tickets", {"channel": channel})
        assert r.status == 201, r
        tickets[channel] = r.json["ticket"]
    assert reli.post(V1 + "/ws/tickets", {"channel": "user/nobody"}).status == 404
    for channel, ticket in tickets.items():
        for other, path in paths.items():
            if other != channel:
                assert refused(reli, f"{path}?ticket={ticket}") == 401, (channel, other)
        w = Watch(reli.replica, f"{paths[channel]}?ticket={ticket}")
        assert w.frame()["channel"] == channel
        w.close()
        assert refused(reli, f"{paths[channel]}?ticket={ticket}") == 401, "good once"


def test_many_watchers_of_one_log(reli):
    """More than are written to in one turn, by both protocols; some come and some leave while they are written to."""
    def sockets(n, after=""):
        return [feed(reli, f"/ws/merchant{after}") for _ in range(n)]

    def streams(n, **headers):
        return [Stream(reli.replica, V1 + "/events", **bearer(reli), **headers) for _ in range(n)]

    there = sockets(80), streams(80)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        paid = [pool.submit(reli.pay, of("cust-1")) for _ in range(30)]
        for w in (*there[0][::4], *there[1][::4]):
            w.close()
        later = sockets(20, "?after=0"), streams(20, **{"Last-Event-ID": "0"})
        assert all(p.result()["id"] for p in paid)
    want = list(range(1, 61))
    for w in [w for i, w in enumerate(there[0]) if i % 4 > 0] + later[0]:
        w.frame()  # the hello
        assert [e["position"] for e in w.events(60)] == want
        w.close()
    for s in [s for i, s in enumerate(there[1]) if i % 4 > 0] + later[1]:
        assert [at for at, _ in s.events(60)] == want
        s.close()


# ---- server-sent events ----


class Stream:
    """An event stream, read by hand."""

    def __init__(self, replica, path, **headers):
        self.s = socket.create_connection(("127.0.0.1", replica.port), timeout=10 * SLOW)
        lines = {"Host": "x", "Accept": "text/event-stream"} | headers
        head = "".join(f"{k}: {v}\r\n" for k, v in lines.items())
        self.s.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        self.f = self.s.makefile("rb")
        self.status = int(self.f.readline().split()[1])
        self.headers = {}
        while (line := self.f.readline().decode().strip()):
            name, _, value = line.partition(": ")
            self.headers[name.lower()] = value
        if self.status == 200:
            assert self.headers["content-type"] == "text/event-stream" and "content-length" not in self.headers
            first = dict(line.split(": ", 1) for line in self.block())
            assert first.pop("retry") == "2000"
            self.begins = first.pop("id", None)  # what a browser comes back with that has seen nothing yet
            assert not first

    def block(self):
        """The lines up to an empty one; [] at the end."""
        lines = []
        while (line := self.f.readline().decode()) not in ("", "\n"):
            lines.append(line.rstrip("\n"))
        return lines

    def event(self):
        """(id, event object); comments are passed over."""
        lines = self.block()
        while lines == [":"]:
            lines = self.block()
        if not lines:
            raise EOFError
        fields = dict(line.split(": ", 1) for line in lines)
        assert list(fields) == ["id", "event", "data"], lines
        event = json.loads(fields["data"])
        assert fields["event"] == event["type"]
        return int(fields["id"]), event

    def events(self, n):
        return [self.event() for _ in range(n)]

    def close(self):
        self.f.close()
        self.s.close()


def events_of(p):
    return f"{V1}/payments/{p['id']}/events"


def test_a_payments_stream(reli):
    p = reli.pay(of("cust-1", metadata={"two": "lines\nof\r\ntext"}))
    page = reli.get(events_of(p)).json
    assert [e["seq"] for e in page["data"]] == [1, 2] and not page["has_more"] and page["next"] == "2"
    first = reli.get(events_of(p) + "?limit=1").json
    assert first["data"] == page["data"][:1] and first["has_more"] and first["next"] == "1"
    assert reli.get(events_of(p) + "?after=2").json["data"] == []
    for accept in ("text/event-stream;q=0", "application/json, text/event-stream; x=1; Q=0.000"):
        assert reli.get(events_of(p), headers={"Accept": accept}).json["data"] == page["data"], "it is the list"
        assert reli.get(V1 + "/events", headers={"Accept": accept}).json["object"] == "list"
    weighed = Stream(reli.replica, events_of(p), Accept="text/event-stream;q=0.001", **bearer(reli))
    assert weighed.status == 200 and weighed.events(1) == [(1, page["data"][0])]
    weighed.close()
    streams = [Stream(reli.replica, events_of(p), **bearer(reli)),
               Stream(reli.replica, events_of(p), Authorization=f"Bearer {p['client_token']}"),
               Stream(reli.replica, f"{events_of(p)}?ticket={p['client_token']}")]
    for s in streams:
        assert s.begins is None and s.events(2) == [(1, page["data"][0]), (2, page["data"][1])]
    confirm(reli, p)
    done = reli.get(events_of(p) + "?after=2").json["data"][0]
    assert done["type"] == "payment.completed" and done["data"]["customer"]["name"] == "Ann"
    for s in streams:
        assert s.event() == (3, done)
    # the payment is over, the stream is not
    assert reli.post(f"{V1}/payments/{p['id']}/refund", {"amount": "10.00"}).status == 201
    for s in streams:
        assert s.event()[1]["type"].startswith("refund.")
        s.close()
    s = Stream(reli.replica, events_of(p) + "?after=0", **bearer(reli), **{"Last-Event-ID": "2"})
    assert s.event() == (3, done)
    s.close()


def test_a_merchants_stream(reli):
    p = reli.pay()
    wait_until(lambda: len(log(reli)) == 2, what="the log has it")
    ticket = reli.post(V1 + "/ws/tickets", {"channel": "merchant"}).json["ticket"]
    old = Stream(reli.replica, V1 + "/events?after=1", **bearer(reli))
    assert [at for at, _ in old.events(1)] == [2]
    new = Stream(reli.replica, f"{V1}/events?ticket={ticket}")
    cut = Stream(reli.replica, f"{V1}/events", **bearer(reli))
    cut.close()
    assert (old.begins, new.begins, cut.begins) == ("1", "2", "2")
    confirm(reli, p)
    wait_until(lambda: len(log(reli)) == 3, what="the log has it")
    again = Stream(reli.replica, f"{V1}/events", **bearer(reli), **{"Last-Event-ID": cut.begins})
    assert again.event()[0] == 3, "cut off before the first event, and missed nothing"
    again.close()
    for s in (old, new):
        at, event = s.event()
        assert at == event.pop("position") == 3 and event == log(reli)[2]
        s.close()
    assert Stream(reli.replica, f"{V1}/events?ticket={ticket}").status == 401, "good once"


def test_streams_refused(reli, stack, shared):
    p, another = reli.pay(), reli.pay()
    other = stack.shop(shared)
    mine = bearer(reli)
    for path, headers, status in (
            (events_of(p), {}, 401), (events_of(p), bearer(other), 404), (events_of(p) + "?after=x", mine, 400),
            (events_of(p), mine | {"Last-Event-ID": "x"}, 400), (V1 + "/events?type=x", mine, 400),
            (f"{V1}/payments/{'0' * 8}/events", mine, 404),
            (f"{events_of(p)}?ticket={another['client_token']}", {}, 401),
            (f"{V1}/events?ticket={p['client_token']}", {}, 401)):
        assert Stream(reli.replica, path, **headers).status == status, path
    # tickets are for streams, which are limited by how many there are; lists are counted by caller
    for path in (events_of(p), V1 + "/events"):
        r = reli.get(f"{path}?ticket={p['client_token']}")
        assert r.status == 401 and r.code == "unauthenticated", r
    r = reli.request("HEAD", events_of(p), headers={"Accept": "text/event-stream"})
    assert r.status == 200 and r.header("Content-Type") == "application/json"


def test_whoever_may_no_more_sees_no_more(reli):
    key = reli.post(V1 + "/api-keys", {"scopes": ["payments:read"]}).json
    theirs = reli.with_key(key["key"])
    p = reli.pay()
    w, s = feed(theirs), Stream(reli.replica, events_of(p) + "?after=2", **bearer(theirs))
    w.frame()
    assert reli.delete(f"{V1}/api-keys/{key['id']}").status in (200, 204)
    assert w.close_code() == 1008
    assert s.block() == [] and s.f.read() == b""


# ---- those who come back; test_store.py lets them do it ----


class Follower(threading.Thread):
    """Somebody who follows a merchant's log and comes back with his cursor whenever he is cut off."""

    def __init__(self, shop, replica):
        super().__init__(daemon=True)
        self.shop, self.replica = shop, replica
        self.seen, self.times, self.now, self.over = [], 0, None, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.05):
            try:
                self.follow(self.seen[-1][0] if self.seen else 0)
            except (OSError, EOFError, ValueError, IndexError, websocket.WebSocketException):
                pass  # cut off, or refused while the database is away

    def got(self, event):
        self.seen.append((event["position"], event["payment_id"], event["seq"]))

    def cut(self):
        self.now.shutdown(socket.SHUT_RDWR)

    def end(self):
        self.over.set()
        with contextlib.suppress(OSError, AttributeError):  # there may be none, or no more
            self.cut()


class ByWebSocket(Follower):
    def follow(self, after):
        w = feed(self.shop, f"/ws/merchant?after={after}", self.replica)
        self.now, self.times = w.ws.sock, self.times + 1
        w.frame()
        while True:
            self.got(w.frame(60))


class ByStream(Follower):
    def follow(self, after):
        s = Stream(self.replica, V1 + "/events?after=0", **bearer(self.shop), **{"Last-Event-ID": str(after)})
        self.now, self.times = s.s, self.times + (s.status == 200)
        s.s.settimeout(60 * SLOW)
        while True:
            self.got(s.event()[1])


@pytest.fixture(scope="module")
def timed(stack, tmp_path_factory):
    """A shop at a replica of its own, on a test clock."""
    clock = Clock(tmp_path_factory.mktemp("feeds") / "clock")
    replica = stack.serve(stack.database(), clock=clock, RELI_CORS_ORIGINS="https://shop.example").ready()
    clock.replicas.append(replica)
    yield stack.shop(replica)
    stack.leave(replica)


def test_who_does_not_keep_up(timed, monkeypatch):
    """1013 after ten seconds in which nothing was taken; who comes back goes on where he was."""
    known = websocket._abnf.VALID_CLOSE_STATUS  # this version has not heard of 1013
    monkeypatch.setattr(websocket._abnf, "VALID_CLOSE_STATUS", (*known, 1013))
    shop, one, clock = timed, timed.replica, timed.replica.clock
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]
    w, late, other = feed(shop, sockopt=small), feed(shop, sockopt=small), feed(shop)
    assert w.frame()["seq"] == late.frame()["seq"] == other.frame()["seq"] == 0
    taken = []
    with concurrent.futures.ThreadPoolExecutor(4) as pool:  # more than the kernel keeps for him
        for _ in range(11):
            list(pool.map(lambda _: shop.pay(metadata={"blob": "x" * 16000}), range(10)))
            taken += late.events(2)  # he is behind, and goes on
    assert [e["position"] for e in other.events(220)] == list(range(1, 221)), "nobody waits for him"
    other.close()
    late.ws.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    assert [e["position"] for e in taken + late.events(198)] == list(range(1, 221)), "who takes it in time gets all"
    late.close()
    clock.advance(11)
    wait_until(lambda: one.metrics().get("reli_websockets_slow_total") == 1, what="it is given up")
    w.ws.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    positions = []
    while (frame := w.ws.recv_data(control_frame=True))[0] != websocket.ABNF.OPCODE_CLOSE:
        positions.append(json.loads(frame[1])["position"])
    assert int.from_bytes(frame[1][:2], "big") == 1013
    assert positions == list(range(1, len(positions) + 1)) and 0 < len(positions) < 220
    w = feed(shop, f"/ws/merchant?after={positions[-1]}")
    w.frame()
    assert [e["position"] for e in w.events(220 - len(positions))] == list(range(positions[-1] + 1, 221))
    w.close()


def test_signs_of_life_and_goodbye(timed):
    """Last of all: the replica ends."""
    shop, one, clock = timed, timed.replica, timed.replica.clock
    p = shop.pay()
    s = Stream(one, events_of(p) + "?after=2", Origin="https://shop.example", **bearer(shop))
    assert s.headers["access-control-allow-origin"] == "https://shop.example"
    assert s.headers["connection"] == "close" and s.headers["cache-control"] == "no-store"
    clock.advance(16)
    assert s.block() == [":"]
    one.term()
    one.term()  # does not wait for load balancers
    assert s.f.read() == b""
    wait_until(lambda: not one.running(), 12, "the end")
    assert one.p.returncode == 0

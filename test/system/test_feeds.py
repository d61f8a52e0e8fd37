"""Feeds: what a merchant's whole log, or one customer's part of it, shows to those who watch it grow."""

from helpers import V1, cash, wait_until, word
from people import Person
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
        assert w.nothing(0.5)
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

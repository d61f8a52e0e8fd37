"""Every list of the API is asked for in the same ways: by number with a total, by cursor in both directions, stable
while rows are added. A GET that the document says to answer a list, and that is not in MAKERS, fails here."""

import time
import uuid

import pytest
from helpers import V1, cash, stk, wait_until, word
from openapi import load, operations
from people import new_email
from test_openapi import Setting

DOCUMENT = load()
NOBODY = "01900000-0000-7000-8000-000000000000"


class Lists:
    """A merchant with things to list; each method makes some more of one kind."""

    def __init__(self, shop, receiver):
        self.shop, self.db, self.made = shop, shop.replica.database, Setting(shop, receiver)
        self.paid = None
        self.n = 0

    def number(self):
        self.n += 1
        return self.n

    def later_id(self):
        """A UUIDv7 of now, behind those of this test before it."""
        text = f"{int(time.time() * 1000):012x}7{self.number():03x}8{uuid.uuid4().hex[-15:]}"
        return str(uuid.UUID(text))

    def collected(self, **fields):
        paid = self.shop.pay(cash(amount="1000.00", **fields))
        assert self.shop.post(f"{V1}/payments/{paid['id']}/confirm").status == 200
        return paid

    def payment(self):
        return self.shop.pay()

    def refund(self):
        if self.paid is None:
            self.paid = self.collected()["id"]
        r = self.shop.post(f"{V1}/payments/{self.paid}/refund", {"amount": "10.00"})
        assert r.status == 201, r
        self.made.wait_refund(r.json["id"], "in_reconciliation")  # where it stays

    def payout(self):
        return self.made.payout()

    def customer(self):
        return self.shop.pay(customer={"id": word("cust")})

    def account(self):
        currency = ("KES", "UGX", "USD", "EUR", "TZS")[self.number() - 1]
        paid = self.shop.pay(amount="1000", currency=currency)
        assert self.shop.post(f"{V1}/payments/{paid['id']}/confirm").status == 200

    def event(self):
        """Of the merchant's log, which has it some moments later."""
        seen = len(self.shop.get(V1 + "/events?limit=100").json["data"])
        self.shop.pay()
        wait_until(lambda: len(self.shop.get(V1 + "/events?limit=100").json["data"]) > seen, what="it is in the log")

    def exception(self):
        self.db.rows("insert into reli.exception_item (merchant_id, id, mode, kind, subject_id, status, created_at,"
                     " updated_at) values (%s, %s, 'test', 'stuck', %s, 'open', now(), now())",
                     self.shop.merchant, self.later_id(), str(uuid.uuid4()))

    def refusal(self):
        self.db.rows("insert into reli.security_event (merchant_id, id, kind, address, route, times, created_at,"
                     " last_at) values (%s, %s, 'scope_refused', '127.0.0.1', '/', 1, now(), now())",
                     self.shop.merchant, self.later_id())

    def endpoint(self):
        self.made.endpoint()

    def delivery(self):
        if self.number() == 1:
            self.shop.endpoint(self.made.receiver.url(), ["payment.initiated"])
        seen = len(self.shop.get(V1 + "/webhook-deliveries?limit=100").json["data"])
        self.shop.pay()
        wait_until(lambda: len(self.shop.get(V1 + "/webhook-deliveries?limit=100").json["data"]) > seen, what="one more")

    def callback(self):
        paid = self.shop.pay(stk())
        self.shop.wait_status(paid["id"], "completed")

    def key(self):
        assert self.shop.post(V1 + "/api-keys", {"scopes": ["payments:read"]}).status == 201

    def member(self):
        r = self.made.person().post(V1 + "/members", {"email": new_email(), "role": "viewer"})
        assert r.status == 201, r

    def merchant(self):
        assert self.made.person(staff=True).post(V1 + "/merchants", {"name": "Another shop"}).status == 201

    def config(self):
        r = self.shop.post(V1 + "/providers/cpay/config", {"mode": "test", "name": f"n{self.number()}", "api_key":
                                                           "cpk_sandbox:cps_cmVsaSBzYW5kYm94IENQYXkgZGVtbyBzZWNyZXQgMDE"})
        assert r.status == 201, r


# What makes one more; None: nobody can.
MAKERS = {
    "/payments": Lists.payment, "/payments/transactions": Lists.payment, "/payments/{id}/events": Lists.refund,
    "/payments/{id}/refunds": Lists.refund, "/payouts": Lists.payout, "/customers": Lists.customer,
    "/events": Lists.event, "/balances": Lists.account, "/ledger/transfers": Lists.collected,
    "/exceptions": Lists.exception, "/webhook-endpoints": Lists.endpoint, "/webhook-deliveries": Lists.delivery,
    "/provider-events": Lists.callback, "/members": Lists.member, "/merchants": Lists.merchant,
    "/providers": None, "/providers/{name}/config": Lists.config, "/api-keys": Lists.key,
    "/security-events": Lists.refusal,
}
KEYS = {"/balances": lambda x: x["account_id"], "/providers": lambda x: x["name"],
        "/ledger/transfers": lambda x: f"{x['journal_id']}.{x['step']}"}
CURSORS = KEYS | {"/payments/{id}/events": lambda x: str(x["seq"])}
LOGS = {"/events"}  # onwards only


def lists():
    """The paths of the document whose answer is a list."""
    schemas = DOCUMENT["components"]["schemas"]
    for op in operations(DOCUMENT):
        content = op.responses.get("200", {}).get("content", {}).get("application/json", {})
        name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
        if schemas.get(name, {}).get("properties", {}).get("object", {}).get("const") == "list":
            yield op.path.removeprefix(V1)


def test_every_list_is_here():
    assert sorted(lists()) == sorted(MAKERS)


class Walker:
    def __init__(self, world, path):
        self.path = path
        self.key = KEYS.get(path, lambda x: x["id"])
        self.cursor = CURSORS.get(path, lambda x: x["id"])
        self.who = world.shop
        if path == "/merchants":
            self.who = world.made.person(staff=True)
        elif path == "/members":
            self.who = world.made.person()
        self.url = V1 + path.replace("{id}", str(world.paid)).replace("{name}", "cpay")

    def get(self, query):
        r = self.who.get(f"{self.url}?{query}")
        assert r.status == 200, r
        assert r.json["object"] == "list"
        return r.json

    def walk(self, limit, onwards=True, at=None, between=lambda: None):
        """All from the cursor on, page by page, in the order of the list."""
        out = []
        while True:
            page = self.get(f"limit={limit}" + (f"&{'after' if onwards else 'before'}={at}" if at else ""))
            assert len(page["data"]) <= limit and "total" not in page
            assert len(page["data"]) == limit or not page["has_more"]
            out = out + page["data"] if onwards else page["data"] + out
            if not page["has_more"]:
                assert page["next"] is None or self.path in ("/events", "/payments/{id}/events")
                return out
            assert self.path in LOGS or page["next"] == self.cursor(page["data"][-1 if onwards else 0])
            at = page["next"]
            between()

    def refused(self, query, param):
        r = self.who.get(f"{self.url}?{query}")
        assert (r.status, r.code) == (422, "validation_failed") and r.json["param"] == param, (query, r)


@pytest.fixture
def world(reli, receiver):
    return Lists(reli, receiver)


@pytest.mark.parametrize("path", sorted(MAKERS))
def test_a_list(path, world):
    more = MAKERS[path]
    for _ in range(4 if more else 0):
        more(world)
    w = Walker(world, path)
    whole = w.walk(100)
    keys = [w.key(x) for x in whole]
    limit = min(max(1, len(whole) // 3), 100)
    assert len(whole) >= 4 and len(set(keys)) == len(keys)
    if path != "/merchants":  # others make some, too
        assert [w.key(x) for x in w.get("")["data"]] == keys[:20]
    for query, param in (("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("colour=red", "colour"),
                         ("after=!", "after")):
        w.refused(query, param)
    if path in LOGS:
        w.refused("page=1", "page")
        w.refused(f"before={NOBODY}", "before")
    else:
        by_number(w, keys, limit)
        by_cursor(w, whole, keys, limit)
    added = [0]

    def add():
        if more and added[0] == 0:
            more(world)
            added[0] += 1

    found = [w.key(x) for x in w.walk(limit, between=add)]
    assert len(set(found)) == len(found), "nothing comes twice"
    assert [k for k in found if k in set(keys)] == keys, "and nothing is passed over, while rows are added"


def by_number(w, keys, limit):
    got = []
    pages = (len(keys) + limit - 1) // limit
    for number in range(1, pages + 2):
        page = w.get(f"limit={limit}&page={number}")
        assert (page["page"], page["total"], page["total_is_capped"]) == (number, len(keys), False)
        assert page["has_more"] == (number < pages)
        got += [w.key(x) for x in page["data"]]
    assert got == keys
    w.refused("page=0", "page")
    w.refused(f"page=1&after={w.cursor(w.get('limit=1')['data'][0])}", "page")


def by_cursor(w, whole, keys, limit):
    assert [w.key(x) for x in w.walk(limit)] == keys
    assert [w.key(x) for x in w.walk(limit, True, w.cursor(whole[1]))] == keys[2:]
    assert [w.key(x) for x in w.walk(limit, False, w.cursor(whole[-1]))] == keys[:-1]
    assert [w.key(x) for x in w.walk(1, False, w.cursor(whole[2]))] == keys[:2]
    assert w.get(f"before={w.cursor(whole[0])}")["data"] == []
    w.refused("before=!", "before")


def test_a_total_is_exact_to_ten_thousand(reli, db):
    p = reli.pay()
    for n, wanted in ((9999, (10000, False)), (1, (10000, True))):
        db.rows("insert into reli.payment select (jsonb_populate_record(r, jsonb_build_object('op_id', gen_random_uuid(),"
                " 'id', gen_random_uuid()))).* from reli.payment r, generate_series(1, %s) k"
                " where r.merchant_id = %s and r.id = %s", n, reli.merchant, p["id"])
        page = reli.get(f"{V1}/payments?page=1&limit=1").json
        assert (page["total"], page["total_is_capped"]) == wanted
    assert len(reli.get(f"{V1}/payments?page=101&limit=100").json["data"]) == 1, "it can be read on"


def test_a_long_name_is_not_cut_within_a_character(reli):
    r = reli.get(f"{V1}/payments?{'x' * 63}%C3%A9=1")
    assert (r.status, r.json["param"]) == (422, "x" * 63), r


def test_filters_of_a_reference_count(reli):
    """A payment that is named by its reference is listed if the other filters find it, too."""
    made = reli.pay(reference=word("ORDER"))
    for query, n in (("", 1), ("&status=cancelled", 0), ("&provider=cash", 1), ("&currency=USD", 0)):
        assert len(reli.get(f"{V1}/payments?reference={made['reference']}{query}").json["data"]) == n, query

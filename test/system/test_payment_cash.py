"""A payment from beginning to end by a method that needs no provider."""

import concurrent.futures
import re

import pytest
from helpers import V1, cash, new_key, parse_time, word

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
MEMBERS = {
    "id", "object", "mode", "status", "reference_no", "reference", "provider", "payment_method", "amount",
    "currency", "amount_received", "amount_refunded", "fee", "net", "customer", "provider_transaction_id",
    "provider_receipt", "status_source", "next_action", "failure", "description", "return_url",
    "callback_url", "metadata", "created_at", "updated_at", "expires_at", "completed_at",
}


def test_create(reli, db):
    r = reli.initialize(cash(
        customer={"id": "cust-42", "phone": "0700 000 000", "email": "c@example.com", "name": "Jané Doe"},
        reference="ORDER-1", description="Order 1", metadata={"order_id": "ORD-1", "n": [1, {"x": None}]}),
        key=new_key())
    assert r.status == 201, r
    p = r.json
    assert set(p) == MEMBERS | {"client_token"}
    assert UUID7.fullmatch(p["id"])
    assert r.header("Location") == f"{V1}/payments/{p['id']}"
    assert r.header("Content-Type") == "application/json"
    assert (p["object"], p["mode"], p["status"]) == ("payment", "test", "requires_action")
    assert (p["amount"], p["currency"]) == ("1000.00", "KES")
    for name in ("amount_received", "amount_refunded", "fee", "net"):
        assert p[name] == "0.00"
    assert p["customer"] == {"id": "cust-42", "phone": "+254700000000", "email": "c@example.com",
                             "name": "Jané Doe"}
    assert p["reference"] == "ORDER-1"
    assert re.fullmatch(r"TXN\d{8}[0-9A-Z]{6,}", p["reference_no"])
    assert p["payment_method"] == "cash"
    assert p["next_action"]["type"] == "collect_cash"
    assert re.fullmatch(r"[0-9A-Z]{12}", p["next_action"]["reference"])
    assert p["metadata"] == {"order_id": "ORD-1", "n": [1, {"x": None}]}
    assert p["failure"] is None and p["completed_at"] is None and p["provider_receipt"] is None
    assert p["status_source"] == "api"
    life = parse_time(p["expires_at"]) - parse_time(p["created_at"])
    assert abs(life - 7 * 86400) < 1
    assert db.events(p["id"]) == [{"seq": 1, "type": "payment.initiated"},
                                  {"seq": 2, "type": "payment.requires_action"}]
    assert db.transfers(p["id"]) == []


def test_personal_data_is_in_one_place_and_sealed(reli, db):
    p = reli.pay(customer={"phone": "+254711222333", "email": "canary@example.com", "name": "Canary Bird"})
    tables = [r["relname"] for r in db.rows("""
        select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'reli' and c.relkind in ('r', 'p') and not c.relispartition""")]
    assert "payment" in tables and "event" in tables
    for table in tables:
        found = db.rows(f"select 1 from reli.{table} t where t::text ~* %s limit 1",
                        "canary|711222333")
        assert found == [], table
    assert db.value("select pii is not null from reli.payment where id = %s", p["id"])


def test_confirm_completes(reli, db):
    p = reli.pay(amount="1000.00")
    r = reli.post(f"{V1}/payments/{p['id']}/confirm", {})
    assert r.status == 200, r
    q = r.json
    assert set(q) == MEMBERS
    assert (q["status"], q["amount_received"], q["net"]) == ("completed", "1000.00", "1000.00")
    assert q["next_action"] is None and q["completed_at"] is not None
    assert db.events(p["id"])[2:] == [{"seq": 3, "type": "payment.completed"}]
    assert db.transfers(p["id"]) == [("provider_receivable", "merchant_pending", 100000, "KES")]


def test_show_has_attempts_refunds_and_timeline(reli):
    p = reli.pay()
    reli.post(f"{V1}/payments/{p['id']}/confirm", {})
    q = reli.payment(p["id"])
    assert set(q) == MEMBERS | {"attempts", "refunds", "route", "timeline"}
    assert q["route"] == {"chosen": "cash", "reason": "named", "skipped": []}
    assert q["attempts"] == [] and q["refunds"] == []
    assert [t["to"] for t in q["timeline"]] == ["pending", "requires_action", "completed"]
    assert all(t["actor"].startswith("api_key:") for t in q["timeline"])
    assert [t["at"] for t in q["timeline"]] == sorted(t["at"] for t in q["timeline"])


def test_confirm_twice_posts_once(reli, db):
    p = reli.pay()
    path = f"{V1}/payments/{p['id']}/confirm"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: reli.post(path, {}).status, range(8)))
    assert got == [200] * 8
    assert len(db.transfers(p["id"])) == 1
    assert len(db.events(p["id"])) == 3


def test_cancel(reli, db):
    p = reli.pay()
    r = reli.post(f"{V1}/payments/{p['id']}/cancel", {})
    assert r.status == 200 and r.json["status"] == "cancelled", r
    assert db.events(p["id"])[2:] == [{"seq": 3, "type": "payment.cancelled"}]
    assert db.transfers(p["id"]) == []
    again = reli.post(f"{V1}/payments/{p['id']}/cancel", {})
    assert again.status == 200 and again.json["status"] == "cancelled"
    assert len(db.events(p["id"])) == 3


def test_what_a_final_state_refuses(reli, db):
    done, dropped = reli.pay(), reli.pay()
    reli.post(f"{V1}/payments/{done['id']}/confirm", {})
    reli.post(f"{V1}/payments/{dropped['id']}/cancel", {})
    for payment, verb, status in ((done, "cancel", "completed"), (dropped, "confirm", "cancelled")):
        r = reli.post(f"{V1}/payments/{payment['id']}/{verb}", {})
        assert r.status == 409 and r.code == "invalid_state", r
        assert reli.payment(payment["id"])["status"] == status
    assert db.transfers(dropped["id"]) == []


def test_confirm_and_cancel_race_has_one_winner(reli, db):
    for _ in range(10):
        p = reli.pay()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            one = pool.submit(reli.post, f"{V1}/payments/{p['id']}/confirm", {})
            two = pool.submit(reli.post, f"{V1}/payments/{p['id']}/cancel", {})
            codes = sorted((one.result().status, two.result().status))
        assert codes == [200, 409]
        q = reli.payment(p["id"])
        assert len(db.transfers(p["id"])) == (1 if q["status"] == "completed" else 0)


@pytest.mark.parametrize("currency, sent, answered, minor", [
    ("KES", "1000", "1000.00", 100000),
    ("KES", 1000, "1000.00", 100000),
    ("KES", 0.1, "0.10", 10),
    ("RWF", "1000", "1000", 1000),
    ("UGX", 25, "25", 25),
    ("BHD", "1.005", "1.005", 1005),
    ("USD", "9999999999999.99", "9999999999999.99", 999999999999999),
])
def test_amounts(reli, db, currency, sent, answered, minor):
    p = reli.pay(amount=sent, currency=currency)
    assert p["amount"] == answered
    assert db.value("select amount from reli.payment where id = %s", p["id"]) == minor


@pytest.mark.parametrize("currency, sent", [
    ("KES", "1000.001"), ("KES", 0.001), ("RWF", "1.5"), ("KES", 0), ("KES", "-1"), ("KES", -5),
    ("KES", "1e3"), ("KES", "0x10"), ("KES", "1,000"), ("KES", " 1"), ("KES", ""), ("KES", True),
    ("KES", None), ("KES", []), ("KES", 12345678901234567.5), ("KES", "99999999999999999999"),
])
def test_amounts_refused(reli, currency, sent):
    r = reli.initialize(cash(amount=sent, currency=currency))
    assert r.status == 422 and r.code == "validation_failed", r
    assert r.json["param"] == "amount"


@pytest.mark.parametrize("email", ["a b@shop.example", "a\n@shop.example", "a@shop.example\n", "a\tb@shop.example"])
def test_an_address_without_blanks(reli, email):
    r = reli.initialize(cash(customer={"email": email}))
    assert (r.status, r.json["param"]) == (422, "customer.email"), r


def test_several_wrong_fields_are_named_at_once(reli):
    r = reli.initialize({"provider": "cash", "amount": "x", "currency": "KESS", "callback_url": "nowhere",
                         "surprise": 1, "customer": {"phone": "12", "nick": "J"}})
    assert r.status == 422, r
    named = {e["param"] for e in r.json["errors"]}
    assert named >= {"currency", "callback_url", "surprise", "customer.phone", "customer.nick"}


def test_another_merchants_payment_is_not_there(reli, stack, shared):
    p = reli.pay(reference="ORDER-7")
    other = stack.shop(shared)
    assert other.get(f"{V1}/payments/{p['id']}").status == 404
    assert other.post(f"{V1}/payments/{p['id']}/confirm", {}).status == 404
    assert other.post(f"{V1}/payments/{p['id']}/cancel", {}).status == 404
    assert other.post(f"{V1}/payments/status", {"reference": "ORDER-7"}).status == 404
    assert other.get(f"{V1}/payments?reference=ORDER-7").json["data"] == []
    assert other.get(f"{V1}/payments").json["data"] == []
    assert reli.payment(p["id"])["status"] == "requires_action"


def test_test_and_live_are_apart(reli, stack, shared):
    p = reli.pay(reference="ORDER-8")
    live = reli.with_key(stack.api_key(shared, reli.merchant, "live"))
    assert live.key.startswith("sk_live_")
    assert live.get(f"{V1}/payments/{p['id']}").status == 404
    assert live.post(f"{V1}/payments/{p['id']}/confirm", {}).status == 404
    assert live.post(f"{V1}/payments/status", {"reference": "ORDER-8"}).status == 404
    assert live.get(f"{V1}/payments").json["data"] == []
    assert reli.get(f"{V1}/payments/{p['id']}").status == 200


@pytest.mark.parametrize("auth", [None, "", "Basic c2tfdGVzdA==", "Bearer", "Bearer x",
                                  "Bearer sk_test_" + "0" * 48, "Bearer sk_test_" + "é" * 48])
def test_without_a_key(reli, auth):
    p = reli.pay()
    value = auth.encode("latin-1") if auth else auth
    r = reli.get(f"{V1}/payments/{p['id']}", headers={"Authorization": value})
    assert r.status == 401 and r.code == "unauthenticated", r
    assert r.header("WWW-Authenticate").startswith("Bearer")


def test_client_token_reads_its_payment_and_nothing_else(reli):
    p, other = reli.pay(), reli.pay()
    client = reli.with_key(p["client_token"])
    assert client.payment(p["id"])["id"] == p["id"]
    assert client.get(f"/api/payments/status/{p['id']}").status == 200
    for method, path in (("GET", f"{V1}/payments/{other['id']}"), ("GET", f"{V1}/payments"),
                         ("POST", f"{V1}/payments/{p['id']}/confirm"),
                         ("POST", f"{V1}/payments/{p['id']}/cancel"),
                         ("GET", f"{V1}/webhook-endpoints")):
        r = client.request(method, path, {} if method == "POST" else None)
        assert r.status == 401, (method, path, r)
    token = p["client_token"]
    for wrong in (token[:-1] + ("0" if token[-1] != "0" else "1"), token[:-2], token + "00"):
        assert reli.with_key(wrong).get(f"{V1}/payments/{p['id']}").status == 401


def test_filters(reli):
    a = reli.pay(amount="10.00", customer={"id": "c1"}, reference=word())
    b = reli.pay(amount="20.00", customer={"id": "c2"}, payment_method="cash_on_delivery")
    c = reli.pay(amount="30", currency="UGX", customer={"id": "c1"})
    reli.post(f"{V1}/payments/{b['id']}/confirm", {})
    today = a["created_at"][:10]

    def ids(query):
        r = reli.get(f"{V1}/payments?{query}")
        assert r.status == 200, r
        assert r.json["object"] == "list"
        return [p["id"] for p in r.json["data"]]

    everything = [c["id"], b["id"], a["id"]]
    assert ids("") == everything
    assert ids("status=completed") == [b["id"]]
    assert ids("customer_id=c1") == [c["id"], a["id"]]
    assert ids("payment_method=cash_on_delivery") == [b["id"]]
    assert ids("provider=cash") == everything
    assert ids("provider=mpesa") == []
    assert ids("currency=UGX") == [c["id"]]
    assert ids(f"reference={a['reference']}") == [a["id"]]
    assert ids("currency=KES&min_amount=15") == [b["id"]]
    assert ids("currency=KES&max_amount=15.00") == [a["id"]]
    assert ids("currency=KES&min_amount=10&max_amount=20") == [b["id"], a["id"]]
    assert ids("min_amount=15") == [c["id"], b["id"]]  # each in its own currency
    assert ids("min_amount=10&max_amount=15.5") == [a["id"]]
    assert ids(f"date_from={today}") == everything
    assert ids(f"date_to={today}") == everything
    assert ids("date_from=2100-01-01") == []
    assert ids("date_to=2020-01-01") == []
    for old in ("1969-12-31", "1969-12-31T23:59:59.999Z", "0001-01-01"):  # before the first id
        assert ids("date_from=" + old) == everything
        assert ids("date_to=" + old) == []
    assert ids("status=completed&customer_id=c1") == []


@pytest.mark.parametrize("query, param", [
    ("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("page=0", "page"),
    ("status=done", "status"), ("after=1", "after"), ("before=zz", "before"), ("colour=red", "colour"),
    ("min_amount=x", "min_amount"), ("currency=ZZZ&min_amount=5", "min_amount"), ("currency=KES&min_amount=0.001", "min_amount"),
    ("date_from=yesterday", "date_from"), ("limit=1&limit=2", "limit"), ("status=failed&status=completed", "status"),
    ("page=1&page=1", "page"), ("currency=KES&provider=cash&currency=KES", "currency"),
    ("page=1&after=01900000-0000-7000-8000-000000000000", "page"),
])
def test_filters_refused(reli, query, param):
    r = reli.get(f"{V1}/payments?{query}")
    assert r.status == 422 and r.code == "validation_failed", r
    assert r.json["param"] == param


def test_pages(reli):
    made = [reli.pay()["id"] for _ in range(7)][::-1]
    got = []
    for page, n in ((1, 3), (2, 3), (3, 1), (4, 0)):
        r = reli.get(f"{V1}/payments?limit=3&page={page}").json
        assert (r["total"], r["total_is_capped"], r["page"]) == (7, False, page)
        assert len(r["data"]) == n
        assert r["has_more"] == (page < 3)
        got += [p["id"] for p in r["data"]]
    assert got == made


def test_cursors_are_stable_while_rows_are_added(reli):
    made = [reli.pay()["id"] for _ in range(7)][::-1]
    got, cursor = [], None
    while True:
        r = reli.get(f"{V1}/payments?limit=2" + (f"&after={cursor}" if cursor else "")).json
        got += [p["id"] for p in r["data"]]
        reli.pay()
        cursor = r["next"]
        if not r["has_more"]:
            assert cursor is None
            break
    assert got == made
    newer = []
    cursor = made[-1]
    while cursor is not None:
        r = reli.get(f"{V1}/payments?limit=2&before={cursor}").json
        newer = [p["id"] for p in r["data"]] + newer
        cursor = r["next"]
    assert newer[-6:] == made[:-1]
    assert len(newer) == 6 + 4


def test_status_by_reference(reli):
    p = reli.pay(reference="ORDER-9")
    r = reli.post(f"{V1}/payments/status", {"reference": "ORDER-9"})
    assert r.status == 200 and r.json["id"] == p["id"], r
    assert reli.post(f"{V1}/payments/status", {"reference": "NONE"}).status == 404
    assert reli.post(f"{V1}/payments/status", {}).status == 422
    assert reli.post(f"{V1}/payments/status", {"reference": "A", "reference_no": "B"}).status == 422


def test_status_by_reference_no(reli):
    named, unnamed = reli.pay(reference="ORDER-10"), reli.pay()
    assert unnamed["reference"] == unnamed["reference_no"]
    for p in (named, unnamed):
        r = reli.post(f"{V1}/payments/status", {"reference_no": p["reference_no"]})
        assert r.status == 200 and r.json["id"] == p["id"], r


def test_a_reference_names_one_payment(reli, db):
    p = reli.pay(reference="ORDER-11")
    key = new_key()
    r = reli.initialize(cash(reference="ORDER-11"), key=key)
    assert r.status == 409 and r.code == "duplicate_reference", r
    again = reli.initialize(cash(reference="ORDER-11"), key=key)
    assert again.status == 409 and again.body == r.body, "a refusal is cached"
    assert again.header("Idempotent-Replayed") == "true"
    assert reli.initialize(cash(reference="ORDER-11")).status == 409
    assert db.value("select count(*) from reli.payment where merchant_id = %s", reli.merchant) == 1
    reli.post(f"{V1}/payments/{p['id']}/confirm", {})
    assert reli.initialize(cash(reference="ORDER-11"), key=new_key()).status == 409


def test_the_reference_of_a_cancelled_payment_passes_on(reli):
    p = reli.pay(reference="ORDER-12")
    reli.post(f"{V1}/payments/{p['id']}/cancel", {})
    q = reli.pay(reference="ORDER-12")
    assert q["id"] != p["id"]
    assert reli.post(f"{V1}/payments/status", {"reference": "ORDER-12"}).json["id"] == q["id"]
    assert reli.initialize(cash(reference="ORDER-12"), key=new_key()).status == 409
    assert reli.payment(p["id"])["status"] == "cancelled"


def test_a_reference_passes_on_to_one_of_many(reli, db):
    p = reli.pay(reference="ORDER-13")
    reli.post(f"{V1}/payments/{p['id']}/cancel", {})
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        got = list(pool.map(lambda _: reli.initialize(cash(reference="ORDER-13"), key=new_key()).status,
                            range(16)))
    assert sorted(got) == [201] + [409] * 15
    assert db.value("select count(*) from reli.payment where merchant_id = %s", reli.merchant) == 2


def test_two_merchants_may_use_one_reference(reli, stack, shared):
    other = stack.shop(shared)
    assert reli.pay(reference="ORDER-14")["id"] != other.pay(reference="ORDER-14")["id"]


@pytest.mark.parametrize("path", [
    V1 + "/payments/initialize", V1 + "/payments/initialize/", V1 + "/payments/initiate",
    "/api/payments/create",
])
def test_where_a_payment_is_made(reli, path):
    r = reli.post(path, cash())
    assert r.status == 201, r


def test_other_names(reli):
    p = reli.pay()
    assert reli.get(f"{V1}/payments/transactions").json["data"][0]["id"] == p["id"]
    assert reli.get(f"{V1}/payments/").json["data"][0]["id"] == p["id"]
    assert reli.get(f"/api/payments/status/{p['id']}").json["id"] == p["id"]
    assert reli.get(f"{V1}/payments/{p['id']}/").json["id"] == p["id"]


def test_an_expired_cash_payment(replicas, clock):
    shop = replicas.shop(replicas.one())
    p = shop.pay(reference="ORDER-15")
    clock.advance(7 * 86400 + 60)
    q = shop.wait_status(p["id"], "expired")
    assert q["next_action"] is None and q["amount_received"] == "0.00"
    r = shop.post(f"{V1}/payments/{p['id']}/confirm", {})
    assert r.status == 409, r
    shop.pay(reference="ORDER-15")  # the reference is free again

"""People: found, told all that is stored about them, and forgotten, while the books stay whole."""

import json
import pathlib
import subprocess
import urllib.parse
import uuid

import pytest
import sealed
from helpers import V1, cash, new_key, phone, stk, wait_until, word
from test_c2b import register, send, told

MASTER = "1:cmVsaS1zeXN0ZW0tdGVzdHMtbWFzdGVyLWtleS0zMmI="


def person(name, ending="000", **more):
    """Somebody whom nothing else in the database resembles."""
    tag = uuid.uuid4().hex[:10]
    return {"phone": phone(ending), "email": f"{name.lower()}.{tag}@example.com", "name": f"{name} Q{tag}", **more}


def customers(shop, **query):
    r = shop.get(f"{V1}/customers?{urllib.parse.urlencode(query)}")
    assert r.status == 200, r
    return r.json["data"]


def customer(shop, **query):
    (found,) = customers(shop, **query)
    return found


def paid(shop, who, **fields):
    p = shop.pay(stk(customer=who, **fields))
    return shop.wait_status(p["id"], "completed")


def path_of(word):
    return f"{V1}/customers/{urllib.parse.quote(word, safe='')}"


def data(shop, word, **query):
    r = shop.get(f"{path_of(word)}/data?{urllib.parse.urlencode(query)}")
    assert r.status == 200, r
    return r.json


def erase(shop, word):
    r = shop.delete(path_of(word) + "/data")
    assert r.status == 202, r
    assert r.json["status"] == "erased" and r.json["phone"] is None and r.json["name"] is None
    return r.json["id"]


def wiped(shop, customer_id):
    return wait_until(lambda: shop.get(f"{V1}/customers/{customer_id}").json["wiped_at"], 15, "all of it is gone")


def spellings(who):
    """What must be nowhere."""
    digits = who["phone"].lstrip("+")
    return [digits, digits[3:], f"0{digits[3:]}", who["email"], who["email"].upper(), who["name"],
            who["name"].split(" ")[1]]


def pg_dump(database):
    tools = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/pg_dump"))
    done = subprocess.run([tools[-1], "--inserts", database.services.url("postgres", database.name)],
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def redis_dump(services):
    import redis

    client = redis.Redis(unix_socket_path=services.redis_url.removeprefix("unix://").partition("?")[0]) \
        if services.redis_url.startswith("unix://") else redis.Redis.from_url(services.redis_url)
    out = []
    for key in client.scan_iter("*"):
        out += [key, client.dump(key) or b""]
    client.close()
    return b"\n".join(out)


def holds(text, words):
    low = text.lower()
    return [w for w in words if w.lower().encode() in low or w.lower().encode().hex().encode() in low]


def unmasked(shop, url, who):
    """News of money with the number in full, as it has been shown before."""
    body = {"TransactionType": "Pay Bill", "TransID": uuid.uuid4().hex[:10].upper(), "TransTime": "20261121120000",
            "TransAmount": "50.00", "BusinessShortCode": "174379", "BillRefNumber": "NOSUCH", "InvoiceNumber": "",
            "OrgAccountBalance": "90312.00", "ThirdPartyTransID": "", "MSISDN": who["phone"].lstrip("+"),
            "FirstName": who["name"], "MiddleName": "", "LastName": ""}
    r = shop.post(url.removeprefix(shop.url), body)
    assert r.status == 200, r


def prove(stack, database):
    for command in (["audit", "verify"], ["ledger", "prove"], ["replay", "--verify"]):
        done = stack.cli(database, *command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)


# ---- found ----


def test_the_merchants_id_counts_most(reli):
    jane = person("Jane", id=word("cust"))
    reli.pay(cash(customer=jane))
    reli.pay(cash(customer={**jane, "name": "Jane Smith"}))
    found = customer(reli, external_id=jane["id"])
    assert found["object"] == "customer" and found["external_id"] == jane["id"] and found["status"] == "active"
    assert (found["phone"], found["email"], found["name"]) == (jane["phone"], jane["email"], "Jane Smith")
    for query in ({"phone": jane["phone"]}, {"phone": "0" + jane["phone"][4:]}, {"email": jane["email"].upper()},
                  {"phone": jane["phone"], "email": jane["email"], "external_id": jane["id"]}):
        assert customer(reli, **query) == found, query
    assert reli.get(path_of(jane["id"])).json == found
    assert reli.get(path_of(found["id"])).json == found
    assert customers(reli, phone=jane["phone"], email="other@example.com") == []
    for name_ in (jane["id"], found["id"]):
        listed = reli.get(f"{V1}/payments?customer_id={name_}&page=1").json
        assert len(listed["data"]) == listed["total"] == 2, name_


def test_who_is_a_customer(reli):
    number, address = phone(), f"{word('a')}@example.com"
    for given in ({"phone": number}, {"phone": number, "name": "A"}, {"email": address},
                  {"phone": number, "email": address}, {"name": "nobody"}, {"id": "7", "phone": number}):
        reli.pay(cash(customer=given))
    reli.pay(cash())
    assert {c["external_id"] for c in customers(reli)} == {None, "7"}
    by_phone, by_email, by_id = (customers(reli, phone=number), customers(reli, email=address),
                                 customers(reli, external_id="7"))
    assert len(customers(reli)) == 3 and len(by_id) == 1
    assert {c["id"] for c in by_phone} == {by_id[0]["id"]} | {c["id"] for c in by_email} - {
        c["id"] for c in by_email if c["phone"] is None}
    assert len(by_email) == 2, "one by the address alone, one who has a number too"


def test_two_merchants_have_nothing_to_join(stack, shared, reli, db):
    other = stack.shop(shared)
    jane = person("Jane", id="one-id")
    for shop in (reli, other):
        shop.pay(cash(customer=jane))
    ours, theirs = customer(reli, phone=jane["phone"]), customer(other, phone=jane["phone"])
    assert ours["id"] != theirs["id"]
    for what in ("", "/data"):
        assert other.get(f"{V1}/customers/{ours['id']}{what}").status == 404
    assert other.delete(f"{V1}/customers/{ours['id']}/data").status == 404
    stored = [db.rows("select key from reli.customer where merchant_id = %s "
                      "union select handle from reli.customer_handle where merchant_id = %s", m, m)
              for m in (reli.merchant, other.merchant)]
    left, right = ({bytes(r["key"]) for r in rows} for rows in stored)
    assert len(left) == len(right) == 3 and not left & right


def test_pages_of_customers(reli):
    made = [word("c") for _ in range(5)]
    for name in made:
        reli.pay(cash(customer={"id": name}))
    first = reli.get(f"{V1}/customers?limit=3").json
    assert [c["external_id"] for c in first["data"]] == made[:1:-1] and first["has_more"]
    rest = reli.get(f"{V1}/customers?limit=3&after={first['next']}").json
    assert [c["external_id"] for c in rest["data"]] == made[1::-1] and not rest["has_more"]


@pytest.mark.parametrize("query, param", [
    ("phone=12", "phone"), ("limit=0", "limit"), ("after=x", "after"), ("email=", "email"), ("name=x", "name")])
def test_wrong_questions(reli, query, param):
    r = reli.get(f"{V1}/customers?{query}")
    assert r.status == 422 and [e["param"] for e in r.json["errors"]] == [param], r


def test_nobody_of_that_name(reli):
    for path in ("", "/data"):
        for who in (str(uuid.uuid4()), "nobody", "a b", "%2B254"):
            assert reli.get(f"{V1}/customers/{urllib.parse.quote(who)}{path}").status == 404


def test_a_hundred_payments_at_once_make_one_customer(reli):
    import concurrent.futures

    jane = person("Jane", id=word("cust"))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: reli.initialize(cash(customer=jane), key=new_key()).status, range(100)))
    assert made == [201] * 100
    assert customer(reli, phone=jane["phone"])["external_id"] == jane["id"]
    assert len(data(reli, jane["id"], limit=20)["payments"]) == 20


# ---- told ----


def test_all_that_is_stored(reli, db):
    jane, other = person("Jane", id=word("cust")), person("Otto", id=word("cust"))
    first, second = paid(reli, jane), paid(reli, jane)
    paid(reli, other)
    r = reli.post(f"{V1}/payments/{first['id']}/refund", {"amount": "10.00", "reason": "late"},
                  headers={"Idempotency-Key": new_key()})
    assert r.status == 201, r
    wait_until(lambda: reli.get(f"{V1}/refunds/{r.json['id']}").json["status"] == "completed", 15, "refunded")
    out = data(reli, jane["id"])
    assert out["customer"] == customer(reli, phone=jane["phone"])
    assert [p["id"] for p in out["payments"]] == [second["id"], first["id"]] and not out["has_more"]
    found = out["payments"][1]
    assert found["customer"] == jane
    assert [e["type"] for e in found["events"]][:3] == ["payment.initiated", "payment.processing",
                                                        "payment.completed"]
    assert all(e["data"].get("customer", jane) == jane for e in found["events"])
    assert [x["id"] for x in found["refunds"]] == [r.json["id"]]
    assert {"charge", "mpesa"} <= {m["what"] for m in found["provider_messages"]}
    assert jane["phone"][1:] in json.dumps([m for m in found["provider_messages"] if m["direction"] == "in"])
    assert not holds(json.dumps(out).encode(), spellings(other))
    page = data(reli, jane["id"], limit=1)
    assert [p["id"] for p in page["payments"]] == [second["id"]] and page["has_more"]
    page = data(reli, jane["id"], limit=1, after=page["next"])
    assert [p["id"] for p in page["payments"]] == [first["id"]] and not page["has_more"]
    db.rows("update reli.provider_event set raw = raw || decode(repeat('00', 20000), 'hex') where merchant_id = %s",
            reli.merchant)
    large = data(reli, jane["id"], limit=1)["payments"][0]["provider_messages"]
    assert {m["body"] is None for m in large if m["direction"] == "in"} == {True}
    noted = db.rows("select actor, detail from reli.audit_log where merchant_id = %s and action = 'customer.exported'",
                    reli.merchant)
    assert len(noted) == 4 and all(a["actor"].startswith("api_key:") and a["detail"] is None for a in noted)


# ---- forgotten ----


def test_nothing_is_left_of_a_person(stack, replicas, clock, sandbox, receiver):
    """A dump of the database, every sealed column opened, and Redis: the one is gone, the other is there."""
    one, two = replicas(2)
    shop = replicas.shop(one)
    endpoint = shop.endpoint(receiver.url())
    receiver.answers["/hook"] = lambda hook: (200, {}, hook.body.partition(b'"customer"')[2])  # it repeats what it was told
    url = register(shop).json["confirmation_url"]
    jane, otto = person("Jane", id=word("cust")), person("Otto", id=word("cust"))
    anonymous = {k: jane[k] for k in ("phone", "email", "name")}
    payments = [paid(shop, jane), paid(shop, anonymous), paid(shop, otto)]
    for p, who in ((payments[0], jane), (payments[2], otto)):  # paid twice, and by the full number
        receipt = send(sandbox, p["reference_no"], phone=who["phone"].lstrip("+"), name=who["name"])
        told(sandbox, receipt)
        unmasked(shop, url, who)
    refund = shop.post(f"{V1}/payments/{payments[0]['id']}/refund", {"reason": "all of it"},
                       headers={"Idempotency-Key": new_key()})
    assert refund.status == 201, refund
    wait_until(lambda: shop.get(f"{V1}/refunds/{refund.json['id']}").json["status"] == "completed", 15, "refunded")
    database = one.database
    seal = sealed.Seal(database, MASTER)
    before = b"\n".join(t for texts in seal.everything().values() for t in texts)
    wait_until(lambda: not database.due(clock.now()), 15, "all is delivered")
    answers = b"".join(seal.everything()["delivery_attempt.answer"])
    assert holds(answers, spellings(jane))
    assert len(holds(before, spellings(jane))) >= 4 and len(holds(before, spellings(otto))) >= 4, "it can be seen"

    # what he has sent too much is his until somebody has decided
    other_key = shop.with_key(stack.api_key(one, shop.merchant))
    items = [x["id"] for x in shop.get(f"{V1}/exceptions").json["data"] if x["kind"] == "unallocated"]
    assert len(items) == 4
    assert [u["payer"]["name"] for u in data(shop, jane["id"])["unallocated"]] == [jane["name"]]
    for item in items:
        r = shop.delete(path_of(jane["id"]) + "/data")
        assert r.status == 409 and r.code == "invalid_state", r
        for who in (shop, other_key):
            r = who.post(f"{V1}/exceptions/{item}/resolve", {"resolution": "kept", "evidence": "nobody has asked"})
            assert r.status == 200, r
    gone = erase(shop, jane["id"])
    wiped(shop.at(two), gone)
    database_text = pg_dump(database)
    assert holds(database_text, spellings(jane)) == []
    plain = seal.everything()
    everything = b"\n".join(t for texts in plain.values() for t in texts)
    assert holds(everything, spellings(jane)) == []
    assert len(holds(everything, spellings(otto))) >= 4, "the other one is untouched"
    assert holds(database_text, spellings(otto)) == [], "not even he is readable"
    assert holds(redis_dump(stack.services), spellings(jane) + spellings(otto)) == []
    for replica in (one, two):
        assert holds(replica.log.read_bytes(), spellings(jane) + spellings(otto)) == []

    # what is shown from now on
    nobody = {"phone": None, "email": None, "name": None}
    assert shop.payment(payments[0]["id"])["customer"] == {"id": jane["id"], **nobody}
    assert shop.payment(payments[1]["id"])["customer"] == {"id": None, **nobody}
    events = shop.get(f"{V1}/events?limit=100").json["data"]
    assert holds(json.dumps(events).encode(), spellings(jane)) == []
    hook = receiver.at(payment=payments[0]["id"])[0]
    assert jane["name"].encode() in hook.body
    deliveries = shop.get(f"{V1}/webhook-deliveries?limit=100").json["data"]
    mine = next(d for d in deliveries if d["event_id"] == hook.id)
    n = len(receiver.at(payment=payments[0]["id"]))
    assert shop.post(f"{V1}/webhook-deliveries/{mine['id']}/replay").status in (200, 201, 202)
    last = receiver.wait(n + 1, payment=payments[0]["id"])[-1]
    assert last.signed_by(endpoint["secret"]) and last.json["data"]["customer"] == {"id": jane["id"], **nobody}

    for query in ({"phone": jane["phone"]}, {"email": jane["email"]}, {"external_id": jane["id"]}):
        assert customers(shop, **query) == []
    assert data(shop, gone)["payments"] == []
    clock.advance(70)  # the last look, after which nothing leads from him to his payments
    wait_until(lambda: not database.rows("select kind from reli.job where kind = 'erasure'"), 15, "the job is over")
    left = database.one("select key, erase_key, external_id from reli.customer where id = %s", gone)
    assert set(left.values()) == {None}
    prove(stack, database)
    audit = database.one("select actor, before, after, detail from reli.audit_log where action = 'customer.erased'")
    assert audit["actor"].startswith("api_key:")
    assert (audit["before"], audit["after"], audit["detail"]) == ("active", "erased", None)


def test_not_while_money_is_on_its_way(reli):
    jane = person("Jane", id=word("cust"))
    p = reli.pay(cash(customer=jane))
    r = reli.delete(path_of(jane["id"]) + "/data")
    assert r.status == 409 and r.code == "invalid_state", r
    assert customer(reli, phone=jane["phone"])["status"] == "active"
    assert reli.payment(p["id"])["customer"] == jane
    assert reli.post(f"{V1}/payments/{p['id']}/cancel").status == 200
    gone = erase(reli, jane["id"])
    wiped(reli, gone)
    assert erase(reli, gone) == gone, "once more changes nothing"
    assert reli.delete(path_of(jane["id"]) + "/data").status == 404, "the name leads nowhere"


def test_who_comes_back_is_somebody_new(reli):
    jane = person("Jane", id=word("cust"))
    old = paid(reli, jane)
    gone = erase(reli, jane["id"])
    new = paid(reli, jane)
    wiped(reli, gone)
    again = customer(reli, phone=jane["phone"])
    assert again["id"] != gone and again["name"] == jane["name"]
    assert [p["id"] for p in data(reli, jane["id"])["payments"]] == [new["id"]]
    assert reli.payment(old["id"])["customer"]["phone"] is None


def test_an_erasure_outlives_its_replica(replicas):
    """It is begun by one process, which dies, and ended by another."""
    one = replicas.one()
    shop = replicas.shop(one)
    jane = person("Jane", id=word("cust"))
    made = [shop.pay(cash(customer=jane))["id"] for _ in range(120)]  # more than two pages
    for p in made:
        assert shop.post(f"{V1}/payments/{p}/cancel").status == 200
    gone = erase(shop, jane["id"])
    one.kill()
    database = one.database
    two = replicas.again(one)
    wiped(shop.at(two), gone)
    assert database.value("select count(*) from reli.payment where pii is not null or customer_key is not null") == 0


def test_what_providers_said_of_him_is_not_processed_again(reli, db):
    jane = person("Jane", id=word("cust"))
    p = paid(reli, jane)
    wiped(reli, erase(reli, jane["id"]))
    db.rows("update reli.provider_event set state = 'ignored' where payment_id = %s", p["id"])
    (stored,) = reli.get(f"{V1}/provider-events?payment_id={p['id']}").json["data"]
    shown = reli.get(f"{V1}/provider-events/{stored['id']}")
    assert shown.status == 200 and not holds(shown.body, spellings(jane))
    r = reli.post(f"{V1}/provider-events/{stored['id']}/replay")
    assert r.status == 409 and r.code == "invalid_state", r
    assert db.rows("select n from reli.job where kind = 'inbound' and merchant_id = %s", reli.merchant) == []


def test_a_replayed_answer_has_forgotten_him(reli):
    jane = person("Jane", id=word("cust"))
    key = new_key()
    body = stk(customer=jane)
    first = reli.initialize(body, key=key)
    reli.wait_status(first.json["id"], "completed")
    wiped(reli, erase(reli, jane["id"]))
    again = reli.initialize(body, key=key)
    assert again.status == first.status and again.header("Idempotent-Replayed") == "true"
    assert again.json["customer"] == {"id": jane["id"], "phone": None, "email": None, "name": None}


def test_who_may(stack, reli):
    jane = person("Jane", id=word("cust"))
    paid(reli, jane)
    reader = reli.with_key(stack.api_key(reli.replica, reli.merchant, "test", "--scopes", "payments:read"))
    assert reader.get(path_of(jane["id"])).status == 200
    assert reader.get(path_of(jane["id"]) + "/data").status == 403
    assert reader.delete(path_of(jane["id"]) + "/data").status == 403

"""Idempotency-Key: each row of the tables of domain.md, section 4."""

import concurrent.futures
import json
import os
import re
import threading
import time

import pytest
import redis
from helpers import (V1, Connection, answers, cash, exchange, new_key, parse_time, phone, scaled, stk,
                     wait_until, word)
from people import Person


def count(shop):
    return shop.replica.database.value("select count(*) from reli.payment where merchant_id = %s",
                                       shop.merchant)


def is_replay(first, again):
    assert (again.status, again.body) == (first.status, first.body), (first, again)
    assert again.header("Idempotent-Replayed") == "true"


def test_a_replay_is_the_same_to_the_byte(reli):
    body, key = cash(metadata={"b": 1, "a": [1.5, "é"]}, customer={"phone": "+254700000001"}), new_key()
    first = reli.initialize(body, key=key)
    assert first.status == 201 and first.header("Idempotent-Replayed") is None
    again = reli.initialize(body, key=key)
    is_replay(first, again)
    assert again.header("Reli-Current-Status") == "requires_action"
    original = parse_time(again.header("Idempotency-Original-Date"))
    assert abs(original - parse_time(first.json["created_at"])) < 1
    assert again.header("Location") == first.header("Location")
    assert count(reli) == 1


def test_a_replay_after_the_state_has_moved(reli):
    body, key = cash(), new_key()
    first = reli.initialize(body, key=key)
    reli.post(f"{V1}/payments/{first.json['id']}/confirm", {})
    again = reli.initialize(body, key=key)
    is_replay(first, again)
    assert again.json["status"] == "requires_action"
    assert again.header("Reli-Current-Status") == "completed"


BASE = {"provider": "cash", "amount": 1000, "currency": "KES",
        "customer": {"id": "c1", "phone": "+254700000001", "email": "a@example.com", "name": "Ann"},
        "description": "Tea", "metadata": {"a": 1, "b": {"c": [1, 2], "d": None}},
        "callback_url": "http://127.0.0.1:9/hook", "return_url": "https://shop.example/done"}


def changed(**fields):
    out = json.loads(json.dumps(BASE))
    out.update(fields)
    return {k: v for k, v in out.items() if v is not None}


@pytest.mark.parametrize("other", [
    dict(reversed(list(BASE.items()))),
    changed(amount="1000.00"), changed(amount=1000.00), changed(amount="1000"),
    changed(metadata={"b": {"d": None, "c": [1, 2]}, "a": 1}),
    changed(payment_method="cash"),
    changed(provider=None, payment_method="cash"),
    {**changed(customer={"id": "c1"}), "phone": "0700000001", "email": "a@example.com", "name": "Ann"},
    changed(customer={"name": "Ann", "email": "a@example.com", "phone": "254700000001", "id": "c1"}),
], ids=["reordered", "string", "real", "short-string", "metadata", "method", "method-only", "flat",
        "customer"])
def test_the_same_in_other_words(reli, other):
    key = new_key()
    first = reli.initialize(BASE, key=key)
    assert first.status == 201, first
    is_replay(first, reli.initialize(other, key=key))
    assert count(reli) == 1


@pytest.mark.parametrize("path", [V1 + "/payments/initialize/", V1 + "/payments/initiate",
                                  "/api/payments/create"])
def test_another_name_of_the_route(reli, path):
    key = new_key()
    first = reli.initialize(BASE, key=key)
    is_replay(first, reli.post(path, BASE, headers={"Idempotency-Key": key}))


def test_with_white_space_up_to_the_last_byte(reli):
    key, text = new_key(), json.dumps(BASE)
    full = text[:-1] + " " * (1024 * 1024 - len(text)) + "}"
    assert len(full) == 1024 * 1024
    first = reli.initialize(full, key=key)
    assert first.status == 201, first
    is_replay(first, reli.initialize(BASE, key=key))


@pytest.mark.parametrize("field, value", [
    ("amount", "1000.01"), ("currency", "USD"), ("customer", {"id": "c2"}), ("reference", "ORDER-1"),
    ("description", "Coffee"), ("description", None), ("metadata", {"a": 2}), ("metadata", None),
    ("callback_url", "http://127.0.0.1:9/other"), ("return_url", None),
    ("payment_method", "cash_on_delivery"),
])
def test_another_request_with_the_key(reli, field, value):
    key = new_key()
    first = reli.initialize(BASE, key=key)
    r = reli.initialize(changed(**{field: value}), key=key)
    assert r.status == 422 and r.code == "idempotency_key_reused", r
    named = re.search(r"these differ: (.*)\.", r.json["detail"]).group(1)
    # An amount is in its currency's units: 1000 KES against 1000 USD differ in one field only.
    assert named == field, r
    assert "Coffee" not in r.text and "1000.01" not in r.text, "names, never values"
    is_replay(first, reli.initialize(BASE, key=key))
    assert count(reli) == 1


def test_several_differences_are_all_named(reli):
    key = new_key()
    reli.initialize(BASE, key=key)
    r = reli.initialize(changed(amount=1, description="Coffee", metadata=None), key=key)
    assert r.status == 422
    assert "amount, description, metadata" in r.json["detail"]


@pytest.mark.parametrize("key, ok", [
    ("k" * 16, True), ("k" * 255, True), ("!~ printable ascii {}", True),
    ("k" * 15, False), ("k" * 256, False), ("", False), ("schlüssel-schlüssel", False),
    ("tab\tinside-the-key-here", False),
])
def test_key_format(reli, key, ok):
    r = reli.initialize(cash(), headers={"Idempotency-Key": key.encode("latin-1")})
    if ok:
        assert r.status == 201, r
    else:
        assert r.status == 400 and r.code == "idempotency_key_invalid", r
        assert count(reli) == 0


def test_a_key_with_a_newline_is_no_key(reli):
    head = (f"POST {V1}/payments/initialize HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {reli.key}\r\n"
            "Content-Type: application/json\r\nContent-Length: 2\r\n")
    for key in ("aaaaaaaaaaaaaaaa\n bbbb", "aaaaaaaaaaaaaaaa\r\n bbbb", "aaaaaaaaaaaaaaaa\rbbbb"):
        raw = (head + f"Idempotency-Key: {key}\r\n\r\n{{}}").encode()
        ((status, headers, body),) = answers(exchange(reli.port, raw))
        assert status == 400 and json.loads(body)["code"] == "bad_request"
        assert headers["connection"] == "close"


def test_two_merchants_with_one_key(reli, stack, shared):
    key, other = new_key(), stack.shop(shared)
    a, b = reli.initialize(cash(), key=key), other.initialize(cash(), key=key)
    assert a.status == b.status == 201
    assert a.json["id"] != b.json["id"] and b.header("Idempotent-Replayed") is None
    is_replay(a, reli.initialize(cash(), key=key))
    is_replay(b, other.initialize(cash(), key=key))


def test_another_api_key_between_the_tries(reli, stack, shared):
    key = new_key()
    first = reli.initialize(cash(), key=key)
    rotated = reli.with_key(stack.api_key(shared, reli.merchant))
    is_replay(first, rotated.initialize(cash(), key=key))


def test_a_replay_needs_the_right_to_create(reli, stack, shared):
    key = new_key()
    reli.initialize(cash(), key=key)
    reader = reli.with_key(stack.api_key(shared, reli.merchant, "test", "--scopes", "payments:read"))
    r = reader.initialize(cash(), key=key)
    assert r.status == 403 and r.code == "forbidden" and "client_token" not in r.text, r


def test_redis_is_flushed_between_the_tries(reli, stack):
    key = new_key()
    first = reli.initialize(cash(), key=key)
    redis.Redis.from_url(stack.services.redis_url).flushall()
    is_replay(first, reli.initialize(cash(), key=key))
    assert count(reli) == 1


def test_a_replay_by_another_replica_and_after_a_restart(replicas):
    one, two = replicas(2)
    shop, key = replicas.shop(one), new_key()
    first = shop.initialize(cash(), key=key)
    is_replay(first, shop.at(two).initialize(cash(), key=key))
    one.kill()
    is_replay(first, shop.at(replicas.again(one)).initialize(cash(), key=key))
    assert first.json["client_token"]


def test_refusals_that_are_not_cached(reli):
    key = new_key()
    assert reli.initialize(cash(amount="x"), key=key).status == 422
    assert reli.initialize("{", key=key).status == 400
    assert reli.with_key("sk_test_" + "0" * 48).initialize(cash(), key=key).status == 401
    assert reli.initialize(cash(), headers={"Content-Type": "text/plain", "Idempotency-Key": key}).status == 415
    assert reli.post(V1 + "/payments/nowhere", cash(), headers={"Idempotency-Key": key}).status in (404, 405)
    first = reli.initialize(cash(), key=key)
    assert first.status == 201 and first.header("Idempotent-Replayed") is None, first


def test_a_merchant_that_demands_keys(reli, db):
    db.rows("update reli.merchant set require_idempotency_key = true where merchant_id = %s", reli.merchant)
    r = reli.initialize(cash())
    assert r.status == 400 and r.code == "idempotency_key_required", r
    assert reli.initialize(cash(), key=new_key()).status == 201


def test_a_merchant_whose_keys_are_uuids(reli, db, stack, shared):
    ann = Person(stack, shared, reli.merchant)
    assert ann.get(V1 + "/merchant").json["strict_uuid"] is False
    assert ann.patch(V1 + "/merchant", {"strict_uuid": "yes"}).status == 422
    assert ann.patch(V1 + "/merchant", {"strict_uuid": True}).json["strict_uuid"] is True
    assert db.value("select detail from reli.audit_log where merchant_id = %s and action = 'merchant.changed'",
                    reli.merchant) == "strict_uuid"
    for who in (reli, ann):  # what is known of a key or session is a second old at most
        r = wait_until(lambda who=who: (r := who.post(V1 + "/payments/initialize", cash(), headers={
            "Idempotency-Key": word("order-1")})).status == 400 and r)
        assert r.code == "idempotency_key_invalid" and "UUID" in r.json["detail"], r
    assert reli.initialize(cash(), key=new_key()).status == 201
    assert reli.initialize(cash()).status == 201, "without is something else"


def test_a_hundred_at_once(reli, sandbox):
    number, key = phone(), new_key()
    body = stk(phone=number)
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        got = list(pool.map(lambda _: reli.initialize(
            body, key=key, headers={"Prefer": "wait=10"}, timeout=40), range(100)))
    assert {r.status for r in got} == {201}, {r.status for r in got}
    assert len({r.body for r in got}) == 1
    assert sum(r.header("Idempotent-Replayed") is None for r in got) == 1
    assert len(sandbox.pushes(number)) == 1
    assert count(reli) == 1
    reli.wait_status(got[0].json["id"], "completed")


def test_two_requests_race_for_a_key(reli):
    for _ in range(10):
        key, barrier = new_key(), threading.Barrier(2)

        def go(amount):
            barrier.wait()
            return reli.initialize(cash(amount=amount), key=key)

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            got = sorted(pool.map(go, ("1.00", "2.00")), key=lambda r: r.status)
        assert [r.status for r in got] == [201, 422]
        assert got[1].code == "idempotency_key_reused"
    assert count(reli) == 10


def test_in_flight(reli, sandbox):
    reli.pay(stk())  # there is a token from here on
    sandbox.chaos(answer_delay_ms={"min": 25_000, "max": 25_000})
    number, key = phone(), new_key()
    body = stk(phone=number)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(reli.initialize, body, key=key)
        wait_until(lambda: sandbox.pushes(number), what="the provider is asked")
        busy = reli.initialize(body, key=key)
        assert busy.status == 409 and busy.code == "idempotency_in_progress", busy
        assert busy.header("Retry-After") == "1"
        other = reli.initialize(stk(phone=number, amount="5"), key=key)
        assert other.status == 422 and other.code == "idempotency_key_reused", other
        waited = pool.submit(reli.initialize, body, key=key, headers={"Prefer": 'respond-async, Wait = "10"; a=b'})
        sandbox.skip(25)
        waited = waited.result()
        assert first.result().status == 201
        is_replay(first.result(), waited)
    assert len(sandbox.pushes(number)) == 1


def test_waiting_has_an_end(reli, sandbox):
    reli.pay(stk())  # there is a token from here on
    sandbox.chaos(answer_delay_ms={"min": 25_000, "max": 25_000})
    number, key = phone(), new_key()
    body = stk(phone=number)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(reli.initialize, body, key=key)
        wait_until(lambda: sandbox.pushes(number), what="the provider is asked")
        began = time.monotonic()
        r = reli.initialize(body, key=key, headers={"Prefer": "wait=1"})
        took = time.monotonic() - began
        assert r.status == 409 and r.code == "idempotency_in_progress", r
        assert took >= 0.9, took
        sandbox.skip(25)
        assert first.result().status == 201


def test_recovered_when_the_owner_has_died(replicas, clock, sandbox):
    """In flight with a lease that has run out: the answer is made of the payment as it is."""
    sandbox.chaos(delay_ms=60000)
    one = replicas.one(RELI_CRASH_AT="charge.sent")
    shop, key, number = replicas.shop(one), new_key(), phone()
    body = stk(phone=number)
    with pytest.raises((OSError, EOFError, Exception)):
        shop.initialize(body, key=key)
    wait_until(lambda: not one.running(), 5, "the crash")
    one.killed = True
    shop = shop.at(replicas.again(one, RELI_CRASH_AT=None))
    early = shop.initialize(body, key=key)
    assert early.status == 409 and early.code == "idempotency_in_progress", early
    clock.advance(61)
    r = shop.initialize(body, key=key)
    assert r.status == 202, r
    assert r.header("Idempotent-Recovered") == "true"
    assert r.header("Reli-Current-Status") == "processing"
    assert r.json["status"] == "processing" and r.json["client_token"]
    assert len(sandbox.pushes(number)) == 1
    assert count(shop) == 1


def to_midnight(clock):
    """Sets the clock to half a minute before the end of a period of 24 hours."""
    clock.offset = int(86400 - time.time() % 86400) - 30
    clock.write()


def test_across_the_border_of_a_period(replicas, clock):
    to_midnight(clock)
    one, two = replicas(2)
    shop = replicas.shop(one)
    keys = [new_key() for _ in range(5)]
    made = [shop.initialize(cash(), key=k) for k in keys]
    clock.advance(60)
    for key, first in zip(keys, made):
        assert first.status == 201
        is_replay(first, shop.at(two).initialize(cash(), key=key))
    late = [new_key() for _ in range(5)]
    after = [shop.initialize(cash(), key=k) for k in late]
    for key, first in zip(late, after):
        is_replay(first, shop.initialize(cash(), key=key))
    clock.advance(23 * 3600)
    for key, first in zip(keys + late, made + after):
        is_replay(first, shop.at(two).initialize(cash(), key=key))
    assert count(shop) == 10


def test_replicas_that_disagree_about_the_period(replicas, stack, tmp_path):
    """One replica's clock is past the border, the other's is not: still one payment."""
    from helpers import Clock

    behind, ahead = Clock(tmp_path / "behind"), Clock(tmp_path / "ahead")
    to_midnight(behind)
    ahead.offset = behind.offset + 31
    ahead.write()
    one = stack.serve(replicas.database, clock=behind).ready()
    two = stack.serve(replicas.database, clock=ahead).ready()
    replicas.replicas += [one, two]
    shop = replicas.shop(one)
    for first_at, then_at in ((one, two), (two, one)) * 3:
        key = new_key()
        first = shop.at(first_at).initialize(cash(), key=key)
        assert first.status == 201, first
        is_replay(first, shop.at(then_at).initialize(cash(), key=key))
    for _ in range(10):
        key, barrier = new_key(), threading.Barrier(2)

        def go(replica):
            barrier.wait()
            return shop.at(replica).initialize(cash(), key=key)

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            got = list(pool.map(go, (one, two)))
        assert {r.status for r in got} == {201} and len({r.json["id"] for r in got}) == 1, got


def test_what_a_clock_of_another_year_has_made_is_found(replicas, stack, tmp_path):
    """The look goes where what is made with a key usually lies; what does not is looked for by its id."""
    from helpers import Clock

    now, later = Clock(tmp_path / "now"), Clock(tmp_path / "later")
    later.offset = 400 * 86400  # whole turns of the four slots
    later.write()
    one = stack.serve(replicas.database, clock=now).ready()
    two = stack.serve(replicas.database, clock=later).ready()
    replicas.replicas += [one, two]
    shop = replicas.shop(one)
    for first_at, then_at in ((two, one), (one, two)):
        key = new_key()
        first = shop.at(first_at).initialize(cash(), key=key)
        assert first.status == 201, first
        is_replay(first, shop.at(then_at).initialize(cash(), key=key))


@pytest.mark.parametrize("begin", [5 * 60, 12 * 3600, 86400 - 5 * 60])
def test_after_the_retention(replicas, clock, begin):
    """Near a boundary of periods a key lies in both; it stayed in the earlier one's place until that was used again."""
    one = replicas.one()
    shop = replicas.shop(one)

    def later(seconds):
        done = [line["event"] for line in one.logs()].count("upkeep.done")
        clock.advance(seconds)
        wait_until(lambda: [line["event"] for line in one.logs()].count("upkeep.done") > done, 10, "upkeep")

    later((begin - clock.now()) % 86400 + 86400)
    key, key2 = new_key(), new_key()
    first = shop.initialize(cash(), key=key)
    named = shop.initialize(cash(reference="ORDER-1"), key=key2)
    later(23 * 3600)
    is_replay(first, shop.initialize(cash(), key=key))
    for hours in (13, 24, 12):
        later(hours * 3600)
    again = shop.initialize(cash(), key=key)
    assert again.status == 201 and again.json["id"] != first.json["id"], again
    assert again.header("Idempotent-Replayed") is None
    r = shop.initialize(cash(reference="ORDER-1"), key=key2)
    assert r.status == 409 and r.code == "duplicate_reference", r
    assert shop.payment(named.json["id"])["status"] == "requires_action"


def test_a_thousand_keys_sixteen_times_over_two_replicas(replicas, sandbox):
    """RELI_TEST_KEYS=1000 for the whole of it."""
    sandbox.chaos(delay_ms=0)
    n = int(os.environ.get("RELI_TEST_KEYS", scaled(200)))
    one, two = replicas(2, clock=False)
    shop = replicas.shop(one)
    work = [(new_key(), json.dumps(stk(phone=phone(), reference=word()))) for _ in range(n)]
    barrier = threading.Barrier(16)
    results = [[] for _ in range(16)]

    def client(i):
        replica = (one, two)[i % 2]
        conn = Connection(replica.host, replica.port, 60)
        for key, body in work:
            barrier.wait(60)
            r = conn.request("POST", V1 + "/payments/initialize", body, shop.headers({
                "Content-Type": "application/json", "Idempotency-Key": key, "Prefer": "wait=10"}))
            results[i].append(r)
        conn.close()

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(client, i) for i in range(16)]:
            done.result()
    for i in range(n):
        got = [results[k][i] for k in range(16)]
        assert {r.status for r in got} == {201}, [r for r in got if r.status != 201][:3]
        assert len({r.body for r in got}) == 1
        assert sum(r.header("Idempotent-Replayed") is None for r in got) == 1
    assert count(shop) == n
    pushes = sandbox.calls(op="push")
    assert len(pushes) == n and all(c["accepted"] for c in pushes)
    assert len({c["reference"] for c in pushes}) == n
    database = replicas.database
    wait_until(lambda: database.value(
        "select count(*) from reli.payment where status = 'completed'") == n, 30, "all are completed")
    assert database.value("select count(*) from reli.ledger_transfer") == n
    assert database.value("select count(*) from reli.attempt") == n


# ---- what is there already: confirm ----


def confirm(shop, payment, key=None, **kw):
    return shop.post(f"{V1}/payments/{payment}/confirm", {}, headers={"Idempotency-Key": key} if key else {}, **kw)


def test_a_confirmation_replays(reli, db):
    """It once took no notice of its key."""
    payment, key = reli.pay()["id"], new_key()
    first = confirm(reli, payment, key)
    assert (first.status, first.json["status"]) == (200, "completed") and first.header("Idempotent-Replayed") is None
    refund = reli.post(f"{V1}/payments/{payment}/refund", {"amount": "1.00"})
    assert refund.status == 201, refund
    again = confirm(reli, payment, key)
    is_replay(first, again)
    assert again.header("Reli-Current-Status") == "completed"
    assert parse_time(again.header("Idempotency-Original-Date")) >= parse_time(first.json["created_at"])
    assert [e["type"] for e in db.events(payment)].count("payment.completed") == 1
    # another key finds it done, and keeps nothing of it
    r = confirm(reli, payment, new_key())
    assert (r.status, r.json["object"], r.json["status"]) == (200, "payment", "completed"), r
    assert r.header("Idempotent-Replayed") is None


def test_a_confirmations_key_is_its_own(reli):
    p, other, key = reli.pay(), reli.pay(), new_key()
    assert confirm(reli, p["id"], key).status == 200
    for r in (confirm(reli, other["id"], key), reli.initialize(cash(), key=key),
              reli.post(f"{V1}/payments/{p['id']}/refund", {}, headers={"Idempotency-Key": key})):
        assert (r.status, r.code) == (422, "idempotency_key_reused") and "the route" in r.json["detail"], r
    assert reli.payment(other["id"])["status"] == "requires_action"
    used = new_key()
    q = reli.initialize(cash(), key=used).json
    assert confirm(reli, q["id"], used).code == "idempotency_key_reused"


def test_a_confirmation_that_is_refused_may_come_again(reli):
    payment, key = reli.pay()["id"], new_key()
    assert reli.post(f"{V1}/payments/{payment}/cancel", {}).status == 200
    for _ in range(2):
        r = confirm(reli, payment, key)
        assert (r.status, r.code) == (409, "invalid_state") and r.header("Idempotent-Replayed") is None, r
    assert reli.initialize(cash(), key=key).status == 201, "the key was given back"


def test_keys_of_confirmations(reli, db):
    payment = reli.pay()["id"]
    r = confirm(reli, payment, "short")
    assert (r.status, r.code) == (400, "idempotency_key_invalid"), r
    db.rows("update reli.merchant set require_idempotency_key = true where merchant_id = %s", reli.merchant)
    r = wait_until(lambda: (r := confirm(reli, reli.initialize(cash(), key=new_key()).json["id"])).status == 400 and r)
    assert r.code == "idempotency_key_required", r
    assert confirm(reli, payment, new_key()).status == 200


def test_fifty_confirmations_with_one_key(reli, db):
    payment, key = reli.pay()["id"], new_key()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: confirm(reli, payment, key), range(50)))
    bodies = {r.body for r in answers if r.status == 200}
    assert len(bodies) == 1 and {r.status for r in answers} <= {200, 409}, answers
    assert {r.code for r in answers if r.status == 409} <= {"idempotency_in_progress"}
    assert [r.header("Idempotent-Replayed") for r in answers if r.status == 200].count(None) == 1


def test_a_confirmation_whose_owner_has_died_is_taken_over(replicas, clock):
    shop, key = replicas.shop(replicas.one()), new_key()
    payment = shop.pay()["id"]
    assert confirm(shop, payment, key).status == 200
    replicas.database.rows("update reli.idempotency set http_status = null, seq = null where key = %s", key)
    r = confirm(shop, payment, key)
    assert (r.status, r.code, r.header("Retry-After")) == (409, "idempotency_in_progress", "1"), r
    clock.advance(61)
    r = confirm(shop, payment, key)
    assert (r.status, r.json["status"], r.header("Idempotent-Recovered")) == (200, "completed", "true"), r


def test_confirmations_across_the_border_of_a_period(replicas, clock):
    to_midnight(clock)
    one, two = replicas(2)
    shop = replicas.shop(one)
    told = []
    for at in (one, two):  # before it, and after
        asked = [(shop.pay()["id"], new_key()) for _ in range(3)]
        told += [(*a, confirm(shop.at(at), *a)) for a in asked]
        clock.advance(60)
    slots = replicas.database.rows("select count(*) as n from reli.idempotency where key = any(%s) group by key",
                                   [key for _, key, _ in told])
    assert [r["n"] for r in slots] == [2] * 6, "in both neighbours"
    for wait in (0, 23 * 3600):
        clock.advance(wait)
        for payment, key, first in told:
            assert first.status == 200, first
            for at in (one, two):
                is_replay(first, confirm(shop.at(at), payment, key))

"""Money back: never more than came in, never twice, never without a trace."""

import concurrent.futures
import json

import pytest
import test_websocket
from helpers import V1, Shop, cash, new_key, phone, stk, wait_until

EXCEPTIONS = V1 + "/exceptions"
FROM_CASH = [("provider_receivable", "merchant_pending", 100000, "KES")]


def back(minor):
    """The ledger's transfer of a refund."""
    return ("merchant_pending", "provider_receivable", minor, "KES")


def collected(shop, amount="1000.00", **fields):
    """A cash payment that was confirmed."""
    p = shop.pay(amount=amount, **fields)
    r = shop.post(f"{V1}/payments/{p['id']}/confirm", {})
    assert r.status == 200, r
    return r.json["id"]


def ask(shop, payment, body=None, key=None, **kw):
    headers = {"Idempotency-Key": key} if key else None
    return shop.post(f"{V1}/payments/{payment}/refund", body or {}, headers=headers, **kw)


def refund(shop, payment, amount=None, **fields):
    """A refund that must come into being."""
    r = ask(shop, payment, ({"amount": amount} if amount else {}) | fields, new_key())
    assert r.status == 201, r
    return r.json


def show(shop, refund_id):
    r = shop.get(f"{V1}/refunds/{refund_id}")
    assert r.status == 200, r
    return r.json


def decide(shop, refund_id, what):
    return shop.post(f"{V1}/refunds/{refund_id}/{what}", {})


def wait_refund(shop, refund_id, status, deadline=10.0):
    states = [status] if isinstance(status, str) else status
    last = {}

    def there():
        last.update(show(shop, refund_id))
        return last["status"] in states

    try:
        wait_until(there, deadline, f"refund {refund_id} {states}")
    except AssertionError as e:
        raise AssertionError(f"{e}; it is {json.dumps(last)}") from None
    return last


def given_back(shop, payment, amount=None):
    """A cash refund to its end."""
    made = refund(shop, payment, amount)
    wait_refund(shop, made["id"], "in_reconciliation")
    r = decide(shop, made["id"], "confirm")
    assert r.status == 200 and r.json["status"] == "completed", r
    return r.json


def exceptions(shop, refund_id):
    """The kinds of what an operator is asked about this refund."""
    r = shop.get(EXCEPTIONS + "?limit=100")
    assert r.status == 200, r
    return [x["kind"] for x in r.json["data"] if x["subject_id"] == refund_id]


def books_agree(stack, database):
    done = stack.cli(database, "ledger", "prove")
    assert done.returncode == 0, done.stdout


# ---- cash: a person pays it out and says so ----


def test_all_of_it(reli, db, stack):
    payment = collected(reli)
    made = ask(reli, payment, {"reason": "Wrong size"}, new_key())
    assert made.status == 201, made
    r = made.json
    assert (r["object"], r["payment_id"], r["mode"], r["status"]) == ("refund", payment, "test", "pending")
    assert (r["amount"], r["currency"], r["reason"]) == ("1000.00", "KES", "Wrong size")
    assert r["requested_by"].startswith("api_key:") and r["approved_by"] is None and r["completed_at"] is None
    waiting = wait_refund(reli, r["id"], "in_reconciliation")
    assert [(a["rail"], a["status"]) for a in waiting["attempts"]] == [("manual", "submitted")]
    assert exceptions(reli, r["id"]) == ["refund_manual"], "somebody has to be told"
    p = reli.payment(payment)
    assert (p["status"], p["amount_refunded"]) == ("completed", "0.00"), "nothing has gone back yet"
    assert db.transfers(payment) == FROM_CASH
    done = decide(reli, r["id"], "confirm")
    assert done.status == 200 and done.json["status"] == "completed" and done.json["completed_at"], done
    p = reli.payment(payment)
    assert (p["status"], p["amount_refunded"], p["amount_received"]) == ("refunded", "1000.00", "1000.00")
    assert db.transfers(payment) == FROM_CASH + [back(100000)]
    assert show(reli, r["id"]) == done.json
    listed = reli.get(f"{V1}/payments/{payment}/refunds").json
    assert listed["data"] == p["refunds"] == [done.json] and listed["has_more"] is False
    assert [e["type"] for e in db.events(payment)][3:] == [
        "refund.pending", "refund.in_reconciliation", "refund.completed"]
    books_agree(stack, db)


def test_in_parts(reli, db):
    payment = collected(reli)
    given_back(reli, payment, "400.00")
    p = reli.payment(payment)
    assert (p["status"], p["amount_refunded"]) == ("partially_refunded", "400.00")
    assert ask(reli, payment, {"amount": "600.01"}).code == "invalid_state"
    given_back(reli, payment, 100)
    last = given_back(reli, payment)
    assert last["amount"] == "500.00", "without an amount: what is left"
    p = reli.payment(payment)
    assert (p["status"], p["amount_refunded"]) == ("refunded", "1000.00")
    assert ask(reli, payment, {"amount": "0.01"}).code == "invalid_state"
    assert db.transfers(payment) == FROM_CASH + [back(40000), back(10000), back(50000)]
    assert [x["amount"] for x in p["refunds"]] == ["400.00", "100.00", "500.00"]


def test_what_is_reserved_cannot_be_asked_for_again(reli, db):
    payment = collected(reli)
    first = refund(reli, payment, "700.00")
    assert ask(reli, payment, {"amount": "300.01"}).code == "invalid_state"
    rest = refund(reli, payment)
    assert rest["amount"] == "300.00"
    r = ask(reli, payment)
    assert r.status == 409 and r.code == "invalid_state", r
    for made in (first, rest):
        wait_refund(reli, made["id"], "in_reconciliation")
        assert decide(reli, made["id"], "confirm").status == 200
    assert reli.payment(payment)["status"] == "refunded"
    assert db.one("select refunded, refund_reserved from reli.payment where id = %s", payment) == {
        "refunded": 100000, "refund_reserved": 0}


def test_confirming_twice_pays_once(reli, db):
    payment = collected(reli)
    made = refund(reli, payment, "400.00")
    wait_refund(reli, made["id"], "in_reconciliation")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: decide(reli, made["id"], "confirm"), range(8)))
    assert [r.status for r in got] == [200] * 8
    assert decide(reli, made["id"], "confirm").json["status"] == "completed"
    assert db.transfers(payment) == FROM_CASH + [back(40000)]
    assert reli.payment(payment)["amount_refunded"] == "400.00"


@pytest.mark.parametrize("currency, sent, answered", [
    ("KES", "1", "1.00"), ("KES", 0.01, "0.01"), ("KES", "1000", "1000.00"), ("RWF", 7, "7"), ("BHD", "1.005", "1.005"),
])
def test_amounts(reli, currency, sent, answered):
    payment = collected(reli, "1000", currency=currency)
    made = refund(reli, payment, sent)
    assert (made["amount"], made["currency"]) == (answered, currency)


@pytest.mark.parametrize("currency, sent", [
    ("KES", 0), ("KES", "0.00"), ("KES", -1), ("KES", "-0.01"), ("KES", "0.001"), ("KES", "x"), ("KES", ""),
    ("KES", True), ("KES", []), ("KES", {}), ("KES", "1e2"), ("KES", "1,00"), ("RWF", "0.5"),
    ("KES", "99999999999999999999"),
])
def test_amounts_refused(reli, db, currency, sent):
    payment = collected(reli, "1000", currency=currency)
    r = ask(reli, payment, {"amount": sent})
    assert r.status == 422 and r.json["param"] == "amount", r
    assert reli.get(f"{V1}/payments/{payment}/refunds").json["data"] == []
    assert db.value("select refund_reserved from reli.payment where id = %s", payment) == 0


@pytest.mark.parametrize("body, param", [
    ({"reason": 1}, "reason"), ({"reason": ""}, "reason"), ({"reason": "x" * 256}, "reason"),
    ({"amont": "1"}, "amont"), ({"amount": "1", "currency": "KES"}, "currency"),
])
def test_bodies_refused(reli, body, param):
    payment = collected(reli)
    r = ask(reli, payment, body)
    assert r.status == 422 and r.json["param"] == param, r


def test_a_hundred_at_once_never_exceed_what_came_in(replicas, stack, clock):
    one, two = replicas(2)
    shop = replicas.shop(one)
    payment = collected(shop)

    def go(i):
        key = new_key()
        for _ in range(50):
            r = ask(shop.at((one, two)[i % 2]), payment, {"amount": "30.00"}, key, timeout=60)
            if r.status != 409 or r.code != "conflict":  # lost too many races: try again
                return r
        raise AssertionError(r)

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        got = list(pool.map(go, range(100)))
    assert sorted(r.status for r in got) == [201] * 33 + [409] * 67
    assert {r.code for r in got if r.status == 409} == {"invalid_state"}
    made = [r.json["id"] for r in got if r.status == 201]
    assert len(set(made)) == 33
    database = replicas.database
    row = database.one("select refunded, refund_reserved from reli.payment where id = %s", payment)
    assert row == {"refunded": 0, "refund_reserved": 99000}
    for _ in range(2):  # who lost too many races is taken up when its lease has run out
        clock.advance(61)
        replicas.settle()
    for m in made:
        wait_refund(shop, m, "in_reconciliation")

    def confirm(m):
        for _ in range(50):
            r = decide(shop, m, "confirm")
            if r.status != 409 or r.code != "conflict":
                return r.status

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert set(pool.map(confirm, made)) == {200}
    p = shop.payment(payment)
    assert (p["status"], p["amount_refunded"]) == ("partially_refunded", "990.00")
    assert database.transfers(payment).count(back(3000)) == 33
    events = database.events(payment)
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    assert refund(shop, payment)["amount"] == "10.00"
    books_agree(stack, database)


# ---- idempotency ----


def is_replay(first, again):
    assert (again.status, again.body) == (first.status, first.body), again
    assert again.header("Idempotent-Replayed") == "true" and again.header("Idempotency-Original-Date")
    assert first.header("Idempotent-Replayed") is None


def refunds_of(shop, payment):
    return shop.get(f"{V1}/payments/{payment}/refunds").json["data"]


def test_the_same_key_refunds_once(reli):
    payment, key = collected(reli, reference="ORDER-1"), new_key()
    body = {"amount": "400.00", "reason": "Wrong size"}
    first = ask(reli, payment, body, key)
    assert first.status == 201, first
    for other in (body, {"reason": "Wrong size", "amount": 400}, {"amount": "400.0", "reason": "Wrong size"}):
        is_replay(first, ask(reli, payment, other, key))
    is_replay(first, reli.post(V1 + "/payments/refund", body | {"reference": "ORDER-1"},
                               headers={"Idempotency-Key": key}))
    assert [r["id"] for r in refunds_of(reli, payment)] == [first.json["id"]]
    wait_refund(reli, first.json["id"], "in_reconciliation")
    is_replay(first, ask(reli, payment, body, key))
    decide(reli, first.json["id"], "confirm")
    is_replay(first, ask(reli, payment, body, key))
    given_back(reli, payment)
    is_replay(first, ask(reli, payment, body, key))


def test_all_of_it_replays_when_nothing_is_left(reli):
    payment, key = collected(reli), new_key()
    first = ask(reli, payment, {}, key)
    assert first.json["amount"] == "1000.00"
    wait_refund(reli, first.json["id"], "in_reconciliation")
    is_replay(first, ask(reli, payment, {}, key))
    decide(reli, first.json["id"], "confirm")
    is_replay(first, ask(reli, payment, {}, key))


def test_another_refund_with_the_key(reli):
    payment, other, key = collected(reli), collected(reli), new_key()
    first = ask(reli, payment, {"amount": "400.00"}, key)
    for target, body, named in ((payment, {"amount": "400.01"}, "amount"), (payment, {}, "amount"),
                                (payment, {"amount": "400", "reason": "Hush"}, "reason"), (other, {"amount": "400"}, "")):
        r = ask(reli, target, body, key)
        assert r.status == 422 and r.code == "idempotency_key_reused", r
        assert named in r.json["detail"] and "400.01" not in r.text and "Hush" not in r.text
    r = reli.initialize(cash(), key=key)
    assert r.status == 422 and r.code == "idempotency_key_reused", r
    is_replay(first, ask(reli, payment, {"amount": "400.00"}, key))
    assert len(refunds_of(reli, payment)) == 1 and refunds_of(reli, other) == []


def test_a_payments_key_is_none_for_a_refund(reli):
    key = new_key()
    p = reli.initialize(cash(), key=key).json
    reli.post(f"{V1}/payments/{p['id']}/confirm", {})
    r = ask(reli, p["id"], {}, key)
    assert r.status == 422 and r.code == "idempotency_key_reused", r
    assert r.json["detail"].endswith("these differ: the route."), r
    assert refunds_of(reli, p["id"]) == []


def test_fifty_at_once_with_one_key(replicas):
    one, two = replicas(2, clock=False)
    shop = replicas.shop(one)
    payment, key = collected(shop), new_key()
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        got = list(pool.map(lambda i: ask(shop.at((one, two)[i % 2]), payment, {"amount": "10.00"}, key, timeout=60),
                            range(50)))
    assert {r.status for r in got} == {201} and len({r.body for r in got}) == 1, {r.status for r in got}
    assert sum(r.header("Idempotent-Replayed") is None for r in got) == 1
    assert len(refunds_of(shop, payment)) == 1


def test_keys_of_refunds(reli, db, stack, shared):
    payment = collected(reli)
    assert ask(reli, payment, {"amount": "1"}, "short").code == "idempotency_key_invalid"
    first, second = ask(reli, payment, {"amount": "1"}), ask(reli, payment, {"amount": "1"})
    assert first.status == second.status == 201 and first.json["id"] != second.json["id"], "without a key: two"
    db.rows("update reli.merchant set require_idempotency_key = true where merchant_id = %s", reli.merchant)
    other = reli.with_key(stack.api_key(shared, reli.merchant))
    r = ask(other, payment, {"amount": "1"})
    assert r.status == 400 and r.code == "idempotency_key_required", r


def test_a_refusal_is_not_remembered(reli):
    """What was refused for the state it met may be right later."""
    p, key = reli.pay(), new_key()
    assert ask(reli, p["id"], {}, key).code == "invalid_state"
    reli.post(f"{V1}/payments/{p['id']}/confirm", {})
    r = ask(reli, p["id"], {}, key)
    assert r.status == 201 and r.header("Idempotent-Replayed") is None, r


# ---- two people ----


@pytest.fixture
def careful(reli, stack):
    """A merchant whose refunds above 500.00 need a second person: (who asks, who decides)."""
    database = reli.replica.database
    made = stack.cli(database, "merchant", "create", "--name", "Careful", "--refund-approval-above", "50000")
    assert made.returncode == 0, made.stderr
    words = dict(line.split("=", 1) for line in made.stdout.splitlines())
    first, second = (Shop(reli.replica, words["merchant_id"], words["webhook_secret"],
                          stack.api_key(reli.replica, words["merchant_id"])) for _ in range(2))
    return first, second


def test_a_second_person_approves(careful, db):
    mine, other = careful
    payment = collected(mine)
    made = refund(mine, payment, "500.01")
    assert made["status"] == "pending_approval"
    for what, status in (("approve", 403), ("confirm", 409)):
        r = decide(mine, made["id"], what)
        assert r.status == status, r
    assert show(mine, made["id"])["status"] == "pending_approval"
    assert refund(mine, payment)["amount"] == "499.99", "it is reserved meanwhile"
    r = decide(other, made["id"], "approve")
    assert r.status == 200 and r.json["status"] == "pending", r
    assert r.json["approved_by"] not in (None, r.json["requested_by"])
    wait_refund(mine, made["id"], "in_reconciliation")
    assert decide(other, made["id"], "approve").status == 409
    assert decide(mine, made["id"], "confirm").json["status"] == "completed"
    assert [e["type"] for e in db.events(payment)].count("refund.pending") == 3
    assert back(50001) in db.transfers(payment)


def test_up_to_the_threshold_nobody_is_asked(careful):
    mine, _ = careful
    made = refund(mine, collected(mine), "500.00")
    assert made["status"] == "pending"


def test_a_second_person_rejects(careful, db):
    mine, other = careful
    payment = collected(mine)
    made = refund(mine, payment, "900.00")
    r = decide(other, made["id"], "reject")
    assert r.status == 200 and r.json["status"] == "rejected", r
    assert decide(other, made["id"], "reject").status == 200
    for what in ("approve", "cancel", "confirm"):
        assert decide(other, made["id"], what).status == 409, what
    p = mine.payment(payment)
    assert (p["status"], p["amount_refunded"]) == ("completed", "0.00")
    assert db.transfers(payment) == FROM_CASH
    assert db.events(payment)[-1]["type"] == "refund.rejected"
    assert refund(mine, payment)["amount"] == "1000.00", "it is free again"


def test_who_asked_cancels(careful, db):
    mine, other = careful
    payment = collected(mine)
    made = refund(mine, payment)
    r = decide(mine, made["id"], "cancel")
    assert r.status == 200 and r.json["status"] == "cancelled", r
    assert decide(mine, made["id"], "cancel").status == 200
    assert decide(other, made["id"], "approve").status == 409
    assert db.events(payment)[-1]["type"] == "refund.cancelled"
    assert refund(mine, payment)["amount"] == "1000.00"


def test_replays_after_each_decision(careful):
    mine, other = careful
    for who, what in ((other, "approve"), (other, "reject"), (mine, "cancel")):
        payment, key = collected(mine), new_key()
        first = ask(mine, payment, {}, key)
        assert first.json["status"] == "pending_approval"
        assert decide(who, first.json["id"], what).status == 200
        is_replay(first, ask(mine, payment, {}, key))


def test_decisions_race_and_one_wins(careful, db):
    mine, other = careful
    for _ in range(8):
        payment = collected(mine)
        made = refund(mine, payment)
        asked = [(other, "approve"), (other, "reject"), (mine, "cancel")] * 2
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            got = list(pool.map(lambda a: (a[1], decide(a[0], made["id"], a[1]).status), asked))
        won = {what for what, status in got if status == 200}
        # What was approved can still be cancelled until it is sent.
        assert won in ({"approve"}, {"reject"}, {"cancel"}, {"approve", "cancel"}), got
        end = "rejected" if "reject" in won else "cancelled" if "cancel" in won else "in_reconciliation"
        assert wait_refund(mine, made["id"], ("in_reconciliation", "rejected", "cancelled"))["status"] == end
        reserved = db.value("select refund_reserved from reli.payment where id = %s", payment)
        assert reserved == (100000 if show(mine, made["id"])["status"] == "in_reconciliation" else 0)


def test_what_is_on_its_way_cannot_be_called_back(reli):
    made = refund(reli, collected(reli))
    wait_refund(reli, made["id"], "in_reconciliation")
    for what in ("cancel", "approve", "reject"):
        r = decide(reli, made["id"], what)
        assert r.status == 409 and r.code == "invalid_state", r


# ---- who may, and of what ----


def test_states_without_a_refund(reli, sandbox):
    sandbox.chaos(delay_ms=60000)
    waiting, cancelled, processing = reli.pay()["id"], reli.pay()["id"], reli.pay(stk())["id"]
    reli.post(f"{V1}/payments/{cancelled}/cancel", {})
    failed = reli.pay(stk("049"))["id"]
    refunded = collected(reli)
    given_back(reli, refunded)
    states = {"requires_action": waiting, "cancelled": cancelled, "processing": processing, "failed": failed,
              "refunded": refunded}
    for status, payment in states.items():
        assert reli.payment(payment)["status"] == status
        r = ask(reli, payment, {"amount": "1"})
        assert r.status == 409 and r.code == "invalid_state", (status, r)
        assert len(refunds_of(reli, payment)) == (status == "refunded")


def test_expired_and_unclear_payments_have_no_refund(replicas, clock, sandbox):
    shop = replicas.shop(replicas.one())
    expired, unclear = shop.pay()["id"], shop.pay(stk("026"))["id"]
    shop.wait_status(unclear, "in_reconciliation")
    clock.advance(7 * 86400 + 60)
    shop.wait_status(expired, "expired")
    for payment in (expired, unclear):
        r = ask(shop, payment)
        assert r.status == 409 and r.code == "invalid_state", r


def test_others_refunds_are_not_there(reli, stack, shared):
    payment = collected(reli, reference="ORDER-1")
    made = refund(reli, payment, "400")
    other = stack.shop(shared)
    live = reli.with_key(stack.api_key(shared, reli.merchant, "live"))
    for shop in (other, live):
        for r in (ask(shop, payment), shop.get(f"{V1}/refunds/{made['id']}"),
                  shop.post(V1 + "/payments/refund", {"reference": "ORDER-1"}),
                  *(decide(shop, made["id"], what) for what in ("approve", "reject", "cancel", "confirm"))):
            assert r.status == 404 and r.code == "not_found", r
        assert shop.get(EXCEPTIONS).json["data"] == []
    assert len(refunds_of(reli, payment)) == 1


def test_refunds_need_their_scope(reli, stack, shared):
    payment = collected(reli)
    made = refund(reli, payment, "400")
    wait_refund(reli, made["id"], "in_reconciliation")
    clerk = reli.with_key(stack.api_key(shared, reli.merchant, "test", "--scopes", "payments:read,payments:write"))
    for r in (ask(clerk, payment), *(decide(clerk, made["id"], w) for w in ("approve", "reject", "cancel", "confirm"))):
        assert r.status == 403 and r.code == "forbidden", r
    assert clerk.get(f"{V1}/refunds/{made['id']}").status == 200
    only = reli.with_key(stack.api_key(shared, reli.merchant, "test", "--scopes", "refunds:write"))
    assert decide(only, made["id"], "confirm").status == 200


def test_by_reference(reli):
    payment = collected(reli, reference="ORDER-7")
    r = reli.post(V1 + "/payments/refund", {"reference": "ORDER-7", "amount": "250.00", "reason": "Late"})
    assert r.status == 201 and (r.json["payment_id"], r.json["amount"]) == (payment, "250.00"), r
    r = reli.post(V1 + "/payments/refund", {"reference": "ORDER-8"})
    assert r.status == 404, r
    r = reli.post(V1 + "/payments/refund", {"amount": "1"})
    assert r.status == 422 and r.json["param"] == "reference", r


# ---- those who watch ----


def test_events_go_on_in_the_payments_sequence(reli, receiver, db):
    endpoint = reli.endpoint(receiver.url())
    only = reli.endpoint(receiver.url("/refunds"), ["refund.completed"])
    payment = collected(reli, callback_url=receiver.url("/own"))
    w = test_websocket.watch(reli, payment, "?after=3")
    assert w.frame()["seq"] == 3
    done = given_back(reli, payment, "400.00")
    types = ["refund.pending", "refund.in_reconciliation", "refund.completed"]
    frames = w.events(3)
    w.close()
    assert [(e["seq"], e["type"]) for e in frames] == list(zip((4, 5, 6), types))
    for e in frames:
        assert e["payment_id"] == payment and e["data"]["object"] == "refund"
        assert (e["data"]["id"], e["data"]["amount"]) == (done["id"], "400.00")
        assert "refund." + e["data"]["status"] == e["type"], "as it was at that moment"
    for path, secret in (("/hook", endpoint["secret"]), ("/own", reli.webhook_secret)):
        hooks = {h.json["seq"]: h for h in receiver.wait(6, path)}
        assert sorted(hooks) == [1, 2, 3, 4, 5, 6]
        for e in frames:
            assert hooks[e["seq"]].json == e and hooks[e["seq"]].signed_by(secret)
    (hook,) = receiver.wait(1, "/refunds")
    assert hook.json == frames[-1] and hook.signed_by(only["secret"])

    def in_the_log():
        return [e for e in reli.get(V1 + "/events?limit=100").json["data"] if e["payment_id"] == payment]

    wait_until(lambda: len(in_the_log()) == 6, 5, "the events have positions")
    assert in_the_log()[3:] == frames


def test_the_timeline_tells_who(careful):
    mine, other = careful
    payment = collected(mine)
    made = refund(mine, payment, reason="Wrong size")
    decide(other, made["id"], "approve")
    wait_refund(mine, made["id"], "in_reconciliation")
    decide(mine, made["id"], "confirm")
    timeline = mine.payment(payment)["timeline"]
    by_action = {t["action"]: t["actor"] for t in timeline}
    asked, approved = show(mine, made["id"])["requested_by"], show(mine, made["id"])["approved_by"]
    assert by_action["refund.requested"] == asked and by_action["refund.approved"] == approved != asked
    assert by_action["refund.completed"] == asked


# ---- M-Pesa ----

PAID = 30000  # minor units, each payment's
ADVANCES = (16, 20, 30, 45, 60, 90, 120, 180, 300, 300, 300)  # beyond 15 minutes, by the poll schedule


def paid_by_mpesa(shop, amount="300.00"):
    number = phone()
    p = shop.pay(stk(phone=number, amount=amount))
    return shop.wait_status(p["id"], "completed"), number


def provider_refunds(sandbox, number, receipt):
    """What the provider has done for this customer: reversals of the charge, payouts to the number."""
    return sandbox.refunds(receipt=receipt) + sandbox.refunds(kind="b2c", phone=number.lstrip("+"))


def test_without_the_operators_credentials_a_person_pays(replicas):
    """No rail can be used, which is certain: the queue of exceptions has it."""
    shop = replicas.shop(replicas.one(MPESA_INITIATOR_NAME=None, MPESA_INITIATOR_PASSWORD=None, MPESA_CERTIFICATE=None))
    p, _ = paid_by_mpesa(shop)
    made = refund(shop, p["id"], "100.00")
    got = wait_refund(shop, made["id"], "in_reconciliation")
    assert [(a["rail"], a["status"]) for a in got["attempts"]] == [
        ("reversal", "rejected"), ("payout", "rejected"), ("manual", "submitted")]
    assert exceptions(shop, made["id"]) == ["refund_manual"]
    assert decide(shop, made["id"], "confirm").json["status"] == "completed"
    assert replicas.database.transfers(p["id"]) == [
        ("provider_receivable", "merchant_pending", PAID, "KES"), back(10000)]


# ending → (where it ends, its rail, states of its attempts, what moved at the provider, exceptions)
OUTCOMES = {
    "10": ("completed", ["reversal"], ["succeeded"], ["reversal"], []),
    "89": ("completed", ["reversal", "reversal"], ["rejected", "succeeded"], ["reversal"], []),
    "90": ("completed", ["reversal", "payout"], ["failed", "succeeded"], ["b2c"], []),
    "91": ("completed", ["reversal"], ["succeeded"], ["reversal"], []),
    "92": ("in_reconciliation", ["reversal"], ["uncertain"], ["reversal"], ["stuck"]),
    "93": ("completed", ["reversal"], ["succeeded"], ["reversal"], []),
    "94": ("completed", ["reversal"], ["succeeded"], ["reversal"], []),
    "95": ("completed", ["reversal"], ["succeeded"], ["reversal"], []),
    "96": ("in_reconciliation", ["reversal", "payout", "manual"], ["failed", "failed", "submitted"], [],
           ["refund_manual"]),
    "97": ("completed", ["reversal"], ["succeeded"], ["reversal"], []),
    "98": ("in_reconciliation", ["reversal", "payout", "manual"], ["rejected", "rejected", "submitted"], [],
           ["refund_manual"]),
    "99": ("in_reconciliation", ["reversal"], ["submitted"], [], ["stuck"]),
}
LATER = {"89", "93", "97"}  # by a poll, or because the rail was busy and is asked again


def brought(sandbox):
    """No callback of the sandbox's is on its way."""
    wait_until(lambda: all(c["state"] != "in_flight" for c in sandbox.callbacks()), 10, "results are brought")


@pytest.fixture(scope="module")
def told(stack, tmp_path_factory):
    """A refund of every ending, all side by side, followed beyond the time for unknown outcomes."""
    from helpers import Clock
    from stack import Launcher

    clock, sandbox = Clock(tmp_path_factory.mktemp("refunds") / "clock"), stack.new_sandbox()
    launcher = Launcher(stack, clock, sandbox)
    try:
        shop = launcher.shop(launcher.one())
        lives = {}
        for ending in OUTCOMES:
            p, number = paid_by_mpesa(shop)
            made = refund(shop, p["id"], f"1{ending}.00", reason="Wrong size")
            lives[ending] = {"payment": p, "number": number, "id": made["id"]}
        at_once = [life for e, life in lives.items() if OUTCOMES[e][0] == "completed" and e not in LATER]
        for life in at_once:
            wait_refund(shop, life["id"], "completed", 15)
        for e in ("96", "98"):
            wait_refund(shop, lives[e]["id"], "in_reconciliation", 15)
        sandbox.chaos(delay_ms=0)
        for step in (*ADVANCES, 0):
            launcher.settle()
            brought(sandbox)  # a status query is told by a result of its own
            launcher.settle()
            clock.advance(step)
        for life in lives.values():
            life["refund"] = show(shop, life["id"])
            life["shown"] = shop.payment(life["payment"]["id"])
            life["moved"] = provider_refunds(sandbox, life["number"], life["payment"]["provider_receipt"])
            life["exceptions"] = exceptions(shop, life["id"])
        yield shop, launcher, lives
    finally:
        launcher.close()
        sandbox.term()
        sandbox.wait()


@pytest.mark.parametrize("ending", OUTCOMES)
def test_outcome(told, ending):
    shop, launcher, lives = told
    status, rails, states, moved, kinds = OUTCOMES[ending]
    life = lives[ending]
    got = life["refund"]
    assert got["status"] == status, got
    assert [a["rail"] for a in got["attempts"]] == rails
    assert [a["status"] for a in got["attempts"]] == states
    assert [m["kind"] for m in life["moved"] if m["state"] == "paid"] == moved, life["moved"]
    assert life["exceptions"] == kinds
    minor = 10000 + int(ending) * 100
    transfers = launcher.database.transfers(life["payment"]["id"])[1:]
    events = [e["type"] for e in launcher.database.events(life["payment"]["id"])][3:]
    row = launcher.database.one("select refunded, refund_reserved from reli.payment where id = %s",
                                life["payment"]["id"])
    assert events[:2] == ["refund.pending", "refund.processing"] and events[2:] == ["refund." + status], events
    if status == "completed":
        (paid,) = [m for m in life["moved"] if m["state"] == "paid"]
        assert got["provider_receipt"] == paid["transaction_id"] and float(paid["amount"]) * 100 == minor
        assert transfers == [back(minor)] and row == {"refunded": minor, "refund_reserved": 0}
        assert (life["shown"]["status"], life["shown"]["amount_refunded"]) == (
            "partially_refunded", f"1{ending}.00")
    else:
        assert transfers == [] and row == {"refunded": 0, "refund_reserved": minor}, "reserved as long as unknown"
        assert life["shown"]["status"] == "completed"


def test_nobody_got_more_than_once(told):
    _, _, lives = told
    for ending, life in lives.items():
        paid = [m for m in life["moved"] if m["state"] == "paid"]
        assert len(paid) <= 1, (ending, paid)
        reversals = [m for m in life["moved"] if m["kind"] == "reversal" and m["result_code"] != "26"]
        assert len(reversals) <= 1, "trap 8: a refund is not retried after a time-out"


def test_a_person_settles_what_no_rail_could(told, stack):
    shop, launcher, lives = told
    for ending in ("96", "98"):
        r = decide(shop, lives[ending]["id"], "confirm")
        assert r.status == 200 and r.json["status"] == "completed", r
    for ending in ("92", "99"):
        r = ask(shop, lives[ending]["payment"]["id"], {"amount": "300.00"})
        assert r.status == 409 and r.code == "invalid_state", "what may have gone back is not given again"
    books_agree(stack, launcher.database)


def test_a_whole_mpesa_refund_while_the_provider_is_away(replicas, clock, sandbox):
    """A connection that was never made has carried nothing; nothing goes back twice when it returns."""
    shop = replicas.shop(replicas.one())
    p, number = paid_by_mpesa(shop)
    sandbox.chaos(down=True)
    made = refund(shop, p["id"])
    wait_until(lambda: show(shop, made["id"])["attempts"], 10, "an attempt")
    wait_until(lambda: show(shop, made["id"])["attempts"][0]["status"] != "sending", 10, "it has an answer")
    sandbox.chaos(down=False)
    for step in ADVANCES:
        clock.advance(step)
        replicas.settle()
    got = show(shop, made["id"])
    assert got["status"] == "in_reconciliation", got
    assert [m for m in provider_refunds(sandbox, number, p["provider_receipt"]) if m["state"] == "paid"] == []
    assert ask(shop, p["id"], {"amount": "1.00"}).code == "invalid_state"

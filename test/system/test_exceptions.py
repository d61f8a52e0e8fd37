"""The operators' queue: what lands in it, and how it ends, by one person or two."""

import concurrent.futures

import pytest
from helpers import V1, cash, new_key, stk, wait_until

EVIDENCE = "statement of 2026-11-20, line 7"


@pytest.fixture
def second(stack, reli):
    """Another person of the same merchant."""
    return reli.with_key(stack.api_key(reli.replica, reli.merchant))


def items(shop, **query):
    text = "&".join(f"{k}={v}" for k, v in query.items())
    r = shop.get(f"{V1}/exceptions?{text}")
    assert r.status == 200, r
    return r.json["data"]


def item_of(shop, payment, kind):
    (item,) = [x for x in items(shop) if x["subject_id"] == payment and x["kind"] == kind]
    return item


def resolve(shop, item, resolution, evidence=EVIDENCE, **more):
    return shop.post(f"{V1}/exceptions/{item}/resolve",
                     {"resolution": resolution, "evidence": evidence, **more})


def wrong_amount(shop):
    """A payment for which one shilling too many came."""
    p = shop.pay(stk("026"))
    shop.wait_status(p["id"], "in_reconciliation")
    return p["id"], item_of(shop, p["id"], "integrity_failure")


def transfers(shop, payment):
    return [(t["kind"], t["amount"]) for t in shop.get(
        f"{V1}/ledger/transfers?payment_id={payment}").json["data"]]


def proves(stack, shop):
    done = stack.cli(shop.replica.database, "ledger", "prove")
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_people_keep_the_money(stack, reli, second):
    payment, item = wrong_amount(reli)
    assert (item["status"], item["unallocated"], item["currency"]) == ("open", "101.00", "KES")
    proposed = resolve(reli, item["id"], "completed")
    assert proposed.status == 200 and proposed.json["status"] == "assigned", proposed
    assert reli.payment(payment)["status"] == "in_reconciliation"

    alone = resolve(reli, item["id"], "completed")
    assert (alone.status, alone.code) == (403, "forbidden"), alone

    agreed = resolve(second, item["id"], "completed", "confirmed with the customer")
    assert agreed.status == 200 and agreed.json["status"] == "resolved", agreed
    assert agreed.json["proposed_by"] != agreed.json["resolved_by"]
    p = reli.payment(payment)
    assert (p["status"], p["status_source"], p["amount_received"]) == (
        "completed", "operator", "101.00")
    assert sorted(transfers(reli, payment)) == [("payment_unallocated", "101.00"),
                                                ("unallocated_kept", "101.00")]
    actions = [a["action"] for a in reli.replica.database.rows(
        "select action from reli.audit_log where subject_id in (%s, %s)", payment, item["id"])]
    assert "exception.proposed" in actions and "payment.completed" in actions
    proves(stack, reli)

    again = resolve(second, item["id"], "completed")
    assert again.status == 200 and again.json == agreed.json
    other = resolve(second, item["id"], "failed")
    assert (other.status, other.code) == (409, "invalid_state"), other


def test_two_people_return_the_money(stack, reli, second):
    payment, item = wrong_amount(reli)
    resolve(reli, item["id"], "failed")
    assert resolve(second, item["id"], "failed").json["status"] == "resolved"
    p = reli.payment(payment)
    assert (p["status"], p["amount_received"]) == ("failed", "0.00")
    assert sorted(transfers(reli, payment)) == [("payment_unallocated", "101.00"),
                                                ("unallocated_returned", "101.00")]
    proves(stack, reli)


def test_another_proposal_begins_anew(reli, second):
    payment, item = wrong_amount(reli)
    assert resolve(reli, item["id"], "completed").json["status"] == "assigned"
    assert resolve(second, item["id"], "failed").json["status"] == "assigned"
    assert resolve(second, item["id"], "failed").status == 403
    assert reli.payment(payment)["status"] == "in_reconciliation"
    assert resolve(reli, item["id"], "failed").json["status"] == "resolved"


def test_many_who_agree_move_the_money_once(stack, reli, second):
    payment, item = wrong_amount(reli)
    assert resolve(reli, item["id"], "completed").json["status"] == "assigned"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: resolve(second, item["id"], "completed"), range(24)))
    assert {a.status for a in answers} <= {200, 409}
    assert any(a.status == 200 and a.json["status"] == "resolved" for a in answers)
    assert sorted(k for k, _ in transfers(reli, payment)) == ["payment_unallocated",
                                                             "unallocated_kept"]
    proves(stack, reli)


def test_stuck_is_decided_with_a_receipt(replicas, clock, sandbox, stack):
    one = replicas.one()
    shop = replicas.shop(one)
    second = shop.with_key(stack.api_key(one, shop.merchant))
    p = shop.pay(stk("063"))
    for step in (100, 900, 60):
        clock.advance(step)
        replicas.settle()
    shop.wait_status(p["id"], "in_reconciliation")
    item = item_of(shop, p["id"], "stuck")
    assert item["unallocated"] is None
    assert resolve(shop, item["id"], "noted").code == "invalid_state"
    resolve(shop, item["id"], "completed", provider_receipt="SKL1RESOLVED")
    done = resolve(second, item["id"], "completed")
    assert done.json["status"] == "resolved", done
    paid = shop.payment(p["id"])
    assert (paid["status"], paid["provider_receipt"]) == ("completed", "SKL1RESOLVED")
    assert transfers(shop, p["id"]) == [("payment_received", "100.00")]
    proves(stack, shop)


def test_evidence_takes_the_question_along(replicas, clock, sandbox):
    """A payment that was stuck is paid after all: nobody has to look at it any more."""
    one = replicas.one()
    shop = replicas.shop(one)
    p = shop.pay(stk("020"))
    sandbox.chaos(down=True)
    for step in (100, 900, 60):
        clock.advance(step)
        replicas.settle()
    shop.wait_status(p["id"], "in_reconciliation")
    assert item_of(shop, p["id"], "stuck")["status"] == "open"
    sandbox.chaos(down=False)
    clock.advance(400)
    shop.wait_status(p["id"], "completed")
    item = item_of(shop, p["id"], "stuck")
    assert (item["status"], item["resolution"], item["evidence"]) == ("resolved", "completed", "poll")


def test_a_receipt_of_another_payment_cannot_resolve(replicas, clock, sandbox, stack):
    one = replicas.one()
    shop = replicas.shop(one)
    second = shop.with_key(stack.api_key(one, shop.merchant))
    paid = shop.pay(stk("000"))
    receipt = shop.wait_status(paid["id"], "completed")["provider_receipt"]
    p = shop.pay(stk("063"))
    for step in (100, 900, 60):
        clock.advance(step)
        replicas.settle()
    shop.wait_status(p["id"], "in_reconciliation")
    item = item_of(shop, p["id"], "stuck")
    resolve(shop, item["id"], "completed", provider_receipt=receipt)
    refused = resolve(second, item["id"], "completed")
    assert (refused.status, refused.code) == (409, "conflict"), refused
    assert shop.payment(p["id"])["status"] == "in_reconciliation"


def test_a_refund_that_has_to_go_by_hand(stack, reli, second):
    p = reli.pay(cash())
    assert reli.post(f"{V1}/payments/{p['id']}/confirm").status == 200
    refund = reli.post(f"{V1}/payments/{p['id']}/refund", {"amount": "40"},
                       headers={"Idempotency-Key": new_key()}).json
    wait_until(lambda: [x for x in items(reli) if x["subject_id"] == refund["id"]], 10, "the task")
    item = item_of(reli, refund["id"], "refund_manual")
    assert item["subject"] == "refund"
    resolve(reli, item["id"], "completed")
    assert resolve(second, item["id"], "completed").json["status"] == "resolved"
    shown = reli.get(f"{V1}/refunds/{refund['id']}").json
    assert shown["status"] == "completed", shown
    assert reli.payment(p["id"])["status"] == "partially_refunded"
    proves(stack, reli)


def test_a_refund_by_hand_that_was_confirmed_needs_nobody_else(reli):
    p = reli.pay(cash())
    reli.post(f"{V1}/payments/{p['id']}/confirm")
    refund = reli.post(f"{V1}/payments/{p['id']}/refund", {}).json
    wait_until(lambda: [x for x in items(reli) if x["subject_id"] == refund["id"]], 10, "the task")
    assert reli.post(f"{V1}/refunds/{refund['id']}/confirm").status == 200
    assert item_of(reli, refund["id"], "refund_manual")["status"] == "resolved"


@pytest.mark.parametrize("body, param", [
    ({"evidence": EVIDENCE}, "resolution"),
    ({"resolution": "completed"}, "evidence"),
    ({"resolution": "paid", "evidence": EVIDENCE}, "resolution"),
    ({"resolution": "failed", "evidence": "x"}, "evidence"),
    ({"resolution": "failed", "evidence": EVIDENCE, "amount": "1"}, "amount"),
])
def test_bad_requests(reli, body, param):
    r = reli.post(f"{V1}/exceptions/0193b3d4-0000-7000-8000-000000000000/resolve", body)
    assert r.status == 422 and param in [e["param"] for e in r.json["errors"]], r


def test_somebody_elses_item_is_not_there(stack, reli):
    _, item = wrong_amount(reli)
    stranger = stack.shop(reli.replica)
    live = reli.with_key(stack.api_key(reli.replica, reli.merchant, "live"))
    for who in (stranger, live):
        r = resolve(who, item["id"], "completed")
        assert (r.status, r.code) == (404, "not_found"), r
        assert items(who) == []


def test_the_list_pages_and_filters(reli):
    ids = [wrong_amount(reli)[1]["id"] for _ in range(3)]
    first = reli.get(f"{V1}/exceptions?limit=2").json
    rest = reli.get(f"{V1}/exceptions?limit=2&after={first['next']}").json
    assert [x["id"] for x in first["data"] + rest["data"]] == ids[::-1]
    assert first["has_more"] and not rest["has_more"]
    assert items(reli, status="resolved") == []
    assert len(items(reli, status="open")) == 3
    assert reli.get(f"{V1}/exceptions?status=closed").status == 422

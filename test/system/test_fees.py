"""What reli takes: schedules set by the command line, fixed on a payment when it is made, taken when it completes,
shown in every answer, event and webhook, and found again in the books."""

import itertools
import json

import pytest
from helpers import V1, cash, new_key, stk, wait_until


def fees(stack, shop, *args):
    return stack.cli(shop.replica.database, "fees", *args)


def set_fee(stack, shop, schedule, currency="KES", mode="test"):
    done = fees(stack, shop, "set", "--merchant", shop.merchant, "--currency", currency, "--schedule", schedule,
                "--mode", mode)
    assert done.returncode == 0, done.stderr
    return done.stdout


def confirm(shop, p):
    r = shop.post(f"{V1}/payments/{p['id']}/confirm", {})
    assert r.status == 200, r
    return r.json


def amounts(p):
    return p["amount"], p["amount_received"], p["fee"], p["net"]


def balances(shop, currency="KES"):
    """Type: balance. The customers' and the merchant's side."""
    listed = shop.get(f"{V1}/balances").json["data"]
    return {b["type"]: b["balance"] for b in listed if b["currency"] == currency}


def prove(stack, shop):
    return stack.cli(shop.replica.database, "ledger", "prove")


def posted(received, fee, currency="KES"):
    """The transfers of a payment, in minor units."""
    out = [("provider_receivable", "merchant_pending", received - fee, currency)] if received > fee else []
    return out + ([("provider_receivable", "fees_income", fee, currency)] if fee else [])


@pytest.mark.parametrize("schedule, currency, sent, received, fee, net, minor", [
    ("1.5% + 20", "KES", "1000.00", "1000.00", "35.00", "965.00", (100000, 3500)),
    ("1.5% + 20 cap 30", "KES", "1000.00", "1000.00", "30.00", "970.00", (100000, 3000)),
    ("1% min 5", "KES", "10.00", "10.00", "5.00", "5.00", (1000, 500)),
    ("20", "KES", "10.00", "10.00", "10.00", "0.00", (1000, 1000)),  # never more than there is
    ("2%; > 500: 1%", "KES", "500.00", "500.00", "10.00", "490.00", (50000, 1000)),
    ("2%; > 500: 1%", "KES", "500.01", "500.01", "5.00", "495.01", (50001, 500)),
    ("0", "KES", "10.00", "10.00", "0.00", "10.00", (1000, 0)),
    ("2.5%; payer customer", "KES", "1000.00", "1025.00", "25.00", "1000.00", (102500, 2500)),
    ("1.5%", "RWF", "101", "101", "2", "99", (101, 2)),  # 1.515: no decimals
    ("10; payer customer", "UGX", "500", "510", "10", "500", (510, 10)),
    ("0.125", "KWD", "1.000", "1.000", "0.125", "0.875", (1000, 125)),
])
def test_taken_at_completion(reli, db, stack, schedule, currency, sent, received, fee, net, minor):
    set_fee(stack, reli, schedule, currency)
    p = reli.pay(amount=sent, currency=currency)
    nothing = "0" if currency in ("RWF", "UGX") else "0.000" if currency == "KWD" else "0.00"
    assert amounts(p) == (sent, nothing, nothing, nothing), "nothing is taken before there is money"
    assert p["next_action"]["amount"] == received, "what is to be collected"
    q = confirm(reli, p)
    assert amounts(q) == (sent, received, fee, net)
    assert amounts(reli.payment(p["id"])) == amounts(q)
    assert db.transfers(p["id"]) == posted(*minor, currency)
    told = json.loads(db.value("select data from reli.event where subject_id = %s and type = 'payment.completed'",
                               p["id"]))
    assert amounts(told) == amounts(q)
    held = balances(reli, currency)
    assert held["provider_receivable"] == received
    assert held.get("merchant_pending", nothing) == net
    assert held.get("fees_income", nothing) == fee
    assert prove(stack, reli).returncode == 0


def test_without_a_schedule_nothing_is_taken(reli, db, stack):
    set_fee(stack, reli, "5%", "UGX")
    set_fee(stack, reli, "5%", "KES", "live")
    p = confirm(reli, reli.pay())
    assert amounts(p) == ("1000.00", "1000.00", "0.00", "1000.00")
    assert db.transfers(p["id"]) == posted(100000, 0)
    assert "fees_income" not in balances(reli)


def test_a_cancelled_payment_costs_nothing(reli, db, stack):
    set_fee(stack, reli, "5%")
    p = reli.pay()
    q = reli.post(f"{V1}/payments/{p['id']}/cancel", {}).json
    assert amounts(q) == ("1000.00", "0.00", "0.00", "0.00")
    assert db.transfers(p["id"]) == []


@pytest.mark.parametrize("schedule, amount, asked, fee, net", [
    ("1.5% + 20 cap 2000", "1000.00", 1000, "35.00", "965.00"),
    ("1.5% + 20; payer customer", "1000.00", 1035, "35.00", "1000.00"),
    # M-Pesa takes whole shillings: what is put on top is rounded, half up
    ("1.5%; payer customer", "1050.00", 1066, "16.00", "1050.00"),  # 15.75
    ("1.5%; payer customer", "90.00", 91, "1.00", "90.00"),         # 1.35
    ("1.5%", "1050.00", 1050, "15.75", "1034.25"),
])
def test_over_mpesa(reli, db, stack, sandbox, receiver, schedule, amount, asked, fee, net):
    set_fee(stack, reli, schedule)
    body = stk(amount=amount, callback_url=receiver.url())
    p = reli.pay(body)
    q = reli.wait_status(p["id"], "completed")
    (push,) = sandbox.pushes(body["customer"]["phone"])
    assert int(push["amount"]) == asked
    assert amounts(q) == (amount, f"{asked}.00", fee, net)
    assert db.value("select amount from reli.attempt where payment_id = %s", p["id"]) == asked * 100
    assert db.transfers(p["id"]) == posted(asked * 100, round(float(fee) * 100))
    hooks = wait_until(lambda: [h.json for h in receiver.at(payment=p["id"]) if h.json["type"] == "payment.completed"])
    assert amounts(hooks[0]["data"]) == amounts(q)


def test_a_wrong_amount_is_one_that_was_not_asked_for(reli, db, stack):
    set_fee(stack, reli, "5%; payer customer")
    p = reli.pay(stk("026"))
    q = reli.wait_status(p["id"], "in_reconciliation")
    assert (q["amount_received"], q["fee"]) == ("0.00", "0.00")
    assert [t[:2] for t in db.transfers(p["id"])] == [("provider_receivable", "unallocated")]


def test_of_what_is_paid_late_nothing_is_taken(replicas, stack, clock, sandbox):
    sandbox.chaos(delay_ms=100, timeout_delay_ms=300, late_delay_s=100)
    shop = replicas.shop(replicas.one())
    set_fee(stack, shop, "5%")
    p = shop.pay(stk("025"))
    shop.wait_status(p["id"], "failed")
    sandbox.skip(100)
    q = shop.wait_status(p["id"], "completed")
    assert amounts(q) == ("100.00", "100.00", "0.00", "100.00")
    database = replicas.database
    assert database.one("select late, fee_due from reli.payment where id = %s", p["id"]) == {"late": True,
                                                                                            "fee_due": 500}
    assert database.transfers(p["id"]) == posted(10000, 0)
    assert prove(stack, shop).returncode == 0


def test_a_callback_that_comes_twice_takes_one_fee(reli, db, stack):
    set_fee(stack, reli, "5%")
    p = reli.pay(stk("022"))
    reli.wait_status(p["id"], "completed")
    assert db.transfers(p["id"]) == posted(10000, 500)


def test_a_schedule_changed_between_creation_and_completion(replicas, stack, clock):
    shop = replicas.shop(replicas.one())
    set_fee(stack, shop, "1%")
    old, older = shop.pay(), shop.pay(amount="10.00")
    set_fee(stack, shop, "5%; payer customer")
    clock.advance(3)  # what is known of a schedule is believed for a second or two
    new = shop.pay()
    set_fee(stack, shop, "0")
    clock.advance(3)
    free = shop.pay()
    assert amounts(confirm(shop, old)) == ("1000.00", "1000.00", "10.00", "990.00")
    assert amounts(confirm(shop, older)) == ("10.00", "10.00", "0.10", "9.90")
    assert amounts(confirm(shop, new)) == ("1000.00", "1050.00", "50.00", "1000.00")
    assert amounts(confirm(shop, free)) == ("1000.00", "1000.00", "0.00", "1000.00")
    assert [r["fee_version"] for r in replicas.database.rows(
        "select fee_version from reli.payment order by id")] == [1, 1, 2, 3]
    assert balances(shop)["fees_income"] == "60.10"
    assert prove(stack, shop).returncode == 0


def test_the_replicas_agree_on_what_a_payment_costs(replicas, stack, clock):
    one, two = replicas(2)
    shop = replicas.shop(one)
    set_fee(stack, shop, "1%")
    p = shop.pay()
    assert shop.at(two).pay()["next_action"]["amount"] == "1000.00"
    set_fee(stack, shop, "2%; payer customer")
    clock.advance(3)
    assert shop.at(two).pay()["next_action"]["amount"] == "1020.00"
    assert confirm(shop.at(two), p)["fee"] == "10.00"


@pytest.mark.parametrize("schedule, received, fee, left", [
    ("1.5% + 20", "1000.00", "35.00", "-35.00"),
    ("1.5% + 20; payer customer", "1035.00", "35.00", "-35.00"),
])
def test_a_refund_leaves_the_fee_taken(reli, db, stack, schedule, received, fee, left):
    """What was received goes back whole, from the merchant's side (domain.md, sections 2.3 and 5)."""
    set_fee(stack, reli, schedule)
    p = confirm(reli, reli.pay())
    r = reli.post(f"{V1}/payments/{p['id']}/refund", {"reason": "came back"})
    assert r.status == 201 and r.json["amount"] == received, r
    refund = f"{V1}/refunds/{r.json['id']}"
    wait_until(lambda: reli.get(refund).json["status"] == "in_reconciliation")
    r = reli.post(refund + "/confirm", {})
    assert r.status == 200, r
    wait_until(lambda: reli.get(refund).json["status"] == "completed")
    q = reli.payment(p["id"])
    assert (q["status"], q["amount_refunded"], q["fee"]) == ("refunded", received, fee)
    minor = round(float(received) * 100)
    assert sorted(db.transfers(p["id"])) == sorted(
        posted(minor, 3500) + [("merchant_pending", "provider_receivable", minor, "KES")])
    assert balances(reli) == {"provider_receivable": "0.00", "merchant_pending": left, "fees_income": fee}
    assert prove(stack, reli).returncode == 0


def test_an_amount_that_the_provider_does_not_take_with_the_fee(replicas, stack, clock, sandbox):
    shop = replicas.shop(replicas.one())
    body, key = stk(amount="250000.00"), new_key()
    first = shop.initialize(body, key=key)
    assert first.status == 201, first
    set_fee(stack, shop, "1; payer customer")
    clock.advance(3)
    r = shop.initialize(stk(amount="250000.00"), key=new_key())
    assert r.status == 422 and r.code == "validation_failed" and r.json["param"] == "amount", r
    assert shop.initialize(stk(amount="250000.00")).status == 422
    assert shop.initialize(stk(amount="249999.00"), key=new_key()).status == 201
    replay = shop.initialize(body, key=key)
    assert replay.body == first.body and replay.header("Idempotent-Replayed") == "true"
    assert replicas.database.value("select count(*) from reli.payment") == 2


def test_a_replay_at_a_replica_that_knows_only_the_new_schedule(replicas, stack, clock, sandbox):
    one, two = replicas(2)
    shop = replicas.shop(one)
    body, key = stk(amount="250000.00"), new_key()
    first = shop.initialize(body, key=key)
    assert first.status == 201, first
    set_fee(stack, shop, "1; payer customer")
    replay = shop.at(two).initialize(body, key=key)
    assert replay.status == 201 and replay.body == first.body, replay


def test_pages_of_transfers_end_within_a_journal(reli, stack):
    set_fee(stack, reli, "1%")
    made = [confirm(reli, reli.pay())["id"] for _ in range(3)][::-1]
    whole = reli.get(f"{V1}/ledger/transfers").json
    assert whole["has_more"] is False and whole["next"] is None
    assert [(t["payment_id"], t["step"], t["kind"]) for t in whole["data"]] == [
        x for p in made for x in ((p, 2, "payment_fee"), (p, 1, "payment_received"))]
    for limit in range(1, 7):
        got, after = [], ""
        for _ in itertools.count():
            page = reli.get(f"{V1}/ledger/transfers?limit={limit}{after}").json
            got += page["data"]
            if not page["has_more"]:
                assert page["next"] is None
                break
            after = f"&after={page['next']}"
        assert got == whole["data"], limit
    of_one = reli.get(f"{V1}/ledger/transfers?payment_id={made[1]}&limit=1").json
    assert of_one["data"] == [whole["data"][2]] and of_one["has_more"]
    for wrong in (made[0], f"{made[0]}.", f"{made[0]}.x", "1.1", f"{made[0]}.1.1", f"{made[0]}.-1", f"{made[0]}.99999"):
        r = reli.get(f"{V1}/ledger/transfers?after={wrong}")
        assert r.status == 422 and r.json["param"] == "after", (wrong, r)


DOCTORED = {
    "fee of payment": "update reli.payment set fee = fee - 1 where id = %s",
    "fee due of payment": "update reli.payment set fee_due = fee_due + 1 where id = %s",
    "received of payment": "update reli.ledger_transfer set amount = amount - 1 where payment_id = %s and step = 1",
}


@pytest.mark.parametrize("named", [*DOCTORED, "fee transfer"])
def test_prove_names_the_doctored_row(replicas, stack, named):
    shop = replicas.shop(replicas.one())
    set_fee(stack, shop, "1.5% + 20")
    p, other = confirm(shop, shop.pay()), confirm(shop, shop.pay())
    database = replicas.database
    wait_until(lambda: database.value("select count(*) from reli.log_new") == 0, what="the balances are rolled up")
    assert prove(stack, shop).returncode == 0
    if named == "fee transfer":
        database.rows("update reli.ledger_transfer set amount = amount + 1 where payment_id = %s and step = 2", p["id"])
        words = ["fee of payment", "expected 3500, found 3501"]
    else:
        database.rows(DOCTORED[named], p["id"])
        words = [named]
    done = prove(stack, shop)
    assert done.returncode == 1, done
    about = [line for line in done.stdout.splitlines() if p["id"] in line]
    for word in words:
        assert any(word in line for line in about), done.stdout
    assert other["id"] not in done.stdout


def test_the_command(reli, stack, shared):
    out = set_fee(stack, reli, "1.5% + 20 cap 2000")
    assert out == f"merchant_id={reli.merchant} mode=test currency=KES version=1\n"
    done = fees(stack, reli, "set", "--merchant", reli.merchant, "--currency", "KES", "--schedule", "2%")
    assert done.stdout.splitlines() == [f"merchant_id={reli.merchant} mode=test currency=KES version=2",
                                        f"merchant_id={reli.merchant} mode=live currency=KES version=1"]
    set_fee(stack, reli, "3; payer customer", "RWF")
    listed = fees(stack, reli, "list", "--merchant", reli.merchant)
    assert listed.returncode == 0 and listed.stdout.splitlines() == [
        f"merchant_id={reli.merchant} mode=live currency=KES version=1 schedule=2%",
        f"merchant_id={reli.merchant} mode=test currency=KES version=2 schedule=2%",
        f"merchant_id={reli.merchant} mode=test currency=RWF version=1 schedule=3; payer customer"]
    other = stack.shop(shared)
    set_fee(stack, other, "1%")
    everybody = fees(stack, reli, "list").stdout
    assert set(listed.stdout.splitlines()) < set(everybody.splitlines()) and other.merchant in everybody


@pytest.mark.parametrize("args, code, words", [
    (("--currency", "KES", "--schedule", "1% max 5"), 2, "neither min nor cap"),
    (("--currency", "RWF", "--schedule", "0.5"), 2, "not a fee schedule"),
    (("--currency", "KEX", "--schedule", "1%"), 2, "usage"),
    (("--currency", "KES"), 2, "usage"),
    (("--schedule", "1%"), 2, "usage"),
    (("--currency", "KES", "--schedule", "1%", "--mode", "both"), 2, "usage"),
])
def test_what_the_command_refuses(reli, stack, args, code, words):
    done = fees(stack, reli, "set", "--merchant", reli.merchant, *args)
    assert done.returncode == code and words in done.stderr, done
    assert fees(stack, reli, "list", "--merchant", reli.merchant).stdout == ""


def test_a_schedule_of_nobody(reli, stack):
    done = fees(stack, reli, "set", "--merchant", "01900000-0000-7000-8000-000000000000", "--currency", "KES",
                "--schedule", "1%")
    assert done.returncode == 1 and "no such merchant" in done.stderr
    for args in (("set", "--merchant", "x"), ("list", "--merchant", "x"), ("take",), ()):
        assert fees(stack, reli, *args).returncode == 2


def test_the_service_cannot_rewrite_a_schedule(reli, db, stack):
    """A payment's terms can be looked up for ever: rows are only added."""
    set_fee(stack, reli, "1%")
    may = "select has_table_privilege('reli_service', 'reli.fee_schedule', %s)"
    assert [db.value(may, right) for right in ("select", "insert", "update", "delete")] == [True, True, False, False]

"""A payment that names its method only goes on with another provider when one refuses it for a reason of its
own, and never when it is not known whether money has moved, or when the customer has refused."""

import http.client

import pytest
from helpers import V1, Clock, new_key, phone, wait_until
from stack import Launcher
from test_fees import amounts, prove, set_fee
from test_provider_config import config, paybill, till


@pytest.fixture(scope="module")
def world(stack, tmp_path_factory):
    """M-Pesa and CPay behind a sandbox each, so that one may fail alone."""
    clock = Clock(tmp_path_factory.mktemp("failover") / "clock")
    sandbox, mpesa = stack.new_sandbox(), stack.new_sandbox()
    launcher = Launcher(stack, clock, sandbox)
    launcher.mpesa = mpesa
    launcher.replica = launcher.one(**{"MPESA_BASE_URL": mpesa.url + "/mpesa", "RELI_BREAKER_CALLS": "0",
                                       "MPESA_CERTIFICATE": str(mpesa.certificate)})
    try:
        yield launcher
    finally:
        launcher.close()
        for s in (sandbox, mpesa):
            s.term()
            s.wait()


@pytest.fixture
def shop(world):
    for s in (world.sandbox, world.mpesa):
        s.reset()
    world.sandbox.chaos(cpay_webhook_url=world.replica.url + V1 + "/webhooks/cpay", cpay_delay_ms=200)
    return world.shop(world.replica)


def mobile(ending="000", **fields):
    return {"payment_method": "mobile_money", "amount": "1000.00", "currency": "KES",
            "customer": {"phone": phone(ending)}, **fields}


def trail(payment):
    return [(a["provider"], a["status"], a["code"]) for a in payment["attempts"]]


def actions(payment):
    return [t["action"] for t in reversed(payment["timeline"])]


def charges(world):
    return [c["provider"] for s in (world.mpesa, world.sandbox) for c in s.charges()]


def test_refused_at_once(world, shop):
    """Another provider takes it before the client has its answer; a replay says the same."""
    key, body = new_key(), mobile("049")  # "merchant does not exist"
    r = shop.initialize(body, key=key)
    assert r.status == 201 and (r.json["status"], r.json["provider"]) == ("processing", "cpay"), r
    again = shop.initialize(body, key=key)
    assert again.header("Idempotent-Replayed") == "true" and again.json == r.json
    p = shop.wait_status(r.json["id"], "completed")
    assert trail(p) == [("mpesa", "rejected", "configuration"), ("cpay", "succeeded", None)]
    first, second = p["attempts"]
    assert first["id"][:-1] == second["id"][:-1] and (first["id"][-1], second["id"][-1]) == ("1", "2")
    assert first["route"] == {"chosen": "mpesa", "reason": "default", "skipped": []}
    assert second["route"] == {"chosen": "cpay", "reason": "default",
                               "skipped": [{"provider": "mpesa", "reason": "tried"}]} == p["route"]
    assert p["failure"] is None and p["amount_received"] == "1000.00"
    assert [a for a in actions(p) if a in ("attempt.rejected", "payment.processing")] == [
        "payment.processing", "attempt.rejected", "payment.processing"]
    assert charges(world) == ["cpay"], "the first provider has taken nothing"


def test_the_event_names_the_next_provider(world, shop):
    p = shop.wait_status(shop.initialize(mobile("048")).json["id"], "completed")
    events = world.database.rows("select type, data::json->>'provider' as provider, seq from reli.event"
                                 " where subject_id = %s order by seq", p["id"])
    assert [(e["type"], e["provider"]) for e in events] == [
        ("payment.initiated", "mpesa"), ("payment.processing", "mpesa"), ("payment.processing", "cpay"),
        ("payment.completed", "cpay")]
    assert [e["seq"] for e in events] == [1, 2, 3, 4]


def test_failed_later(world, shop):
    """By callback: nobody waits for the answer of the second attempt."""
    r = shop.initialize(mobile("006"))
    assert (r.json["status"], r.json["provider"]) == ("processing", "mpesa")
    p = shop.wait_status(r.json["id"], "completed")
    assert trail(p) == [("mpesa", "failed", "provider_error"), ("cpay", "succeeded", None)]
    assert p["provider"] == "cpay" and p["provider_transaction_id"].startswith("cpm_")
    # A refund goes back over the provider that was paid.
    refund = shop.post(f"{V1}/payments/{p['id']}/refund", {}).json
    wait_until(lambda: shop.get(f"{V1}/refunds/{refund['id']}").json["status"] == "completed", 10)
    assert [x["provider"] for x in world.sandbox.refunds()] == ["cpay"] and world.mpesa.refunds() == []


@pytest.mark.parametrize("ending, code", [("001", "insufficient_funds"), ("002", "cancelled_by_customer"),
                                          ("003", "wrong_pin"), ("011", "duplicate")])
def test_a_customers_refusal_ends_it(world, shop, ending, code):
    p = shop.wait_status(shop.initialize(mobile(ending)).json["id"], "failed")
    assert trail(p) == [("mpesa", "failed", code)] and p["failure"]["code"] == code
    assert charges(world) == ["mpesa"]


def test_an_unknown_outcome_opens_no_route(world, shop):
    r = shop.initialize(mobile("041"))  # paid, but neither answer nor callback tells
    assert r.status == 202
    p = shop.payment(r.json["id"])
    assert trail(p) == [("mpesa", "uncertain", None)]
    wait_until(lambda: charges(world) == ["mpesa"], 10)


def test_the_client_has_named_it(world, shop):
    p = shop.wait_status(shop.initialize(mobile("049", provider="mpesa")).json["id"], "failed")
    assert trail(p) == [("mpesa", "rejected", "configuration")] and p["attempts"][0]["route"] is None
    assert p["route"]["reason"] == "named"
    assert p["failure"]["code"] == "configuration"


def test_no_route_left(world, shop):
    """The failure is that of the last one."""
    wrong = {"mode": "test", "api_key": "cpk_sandbox:cps_" + 43 * "A", "config": {"base_url": world.sandbox.url + "/cpay/v1"}}
    assert shop.post(f"{V1}/providers/cpay/config", wrong).status == 201
    p = shop.wait_status(shop.initialize(mobile("048")).json["id"], "failed")
    assert trail(p) == [("mpesa", "rejected", "provider_busy"), ("cpay", "rejected", "configuration")]
    assert (p["failure"]["code"], p["failure"]["advice"]) == ("configuration", "fix_configuration")
    assert p["provider"] == "cpay" and p["failure"]["provider_code"] == "signature_invalid"


def test_the_merchants_routes_decide_who_is_next(world, shop):
    rules = [{"payment_method": "mobile_money", "provider": "mpesa"},
             {"payment_method": "mobile_money", "provider": "cpay", "currency": "KES", "max_amount": "500"}]
    assert shop.request("PUT", V1 + "/routes", {"routes": rules}).status == 200
    p = shop.wait_status(shop.initialize(mobile("049")).json["id"], "failed")
    assert trail(p) == [("mpesa", "rejected", "configuration")], "the other one does not take so much"
    p = shop.wait_status(shop.initialize(mobile("049", amount="500.00")).json["id"], "completed")
    assert [a["route"]["reason"] for a in p["attempts"]] == ["route", "route"]


def test_two_paybills(world, shop):
    """Routes name a second account of one provider: what the first refuses for its keys goes on there, and stays there."""
    main, second = paybill(world.mpesa, name="main"), till(world.mpesa, name="second")
    main["config"]["passkey"] = "another"
    second["config"] |= {"initiator_name": "testapi", "initiator_password": "sandbox_initiator_password",
                         "certificate": world.mpesa.certificate.read_text()}
    for account in (main, second):
        assert config(shop, "mpesa", **account).status == 201
    rules = [{"payment_method": "mobile_money", "provider": "mpesa", "account": name} for name in ("main", "second")]
    rules.append({"payment_method": "mobile_money", "provider": "cpay"})
    r = shop.request("PUT", V1 + "/routes", {"routes": rules})
    assert r.status == 200 and [x["account"] for x in r.json["routes"]] == ["main", "second", None]
    p = shop.wait_status(shop.initialize(mobile()).json["id"], "completed")
    assert trail(p) == [("mpesa", "rejected", "configuration"), ("mpesa", "succeeded", None)]
    assert p["attempts"][0]["route"] == {"chosen": "mpesa", "account": "main", "reason": "route", "skipped": []}
    assert p["route"] == p["attempts"][1]["route"] == {
        "chosen": "mpesa", "account": "second", "reason": "route",
        "skipped": [{"provider": "mpesa", "account": "main", "reason": "tried"}]}
    assert [c["organisation"] for c in world.mpesa.charges()] == ["600997"]
    refund = shop.post(f"{V1}/payments/{p['id']}/refund", {}).json
    wait_until(lambda: shop.get(f"{V1}/refunds/{refund['id']}").json["status"] == "completed", 15)
    assert [(x["kind"], x["organisation"]) for x in world.mpesa.refunds()] == [("reversal", "600997")]
    # without the second the other provider is next
    assert config(shop, "mpesa", name="second", is_active=False).status == 200
    q = shop.wait_status(shop.initialize(mobile()).json["id"], "completed", 15)
    assert trail(q) == [("mpesa", "rejected", "configuration"), ("cpay", "succeeded", None)]
    assert q["route"]["skipped"][1] == {"provider": "mpesa", "account": "second", "reason": "no_account"}
    wrong = shop.request("PUT", V1 + "/routes", {"routes": [{**rules[0], "account": "No Such"}]})
    assert wrong.status == 422 and wrong.json["errors"][0]["param"] == "routes[0].account"


@pytest.mark.parametrize("first, second, ending, asked", [
    ("cpay", "mpesa", "113", ("1015.50", "1016.00")),  # "sent away twice"
    ("mpesa", "cpay", "049", ("1016.00", "1015.50")),
])
def test_the_fee_is_of_who_took_the_money(stack, world, shop, first, second, ending, asked):
    """M-Pesa has no cents: what the customer bears is rounded for it, and for it only."""
    set_fee(stack, shop, "1.55%; payer customer")
    rules = [{"payment_method": "mobile_money", "provider": p} for p in (first, second)]
    assert shop.request("PUT", V1 + "/routes", {"routes": rules}).status == 200
    r = shop.initialize(mobile(ending))
    assert r.json["provider"] == second and r.json["next_action"]["amount"] == asked[1], r
    p = shop.wait_status(r.json["id"], "completed")
    assert [(a["provider"], a["amount"]) for a in p["attempts"]] == list(zip((first, second), asked))
    fee = {"1016.00": "16.00", "1015.50": "15.50"}[asked[1]]
    assert amounts(p) == ("1000.00", asked[1], fee, "1000.00")
    assert prove(stack, shop).returncode == 0


def test_the_first_is_paid_after_all(stack, world, shop):
    """What had failed is reported as paid while the second attempt waits for its customer: it counts."""
    set_fee(stack, shop, "1.55%; payer customer")
    world.mpesa.chaos(timeout_delay_ms=200, late_delay_s=100)
    world.sandbox.chaos(cpay_delay_ms=600000)
    p = shop.initialize(mobile("031")).json
    wait_until(lambda: trail(shop.payment(p["id"]))[1:] == [("cpay", "submitted", None)], what="the second attempt waits")
    world.mpesa.skip(100)
    q = shop.wait_status(p["id"], "completed", 20)
    assert trail(q) == [("mpesa", "succeeded", None), ("cpay", "submitted", None)]
    assert (q["provider"], q["route"]["chosen"]) == ("mpesa", "mpesa")
    assert q["provider_receipt"] == q["attempts"][0]["provider_receipt"] is not None
    assert amounts(q) == ("1000.00", "1016.00", "16.00", "1000.00"), "the second was asked for less"
    assert prove(stack, shop).returncode == 0


def test_dies_between_the_refusal_and_the_next_provider(stack, tmp_path):
    """The next attempt is durable, and as far as anybody knows it was sent: the provider is asked, not charged."""
    launcher = Launcher(stack, Clock(tmp_path / "clock"), stack.new_sandbox())
    try:
        one = launcher.one(RELI_CRASH_AT="failover.committed:1", RELI_BREAKER_CALLS="0")
        shop = launcher.shop()
        key, body = new_key(), mobile("049")
        with pytest.raises((OSError, http.client.HTTPException)):
            shop.initialize(body, key=key)
        wait_until(lambda: not one.running(), 10, "the crash")
        one.killed = True
        two = launcher.again(one, RELI_CRASH_AT=None)
        shop = shop.at(two)
        launcher.clock.advance(61)  # the dead one's lease
        again = wait_until(lambda: (r := shop.initialize(body, key=key)).status != 409 and r, 20, "an answer")
        assert again.status in (201, 202), again
        for step in (30, 61, 120, 300, 600):
            launcher.clock.advance(step)
            launcher.settle()
        p = shop.payment(again.json["id"])
        assert [a["provider"] for a in p["attempts"]] == ["mpesa", "cpay"]
        assert p["attempts"][0]["status"] == "rejected" and p["status"] != "completed", p
        assert len(launcher.sandbox.pushes(body["customer"]["phone"])) == 1
        assert [c["provider"] for c in launcher.sandbox.charges()] == []
    finally:
        launcher.close()

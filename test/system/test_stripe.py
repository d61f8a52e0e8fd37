"""Stripe from end to end: a service, the sandbox's Stripe, and what becomes of payments and refunds. The customer
chooses on the page how it is to end, the amount's last three digits how Stripe tells it
(gateways/sandbox/README.md)."""

import hashlib
import hmac
import json
import os
import subprocess
import time

import psycopg2
import pytest
from helpers import ROOT, V1, Clock, new_key, npm_packages, wait_until
from stack import Launcher
from test_refunds import books_agree, brought, refund, wait_refund

SECRET = "whsec_reliSandbox"
HOOK = V1 + "/webhooks/stripe"
KEY = {"Authorization": "Bearer sk_test_reliSandbox"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BACK = "https://shop.example/back"


@pytest.fixture(scope="module")
def world(stack, tmp_path_factory):
    clock, sandbox = Clock(tmp_path_factory.mktemp("stripe") / "clock"), stack.new_sandbox()
    launcher = Launcher(stack, clock, sandbox)
    try:
        launcher.one()
        yield launcher
    finally:
        launcher.close()
        sandbox.term()
        sandbox.wait()


@pytest.fixture
def shop(world):
    """Webhooks arrive unless a test takes them away; the two clocks differ by less than a webhook may."""
    world.sandbox.reset()
    world.clock.offset = 0
    world.clock.write()
    world.sandbox.chaos(stripe_webhook_url=world.replicas[0].url + HOOK)
    return world.shop()


def order(amount="15000", **fields):
    return {"provider": "stripe", "amount": amount, "currency": "RWF", "return_url": BACK, **fields}


def page(world, payment):
    return "/" + payment["next_action"]["url"].split("/", 3)[3]


def choose(world, path, body):
    return world.sandbox.request("POST", path, body, FORM)


def card(world, payment, token="pm_card_visa"):
    return choose(world, page(world, payment), "payment_method=" + token)


def until(world, shop, payment, status):
    """Lets the time of the polls come until it is there."""
    for _ in range(10):
        world.settle()
        brought(world.sandbox)
        world.settle()
        p = shop.payment(payment)
        if p["status"] == status:
            return p
        world.clock.advance(15)
    return shop.wait_status(payment, status)


def transfers(shop, payment):
    return sorted(t["kind"] for t in shop.get(f"{V1}/ledger/transfers?payment_id={payment}").json["data"])


def delivered(world, kind):
    """Waits until an event of that type was acknowledged."""
    def there():
        return [c for c in world.sandbox.callbacks() if c["result_code"] == kind and c["http_status"] == 200]

    return wait_until(there, 10, f"{kind} was delivered")


def understood(world, kind):
    """Waits until all that came with it has been looked at, too."""
    delivered(world, kind)
    wait_until(lambda: not world.database.rows("select 1 from reli.provider_event where state = 'received'"), 10,
               "all are understood")


# ---- payments ----


@pytest.mark.parametrize("amount, currency, sent", [("15000", "RWF", "15000"), ("150.00", "KES", "15000"),
                                                    ("1.230", "KWD", "1230"), ("500", "UGX", "50000")])
def test_amounts_as_stripe_counts(world, shop, amount, currency, sent):
    p = shop.pay(order(amount, currency=currency, customer={"email": "jane@shop.example"}))
    assert p["status"] == "requires_action" and p["provider_transaction_id"].startswith("cs_test_"), p
    (call,) = world.sandbox.calls(provider="stripe", op="checkout")
    assert call["amount"] == sent and call["accepted"]
    assert card(world, p).header("Location") == BACK
    done = shop.wait_status(p["id"], "completed")
    assert done["amount_received"] == amount and done["provider_receipt"].startswith("pi_")
    assert done["status_source"] == "callback"


@pytest.mark.parametrize("body", [order("1.005", currency="KWD"), order("999999999"), order(return_url=None)])
def test_what_stripe_cannot_take_is_not_asked_for(world, shop, body):
    p = shop.pay({k: v for k, v in body.items() if v is not None})
    assert p["status"] == "failed" and p["failure"]["code"] == "configuration", p
    assert not world.sandbox.calls(provider="stripe")


def test_too_little_is_refused(world, shop):
    p = shop.pay(order("0.10", currency="USD"))
    assert p["status"] == "failed" and p["failure"]["code"] == "amount_invalid", p


def test_declined_then_another_card(world, shop):
    p = shop.pay(order())
    assert card(world, p, "pm_card_chargeDeclinedInsufficientFunds").status == 402
    delivered(world, "payment_intent.payment_failed")
    assert shop.payment(p["id"])["status"] == "requires_action"
    card(world, p)
    assert shop.wait_status(p["id"], "completed")["provider_receipt"].startswith("pi_")
    assert transfers(shop, p["id"]) == ["payment_received"]


@pytest.mark.parametrize("token, answer, status", [("pm_card_authenticationRequired", "complete", "completed"),
                                                   ("pm_card_authenticationRequired", "fail", "requires_action")])
def test_3d_secure(world, shop, token, answer, status):
    p = shop.pay(order())
    where = card(world, p, token).header("Location")
    assert "/stripe/3ds/pi_" in where
    delivered(world, "payment_intent.requires_action")
    assert shop.payment(p["id"])["status"] == "requires_action"
    choose(world, "/" + where.split("/", 3)[3], f"answer={answer}")
    if status == "requires_action":
        delivered(world, "payment_intent.payment_failed")
    shop.wait_status(p["id"], status)


def test_abandoned(world, shop):
    p = shop.pay(order())
    assert card(world, p, "pm_card_chargeDeclined").status == 402
    path = f"/stripe/v1/checkout/sessions/{p['provider_transaction_id']}/expire"
    assert world.sandbox.request("POST", path, "", KEY).status == 200
    done = shop.wait_status(p["id"], "failed")
    assert done["failure"]["code"] == "customer_timeout" and transfers(shop, p["id"]) == []


def test_a_debit_is_paid_later(world, shop):
    world.sandbox.chaos(delay_ms=60_000)
    p = shop.pay(order())
    card(world, p, "pm_usBankAccount")
    delivered(world, "checkout.session.completed")
    assert shop.payment(p["id"])["status"] in ("requires_action", "processing")
    world.sandbox.skip(60)
    assert shop.wait_status(p["id"], "completed")["amount_received"] == "15000"


@pytest.mark.parametrize("amount", ["15105", "15106", "15109"])
def test_events_twice_out_of_order_and_forged_first(world, shop, amount):
    p = shop.pay(order(amount))
    card(world, p)
    shop.wait_status(p["id"], "completed")
    delivered(world, "payment_intent.succeeded")
    world.settle()
    assert transfers(shop, p["id"]) == ["payment_received"]
    books_agree(world.stack, world.database)


def test_the_answer_is_lost(world, shop):
    """The object is found in Stripe's list by our own id, and the customer's page with it."""
    r = shop.initialize(order("15104"), key=new_key())
    assert r.status == 202 and r.json["status"] == "processing", r
    p = until(world, shop, r.json["id"], "requires_action")
    assert p["provider_transaction_id"].startswith("cs_test_") and p["next_action"]["type"] == "redirect", p
    card(world, p)
    assert shop.wait_status(p["id"], "completed")["provider_receipt"].startswith("pi_")
    assert len(world.sandbox.calls(provider="stripe", op="checkout")) == 1


# ---- tokens: without the page ----


def token(name="pm_card_visa", amount="15000", **fields):
    return order(amount, **{"payment_method": "card", "payment_method_token": name, **fields})


def test_a_token_is_charged_at_once(world, shop):
    key = new_key()
    p = shop.initialize(token(), key=key).json
    assert p["payment_method"] == "card" and p["status"] in ("processing", "completed"), p
    assert p["provider_transaction_id"].startswith("pi_") and p["next_action"] is None, p
    done = shop.wait_status(p["id"], "completed")
    assert done["amount_received"] == "15000" and done["provider_receipt"] == done["provider_transaction_id"]
    assert shop.initialize(token(), key=key).header("Idempotent-Replayed") == "true"
    assert shop.initialize(token("pm_card_mastercard"), key=key).code == "idempotency_key_reused"
    assert len(world.sandbox.calls(provider="stripe", op="intent")) == 1
    assert not world.sandbox.calls(provider="stripe", op="checkout")
    wait_refund(shop, refund(shop, p["id"], "5000")["id"], "completed")
    books_agree(world.stack, world.database)


@pytest.mark.parametrize("name, code", [("pm_card_chargeDeclined", "declined"),
                                        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
                                        ("pm_card_chargeDeclinedProcessingError", "provider_error"),
                                        ("pm_unknown", "configuration"), ("tok_visa", "configuration")])
def test_a_token_that_is_refused(world, shop, name, code):
    p = shop.pay(token(name))
    assert (p["status"], p["failure"]["code"]) == ("failed", code), p
    assert transfers(shop, p["id"]) == []


def test_a_thief_is_not_told_that_the_card_is_known_to_be_stolen(world, shop):
    """The payer's browser reads the payment by its client token."""
    p = shop.pay(token("pm_card_visa_chargeDeclinedStolenCard"))
    assert (p["failure"]["code"], p["failure"]["provider_code"]) == ("declined", "card_declined"), p
    assert "stolen" not in json.dumps(shop.payment(p["id"]))


@pytest.mark.parametrize("name, answer, status", [
    ("pm_card_authenticationRequired", "complete", "completed"),
    ("pm_card_authenticationRequired", "fail", "failed"),
    ("pm_card_authenticationRequiredChargeDeclinedInsufficientFunds", "complete", "failed")])
@pytest.mark.parametrize("told", [True, False])
def test_a_token_whose_bank_asks(world, shop, name, answer, status, told):
    """Decided by the webhook, or, where none arrives, by asking."""
    p = shop.pay(token(name, "15000" if told else "15107"))
    assert p["status"] == "requires_action" and "/stripe/3ds/pi_" in p["next_action"]["url"], p
    if told:  # the news of whose turn it is may ask, and would be told what comes now
        understood(world, "payment_intent.requires_action")
    back = choose(world, page(world, p), f"answer={answer}")
    assert back.header("Location") == BACK
    done = shop.wait_status(p["id"], status) if told else until(world, shop, p["id"], status)
    assert done["status_source"] == ("callback" if told else "poll"), done
    assert done["amount_received"] == (p["amount"] if status == "completed" else "0")


def test_a_token_whose_answer_is_lost(world, shop):
    """It is found among the PaymentIntents, by our id; nobody sends it again."""
    world.sandbox.chaos(stripe_webhook_url="")
    r = shop.initialize(token(amount="15104"), key=new_key())
    assert r.status == 202 and r.json["provider_transaction_id"].startswith("intent."), r
    done = until(world, shop, r.json["id"], "completed")
    assert done["provider_transaction_id"].startswith("pi_") and done["status_source"] == "poll"
    assert len(world.sandbox.calls(provider="stripe", op="intent")) == 1
    assert world.sandbox.calls(provider="stripe", op="intent_list")


def test_a_token_whose_answer_is_lost_is_told_by_its_webhook(world, shop):
    r = shop.initialize(token(amount="15104"), key=new_key())
    assert r.status in (201, 202), r
    done = shop.wait_status(r.json["id"], "completed")
    assert done["provider_transaction_id"].startswith("pi_") and done["status_source"] == "callback"


@pytest.mark.parametrize("body, code", [
    (token(payment_method="checkout"), "unsupported"), (token(provider="cash", payment_method="cash"), "unsupported"),
    (token(name="pm card"), "format"), (token(name="4242 4242 4242 4242"), None)])
def test_tokens_that_are_not_taken(world, shop, body, code):
    r = shop.initialize(body, key=new_key())
    assert r.status == 422, r
    if code is None:
        assert r.code == "card_number_refused"
    else:
        assert [(e["param"], e["code"]) for e in r.json["errors"]] == [("payment_method_token", code)], r


def cancel(shop, payment):
    return shop.post(f"{V1}/payments/{payment['id']}/cancel", {})


@pytest.mark.parametrize("body, op", [(order(), "checkout_expire"),
                                      (token("pm_card_authenticationRequired"), "intent_cancel")])
def test_cancelled_at_stripe_too(world, shop, body, op):
    p = shop.pay(body)
    assert p["status"] == "requires_action", p
    r = cancel(shop, p)
    assert r.status in (200, 202), r
    assert shop.wait_status(p["id"], "cancelled")["amount_received"] == p["amount_received"]
    assert [c["accepted"] for c in world.sandbox.calls(provider="stripe", op=op)] == [True]
    page_now = world.sandbox.request("GET", page(world, p), None)
    assert page_now.status == (404 if op == "intent_cancel" else 200)
    assert shop.payment(p["id"])["status"] == "cancelled"


def test_too_late_to_cancel(world, shop):
    """The customer has paid, and nobody has heard of it yet: Stripe knows."""
    world.sandbox.chaos(stripe_webhook_url="")
    p = shop.pay(order())
    card(world, p)
    r = cancel(shop, p)
    assert r.status in (200, 202, 409), r
    assert shop.wait_status(p["id"], "completed")["amount_received"] == "15000"


# ---- after much time: ids do not go back with the clock, so these come last ----


def test_nothing_came_of_it(world, shop):
    """Not in the list, and its time is over: nobody can have paid."""
    other = shop.pay(order())
    r = shop.initialize(order("15115"), key=new_key())
    assert r.status == 202, r
    world.clock.advance(60)
    world.settle()
    assert shop.payment(r.json["id"])["status"] == "processing"
    for _ in range(14):
        world.clock.advance(60)
        world.settle()
    assert shop.wait_status(r.json["id"], ["failed", "expired"])["amount_received"] == "0"
    assert shop.payment(other["id"])["status"] in ("requires_action", "expired", "processing")


def test_nothing_came_of_a_token(world, shop):
    r = shop.initialize(token(amount="15115"), key=new_key())
    assert r.status == 202, r
    for _ in range(14):
        world.clock.advance(60)
        world.settle()
    assert shop.wait_status(r.json["id"], ["failed", "expired"])["amount_received"] == "0"
    assert len(world.sandbox.calls(provider="stripe", op="intent")) == 1


def test_without_webhooks_the_polls_decide(world, shop):
    p = shop.pay(order("15107"))
    card(world, p)
    assert until(world, shop, p["id"], "completed")["status_source"] == "poll"


# ---- disputes ----


def disputed(world, shop):
    """A payment that the customer disputes, and the operators' item about it."""
    p = shop.pay(token("pm_card_createDispute"))["id"]
    shop.wait_status(p, "completed")
    return p, wait_until(lambda: disputes(shop, p), 10, "the dispute is recorded")[0]


def disputes(shop, payment):
    return [x for x in shop.get(f"{V1}/exceptions").json["data"]
            if (x["kind"], x["subject_id"]) == ("dispute", payment)]


def submit(world, item, words):
    path = f"/stripe/v1/disputes/{item['dispute']['id']}"
    r = world.sandbox.request("POST", path, f"evidence[uncategorized_text]={words}", {**KEY, **FORM})
    assert r.status == 200, r


def test_a_dispute_is_an_item_for_people(world, shop):
    """One, however often Stripe speaks of it; the payment stays as it is until it is lost."""
    p, item = disputed(world, shop)
    delivered(world, "charge.dispute.funds_withdrawn")
    world.settle()
    (item,) = disputes(shop, p)
    d = item["dispute"]
    assert d["id"].startswith("dp_") and (d["state"], d["provider_status"]) == ("open", "needs_response"), d
    assert (d["amount"], d["currency"], d["reason"]) == ("15000", "RWF", "fraudulent") and d["due_at"]
    assert item["status"] == "open" and item["unallocated"] is None
    assert shop.payment(p)["status"] == "completed"


def test_a_dispute_that_is_won(world, shop):
    p, item = disputed(world, shop)
    submit(world, item, "winning_evidence")
    delivered(world, "charge.dispute.closed")
    done = wait_until(lambda: [x for x in disputes(shop, p) if x["status"] == "resolved"], 10, "it is over")[0]
    assert (done["resolution"], done["evidence"], done["resolved_by"]) == ("noted", "won", "provider"), done
    assert shop.payment(p)["status"] == "completed" and transfers(shop, p) == ["payment_received"]
    books_agree(world.stack, world.database)


def test_a_dispute_that_is_lost(world, shop):
    p, item = disputed(world, shop)
    submit(world, item, "losing_evidence")
    shop.wait_status(p, "reversed")
    (done,) = disputes(shop, p)
    assert (done["status"], done["evidence"], done["dispute"]["state"]) == ("resolved", "lost", "lost"), done
    assert transfers(shop, p) == ["payment_received", "payment_reversed"]
    books_agree(world.stack, world.database)


def dispute_event(world, payment, kind="charge.dispute.closed", **more):
    dispute = {"id": "dp_test", "object": "dispute", "amount": 15000, "charge": "ch_test", "currency": "rwf",
               "evidence_details": {"due_by": int(time.time()) + 86400}, "livemode": False,
               "payment_intent": payment["provider_receipt"], "reason": "duplicate", "status": "won", **more}
    return json.dumps({"id": "evt_test", "object": "event", "api_version": "2026-10-28.endive",
                       "created": int(time.time()), "data": {"object": dispute}, "livemode": False,
                       "pending_webhooks": 1, "request": {"id": None, "idempotency_key": None}, "type": kind})


def test_a_part_that_is_lost_is_left_to_people(world, shop):
    p = shop.wait_status(shop.pay(token())["id"], "completed")
    body = dispute_event(world, p, amount=5000, status="lost")
    assert post(shop, body, sign(body)).status == 200
    (item,) = wait_until(lambda: disputes(shop, p["id"]), 10, "the dispute is recorded")
    assert (item["status"], item["dispute"]["state"], item["dispute"]["amount"]) == ("open", "lost", "5000"), item
    assert shop.payment(p["id"])["status"] == "completed" and transfers(shop, p["id"]) == ["payment_received"]


def test_an_end_before_the_begin(world, shop):
    p = shop.wait_status(shop.pay(token())["id"], "completed")
    body = dispute_event(world, p)
    assert post(shop, body, sign(body)).status == 200
    wait_until(lambda: disputes(shop, p["id"]), 10, "the dispute is recorded")
    body = dispute_event(world, p, "charge.dispute.created", status="needs_response")
    assert post(shop, body, sign(body)).status == 200
    world.settle()
    (item,) = disputes(shop, p["id"])
    assert (item["status"], item["dispute"]["state"]) == ("resolved", "won"), item


def test_whose_a_dispute_is_has_to_be_asked(world, shop):
    """While Stripe cannot be asked it is told to come again; what is not ours is thanked for."""
    p = shop.wait_status(shop.pay(token())["id"], "completed")
    body = dispute_event(world, p, "charge.dispute.created", status="needs_response")
    assert post(shop, body, sign(body, secret="whsec_another")).status == 401
    world.sandbox.chaos(down=True)
    assert post(shop, body, sign(body)).status == 503
    world.sandbox.chaos(down=False)
    assert disputes(shop, p["id"]) == []
    assert post(shop, body, sign(body)).status == 200
    wait_until(lambda: disputes(shop, p["id"]), 10, "the dispute is recorded")
    foreign = dispute_event(world, p, id="dp_foreign", payment_intent="pi_of_somebody_else")
    assert post(shop, foreign, sign(foreign)).status == 200
    assert [x["dispute"]["id"] for x in disputes(shop, p["id"])] == ["dp_test"]


def refund_at_stripe(world, payment, **fields):
    """As the merchant does it in Stripe's own dashboard: reli is not asked."""
    form = "&".join(f"{k}={v}" for k, v in {"payment_intent": payment["provider_receipt"], **fields}.items())
    r = world.sandbox.request("POST", "/stripe/v1/refunds", form, {**KEY, **FORM, "Idempotency-Key": new_key()})
    assert r.status == 200, r


def test_a_refund_made_at_stripe_reaches_the_books(world, shop):
    p = shop.wait_status(shop.pay(token())["id"], "completed")
    refund_at_stripe(world, p)
    shop.wait_status(p["id"], "reversed")
    (item,) = disputes(shop, p["id"])
    assert (item["status"], item["dispute"]["state"], item["dispute"]["provider_status"]) == \
        ("resolved", "lost", "refunded"), item
    assert transfers(shop, p["id"]) == ["payment_received", "payment_reversed"]
    books_agree(world.stack, world.database)


def test_a_part_refunded_at_stripe_is_left_to_people(world, shop):
    """What reli was asked for is no item; what is left by both is given back in the end."""
    p = shop.wait_status(shop.pay(token())["id"], "completed")
    wait_refund(shop, refund(shop, p["id"], "5000")["id"], "completed")
    refund_at_stripe(world, p, amount="4000", reason="duplicate")
    (item,) = wait_until(lambda: disputes(shop, p["id"]), 10, "the refund is recorded")
    assert (item["status"], item["dispute"]["amount"], item["dispute"]["reason"]) == ("open", "4000", "duplicate")
    assert shop.payment(p["id"])["status"] == "partially_refunded"
    books_agree(world.stack, world.database)


# ---- refunds ----


def paid(world, shop, token="pm_card_visa"):
    p = shop.pay(order())
    card(world, p, token)
    return shop.wait_status(p["id"], "completed")["id"]


@pytest.mark.parametrize("amount", ["5000", "5105", "5109"])
def test_refunds(world, shop, amount):
    p = paid(world, shop)
    done = wait_refund(shop, refund(shop, p, amount)["id"], "completed")
    assert done["rail"] == "reversal" and shop.payment(p)["status"] == "partially_refunded"
    wait_refund(shop, refund(shop, p)["id"], "completed")
    assert shop.payment(p)["status"] == "refunded"
    assert sum(int(r["amount"]) for r in world.sandbox.refunds(provider="stripe", state="paid")) == 15000
    books_agree(world.stack, world.database)


def test_a_refund_whose_answer_is_lost(world, shop):
    p = paid(world, shop)
    world.sandbox.chaos(stripe_webhook_url="")
    r = refund(shop, p, "5104")
    for _ in range(6):
        world.clock.advance(30)
        world.settle()
    wait_refund(shop, r["id"], "completed")
    assert len(world.sandbox.refunds(provider="stripe")) == 1


def test_a_busy_refund_is_sent_again(world, shop):
    """429 says that nothing was done: the same request goes out later, and nobody is asked to pay by hand."""
    p = paid(world, shop)
    r = refund(shop, p, "5113")
    for wait in (0, 35, 70):
        world.clock.advance(wait)
        world.settle()
    done = wait_refund(shop, r["id"], "completed")
    assert done["rail"] == "reversal" and len(world.sandbox.refunds(provider="stripe", state="paid")) == 1
    sent = [c for c in world.sandbox.calls(provider="stripe", op="refund") if c["amount"] == "5113"]
    assert [c["accepted"] for c in sent] == [False, False, True] and len({c["reference"] for c in sent}) == 1, sent
    assert shop.get(f"{V1}/exceptions").json["data"] == []
    books_agree(world.stack, world.database)


def refund_event(world, made, kind, status):
    """What Stripe sends of a refund as it was at some moment."""
    merchant = world.database.one("select merchant_id from reli.refund where id = %s", made["id"])["merchant_id"]
    reference = made["id"].replace("-", "")[:-1] + "1" + str(merchant).replace("-", "")
    back = {"id": "re_lost", "object": "refund", "amount": int(made["amount"]), "currency": "rwf",
            "charge": "ch_test", "payment_intent": "pi_test", "metadata": {"reli": reference, "reli_by": "refund"},
            "status": status, **({"failure_reason": "unknown"} if status == "failed" else {})}
    return json.dumps({"id": "evt_" + kind, "object": "event", "api_version": "2026-10-28.endive",
                       "created": int(time.time()), "data": {"object": back}, "livemode": False,
                       "pending_webhooks": 1, "request": {"id": None, "idempotency_key": None}, "type": kind})


def test_a_success_that_its_failure_has_overtaken(world, shop):
    """The answer is lost, the refund fails after it has succeeded, and the word of the success comes last: it is
    no success, a person has to pay."""
    world.sandbox.chaos(delay_ms=300)
    p = paid(world, shop, "pm_card_refundFail")
    world.sandbox.chaos(stripe_webhook_url="")
    made = refund(shop, p, "5104")
    wait_until(lambda: world.sandbox.refunds(provider="stripe", state="failed"), 10, "it has failed")
    for kind, status in (("refund.failed", "failed"), ("refund.created", "succeeded")):
        body = refund_event(world, made, kind, status)
        assert post(shop, body, sign(body)).status == 200
        wait_refund(shop, made["id"], "in_reconciliation")
    wait_until(lambda: world.sandbox.calls(provider="stripe", op="refund_list"), 10, "Stripe is asked")
    world.settle()
    wait_refund(shop, made["id"], "in_reconciliation")
    assert transfers(shop, p) == ["payment_received"]
    assert [x["kind"] for x in shop.get(f"{V1}/exceptions").json["data"]] == ["refund_manual"]
    rails = world.database.one("select string_agg(rail || ' ' || status, ', ' order by n) as all"
                               " from reli.refund_attempt where refund_id = %s", made["id"])
    assert rails["all"] == "reversal failed, manual submitted"


def test_a_refund_that_is_pending_first(world, shop):
    world.sandbox.chaos(delay_ms=300)
    p = paid(world, shop, "pm_card_pendingRefund")
    wait_refund(shop, refund(shop, p, "5000")["id"], "completed")


def test_a_refund_that_fails_later_is_heard(world, shop):
    """Days after its success, at Stripe: the refund is taken back in the books, and a person is told."""
    world.sandbox.chaos(delay_ms=60_000)
    p = paid(world, shop, "pm_card_refundFail")
    made = refund(shop, p, "5000")["id"]
    wait_refund(shop, made, "completed")
    world.sandbox.skip(60)
    delivered(world, "refund.failed")
    wait_refund(shop, made, "failed")
    assert shop.payment(p)["status"] == "completed"
    kinds = [t["kind"] for t in shop.get(f"{V1}/ledger/transfers?payment_id={p}").json["data"]]
    assert sorted(kinds) == ["payment_received", "refund_settled", "refund_undone"]
    assert [x["kind"] for x in shop.get(f"{V1}/exceptions").json["data"]] == ["refund_revoked"]
    books_agree(world.stack, world.database)


def waiting_for(world, table):
    """Waits until somebody waits for this table."""
    wait_until(lambda: world.database.value("select count(*) from pg_locks where not granted and relation = %s::regclass", table),
               10, f"{table} is waited for")


def test_a_refund_that_moved_after_its_payment_was_read_is_read_again(world, shop):
    """The failure of a refund was told while its success was being written: the payment was read before it, the refund
    after it, and the process ended over amounts that did not match."""
    p = paid(world, shop, "pm_card_visa")
    world.sandbox.chaos(stripe_webhook_url="")
    made = refund(shop, p, "5000")
    wait_refund(shop, made["id"], "completed")
    before, after = psycopg2.connect(world.database.owner_url), psycopg2.connect(world.database.owner_url)
    move = "update reli.payment set refunded = %s, refund_reserved = %s, status = %s, revision = revision + %s where id = %s"
    try:
        with before.cursor() as first, after.cursor() as then:
            first.execute("lock table reli.payment in access exclusive mode")
            body = refund_event(world, made, "refund.failed", "failed")
            assert post(shop, body, sign(body)).status == 200
            waiting_for(world, "reli.payment")
            then.execute("lock table reli.refund in access exclusive mode")
            first.execute(move, (0, 5000, "completed", -1, p))
            before.commit()
            waiting_for(world, "reli.refund")
            then.execute(move, (5000, 0, "partially_refunded", 1, p))
            after.commit()
    finally:
        before.close()
        after.close()
    wait_refund(shop, made["id"], "failed")
    assert shop.payment(p)["status"] == "completed"
    books_agree(world.stack, world.database)


# ---- webhooks ----


def sign(body, secret=SECRET, at=None):
    at = int(time.time()) if at is None else at
    mac = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={at},v1={mac}"


def event(world, shop, payment, **more):
    """What Stripe would send of this payment, were it paid."""
    row = world.database.one("select provider_ref, merchant_id from reli.attempt where payment_id = %s",
                             payment["id"])
    reference = payment["id"].replace("-", "")[:-1] + "1" + str(row["merchant_id"]).replace("-", "")
    session = {"id": row["provider_ref"], "object": "checkout.session", "amount_total": 15000, "currency": "rwf",
               "client_reference_id": reference, "metadata": {"reli": reference}, "livemode": False,
               "payment_intent": "pi_test", "payment_status": "paid", "status": "complete", "url": None}
    session.update(more)
    return json.dumps({"id": "evt_test", "object": "event", "api_version": "2026-10-28.endive",
                       "created": int(time.time()), "data": {"object": session}, "livemode": False,
                       "pending_webhooks": 1, "request": {"id": None, "idempotency_key": None},
                       "type": "checkout.session.completed"})


def post(shop, body, signature):
    return shop.request("POST", HOOK, body, {"Stripe-Signature": signature})


def test_only_a_signed_webhook_counts(world, shop):
    p = shop.pay(order())
    body = event(world, shop, p)
    good = sign(body)
    forged = [sign(body, secret="whsec_another"), sign(body, at=int(time.time()) - 400), sign(body + " "), "",
              sign(body, at=int(time.time()) + 400), "t=1,v1=", good.replace("v1=", "v0="), good.split(",")[1]]
    for signature in forged:
        r = post(shop, body, signature)
        assert (r.status, r.code) == (401, "unauthenticated"), (signature, r)
    assert shop.payment(p["id"])["status"] == "requires_action"
    assert post(shop, body, good + ",v1=" + "0" * 64 + ",v0=11").status == 200
    assert shop.wait_status(p["id"], "completed")["status_source"] == "callback"


def test_another_amount_is_no_payment(world, shop):
    p = shop.pay(order())
    body = event(world, shop, p, amount_total=14999)
    assert post(shop, body, sign(body)).status == 200
    shop.wait_status(p["id"], "in_reconciliation")


def test_about_nothing_of_ours(world, shop):
    p = shop.pay(order())
    for change in ({"metadata": {}}, {"metadata": {"reli": "0" * 64}, "client_reference_id": "0" * 64},
                   {"object": "charge"}):
        body = event(world, shop, p, **change)
        assert post(shop, body, sign(body)).status == 200
    assert shop.payment(p["id"])["status"] == "requires_action"


def test_a_dispute_signed_by_stripes_own_library(world, shop, library):
    p = shop.wait_status(shop.pay(token())["id"], "completed")
    for n, (kind, status) in enumerate([("charge.dispute.created", "needs_response"),
                                        ("charge.dispute.updated", "under_review"),
                                        ("charge.dispute.funds_withdrawn", "under_review"),
                                        ("charge.dispute.closed", "lost")]):
        body = dispute_event(world, p, kind, status=status, metadata={"n": str(n)})
        made, = library([{"body": body, "secret": SECRET, "at": int(time.time())}])
        assert made["taken"] and post(shop, body, made["header"]).status == 200, made
    shop.wait_status(p["id"], "reversed")
    (item,) = disputes(shop, p["id"])
    assert item["dispute"]["provider_status"] == "lost"


@pytest.fixture(scope="module")
def library():
    """Stripe's own library signs, and judges."""
    def run(cases):
        out = subprocess.run(["node", os.path.join(ROOT, "test/system/stripe_sign.cjs")], text=True, timeout=60,
                             check=True, capture_output=True,
                             input=json.dumps({"modules": str(npm_packages()), "cases": cases}))
        return json.loads(out.stdout)

    return run


def test_signed_by_stripes_own_library(world, shop, library):
    p = shop.pay(order())
    body, now = event(world, shop, p), int(time.time())
    good, = library([{"body": body, "secret": SECRET, "at": now}])
    t, v1 = good["header"].split(",")[:2]
    cases = [{"body": body, "secret": "whsec_another", "at": now},
             {"body": body, "secret": SECRET, "at": now - 400},
             {"body": body + " ", "sent": body, "secret": SECRET, "at": now},
             {"body": body, "header": f"t={now - 1},{v1}"},
             {"body": body, "header": t},
             {"body": body, "header": v1},
             {"body": body, "header": ""},
             {"body": body, "header": f"{t},{v1[:-1]}"},
             {"body": body, "header": f"{t},{v1.replace('v1', 'v0')}"}]
    for case, made in zip(cases, library(cases)):
        assert not made["taken"], case
        assert post(shop, body, made["header"]).status == 401, case
    assert shop.payment(p["id"])["status"] == "requires_action"
    rolled = library([{"body": body, "header": f"{t},v1={'0' * 64},{v1}"}])[0]
    assert good["taken"] and rolled["taken"]
    assert post(shop, body, rolled["header"]).status == 200
    assert post(shop, body, good["header"]).status == 200
    shop.wait_status(p["id"], "completed")
    assert transfers(shop, p["id"]) == ["payment_received"]

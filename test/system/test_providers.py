"""One way to use them all: the same requests to every provider, only `provider` changed."""

import hashlib
import hmac
import json
import time

import pytest
from helpers import V1, new_key, phone, wait_until

SECRET = "cpw_sandbox_webhook_secret"


class Rail:
    """What a test has to know of a provider: how the sandbox is told what is to happen."""

    status, action = "processing", "approve_on_phone"

    def __init__(self, name, currency, paid, failed, silent, failure):
        self.name, self.currency = name, currency
        self.paid, self.failed, self.silent, self.failure = paid, failed, silent, failure

    def body(self, outcome, **more):
        amount, ending = getattr(self, outcome)
        return {"provider": self.name, "amount": amount, "currency": self.currency,
                "customer": {"phone": phone(ending)}, **more}

    def act(self, sandbox, payment, outcome):
        """What the customer does: nothing but what his phone's number says."""


class Page(Rail):
    """Its customers are sent to a page, where they choose what is to happen."""

    status, action = "requires_action", "redirect"

    def body(self, outcome, **more):
        return {"provider": self.name, "amount": getattr(self, outcome)[0], "currency": self.currency,
                "return_url": "https://shop.example/back", **more}

    def act(self, sandbox, payment, outcome):
        path = "/" + payment["next_action"]["url"].split("/", 3)[3]
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        r = sandbox.request("POST", path, "payment_method=" + getattr(self, outcome)[1], form)
        assert r.status == 303 and r.header("Location") == "https://shop.example/back", r


RAILS = [
    Rail("mpesa", "KES", ("100.00", "000"), ("100.00", "001"), ("100.00", "020"), "insufficient_funds"),
    Rail("cpay", "RWF", ("15000", "000"), ("15101", "000"), ("15107", "000"), "insufficient_funds"),
    Page("stripe", "RWF", ("15000", "pm_card_visa"), ("15000", "pm_usBankAccount_debitNotAuthorized"),
         ("15107", "pm_card_visa"), "declined"),
]


@pytest.fixture(params=RAILS, ids=lambda r: r.name)
def rail(request):
    return request.param


@pytest.fixture
def shop(reli, sandbox):
    sandbox.chaos(cpay_webhook_url=f"{reli.url}{V1}/webhooks/cpay",
                  stripe_webhook_url=f"{reli.url}{V1}/webhooks/stripe")
    return reli


def refund(shop, payment, amount=None):
    r = shop.post(f"{V1}/payments/{payment}/refund", {"amount": amount} if amount else {},
                  headers={"Idempotency-Key": new_key()})
    assert r.status == 201, r

    def ended():
        shown = shop.get(f"{V1}/refunds/{r.json['id']}").json
        return shown if shown["status"] in ("completed", "failed") else None

    return wait_until(ended, 15, "the refund has ended")


def transfers(shop, payment):
    return sorted(t["kind"] for t in shop.get(f"{V1}/ledger/transfers?payment_id={payment}").json["data"])


def test_who_pays_out_and_how_much(reli):
    told = {p["name"]: (p["capabilities"]["payouts"], p["limits"]["min_payout"], p["limits"]["max_payout"])
            for p in reli.get(f"{V1}/providers").json["data"]}
    assert told["mpesa"] == (True, "10.00", "250000.00")
    assert told["cpay"] == (True, None, None), "of any currency"
    assert told["stripe"] == told["cash"] == (False, None, None)


def test_paid_and_refunded_in_part_and_in_full(stack, replicas, sandbox, rail):
    one = replicas.one(clock=False)
    shop = replicas.shop(one)
    sandbox.chaos(cpay_webhook_url=f"{one.url}{V1}/webhooks/cpay",
                  stripe_webhook_url=f"{one.url}{V1}/webhooks/stripe")
    p = shop.pay(rail.body("paid"))
    assert p["status"] == rail.status and p["next_action"]["type"] == rail.action
    rail.act(sandbox, p, "paid")
    done = shop.wait_status(p["id"], "completed", 15)
    assert done["provider_receipt"] and done["provider_transaction_id"]
    assert done["amount_received"] == done["amount"]
    first = refund(shop, p["id"], "10")
    assert first["status"] == "completed" and first["rail"] == "reversal", first
    assert shop.payment(p["id"])["status"] == "partially_refunded"
    rest = refund(shop, p["id"])
    assert rest["status"] == "completed"
    assert shop.payment(p["id"])["status"] == "refunded"
    assert transfers(shop, p["id"]) == ["payment_received", "refund_settled", "refund_settled"]
    for command in (("ledger", "prove"), ("replay", "--verify")):
        out = stack.cli(shop.replica.database, *command)
        assert out.returncode == 0, out.stdout + out.stderr


def test_failed(shop, sandbox, rail):
    p = shop.pay(rail.body("failed"))
    rail.act(sandbox, p, "failed")
    done = shop.wait_status(p["id"], "failed", 15)
    assert done["failure"]["code"] == rail.failure and done["amount_received"] == f"{0:.{len(done['amount'].partition('.')[2])}f}"
    assert transfers(shop, p["id"]) == []


def test_the_callback_is_lost(replicas, clock, sandbox, rail):
    one = replicas.one()
    shop = replicas.shop(one)
    sandbox.chaos(cpay_webhook_url="", stripe_webhook_url="")
    p = shop.pay(rail.body("silent"))
    rail.act(sandbox, p, "silent")
    wait_until(lambda: all(c["state"] == "paid" for c in sandbox.charges()), what="it is paid")
    for step in (20, 40, 60):
        clock.advance(step)
        replicas.settle()
    done = shop.wait_status(p["id"], "completed")
    assert done["status_source"] == "poll"


# ---- CPay: what is its own ----


def cpay(shop, amount, **more):
    return shop.pay({"provider": "cpay", "amount": amount, "currency": "RWF",
                     "customer": {"phone": phone("000")}, **more})


def test_the_answer_is_lost_and_it_was_paid(shop, sandbox):
    """CPay finds a request by our own id: the payment completes, and was asked for once."""
    r = shop.initialize({"provider": "cpay", "amount": "15104", "currency": "RWF",
                         "customer": {"phone": phone("000")}}, key=new_key())
    assert r.status == 202, r
    done = shop.wait_status(r.json["id"], "completed", 20)
    assert done["provider_transaction_id"].startswith("cpm_")
    assert len([c for c in sandbox.charges(provider="cpay")]) == 1


@pytest.mark.parametrize("amount", ["15105", "15106", "15109"])
def test_webhooks_twice_out_of_order_and_forged_first(stack, shop, amount):
    p = cpay(shop, amount)
    shop.wait_status(p["id"], "completed", 20)
    assert transfers(shop, p["id"]) == ["payment_received"]
    assert [e["type"] for e in shop.replica.database.events(p["id"])] == [
        "payment.initiated", "payment.processing", "payment.completed"]


def test_a_redirect_waits_for_the_customer(shop, sandbox):
    p = shop.pay({"provider": "cpay", "payment_method": "redirect", "amount": "15000", "currency": "RWF",
                  "return_url": "https://shop.example/back"})
    assert p["status"] == "requires_action", p
    assert p["next_action"]["type"] == "redirect" and p["next_action"]["url"].startswith("http")
    assert [e["type"] for e in shop.replica.database.events(p["id"])] == [
        "payment.initiated", "payment.processing", "payment.requires_action"]
    path = p["next_action"]["url"].split("/cpay/", 1)[1]
    paid = sandbox.request("POST", f"/cpay/{path}", "answer=pay",
                           {"Content-Type": "application/x-www-form-urlencoded"})
    assert paid.status in (200, 302, 303), paid
    done = shop.wait_status(p["id"], "completed", 15)
    assert done["next_action"] is None


def sign(body, secret=SECRET, at=None):
    at = int(time.time()) if at is None else at
    mac = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={at},v1={mac}"


def webhook(shop, payment, status="completed", **more):
    row = shop.replica.database.one("select provider_ref, merchant_id from reli.attempt where payment_id = %s",
                                    payment["id"])
    attempt = payment["id"].replace("-", "")[:-1] + "1"
    reference = attempt + str(row["merchant_id"]).replace("-", "")
    body = {"id": "evt_test", "type": f"payment.{status}", "created_at": "2026-11-21T10:00:00Z", "livemode": False,
            "sequence": 9, "data": {"object": {
                "id": row["provider_ref"], "object": "payment", "reference": reference, "amount": 15103,
                "currency": "RWF", "method": "wallet", "status": status, "next_action": None,
                "amount_refunded": 0, "failure": None, "fee": None, "livemode": False, "metadata": {},
                "created_at": "2026-11-21T10:00:00Z", "updated_at": "2026-11-21T10:00:00Z",
                "expires_at": "2026-11-21T10:15:00Z"}}}
    body["data"]["object"].update(more)
    return json.dumps(body)


def test_only_a_signed_webhook_counts(shop):
    p = cpay(shop, "15103")
    body = webhook(shop, p)
    forged = [sign(body, secret="cpw_another"), sign(body, at=int(time.time()) - 400), sign(body + " "), "",
              "t=1,v1=", sign(body).replace("v1=", "v0=")]
    for signature in forged:
        r = shop.request("POST", f"{V1}/webhooks/cpay", body, {"CPay-Signature": signature})
        assert (r.status, r.code) == (401, "unauthenticated"), (signature, r)
    assert shop.payment(p["id"])["status"] == "processing"
    good = shop.request("POST", f"{V1}/webhooks/cpay", body, {"CPay-Signature": sign(body)})
    assert good.status == 200, good
    assert shop.wait_status(p["id"], "completed")["status_source"] == "callback"


def test_a_signed_webhook_of_another_amount_is_no_payment(shop):
    p = cpay(shop, "15103")
    body = webhook(shop, p, amount=15104)
    assert shop.request("POST", f"{V1}/webhooks/cpay", body, {"CPay-Signature": sign(body)}).status == 200
    shop.wait_status(p["id"], "in_reconciliation")


def test_a_webhook_about_nothing_of_ours_is_thanked_for(shop):
    p = cpay(shop, "15103")
    for change in ({"reference": "order-77"}, {"reference": "0" * 64}):
        body = webhook(shop, p, **change)
        r = shop.request("POST", f"{V1}/webhooks/cpay", body, {"CPay-Signature": sign(body)})
        assert r.status == 200, r
    assert shop.payment(p["id"])["status"] == "processing"


def test_a_payment_that_the_provider_took_back(stack, replicas, sandbox):
    """A dispute that was lost: the payment is reversed, the books show it, and somebody is to look at it."""
    one = replicas.one(clock=False)
    shop = replicas.shop(one)
    sandbox.chaos(cpay_webhook_url=f"{one.url}{V1}/webhooks/cpay")
    p = cpay(shop, "15115")
    done = shop.wait_status(p["id"], "reversed")
    assert done["amount_received"] == "15115" and done["status_source"] == "callback"
    assert transfers(shop, p["id"]) == ["payment_received", "payment_reversed"]
    assert [e["type"] for e in one.database.events(p["id"])][-1] == "payment.reversed"
    item, dispute = sorted(shop.get(f"{V1}/exceptions").json["data"], key=lambda x: x["kind"], reverse=True)
    assert (item["kind"], item["subject_id"]) == ("reversed", p["id"])
    assert (dispute["kind"], dispute["status"], dispute["evidence"]) == ("dispute", "resolved", "lost"), dispute
    assert dispute["dispute"]["state"] == "lost" and dispute["dispute"]["amount"] is None
    late = shop.post(f"{V1}/payments/{p['id']}/refund", {"amount": "1"})
    assert (late.status, late.code) == (409, "invalid_state"), late
    noted = shop.post(f"{V1}/exceptions/{item['id']}/resolve", {"resolution": "noted", "evidence": "dispute 77 lost"})
    assert noted.json["status"] == "resolved", noted
    for command in (("ledger", "prove"), ("replay", "--verify"), ("audit", "verify")):
        out = stack.cli(one.database, *command)
        assert out.returncode == 0, out.stdout + out.stderr

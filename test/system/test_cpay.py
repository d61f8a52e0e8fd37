"""CPay from end to end: a service, the sandbox's CPay, and what becomes of payments and refunds when answers
and webhooks are lost, doubled, out of order or forged. The amount's last three digits choose
(gateways/sandbox/README.md)."""

import hashlib
import hmac
import json
import pathlib
import re
import subprocess
import time

import pytest
from helpers import ROOT, V1, Clock, Site, phone, wait_until, word
from stack import Launcher
from test_refunds import books_agree, brought, refund, show, wait_refund

KEY = "cpk_sandbox:cps_cmVsaSBzYW5kYm94IENQYXkgZGVtbyBzZWNyZXQgMDE"
SECRET = "cpw_sandbox_webhook_secret"
HOOK = "/api/v1/webhooks/cpay"


@pytest.fixture(scope="module")
def provider(stack):
    sandbox = stack.new_sandbox()
    yield sandbox
    sandbox.term()
    sandbox.wait()


@pytest.fixture
def world(stack, provider, tmp_path):
    """A clock for each test: where webhooks matter, it may not be far from the sandbox's own."""
    provider.reset()
    launcher = Launcher(stack, Clock(tmp_path / "clock"), provider)
    try:
        replica = launcher.one(CPAY_BASE_URL=provider.url + "/cpay/v1", CPAY_API_KEY=KEY,
                               CPAY_WEBHOOK_SECRET=SECRET)
        provider.chaos(cpay_webhook_url=replica.url + HOOK)
        yield launcher
    finally:
        launcher.close()


@pytest.fixture
def shop(world):
    return world.shop()


def wallet(amount, **fields):
    return {"provider": "cpay", "amount": amount, "currency": "KES", "customer": {"phone": phone("000")}, **fields}


def until(world, shop, payment, status):
    """Lets the time of the polls come until it is there, at most two minutes of it."""
    for _ in range(8):
        wait_until(lambda: all(c["state"] != "pending" for c in world.sandbox.charges(provider="cpay")),
                   what="CPay has decided")
        brought(world.sandbox)
        world.settle()
        p = shop.payment(payment)
        if p["status"] == status:
            return p
        world.clock.advance(15)
    return shop.wait_status(payment, status)


def charge_of(world, payment):
    """The only charge that the provider has of this payment."""
    (charge,) = [c for c in world.sandbox.charges(provider="cpay")
                 if c["reference"].startswith(payment.replace("-", "")[:20])]
    return charge


@pytest.mark.parametrize("amount", ["1500.00", "1501.05", "1501.06", "1501.09", "1501.11"])
def test_paid_as_webhooks_say(world, shop, amount):
    p = shop.pay(wallet(amount))
    assert p["status"] == "processing" and p["next_action"]["type"] == "approve_on_phone", p
    p = until(world, shop, p["id"], "completed")
    assert p["provider_receipt"] == p["provider_transaction_id"]
    assert p["provider_receipt"].startswith("cpm_") and p["amount_received"] == amount
    assert len([c for c in world.sandbox.charges(provider="cpay") if c["state"] == "paid"]) == 1
    books_agree(world.stack, world.database)


@pytest.mark.parametrize("amount, code", [("1501.01", "insufficient_funds"), ("1501.02", "cancelled_by_customer")])
def test_failed(world, shop, amount, code):
    p = until(world, shop, shop.pay(wallet(amount))["id"], "failed")
    assert p["failure"]["code"] == code


def test_without_webhooks_the_polls_decide(world, shop):
    p = until(world, shop, shop.pay(wallet("1501.07"))["id"], "completed")
    assert p["status_source"] == "poll"


@pytest.mark.parametrize("silent", [False, True])
def test_the_answer_is_lost(world, shop, silent):
    """Our id is the reference: the webhook names it, and the polls ask by it."""
    if silent:
        world.sandbox.chaos(cpay_webhook_url="")
    r = shop.initialize(wallet("1501.04"), key=word("key"))
    assert r.status == 202, r
    p = until(world, shop, r.json["id"], "completed")
    assert p["provider_receipt"] == p["provider_transaction_id"]
    assert p["provider_receipt"].startswith("cpm_"), "known by our id only until now"
    assert charge_of(world, p["id"])["state"] == "paid"
    assert len(world.sandbox.charges(provider="cpay")) == 1
    back = refund(shop, p["id"], "500.00")
    wait_until(lambda: [r["state"] for r in world.sandbox.refunds(provider="cpay")] == ["paid"], 10, "given back")
    for _ in range(8):
        if silent and show(shop, back["id"])["status"] != "completed":
            world.clock.advance(60)
            world.settle()
    wait_refund(shop, back["id"], "completed")


def test_nothing_arrives(world, shop):
    """No charge, no answer: the reference is asked for, and stays unknown until its time is over."""
    world.sandbox.chaos(reset_rate=1000)
    r = shop.initialize(wallet("1500.00"), key=word("key"))
    world.sandbox.chaos(reset_rate=0)
    assert r.status == 202, r
    world.clock.advance(60)
    world.settle()
    assert shop.payment(r.json["id"])["status"] == "processing"
    for _ in range(40):
        if shop.payment(r.json["id"])["status"] not in ("failed", "expired"):
            world.clock.advance(120)
            world.settle()
    p = shop.wait_status(r.json["id"], ["failed", "expired"])
    assert p["attempts"][0]["status"] == "not_found" and world.sandbox.charges(provider="cpay") == [], p


@pytest.mark.parametrize("who", [{}, {"payment_method": "redirect"}])
def test_by_a_page(world, shop, who):
    p = shop.pay({"provider": "cpay", "amount": "1500.00", "currency": "KES",
                  "return_url": "https://shop.example/back", **who})
    assert p["next_action"]["type"] == "redirect", p
    site, path = re.fullmatch(r"(http://[^/]+)(/.*)", p["next_action"]["url"]).groups()
    page = Site(site)
    assert "1500.00 KES, pending" in page.get(path).text
    assert page.request("POST", path, "answer=pay").status == 303
    until(world, shop, p["id"], "completed")


def test_refunds(world, shop):
    p = until(world, shop, shop.pay(wallet("1500.00"))["id"], "completed")
    part = refund(shop, p["id"], "500.00")
    wait_refund(shop, part["id"], "completed")
    assert shop.payment(p["id"])["status"] == "partially_refunded"
    lost = refund(shop, p["id"], "1.04")  # answered by 500, carried out
    wait_refund(shop, lost["id"], "completed")
    rest = refund(shop, p["id"])
    wait_refund(shop, rest["id"], "completed")
    assert shop.payment(p["id"])["status"] == "refunded"
    moved = world.sandbox.refunds(provider="cpay")
    assert sorted(int(m["amount"]) for m in moved) == [104, 50000, 99896]
    assert {m["state"] for m in moved} == {"paid"}
    books_agree(world.stack, world.database)


def test_a_refund_fails(world, shop):
    p = until(world, shop, shop.pay(wallet("1501.12"))["id"], "completed")
    back = refund(shop, p["id"], "500.00")
    wait_refund(shop, back["id"], "in_reconciliation")  # no rail is left: a person pays
    assert shop.payment(p["id"])["amount_refunded"] == "0.00"


# ---- webhooks that are not CPay's ----


def signed(body, secret=SECRET, at=None):
    at = int(time.time()) if at is None else at
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {"CPay-Signature": f"t={at},v1={mac}", "Content-Type": "application/json"}


def test_forged_webhooks_change_nothing(world, shop):
    p = shop.pay(wallet("1501.03"))  # nobody pays it
    charge = charge_of(world, p["id"])
    body = json.dumps({
        "id": "evt_1", "type": "payment.completed", "created_at": "2026-01-10T12:00:20Z", "livemode": False,
        "sequence": 3, "data": {"object": {
            "id": charge["checkout_request_id"], "object": "payment", "reference": charge["reference"],
            "amount": 150103, "currency": "KES", "method": "wallet", "status": "completed"}}}).encode()
    now = int(world.clock.now())
    good = signed(body, at=now)
    for headers in ({}, {"CPay-Signature": "t=1,v1=00"}, signed(body, "cpw_other", now),
                    signed(body, at=now - 400), signed(body, at=now + 400), signed(body + b" ", at=now)):
        r = world.replicas[0].request("POST", HOOK, body, headers)
        assert r.status == 401, (headers, r)
    assert shop.payment(p["id"])["status"] == "processing"
    assert world.replicas[0].request("POST", HOOK, body, good).status == 200
    shop.wait_status(p["id"], "completed")


# ---- the document ----


def test_the_examples_work(world):
    """What gateways/cpay.md says to paste."""
    document = pathlib.Path(ROOT / "gateways/cpay.md").read_text()
    (script,) = re.findall(r"```sh\n(.*?)```", document, re.S)
    world.sandbox.reset()
    world.sandbox.chaos(cpay_webhook_url="")
    script = script.replace("http://127.0.0.1:8090", world.sandbox.url)
    done = subprocess.run(["bash", "-eu"], input=script, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [a.get("object", "balances" in a) for a in answers] == [
        "payment", "list", "payment", "refund", "list", "payout", "list", True, "payment"], answers
    assert "error" not in done.stdout

"""What an account has at its provider: told at once, or to the account's URL, later."""

import hashlib
import json

import pytest
from helpers import V1, Clock, stk, wait_until
from stack import Launcher
from test_provider_config import config, till


@pytest.fixture(scope="module")
def world(stack, tmp_path_factory):
    clock, sandbox = Clock(tmp_path_factory.mktemp("balance") / "clock"), stack.new_sandbox()
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
    world.sandbox.reset()
    return world.shop()


def balance(shop, provider):
    return shop.get(f"{V1}/providers/{provider}/balance")


def told(shop, provider="mpesa"):
    """The answer, once it is there."""
    def there():
        r = balance(shop, provider)
        assert r.status in (200, 202), r
        assert (r.status == 202) == (r.json["status"] == "pending"), r
        return r.json if r.status == 200 else None

    return wait_until(there, 10, "the balance is told")


def test_who_answers_at_once(world, shop):
    world.sandbox.chaos(stripe_webhook_url=world.replicas[0].url + V1 + "/webhooks/stripe")
    p = shop.pay({"provider": "stripe", "amount": "15000", "currency": "RWF", "return_url": "https://s.example/",
                  "payment_method_token": "pm_card_visa"})
    shop.wait_status(p["id"], "completed")
    r = balance(shop, "stripe")
    assert r.status == 200 and r.json["status"] == "known" and r.json["told_at"], r
    assert {"account": None, "currency": "RWF", "available": "15000", "pending": "0"} in r.json["balances"], r
    r = balance(shop, "cpay")
    assert r.status == 200 and r.json["balances"] is not None, r


def test_who_answers_later(world, shop):
    p = shop.pay(stk(amount="1200.00"))
    shop.wait_status(p["id"], "completed")
    first = balance(shop, "mpesa")
    assert first.status == 202 and first.json["balances"] == [] and first.header("Retry-After"), first
    done = told(shop)
    assert {"account": "Working Account", "currency": "KES", "available": "1200.00", "pending": "0.00"} \
        in done["balances"], done
    assert ("Charges Paid Account", "-1540.00") in [(b["account"], b["available"]) for b in done["balances"]]
    assert balance(shop, "mpesa").json == done
    assert len(world.sandbox.calls(provider="mpesa", op="balance")) == 1


def test_one_question_at_a_time_and_again_when_it_is_old(world, shop):
    before = len(world.sandbox.callbacks(provider="mpesa"))
    world.sandbox.chaos(callback_loss_rate=1000)
    for _ in range(3):
        assert balance(shop, "mpesa").status == 202
    wait_until(lambda: len(world.sandbox.callbacks(provider="mpesa")) > before, 30, "the answer is lost")
    assert len(world.sandbox.calls(provider="mpesa", op="balance")) == 1
    world.sandbox.chaos(callback_loss_rate=0)
    world.clock.advance(121)
    done = told(shop)
    assert len(world.sandbox.calls(provider="mpesa", op="balance")) == 2
    world.clock.advance(61)
    assert balance(shop, "mpesa").status == 202
    assert told(shop)["told_at"] > done["told_at"]


def test_a_forged_answer_is_none(world, shop):
    """Neither without the token, nor to another question, nor after the answer."""
    body = {"Result": {"ResultType": 0, "ResultCode": 0, "OriginatorConversationID": "other-1",
                       "ConversationID": "AG_1", "TransactionID": "SKE0000000", "ResultParameters": {
                           "ResultParameter": {"Key": "AccountBalance",
                                               "Value": "Working Account|KES|9.00|9.00|0.00|0.00"}}}}
    own = till(world.sandbox)
    own["config"] |= {"initiator_name": "testapi", "initiator_password": "sandbox_initiator_password",
                      "certificate": world.sandbox.certificate.read_text()}
    assert config(shop, "mpesa", **own).status == 201
    world.sandbox.chaos(callback_loss_rate=1000)
    assert balance(shop, "mpesa").status == 202
    forged = shop.request("POST", f"{V1}/cb/{'0' * 96}.balance", json.dumps(body))
    assert forged.status == 401, forged
    (call,) = world.sandbox.calls(provider="mpesa", op="balance")
    path = url_of(world, shop)
    assert hashlib.sha256(f"{world.replicas[0].url}{path}.balance".encode()).hexdigest().startswith(
        call["callback_url_hash"])
    for kind, status in (("balance", 202), ("balancelate", 202)):
        assert shop.request("POST", f"{path}.{kind}", json.dumps(body)).status == 200
        assert balance(shop, "mpesa").status == status
    ref = world.database.one("select ref from reli.provider_balance where merchant_id = %s", shop.merchant)["ref"]
    body["Result"]["OriginatorConversationID"] = ref
    assert shop.request("POST", f"{path}.balancelate", json.dumps(body)).status == 200
    assert balance(shop, "mpesa").status == 202
    assert shop.request("POST", f"{path}.balance", json.dumps(body)).status == 200
    assert balance(shop, "mpesa").json["balances"][0]["available"] == "9.00"


def url_of(world, shop):
    r = shop.post(f"{V1}/providers/mpesa/register-callbacks", {})
    assert r.status == 200, r
    return "/" + r.json["confirmation_url"].split("/", 3)[3].rsplit(".", 1)[0]


def test_who_does_not_tell(shop):
    assert balance(shop, "cash").status == 404
    assert balance(shop, "nobody").status == 404

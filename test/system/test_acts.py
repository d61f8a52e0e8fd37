"""What a merchant has done about a payment that its provider has: a customer's one-time code is handed on, and a
payment is taken back."""

import concurrent.futures

import pytest
from helpers import V1, Clock, new_key, parse_time, phone, wait_until
from stack import Launcher

CODE = "123456"


@pytest.fixture(scope="module")
def world(stack, tmp_path_factory):
    sandbox = stack.new_sandbox()
    launcher = Launcher(stack, Clock(tmp_path_factory.mktemp("acts") / "clock"), sandbox)
    launcher.replica = launcher.one(RELI_BREAKER_CALLS="0")
    try:
        yield launcher
    finally:
        launcher.close()
        sandbox.term()
        sandbox.wait()


@pytest.fixture
def shop(world):
    world.sandbox.reset()
    world.sandbox.chaos(cpay_webhook_url=world.replica.url + V1 + "/webhooks/cpay", cpay_delay_ms=100)
    return world.shop(world.replica)


def wallet(shop, ending, **fields):
    r = shop.initialize({"provider": "cpay", "payment_method": "wallet", "amount": "250.00", "currency": "KES",
                         "customer": {"phone": phone(ending)}, **fields})
    assert r.status == 201, r
    return r.json


def waits_for_a_code(shop):
    p = wallet(shop, "110")
    assert p["status"] == "requires_action" and p["next_action"]["type"] == "otp", p
    return p


def confirm(shop, payment, **body):
    return shop.post(f"{V1}/payments/{payment['id']}/confirm", body)


def cancel(shop, payment):
    return shop.post(f"{V1}/payments/{payment['id']}/cancel")


def acts(world, op):
    return [c for c in world.sandbox.calls(op=op) if c["accepted"]]


# ---- codes ----


def test_the_right_code(world, shop):
    p = waits_for_a_code(shop)
    r = confirm(shop, p, otp=CODE)
    assert r.status == 200 and (r.json["status"], r.json["next_action"]) == ("processing", None), r
    q = shop.wait_status(p["id"], "completed")
    assert [t["action"] for t in q["timeline"]].count("attempt.code_given") == 1
    (act,) = [t for t in q["timeline"] if t["action"] == "attempt.code_given"]
    assert act["actor"].startswith("api_key:")
    calls = world.database.rows("select op, outcome from reli.provider_call where payment_id = %s", p["id"])
    assert ("confirm", "ok") in [(c["op"], c["outcome"]) for c in calls]
    assert CODE not in world.replica.logs()


def test_a_wrong_code_leaves_tries(world, shop):
    p = waits_for_a_code(shop)
    r = confirm(shop, p, otp="000000")
    assert (r.status, r.code) == (422, "otp_wrong") and "two more" in r.json["detail"], r
    q = shop.payment(p["id"])
    assert q["status"] == "requires_action" and q["next_action"]["tries_left"] == 2
    assert confirm(shop, p, otp="000001").status == 422
    assert shop.payment(p["id"])["next_action"]["tries_left"] == 1
    assert confirm(shop, p, otp=CODE).json["status"] == "processing"
    shop.wait_status(p["id"], "completed")


def test_three_wrong_codes_end_it(world, shop):
    p = waits_for_a_code(shop)
    for n in range(3):
        r = confirm(shop, p, otp=f"00000{n}")
        assert (r.status, r.code) == (422, "otp_wrong"), r
    assert "no more" in r.json["detail"]
    q = shop.payment(p["id"])
    assert q["status"] == "failed" and q["failure"]["code"] == "declined", q
    r = confirm(shop, p, otp=CODE)
    assert (r.status, r.code) == (409, "invalid_state"), r
    assert len(world.sandbox.calls(op="otp")) == 3


def test_a_code_that_comes_again_with_its_key_is_no_second_try(world, shop):
    p, key = waits_for_a_code(shop), {"Idempotency-Key": new_key()}
    path = f"{V1}/payments/{p['id']}/confirm"
    first = shop.post(path, {"otp": "000000"}, headers=key)
    again = shop.post(path, {"otp": "000000"}, headers=key)
    assert (first.status, first.code) == (422, "otp_wrong") and "two more" in first.json["detail"], first
    assert (again.status, again.body, again.header("Idempotent-Replayed")) == (422, first.body, "true"), again
    r = shop.post(path, {"otp": CODE}, headers=key)
    assert (r.status, r.code) == (422, "idempotency_key_reused") and r.json["detail"].endswith("differ: otp."), r
    key = {"Idempotency-Key": new_key()}
    first = shop.post(path, {"otp": CODE}, headers=key)
    assert (first.status, first.json["status"]) == (200, "processing"), first
    shop.wait_status(p["id"], "completed")
    again = shop.post(path, {"otp": CODE}, headers=key)
    assert (again.status, again.body, again.header("Reli-Current-Status")) == (200, first.body, "completed"), again
    assert len(world.sandbox.calls(op="otp")) == 2


def test_many_codes_at_once_are_three(world, shop):
    p = waits_for_a_code(shop)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: confirm(shop, p, otp=f"00000{n}").status, range(8)))
    assert sorted(set(answers)) == [409, 422] and answers.count(422) <= 3, answers
    assert len(world.sandbox.calls(op="otp")) == 3


def test_what_is_no_code(shop):
    p = waits_for_a_code(shop)
    for body in ({"otp": "12"}, {"otp": "12345678901"}, {"otp": "12a456"}, {"otp": 123456}, {"code": CODE}):
        r = confirm(shop, p, **body)
        assert (r.status, r.code) == (422, "validation_failed"), body
    assert confirm(shop, p).status == 409, "it is not for the merchant to say that it was paid"
    q = wallet(shop, "103")
    r = confirm(shop, q, otp=CODE)
    assert (r.status, r.code) == (409, "invalid_state") and "code" in r.json["detail"], r


def test_the_answer_to_a_code_is_lost(world, shop):
    """What became of it is asked for, and until it is known the answer says so."""
    p = waits_for_a_code(shop)
    world.sandbox.chaos(down=True)
    r = confirm(shop, p, otp=CODE)
    assert r.status in (202, 503), r
    world.sandbox.chaos(down=False)
    assert shop.payment(p["id"])["status"] == "requires_action"
    assert confirm(shop, p, otp=CODE).json["status"] == "processing"
    shop.wait_status(p["id"], "completed")


# ---- cancelling ----


@pytest.mark.parametrize("ending", ["103", "110"])
def test_a_payment_is_taken_back(world, shop, ending):
    """From `processing` and from `requires_action`: the provider says that nobody will pay it."""
    p = wallet(shop, ending)
    r = cancel(shop, p)
    assert r.status == 200 and r.json["status"] == "cancelled", r
    assert r.json["next_action"] is None and r.json["failure"] is None
    q = shop.payment(p["id"])
    assert [(a["status"], a["code"]) for a in q["attempts"]] == [("failed", "cancelled_by_customer")]
    assert cancel(shop, p).json["status"] == "cancelled", "again"
    assert len(acts(world, "cancel")) == 1
    # The webhook says the same, and changes nothing.
    wait_until(lambda: not world.database.rows("select 1 from reli.provider_event where state = 'received'"), 10)
    assert shop.payment(p["id"])["status"] == "cancelled"
    events = world.database.rows("select type from reli.event where subject_id = %s order by seq", p["id"])
    assert events[-1]["type"] == "payment.cancelled"


def test_too_late_to_be_taken_back(shop):
    p = shop.wait_status(wallet(shop, "000")["id"], "completed")
    r = cancel(shop, p)
    assert (r.status, r.code) == (409, "invalid_state"), r


def test_paid_while_it_is_taken_back(world, shop):
    """Nobody has told us of the money when the provider refuses: he is asked, and it counts."""
    world.sandbox.chaos(cpay_webhook_url="")
    p = wallet(shop, "107")  # paid, without an event
    wait_until(lambda: [c for c in world.sandbox.charges() if c["state"] == "paid"], 10)
    r = cancel(shop, p)
    assert r.status == 200 and r.json["status"] == "completed", r


def test_nobody_knows_whether_it_was_taken_back(world, shop):
    """The wish is kept: however it ends without money, it was cancelled."""
    p = wallet(shop, "103")
    world.sandbox.chaos(down=True)
    r = cancel(shop, p)
    assert r.status in (202, 503) and shop.payment(p["id"])["status"] == "processing", r
    world.sandbox.chaos(down=False)
    assert cancel(shop, p).json["status"] == "cancelled"


def test_a_provider_without_it(world, shop):
    """As before: what is on the customer's phone cannot be cancelled."""
    r = shop.initialize({"provider": "mpesa", "amount": "100.00", "currency": "KES",
                         "customer": {"phone": phone("063")}})
    r = cancel(shop, r.json)
    assert (r.status, r.code) == (409, "invalid_state"), r


# ---- whose turn it is ----


def test_the_customer_has_acted(world, shop):
    """A webhook says so, the provider is asked at once, and the payment waits for nobody any more."""
    world.sandbox.chaos(cpay_delay_ms=120_000)
    p = wallet(shop, "000", payment_method="redirect", return_url="https://shop.example/back")
    assert (p["status"], p["next_action"]["type"]) == ("requires_action", "redirect"), p
    path = p["next_action"]["url"].removeprefix(world.sandbox.url)
    assert world.sandbox.request("POST", path, "answer=pay").status == 303
    world.sandbox.skip(60)
    q = shop.wait_status(p["id"], "processing")
    assert q["next_action"] is None
    world.sandbox.skip(60)
    shop.wait_status(p["id"], "completed")


def test_a_page_has_its_half_hour(stack, world, shop):
    """What the setting shortens is a prompt on a phone."""
    def minutes(payment):
        return round((parse_time(payment["expires_at"]) - parse_time(payment["created_at"])) / 60)

    hurried = world.shop(world.one(RELI_PAYMENT_EXPIRY="6m"))
    page = {"payment_method": "redirect", "return_url": "https://shop.example/back"}
    assert [minutes(wallet(shop, "103")), minutes(wallet(hurried, "103"))] == [15, 6]
    assert [minutes(wallet(shop, "103", **page)), minutes(wallet(hurried, "103", **page))] == [30, 30]

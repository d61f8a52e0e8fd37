"""Refunds of payments without a receipt: nothing can be reversed, so the money is paid out."""

import time

import pytest
from helpers import phone, stk
from test_refunds import ADVANCES, back, books_agree, exceptions, refund, show

# ending → (where it ends, state of its payout, what moved at the provider, exceptions)
OUTCOMES = {
    "10": ("completed", "succeeded", 1, []),
    "90": ("completed", "succeeded", 1, []),
    "91": ("completed", "succeeded", 1, []),
    "92": ("completed", "succeeded", 1, []),  # answer and result lost: asked by the id that is ours
    "93": ("completed", "succeeded", 1, []),
    "94": ("completed", "succeeded", 1, []),
    "95": ("completed", "succeeded", 1, []),
    "96": ("in_reconciliation", "failed", 0, ["refund_manual"]),
    "97": ("completed", "succeeded", 1, []),  # a queue timeout with a failing code is no failure
    "98": ("in_reconciliation", "rejected", 0, ["refund_manual"]),
    "99": ("in_reconciliation", "submitted", 0, ["stuck"]),
}


@pytest.fixture(scope="module")
def told(stack, tmp_path_factory):
    """A refund of every ending, all side by side, followed beyond the time for unknown outcomes."""
    from helpers import Clock
    from stack import Launcher

    clock, sandbox = Clock(tmp_path_factory.mktemp("payouts") / "clock"), stack.new_sandbox()
    launcher = Launcher(stack, clock, sandbox)
    try:
        shop = launcher.shop(launcher.one())
        lives = {e: {"number": phone("020")} for e in OUTCOMES}
        for life in lives.values():
            life["payment"] = shop.pay(stk(phone=life["number"], amount="300.00"))["id"]
        time.sleep(1.2)  # the sandbox's customers act by its own clock
        clock.advance(16)
        for ending, life in lives.items():
            p = shop.wait_status(life["payment"], "completed")
            assert p["provider_receipt"] is None
            life["id"] = refund(shop, p["id"], f"1{ending}.00")["id"]
        for step in ADVANCES:
            clock.advance(step)
            launcher.settle()
            time.sleep(0.25)  # a status query is told by a result of its own, a little later
            launcher.settle()
        for life in lives.values():
            life["refund"] = show(shop, life["id"])
            life["moved"] = sandbox.refunds(phone=life["number"].lstrip("+"))
            life["exceptions"] = exceptions(shop, life["id"])
        yield launcher, lives
    finally:
        launcher.close()
        sandbox.term()
        sandbox.wait()


@pytest.mark.parametrize("ending", OUTCOMES)
def test_outcome(told, ending):
    launcher, lives = told
    status, state, moved, kinds = OUTCOMES[ending]
    life = lives[ending]
    got = life["refund"]
    assert got["status"] == status, got
    assert [(a["rail"], a["status"]) for a in got["attempts"]][:2] == [("reversal", "rejected"), ("payout", state)]
    assert len(life["moved"]) == (ending != "98"), "asked for once"
    paid = [m for m in life["moved"] if m["state"] == "paid"]
    assert len(paid) == moved
    assert life["exceptions"] == kinds
    minor = 10000 + int(ending) * 100
    row = launcher.database.one("select refunded, refund_reserved from reli.payment where id = %s", life["payment"])
    if status == "completed":
        assert got["provider_receipt"] == paid[0]["transaction_id"]
        assert got["provider_transaction_id"] == paid[0]["originator_id"]
        assert launcher.database.transfers(life["payment"])[1:] == [back(minor)]
        assert row == {"refunded": minor, "refund_reserved": 0}
    else:
        assert launcher.database.transfers(life["payment"])[1:] == []
        assert row == {"refunded": 0, "refund_reserved": minor}, "reserved as long as unknown"


def test_the_books(told, stack):
    launcher, _ = told
    books_agree(stack, launcher.database)

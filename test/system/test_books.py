"""What `reli ledger prove` finds: every figure that can be recomputed, each wrong one by its name."""

import pytest
from helpers import V1, wait_until
from test_fees import set_fee
from test_refunds import given_back
from test_traps import confirm, held

# what is changed, and how it is put back; what the proof calls it
FAULTS = {
    "balance of account": "update reli.ledger_balance set balance = balance {} 1 where merchant_id = %s",
    "received of payment": "update reli.payment set received = received {} 1 where merchant_id = %s",
    "refunded of payment": "update reli.payment set refunded = refunded {} 1 where merchant_id = %s",
    "fee of payment": "update reli.payment set fee = fee {} 1, fee_due = fee_due {} 1 where merchant_id = %s",
    "fee due of payment": "update reli.payment set fee_due = fee_due {} 1 where merchant_id = %s",
}


@pytest.fixture
def books(replicas, stack):
    """A merchant of whom everything has happened that the books know: a fee and a refund."""
    shop = replicas.shop(replicas.one(clock=False))
    set_fee(stack, shop, "2%")
    p = shop.pay()
    confirm(shop, p["id"])
    given_back(shop, p["id"], "300.00")

    def proof():
        return stack.cli(replicas.database, "ledger", "prove")

    wait_until(lambda: not replicas.database.rows("select 1 from reli.log_new"), 10, "all is rolled up")
    assert proof().returncode == 0
    return shop, replicas.database, proof


def test_every_wrong_figure_is_named(books):
    shop, database, proof = books
    for name, statement in FAULTS.items():
        database.rows(statement.format("+", "+"), shop.merchant)
        done = proof()
        assert done.returncode == 1 and f"wrong: {name} " in done.stdout, (name, done)
        assert shop.merchant in done.stdout
        database.rows(statement.format("-", "-"), shop.merchant)
        assert proof().returncode == 0, name
    database.rows("update reli.ledger_account set currency = 'USD' where merchant_id = %s", shop.merchant)
    assert "wrong: account of transfer " in proof().stdout
    database.rows("update reli.ledger_account set currency = 'KES' where merchant_id = %s", shop.merchant)
    transfer = database.one("delete from reli.ledger_transfer where merchant_id = %s and kind = 'payment_fee' "
                            "returning payment_id", shop.merchant)
    done = proof()
    assert done.returncode == 1 and f"wrong: fee of payment {transfer['payment_id']} " in done.stdout, done


def test_the_proof_holds_while_the_balances_lag_behind(books):
    """Transfers that are not rolled up yet are told apart from balances that are wrong."""
    shop, database, proof = books
    with held(database, "select 1 from reli.ledger_balance where merchant_id = %s for update", shop.merchant):
        p = shop.pay()
        confirm(shop, p["id"])
        assert database.rows("select 1 from reli.log_new where merchant_id = %s", shop.merchant)
        assert proof().returncode == 0
        balances = shop.get(f"{V1}/balances").json["data"]
    assert {b["type"] for b in balances} >= {"merchant_pending", "fees_income"}
    wait_until(lambda: not database.rows("select 1 from reli.log_new"), 10, "rolled up")
    assert proof().returncode == 0

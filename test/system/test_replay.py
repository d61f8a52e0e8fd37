"""`reli replay --verify`: a payment rebuilt from its events alone equals the stored one."""

import contextlib

import psycopg2
import pytest
from helpers import V1, cash, new_key, stk, wait_until


def replay(stack, database):
    return stack.cli(database, "replay", "--verify")


@pytest.fixture
def lived(stack, replicas, clock):
    """A database with payments that ended in many ways."""
    one = replicas.one()
    shop = replicas.shop(one)
    done = {}
    for ending in ("000", "001", "002", "020", "026", "049", "063"):
        done[ending] = shop.pay(stk(ending))["id"]
    paid = shop.pay(cash(metadata={"a": [1, {"b": "é"}]}))["id"]
    assert shop.post(f"{V1}/payments/{paid}/confirm").status == 200
    for amount in ("100.00", "900.00"):
        refund = shop.post(f"{V1}/payments/{paid}/refund", {"amount": amount},
                           headers={"Idempotency-Key": new_key()}).json["id"]
        wait_until(lambda: shop.get(f"{V1}/refunds/{refund}").json["status"] == "in_reconciliation",
                   10, "the operator's task")
        assert shop.post(f"{V1}/refunds/{refund}/confirm").status == 200
    gone = shop.pay(cash())["id"]
    assert shop.post(f"{V1}/payments/{gone}/cancel").status == 200
    waiting = shop.pay(cash())["id"]
    for step in (100, 900, 60):
        clock.advance(step)
        replicas.settle()
    assert shop.payment(paid)["status"] == "refunded"
    assert shop.payment(done["063"])["status"] == "in_reconciliation"
    one.term()
    one.wait()
    stack.check_end(one)
    return one.database, {"paid": paid, "waiting": waiting, **done}


DOCTORED = [
    ("update reli.payment set status = 'expired' where id = %(001)s", "status"),
    ("update reli.payment set received = received + 1 where id = %(000)s", "amount_received"),
    ("update reli.payment set refunded = 1 where id = %(paid)s", "amount_refunded"),
    ("update reli.payment set receipt = 'SKL9FORGED' where id = %(000)s", "provider_receipt"),
    ("update reli.payment set metadata = null where id = %(paid)s", "metadata"),
    ("delete from reli.event where subject_id = %(paid)s and seq = 4", "an event is missing"),
    ("delete from reli.event where subject_id = %(paid)s and seq = (select max(seq) from reli.event"
     " where subject_id = %(paid)s)", "version"),
    ("delete from reli.event where subject_id = %(waiting)s", "there are none"),
]


def test_payments_are_what_their_events_make(stack, lived):
    database, ids = lived
    out = replay(stack, database)
    assert out.returncode == 0, out.stdout + out.stderr
    payments = database.value("select count(*) from reli.payment")
    events = database.value("select count(*) from reli.event")
    assert f"{payments} payments are what their {events} events make" in out.stdout
    assert payments == 10
    database.close()
    for n, (statement, named) in enumerate(DOCTORED):
        copy = stack.copy(database, f"{database.name}_{n}")
        with contextlib.closing(psycopg2.connect(copy.owner_url)) as c, c, c.cursor() as cursor:
            cursor.execute(statement, ids)
            assert cursor.rowcount >= 1, statement
        out = replay(stack, copy)
        assert out.returncode == 1, statement
        wrong = ids[statement.split("%(")[1].split(")")[0]]
        (line,) = out.stdout.strip().split("\n")  # the others are right
        assert f"payment {wrong}" in line and named in line, (statement, line)


def test_usage(stack, shared):
    assert stack.cli(shared.database, "replay").returncode == 2

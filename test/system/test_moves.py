"""payment_move.sql by itself: what it does when somebody else is at the same rows."""

import json
import pathlib
import re
import threading
import uuid

import psycopg2
from helpers import cash, wait_until

MOVE = pathlib.Path(__file__).parents[2] / "sql/query/payment_move.sql"


def moves(db, statement, payments, **more):
    """The statement's arguments: each payment is cancelled, as it is otherwise; `more` are columns alike for all."""
    row = """select merchant_id as whose, id, mode, revision, id as op_id, 'cancelled' as status, version, received,
                 status_source, late, provider, refunded, refund_reserved as reserved, fee, fee_due, updated_at,
                 0 as log_seq, 0 as journal_steps, account_id, 'payment' as job_kind, id as job_subject
             from reli.payment where id = %s"""
    kind, *others = re.findall(r"unnest\(\$\d+::([\w.]+)\[\]\)", statement)
    rows = [json.dumps(dict(db.one(row, p)) | {"ord": i} | more, default=str) for i, p in enumerate(payments)]
    units = ", ".join(f"jsonb_populate_record(null::{kind}, '{text}')" for text in rows)
    return ", ".join([f"array[{units}]"] + ["null"] * len(others))


def test_a_lease_taken_meanwhile_keeps_no_job_alive(reli, db):
    """PostgreSQL looks again at what a delete has waited for; joined with a bare "union all", it then found the
    first row only, and the jobs of all others stayed due for ever."""
    payments = [reli.pay(cash())["id"] for _ in range(3)]
    statement = MOVE.read_text()
    jobs = "select count(*) from reli.job where kind = 'payment' and subject = any(%s::uuid[])"
    assert db.value(jobs, payments) == 3
    mover, leaser = psycopg2.connect(db.owner_url), psycopg2.connect(db.owner_url)
    try:
        with mover.cursor() as m, leaser.cursor() as other:
            for name in ("hashjoin", "mergejoin", "seqscan"):  # as with many jobs
                m.execute(f"set enable_{name} = off")
            m.execute("set plan_cache_mode = force_generic_plan")
            m.execute("prepare move as " + statement)
            mover.commit()
            other.execute("update reli.job set tries = tries + 1 where subject = any(%s::uuid[])", (payments,))
            work = threading.Thread(target=m.execute, args=(f"execute move({moves(db, statement, payments)})",))
            work.start()
            wait_until(lambda: db.value("select count(*) from pg_stat_activity where pid = %s and wait_event_type = 'Lock'",
                                        mover.info.backend_pid) == 1, 10, "the move waits for the lease")
            leaser.commit()
            work.join(60)
            assert sorted(m.fetchall()) == [(0, 0, False), (1, 0, False), (2, 0, False)]
            mover.commit()
    finally:
        mover.close()
        leaser.close()
    assert [reli.payment(p)["status"] for p in payments] == ["cancelled"] * 3
    assert db.value(jobs, payments) == 0


def test_a_key_is_new_in_both_slots_or_not_at_all(reli, db):
    """Near a period's boundary a key goes into two slots. One that another request had taken did not stop the other:
    a refund's key that had stood still over the boundary was used twice."""
    first, second = (reli.pay(cash())["id"] for _ in range(2))
    key, statement = str(uuid.uuid4()), MOVE.read_text()
    db.rows("""insert into reli.idempotency (merchant_id, mode, key, slot, period, fingerprint, payment_id,
                   lease_until, created_at)
               select merchant_id, mode, %s, 1, 1, '\\x00', id, created_at, created_at
               from reli.payment where id = %s""", key, first)
    place = {"idem_key": key, "idem_fingerprint": r"\x00", "idem_subject": second, "idem_slot": 0, "idem_slot_b": 1,
             "idem_look_a": 0, "idem_look_b": 3, "idem_period": 0, "idem_lease": "2030-01-01"}
    connection = psycopg2.connect(db.owner_url)
    try:
        with connection.cursor() as c:
            c.execute("prepare move as " + statement)
            c.execute(f"execute move({moves(db, statement, [second], **place)})")
            assert c.fetchall() == [(0, 3, False)]
        connection.commit()
    finally:
        connection.close()
    assert db.value("select status from reli.payment where id = %s", second) == "requires_action"

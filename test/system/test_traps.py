"""The twelve traps of domain.md, section 6, one test each, by its number: where others have fallen in.

Races are not hoped for: a row that the test holds makes the two meet.
"""

import concurrent.futures
import contextlib
import signal

import psycopg2
import test_websocket
from helpers import V1, Receiver, new_key, phone, stk, wait_until
from test_refunds import ask, exceptions, paid_by_mpesa, provider_refunds, refund, show, wait_refund
from test_store import own_redis  # noqa: F401  (a fixture)

RECEIVED = [("provider_receivable", "merchant_pending", 10000, "KES")]
LIFE = ["payment.initiated", "payment.processing", "payment.completed"]


@contextlib.contextmanager
def held(database, statement, *params):
    """What the statement locks stays locked until the end of the block."""
    conn = psycopg2.connect(database.owner_url)
    try:
        with conn.cursor() as c:
            c.execute(statement, params)
            assert c.fetchall(), "nothing to hold"
        yield
    finally:
        conn.rollback()
        conn.close()


def waiting_for_a_lock(database, n=1):
    """That many of reli's transactions wait for somebody's row."""
    return database.value("select count(distinct l.pid) from pg_locks l join pg_stat_activity a on a.pid = l.pid "
                          "where not l.granted and a.datname = current_database()") >= n


def types(database, payment):
    return [e["type"] for e in database.events(payment)]


def confirm(shop, payment):
    r = shop.post(f"{V1}/payments/{payment}/confirm", {})
    assert r.status == 200, r
    return r.json


def exceptions_of(shop, payment):
    r = shop.get(f"{V1}/exceptions?limit=100")
    assert r.status == 200, r
    return sorted(x["kind"] for x in r.json["data"] if x["subject_id"] == payment)


def test_trap_01_success_callback_before_the_answer(reli, sandbox, db):
    """The push is answered only when the callback has been: nothing but its URL says whose it is."""
    number = phone("023")
    p = reli.pay(stk(phone=number))
    p = reli.wait_status(p["id"], "completed")
    (push,) = sandbox.pushes(number)
    (charge,) = sandbox.charges(phone=number.lstrip("+"))
    assert charge["state"] == "paid" and p["provider_receipt"] == charge["receipt"]
    wait_until(lambda: reli.payment(p["id"])["provider_transaction_id"] == charge["checkout_request_id"], 10,
               "the answer adds the provider's id")
    assert db.transfers(p["id"]) == RECEIVED
    assert [t for t in types(db, p["id"]) if t != "payment.updated"] == LIFE


def test_trap_01_failure_callback_before_the_answer(reli, sandbox, db):
    """The provider is asked, as the callback's reference is not known yet: both say the same, and that is enough."""
    number = phone("032")
    p = reli.wait_status(reli.pay(stk(phone=number))["id"], "failed")
    assert p["failure"]["code"] == "insufficient_funds" and p["status_source"] == "callback", p
    (charge,) = sandbox.charges(phone=number.lstrip("+"))
    wait_until(lambda: reli.payment(p["id"])["provider_transaction_id"] == charge["checkout_request_id"], 10,
               "the answer adds the provider's id")
    assert db.transfers(p["id"]) == []


def test_trap_02_callback_and_poll_at_once(replicas, sandbox):
    """Both have heard that it was paid, and both wait for the payment's row: one wins, the other finds it done."""
    one, two = replicas(2, clock=False)
    sandbox.chaos(delay_ms=60_000)
    shop, database = replicas.shop(one), replicas.database
    p = shop.pay(stk())
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with held(database, "select 1 from reli.payment where id = %s for update", p["id"]):
            sandbox.skip(60)
            wait_until(lambda: waiting_for_a_lock(database), what="the callback waits for the row")
            asked = pool.submit(shop.at(two).post, f"{V1}/payments/{p['id']}/verify", {})
            wait_until(lambda: waiting_for_a_lock(database, 2), what="and so does the provider's answer to a question")
        assert asked.result().status == 200, asked.result()
    q = shop.wait_status(p["id"], "completed")
    wait_until(lambda: not database.rows("select 1 from reli.provider_event where state = 'received'"), 10, "both")
    assert q["amount_received"] == "100.00"
    assert database.transfers(p["id"]) == RECEIVED
    assert [t for t in types(database, p["id"]) if t != "payment.updated"] == LIFE
    assert exceptions_of(shop, p["id"]) == []


def test_trap_03_success_after_expiry(replicas, clock, sandbox):
    """The customer pays when reli has given the payment up: it is completed, once, and says so."""
    sandbox.chaos(timeout_delay_ms=300, late_delay_s=100)
    shop = replicas.shop(replicas.one(RELI_PAYMENT_EXPIRY="2m"))
    given_up, unclear = shop.pay(stk("025")), shop.pay(stk("024"))
    shop.wait_status(given_up["id"], "failed")
    clock.advance(125)
    shop.wait_status(unclear["id"], "in_reconciliation")
    sandbox.skip(100)
    for p, late in ((given_up, True), (unclear, False)):
        q = shop.wait_status(p["id"], "completed", 20)
        assert q["amount_received"] == "100.00" and q["failure"] is None and q["provider_receipt"], q
        row = replicas.database.one("select late from reli.payment where id = %s", p["id"])
        assert row["late"] is late
        assert replicas.database.transfers(p["id"]) == RECEIVED
        assert types(replicas.database, p["id"]).count("payment.completed") == 1


def test_trap_04_duplicate_success_from_failover(replicas, clock, sandbox):
    """Two attempts of one payment are paid: one counts, the other's money is nobody's until people decide."""
    shop, database = replicas.shop(replicas.one()), replicas.database
    sandbox.chaos(timeout_delay_ms=200, late_delay_s=100, cpay_delay_ms=200,
                  cpay_webhook_url=f"{shop.replica.url}{V1}/webhooks/cpay")
    # The first provider says that it has failed, and takes the money all the same when the second has been paid.
    p = shop.pay({"payment_method": "mobile_money", "amount": "100.00", "currency": "KES",
                  "customer": {"phone": phone("031")}})
    assert p["provider"] == "mpesa"
    q = shop.wait_status(p["id"], "completed")
    assert (q["provider"], q["route"]["chosen"]) == ("cpay", "cpay")
    sandbox.skip(100)
    wait_until(lambda: exceptions_of(shop, p["id"]) == ["double_success"], 20, "the first attempt's late success")
    q = shop.payment(p["id"])
    assert (q["status"], q["amount_received"], q["provider"]) == ("completed", "100.00", "cpay")
    assert [(a["provider"], a["status"]) for a in q["attempts"]] == [("mpesa", "succeeded"), ("cpay", "succeeded")]
    assert q["provider_receipt"] == q["attempts"][1]["provider_receipt"] != q["attempts"][0]["provider_receipt"]
    assert sorted(database.transfers(p["id"])) == sorted(
        RECEIVED + [("provider_receivable", "unallocated", 10000, "KES")])
    # Each provider owes what came over it.
    owners = database.rows("""select distinct a.owner from reli.ledger_transfer t join reli.ledger_account a
        on a.merchant_id = t.merchant_id and a.id = t.debit_id where t.payment_id = %s""", p["id"])
    assert {o["owner"] for o in owners} == {str(a["account_id"]) for a in database.rows(
        "select account_id from reli.attempt where payment_id = %s", p["id"])} and len(owners) == 2
    assert types(database, p["id"]).count("payment.completed") == 1


def test_trap_05_wrong_amount_in_success(reli, sandbox, db):
    """One shilling too many is not "paid": people look, and the money is not the merchant's."""
    p = reli.pay(stk("026"))
    q = reli.wait_status(p["id"], "in_reconciliation")
    assert q["failure"]["code"] == "integrity_failure" and q["amount_received"] == "0.00", q
    assert exceptions_of(reli, p["id"]) == ["integrity_failure"]
    assert db.transfers(p["id"]) == [("provider_receivable", "unallocated", 10100, "KES")]
    assert types(db, p["id"]) == LIFE[:2] + ["payment.in_reconciliation"]


def test_trap_06_webhook_with_stale_or_future_state(replicas, clock, receiver):
    """An event that is delivered late tells what was true at its commit, to the byte."""
    shop = replicas.shop(replicas.one())
    first = {}

    def answer(hook):
        """The first try of everything fails."""
        return 200 if first.setdefault(hook.id, hook.body) is not hook.body else 503

    receiver.answers["/hook"] = answer
    shop.endpoint(receiver.url())
    p = shop.pay()
    receiver.wait(2)
    confirm(shop, p["id"])
    receiver.wait(3)
    replicas.settle()
    clock.advance(90)
    hooks = receiver.wait(6)
    assert {h.json["type"]: (h.json["data"]["status"], h.json["data"]["amount_received"]) for h in hooks} == {
        "payment.initiated": ("pending", "0.00"), "payment.requires_action": ("requires_action", "0.00"),
        "payment.completed": ("completed", "1000.00")}
    for message in first:
        assert len({h.body for h in hooks if h.id == message}) == 1


def test_trap_07_a_request_that_cannot_be_built_is_never_processing(replicas, sandbox):
    """What cannot be sent is found out before anything is promised."""
    settings = ("CONSUMER_KEY", "CONSUMER_SECRET", "SHORTCODE", "PASSKEY", "BASE_URL", "INITIATOR_NAME",
                "INITIATOR_PASSWORD", "CERTIFICATE")
    shop = replicas.shop(replicas.one(**{f"MPESA_{name}": None for name in settings}))
    number = phone()
    r = shop.initialize(stk(phone=number), key=new_key())
    assert r.status == 201 and r.json["status"] == "failed", r
    assert r.json["failure"]["code"] == "configuration", r
    assert types(replicas.database, r.json["id"]) == ["payment.initiated", "payment.failed"]
    assert replicas.database.value("select count(*) from reli.attempt where payment_id = %s", r.json["id"]) == 0
    assert sandbox.pushes(number) == []
    # And what a client can do wrong is said before there is a payment at all.
    n = replicas.database.value("select count(*) from reli.payment")
    assert shop.initialize(stk(phone=number, amount="100.50"), key=new_key()).status == 422
    assert replicas.database.value("select count(*) from reli.payment") == n


def test_trap_08_a_refund_is_not_repeated_after_a_timeout(replicas, clock, sandbox):
    """Nobody knows what became of the reversal: neither it nor the next rail is asked, and the amount stays reserved."""
    shop = replicas.shop(replicas.one())
    p, number = paid_by_mpesa(shop)
    made = refund(shop, p["id"], "192.00")  # carried out, and neither answer nor result arrives
    wait_until(lambda: sandbox.calls(op="reversal"), 10, "it is asked, before time moves")
    for step in (61, 30, 60, 120, 300, 400, 3700):
        clock.advance(step)
        replicas.settle()
    wait_refund(shop, made["id"], "in_reconciliation", 15)
    asked = sandbox.calls(op="reversal") + sandbox.calls(op="b2c")
    assert len(asked) == 1, asked
    assert [m["state"] for m in provider_refunds(sandbox, number, p["provider_receipt"])] == ["paid"]
    assert [a["rail"] for a in show(shop, made["id"])["attempts"]] == ["reversal"]
    assert exceptions(shop, made["id"]) == ["stuck"]
    # What is reserved cannot be given back by another refund either.
    again = ask(shop, p["id"], {"amount": "200.00"}, new_key())
    assert again.status in (409, 422), again
    row = replicas.database.one("select refunded, refund_reserved from reli.payment where id = %s", p["id"])
    assert row == {"refunded": 0, "refund_reserved": 19200}


def test_trap_09_one_dead_endpoint_slows_nobody(reli, receiver, stack, shared):
    """One merchant's endpoint accepts and says nothing, for as long as it likes; the other merchant hears at once."""
    dead = Receiver()
    dead.answers["/hook"] = None
    try:
        reli.endpoint(dead.url())
        other = stack.shop(shared)
        other.endpoint(receiver.url(), ["payment.completed"])
        for _ in range(50):
            reli.pay()
        wait_until(lambda: len(dead.at()) == 4, 10, "the dead one holds all that it may")
        made = [other.pay()["id"] for _ in range(5)]
        for p in made:
            confirm(other, p)
        receiver.wait(5)
        assert {h.json["payment_id"] for h in receiver.at()} == set(made)
        assert len(dead.at()) == 4, "before the dead one was given up"
    finally:
        dead.close()


def test_trap_10_redis_forgets_everything(replicas, own_redis, receiver, sandbox):  # noqa: F811
    """Queues are rows: flushed, killed and started empty, Redis takes nothing along."""
    one, two = replicas(2, clock=False, REDIS_URL=own_redis.url)
    shop = replicas.shop(one)
    shop.endpoint(receiver.url())
    made = [shop.pay()["id"] for _ in range(3)]
    own_redis.cli("flushall")
    watched = test_websocket.watch(shop, made[1], "?after=2", replica=two)
    watched.frame()
    confirm(shop, made[0])
    own_redis.signal(signal.SIGKILL)
    made += [shop.pay()["id"] for _ in range(3)]
    confirm(shop, made[1])
    own_redis.start()
    for p in made[2:]:
        confirm(shop.at(two), p)
    receiver.wait(3 * len(made), deadline=20)
    told = sorted((h.json["payment_id"], h.json["type"]) for h in receiver.at())
    kinds = ("payment.initiated", "payment.requires_action", "payment.completed")
    assert sorted(set(told)) == sorted((p, t) for p in made for t in kinds)
    assert watched.frame(deadline=15)["type"] == "payment.completed"
    watched.close()


def events_behind(shop, cursor):
    """All events behind a cursor, page by page, and the last cursor."""
    seen = []
    while True:
        r = shop.get(f"{V1}/events?limit=2&after={cursor}")
        assert r.status == 200, r
        seen += r.json["data"]
        cursor = r.json["next"] or cursor
        if not r.json["has_more"]:
            return seen, cursor


def test_trap_11_a_cursor_misses_nothing_that_commits_late(replicas):
    """An event that was made first and is committed last comes behind those that were read meanwhile."""
    shop, database = replicas.shop(replicas.one(clock=False, RELI_PG_WRITERS="2")), replicas.database
    slow, quick = shop.pay()["id"], shop.pay()["id"]
    wait_until(lambda: len(events_behind(shop, 0)[0]) == 4, 10, "the first four")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with held(database, "select 1 from reli.payment where id = %s for update", slow):
            late = pool.submit(confirm, shop, slow)
            wait_until(lambda: waiting_for_a_lock(database), 5, "the first commit waits")
            confirm(shop, quick)
            wait_until(lambda: len(events_behind(shop, 0)[0]) == 5, 10, "the second is told")
            before, cursor = events_behind(shop, 0)
            assert [e["payment_id"] for e in before if e["type"] == "payment.completed"] == [quick]
        late.result()
    wait_until(lambda: len(events_behind(shop, 0)[0]) == 6, 10, "the first is told as well")
    everything, _ = events_behind(shop, 0)
    assert everything[:5] == before, "positions never change"
    missed, _ = events_behind(shop, cursor)
    assert missed == everything[5:]
    assert [(e["payment_id"], e["type"]) for e in missed] == [(slow, "payment.completed")]
    ids = {e["payment_id"]: e["id"] for e in everything if e["type"] == "payment.completed"}
    assert ids[slow] < ids[quick], "by its id it would have been missed"


def test_trap_12_no_hot_row_holds_a_merchants_payments_up(replicas):
    """Somebody sits on the merchant's balances: payments are completed all the same, many in a commit."""
    shop, database = replicas.shop(replicas.one(clock=False)), replicas.database
    confirm(shop, shop.pay()["id"])
    wait_until(lambda: database.value("select count(*) from reli.ledger_balance where merchant_id = %s",
                                      shop.merchant) >= 2, 10, "balances")
    made = [shop.pay()["id"] for _ in range(24)]
    with held(database, "select 1 from reli.ledger_balance where merchant_id = %s for update", shop.merchant):
        with held(database, "select 1 from reli.merchant where merchant_id = %s for update", shop.merchant):
            with concurrent.futures.ThreadPoolExecutor(12) as pool:
                assert all(p["status"] == "completed" for p in pool.map(lambda p: confirm(shop, p), made))
    wait_until(lambda: database.value("select balance from reli.ledger_balance b join reli.ledger_account a "
                                      "on a.merchant_id = b.merchant_id and a.id = b.account_id where "
                                      "a.merchant_id = %s and a.type = 'merchant_pending'", shop.merchant)
               == -25 * 100000, 15, "and the balance has all of them")
    assert replicas.stack.cli(database, "ledger", "prove").returncode == 0

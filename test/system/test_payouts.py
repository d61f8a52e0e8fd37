"""Money out: held before it is sent, sent once, asked about until somebody knows."""

import concurrent.futures
import http.client
import json
import pathlib
import re
import threading

import psycopg2
import pytest
from helpers import V1, Clock, new_key, phone, wait_until, word
from stack import Launcher
from test_refunds import ADVANCES, books_agree, brought, collected

PAYOUTS = V1 + "/payouts"
CREATE = pathlib.Path(__file__).parents[2] / "sql/query/payout_create.sql"

# ending of the amount → (where it ends, whether money has left, exceptions)
OUTCOMES = {
    "10": ("completed", True, []),
    "91": ("completed", True, []),  # the answer was lost, the result came
    "92": ("completed", True, []),  # both were lost: it was asked about by the id that is ours
    "93": ("completed", True, []),
    "94": ("completed", True, []),
    "95": ("completed", True, []),
    "96": ("failed", False, []),
    "97": ("completed", True, []),  # a queue timeout decides nothing
    "98": ("failed", False, []),
    "99": ("in_reconciliation", False, ["stuck"]),
}


def order(amount="100.00", provider="mpesa", **fields):
    out = {"provider": provider, "amount": amount, "currency": "KES", "reference": word("PO"),
           "destination": {"type": "mobile_money", "phone": phone(), "name": "Jane Doe"}}
    out.update(fields)
    return out


def ask(shop, body, key=None):
    return shop.post(PAYOUTS, body, headers={"Idempotency-Key": key} if key else None)


def pay_out(shop, body=None, **fields):
    """A payout that must come into being."""
    r = ask(shop, body or order(**fields), new_key())
    assert r.status == 201, r
    return r.json


def show(shop, payout):
    r = shop.get(f"{PAYOUTS}/{payout}")
    assert r.status == 200, r
    return r.json


def decide(shop, payout, what):
    return shop.post(f"{PAYOUTS}/{payout}/{what}", {})


def wait_payout(shop, payout, status, deadline=15.0):
    last = {}

    def there():
        last.update(show(shop, payout))
        return last["status"] == status

    try:
        wait_until(there, deadline, f"payout {payout} {status}")
    except AssertionError as e:
        raise AssertionError(f"{e}; it is {json.dumps(last)}") from None
    return last


def verified(shop, payout):
    """The provider is asked until it says that it is paid."""
    wait_until(lambda: decide(shop, payout, "verify").json["status"] == "completed", 15, "it is completed", every=0.2)


def left(database, shop):
    """What the merchant can still pay out of what was brought in."""
    return database.value("select coalesce(sum(balance), 0)::int8 from reli.ledger_guarded where merchant_id = %s",
                          shop.merchant)


def exceptions(shop, payout):
    r = shop.get(V1 + "/exceptions?limit=100")
    assert r.status == 200, r
    assert all(x["subject"] == "payout" for x in r.json["data"] if x["subject_id"] == payout)
    return [x["kind"] for x in r.json["data"] if x["subject_id"] == payout]


def proved(stack, database):
    books_agree(stack, database)
    done = stack.cli(database, "replay", "--verify")
    assert done.returncode == 0, done.stdout
    done = stack.cli(database, "audit", "verify")
    assert done.returncode == 0, done.stdout


# ---- the way of each outcome ----


@pytest.fixture(scope="module")
def told(stack, tmp_path_factory):
    """A payout of every ending, all side by side, followed beyond the time for unknown outcomes."""
    clock, sandbox = Clock(tmp_path_factory.mktemp("payouts") / "clock"), stack.new_sandbox()
    launcher = Launcher(stack, clock, sandbox)
    try:
        shop = launcher.shop(launcher.one())
        collected(shop, "10000.00")
        lives = {e: {"number": phone()} for e in OUTCOMES}
        for ending, life in lives.items():
            body = order(f"1{ending}.00", destination={"type": "mobile_money", "phone": life["number"]})
            life["id"] = pay_out(shop, body)["id"]
        sandbox.chaos(delay_ms=0)
        for step in (*ADVANCES, 0):
            launcher.settle()
            brought(sandbox)  # a status query is told by a result of its own
            launcher.settle()
            clock.advance(step)
        for life in lives.values():
            life["payout"] = show(shop, life["id"])
            life["sent"] = sandbox.refunds(kind="b2c", phone=life["number"].lstrip("+"))
            life["exceptions"] = exceptions(shop, life["id"])
        yield launcher, shop, lives
    finally:
        launcher.close()
        sandbox.term()
        sandbox.wait()


@pytest.mark.parametrize("ending", OUTCOMES)
def test_outcome(told, ending):
    launcher, _, lives = told
    status, left_us, kinds = OUTCOMES[ending]
    life = lives[ending]
    got = life["payout"]
    assert got["status"] == status, got
    assert len(life["sent"]) == (ending != "98"), "asked for once"
    paid = [m for m in life["sent"] if m["state"] == "paid"]
    assert bool(paid) == left_us
    assert life["exceptions"] == kinds
    minor = 10000 + int(ending) * 100
    moves = [("merchant_available", "payout_clearing", minor, "KES")]
    if status == "completed":
        assert got["provider_receipt"] == paid[0]["transaction_id"] and got["completed_at"] and not got["late"]
        moves += [moves[0], ("payout_clearing", "provider_receivable", minor, "KES")]
    elif status == "failed":
        assert got["failure"]["code"] and got["completed_at"] is None
        moves += [moves[0]]
    found = [t for t in launcher.database.transfers(life["id"]) if t[0] != "merchant_pending"]
    assert found == moves
    types = [e["type"] for e in launcher.database.events(life["id"])]
    assert types == ["payout.pending", "payout.processing", f"payout.{status}"]


def test_books_and_trail_after_every_outcome(told, stack):
    launcher, shop, lives = told
    gone = sum(10000 + int(e) * 100 for e, o in OUTCOMES.items() if o[0] in ("completed", "in_reconciliation"))
    assert left(launcher.database, shop) == 1000000 - gone
    wait_until(lambda: not launcher.database.rows("select 1 from reli.log_new"), 10, "everything has its position")
    proved(stack, launcher.database)


def test_two_people_end_what_nobody_knows(told, stack):
    """After the others: the one that was left open."""
    launcher, shop, lives = told
    payout = lives["99"]["id"]
    (item,) = [x for x in shop.get(V1 + "/exceptions").json["data"] if x["subject_id"] == payout]
    second = shop.with_key(stack.api_key(shop.replica, shop.merchant))
    path = f"{V1}/exceptions/{item['id']}/resolve"
    body = {"resolution": "failed", "evidence": "statement of today"}
    before = left(launcher.database, shop)
    assert shop.post(path, body).json["status"] == "assigned"
    assert shop.post(path, body).code == "forbidden", "one alone cannot"
    assert show(shop, payout)["status"] == "in_reconciliation"
    assert second.post(path, body).json["status"] == "resolved"
    assert show(shop, payout)["status"] == "failed"
    assert left(launcher.database, shop) == before + 19900
    books_agree(stack, launcher.database)


# ---- CPay, which signs what it says ----

# last digits of the minor units → (where it ends, requests to pay, of which taken)
BY_CPAY = {
    "000": ("completed", 1, 1), "101": ("failed", 1, 1), "104": ("completed", 1, 1), "105": ("completed", 1, 1),
    "107": ("completed", 1, 1), "109": ("completed", 1, 1), "111": ("returned", 1, 1), "113": ("completed", 3, 1),
}


@pytest.fixture(scope="module")
def signed(stack, tmp_path_factory):
    clock, sandbox = Clock(tmp_path_factory.mktemp("cpay") / "clock"), stack.new_sandbox()
    launcher = Launcher(stack, clock, sandbox)
    try:
        replica = launcher.one()
        sandbox.chaos(cpay_webhook_url=f"{replica.url}{V1}/webhooks/cpay")
        shop = launcher.shop()
        collected(shop, "10000.00")
        made = {code: pay_out(shop, amount=f"10{code[0]}.{code[1:]}", provider="cpay") for code in BY_CPAY}
        for code in ("107", "113"):
            wait_payout(shop, made[code]["id"], "processing" if code == "107" else "parked")
        for code, (status, *_) in BY_CPAY.items():
            if code not in ("107", "113"):
                wait_payout(shop, made[code]["id"], status)
        clock.advance(40)  # it is asked about; the first wait of what was sent away
        wait_until(lambda: launcher.database.rows("select 1 from reli.payout where park_n = 2"), 10, "sent away twice")
        clock.advance(70)
        ended = {code: wait_payout(shop, made[code]["id"], BY_CPAY[code][0]) for code in BY_CPAY}
        yield launcher, shop, ended
    finally:
        launcher.close()
        sandbox.term()
        sandbox.wait()


def test_cpay(signed, stack):
    launcher, shop, ended = signed
    db, held = launcher.database, 1000000
    for code, (status, sent, taken) in BY_CPAY.items():
        got = ended[code]
        minor = 10000 + int(code)
        calls = launcher.sandbox.calls(op="payout", phone=got["destination"]["phone"].lstrip("+"))
        there = launcher.sandbox.refunds(kind="payout", phone=got["destination"]["phone"].lstrip("+"))
        assert (len(calls), len(there)) == (sent, taken), (code, calls)
        kinds = [r["kind"] for r in db.rows("select kind from reli.ledger_transfer where payment_id = %s and kind not "
                                            "like 'matured%%' order by created_at, journal_id, step", got["id"])]
        assert kinds == {"completed": ["hold", "hold_posted", "payout_paid"], "failed": ["hold", "hold_voided"],
                         "returned": ["hold", "hold_posted", "payout_paid", "payout_returned"]}[status], code
        types = [e["type"] for e in db.events(got["id"])]
        assert [e["seq"] for e in db.events(got["id"])] == list(range(1, len(types) + 1))
        assert types[-1] == f"payout.{status}" and types.count("payout.completed") == (status != "failed")
        assert exceptions(shop, got["id"]) == []
        held -= minor * (status == "completed")
    assert left(db, shop) == held
    assert db.value("select max(n) from reli.payout") == 1, "what was sent away is sent again under its own id"
    wait_until(lambda: not db.rows("select 1 from reli.log_new"), 10, "everything has its position")
    proved(stack, db)


# ---- asking ----


def test_what_is_asked_and_told(reli, db, receiver, sandbox):
    reli.endpoint(receiver.url(), ["payout.*"])
    collected(reli)
    own = {"staff": 7, "who": {"phone": None, "email": None, "name": None}, "to": {"phone": None, "name": None}}
    body = order(purpose="salary", description="Wages", metadata=own, callback_url=receiver.url("/own"))
    key = new_key()
    first = ask(reli, body, key)
    made = first.json
    assert first.status == 201 and (made["object"], made["mode"], made["status"]) == ("payout", "test", "queued")
    assert made["destination"] == {"type": "mobile_money", "phone": body["destination"]["phone"], "name": "Jane Doe"}
    assert made["metadata"] == own and made["reference"] == body["reference"]
    done = wait_payout(reli, made["id"], "completed")
    again = ask(reli, body | {"amount": 100}, key)
    assert again.status == 201 and again.body == first.body and again.header("Idempotent-Replayed") == "true"
    assert again.header("Reli-Current-Status") == "completed"
    assert ask(reli, body | {"amount": "101.00"}, key).code == "idempotency_key_reused"
    assert reli.initialize({"provider": "cash", "amount": "1.00", "currency": "KES"}, key=key).code == \
        "idempotency_key_reused", "a key is one request's, whatever it asks for"
    assert ask(reli, body).code == "duplicate_reference"
    assert reli.get(f"{PAYOUTS}?reference={body['reference']}&status=completed").json["data"] == [done]
    assert reli.get(f"{PAYOUTS}?status=failed").json["data"] == []
    assert len(sandbox.calls(op="b2c", phone=body["destination"]["phone"].lstrip("+"))) == 1
    hooks = receiver.wait(3) + receiver.wait(3, "/own")
    for hook in hooks:
        assert hook.json["payment_id"] is None and hook.json["payout_id"] == made["id"]
        assert hook.json["data"]["destination"] == made["destination"], "where nobody stands in the snapshot"
        assert hook.json["data"]["metadata"] == own
    assert sorted((h.json["seq"], h.json["type"]) for h in hooks[:3]) == [
        (1, "payout.pending"), (2, "payout.processing"), (3, "payout.completed")]

    sent = reli.get(V1 + "/webhook-deliveries?limit=100").json["data"]
    assert {(d["payment_id"], d.get("payout_id")) for d in sent if d["event_type"].startswith("payout.")} == \
        {(None, made["id"])}, "a delivery called it a payment"

    def listed():
        return [e["type"] for e in reli.get(V1 + "/events?limit=100").json["data"] if e.get("payout_id") == made["id"]]

    wait_until(lambda: listed() == ["payout.pending", "payout.processing", "payout.completed"], what="events")
    sealed = db.one("select pii, payee_key from reli.payout where id = %s", made["id"])
    assert b"Jane" not in bytes(sealed["pii"]) and len(bytes(sealed["payee_key"])) == 16
    (data,) = {r["data"] for r in db.rows("select data from reli.event where subject_id = %s and seq = 1", made["id"])}
    assert "Jane" not in data and body["destination"]["phone"] not in data


def test_who_gets_it_is_shown_to_him_and_forgotten(reli, db):
    number = phone()
    waiting = reli.pay({"provider": "cash", "amount": "1.00", "currency": "KES", "customer": {"phone": number}})
    assert reli.post(f"{V1}/payments/{waiting['id']}/cancel").status == 200
    collected(reli)
    (him,) = reli.get(f"{V1}/customers?phone=%2B{number[1:]}").json["data"]
    person = f"{V1}/customers/{him['id']}/data"
    made, other = (pay_out(reli, order(amount, destination={"type": "mobile_money", "phone": number, "name": "Jane"}))
                   for amount in ("193.00", "100.00"))  # of the first the outcome has to be asked for
    wait_payout(reli, made["id"], "processing")
    wait_payout(reli, other["id"], "completed")
    assert reli.get(person).json["payouts"] == [show(reli, other["id"]), show(reli, made["id"])]
    assert reli.delete(person).code == "invalid_state", "money is on its way to him"
    verified(reli, made["id"])
    assert reli.delete(person).status in (200, 202, 204)
    for payout in (made, other):
        assert show(reli, payout["id"])["destination"] == {"type": "mobile_money", "phone": None, "name": None}
        assert db.one("select pii, payee_key from reli.payout where id = %s", payout["id"]) == {
            "pii": None, "payee_key": None}
        assert db.value("select count(*) from reli.provider_call where payment_id = %s and body <> ''", payout["id"]) == 0


WRONG = [
    ({"amount": "0"}, "amount", "range"), ({"amount": "1.001"}, "amount", "format"),
    ({"amount": "5.00"}, "amount", "range"), ({"currency": "XXZ"}, "currency", "unknown"),
    ({"provider": "cash"}, "provider", "unsupported"), ({"provider": "nobody"}, "provider", "unknown"),
    ({"destination": {"type": "bank", "phone": "+254700000000"}}, "destination.type", "unsupported"),
    ({"destination": {"type": "mobile_money", "phone": "12"}}, "destination.phone", "format"),
    ({"destination": {"type": "mobile_money"}}, "destination.phone", "required"),
    ({"destination": {"type": "mobile_money", "phone": "+256700000000"}}, "destination.phone", "unsupported"),
    ({"reference": None}, "reference", "required"), ({"purpose": "bribe"}, "purpose", "unknown"),
]


def test_what_is_wrong_is_named(reli):
    for change, param, code in WRONG:
        r = ask(reli, order() | change)
        assert r.status == 422 and (param, code) in [(e["param"], e["code"]) for e in r.json["errors"]], (change, r)
    assert ask(reli, order(description="4111 1111 1111 1111")).code == "card_number_refused"


# ---- never more than there is ----


def test_not_enough_is_refused_and_the_refusal_replayed(reli, db):
    key, body = new_key(), order("100.00")
    first = ask(reli, body, key)
    assert first.status == 422 and first.code == "insufficient_balance", first
    collected(reli)
    again = ask(reli, body, key)
    assert again.body == first.body and again.header("Idempotent-Replayed") == "true"
    assert db.value("select count(*) from reli.payout where merchant_id = %s", reli.merchant) == 0
    assert pay_out(reli, body)["reference"] == body["reference"], "the reference is free"
    assert ask(reli, order("901.00")).code == "insufficient_balance"


def test_a_key_that_is_released_before_its_refusal_is_taken_again(replicas):
    """It was looked for, not found, and refused once more, until the request's memory was used up."""
    shop = replicas.shop(replicas.one())
    replicas.database.rows("""
        create table reli.released (key text);
        create function reli.release_once() returns trigger language plpgsql security definer as $$
        begin
            if exists (select from reli.released) then
                return new;
            end if;
            insert into reli.released values (old.key);
            delete from reli.idempotency where merchant_id = old.merchant_id and key = old.key;
            return null;
        end $$;
        create trigger release_once before update on reli.idempotency for each row
            when (new.problem is not null) execute function reli.release_once()""")
    key, body = new_key(), order()
    r = ask(shop, body, key)
    assert r.code == "insufficient_balance", r
    assert replicas.database.rows("select key from reli.released") == [{"key": key}]
    again = ask(shop, body, key)
    assert (again.status, again.body, again.header("Idempotent-Replayed")) == (r.status, r.body, "true")


def test_fifty_at_once_never_take_more_than_there_is(replicas, stack):
    """By two replicas: what is pending is brought in once."""
    two = replicas(2)
    shop = replicas.shop(two[0])
    collected(shop)
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda i: ask(shop.at(two[i % 2]), order("30.00"), new_key()), range(50)))
    made = [a for a in answers if a.status == 201]
    assert len(made) == 33, [a.json.get("code") for a in answers if a.status != 201][:5]
    assert {a.code for a in answers if a.status != 201} == {"insufficient_balance"}
    assert left(replicas.database, shop) == 100000 - 33 * 3000
    for a in made:
        wait_payout(shop, a.json["id"], "completed")
    books_agree(stack, replicas.database)


def test_what_is_pending_is_brought_in_once(replicas, stack):
    """Two replicas have seen the same thousand, before either could bring it in."""
    from test_traps import held, waiting_for_a_lock  # which needs others that need this file

    two = replicas(2)
    shop = replicas.shop(two[0])
    collected(shop)
    wait_payout(shop, pay_out(shop, amount="1000.00")["id"], "completed")
    collected(shop)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        with held(replicas.database, "select 1 from reli.ledger_guarded for update"):
            waiting = [pool.submit(ask, shop.at(r), order("800.00"), new_key()) for r in two]
            wait_until(lambda: waiting_for_a_lock(replicas.database, 2), 15, "both want the balance")
        answers = [w.result() for w in waiting]
    assert sorted(a.status for a in answers) == [201, 422]
    assert left(replicas.database, shop) == 20000
    books_agree(stack, replicas.database)


def columns_of_units(statement):
    """Parameter number by column of the statement's first array of rows."""
    numbers, names = re.search(r"unnest\(([^)]*)\)\s+as u\(([^)]*)\)", statement).groups()
    return dict(zip(re.findall(r"\w+", names), map(int, re.findall(r"\$(\d+)", numbers))))


def test_a_reference_that_somebody_has_come_to_meanwhile_is_not_passed_on(reli, db):
    """Two orders with one reference: the first had not enough, and so the second was told that its owner had never
    come into being. By the time it took the reference, the first had found enough: two payouts went out."""
    collected(reli)
    first = pay_out(reli)
    wait_payout(reli, first["id"], "completed")
    statement = CREATE.read_text()
    numbers = columns_of_units(statement)
    last = max(map(int, re.findall(r"\$(\d+)", statement)))
    unit = db.one("""select 0 as ord, merchant_id as whose, gen_random_uuid() as id, mode, 'queued' as status, op_id, reference,
                         provider, payment_method, account_id, amount, currency, requested_by, requester, created_at,
                         id as previous_owner, 1 as previous_version, wallet_id, 0 as matured, 1 as wallet_version,
                         -1 as idem_slot_b
                     from reli.payout where id = %s""", first["id"])
    arguments = {n: "null" for n in range(1, last + 1)}
    for name, value in unit.items():
        arguments[numbers[name]] = f"'{{\"{value}\"}}'"
    mine, other = psycopg2.connect(db.owner_url), psycopg2.connect(db.owner_url)
    try:
        with mine.cursor() as m, other.cursor() as o:
            m.execute("prepare take as " + statement)
            mine.commit()
            o.execute("update reli.payout_reference set version = version + 1 where payout_id = %s", (first["id"],))
            call = f"execute take({', '.join(arguments[n] for n in range(1, last + 1))})"
            work = threading.Thread(target=m.execute, args=(call,))
            work.start()
            wait_until(lambda: db.value("select count(*) from pg_stat_activity where pid = %s and wait_event_type = 'Lock'",
                                        mine.info.backend_pid) == 1, 10, "it waits for who has the reference")
            other.commit()
            work.join(60)
            assert [r[:2] for r in m.fetchall()] == [(0, 2)]
            mine.rollback()
    finally:
        mine.close()
        other.close()


def test_cancelled_or_sent_but_never_both(reli, db, stack, sandbox):
    collected(reli)

    def race(_):
        made = ask(reli, order("20.00"), new_key()).json
        return made, decide(reli, made["id"], "cancel")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(race, range(16)))
    for made, answer in ends:
        assert answer.status == 200 or answer.code == "invalid_state", answer
        status = "cancelled" if answer.status == 200 else "completed"
        wait_payout(reli, made["id"], status)
        sent = sandbox.calls(op="b2c", phone=made["destination"]["phone"].lstrip("+"))
        assert len(sent) == (status == "completed")
    assert left(db, reli) == 100000 - 2000 * sum(a.status != 200 for _, a in ends)
    books_agree(stack, db)


def test_asked_about_when_somebody_wants_to_know(reli):
    collected(reli)
    made = pay_out(reli, amount="193.00")  # the result is lost
    wait_payout(reli, made["id"], "processing")
    verified(reli, made["id"])


def test_refunds_come_before_payouts(reli, db, stack):
    payment = collected(reli)
    wait_payout(reli, pay_out(reli, amount="100.00")["id"], "completed")
    assert left(db, reli) == 90000, "all of it was brought in"
    r = reli.post(f"{V1}/payments/{payment}/refund", {"amount": "500.00"})
    wait_until(lambda: reli.get(f"{V1}/refunds/{r.json['id']}").json["status"] == "in_reconciliation", what="refund")
    assert reli.post(f"{V1}/refunds/{r.json['id']}/confirm", {}).status == 200
    assert ask(reli, order("401.00")).code == "insufficient_balance", "what was refunded cannot be paid out"
    wait_payout(reli, pay_out(reli, amount="400.00")["id"], "completed")
    assert left(db, reli) == 0
    books_agree(stack, db)


# ---- people ----


def test_another_person_approves(stack, shared, sandbox):
    shop = stack.shop(shared)
    shared.database.rows("update reli.merchant set payout_approval_above = 50000 where merchant_id = %s", shop.merchant)
    second = shop.with_key(stack.api_key(shared, shop.merchant))
    collected(shop, "5000.00")
    assert pay_out(shop, amount="500.00")["status"] == "queued"
    one, two, three = (pay_out(shop, amount="501.00") for _ in range(3))
    assert {p["status"] for p in (one, two, three)} == {"pending_approval"}
    r = decide(shop, one["id"], "approve")
    assert r.status == 403 and r.code == "forbidden", r
    assert decide(second, one["id"], "approve").json["status"] == "queued"
    done = wait_payout(shop, one["id"], "completed")
    assert done["approved_by"] != done["requested_by"]
    assert decide(second, two["id"], "reject").json["status"] == "rejected"
    assert decide(shop, three["id"], "cancel").json["status"] == "cancelled"
    for payout in (two, three):
        assert decide(second, payout["id"], "approve").code == "invalid_state"
        assert sandbox.calls(op="b2c", phone=payout["destination"]["phone"].lstrip("+")) == []
    again = order("501.00", reference=two["reference"])
    assert pay_out(shop, again)["reference"] == two["reference"], "what was rejected leaves its reference"
    assert decide(shop, one["id"], "cancel").code == "invalid_state"
    books_agree(stack, shared.database)


# ---- a provider that is away ----


def test_parked_while_the_provider_is_away(replicas, stack, sandbox):
    replica = replicas.one()
    shop = replicas.shop()
    collected(shop)
    sandbox.chaos(down=True)
    one, two = pay_out(shop), pay_out(shop)
    for made in (one, two):
        parked = wait_payout(shop, made["id"], "parked")
        assert parked["failure"]["code"] == "provider_unavailable"
    assert left(replicas.database, shop) == 80000, "still held"
    assert decide(shop, two["id"], "cancel").json["status"] == "cancelled"
    sandbox.chaos(down=False)
    replicas.clock.advance(40)
    wait_payout(shop, one["id"], "completed")
    assert len(sandbox.refunds(kind="b2c", phone=one["destination"]["phone"].lstrip("+"))) == 1
    assert sandbox.refunds(kind="b2c", phone=two["destination"]["phone"].lstrip("+")) == []
    assert decide(shop, one["id"], "verify").json["status"] == "completed"
    books_agree(stack, replicas.database)


def test_forged_callbacks_change_nothing(reli, db):
    collected(reli)
    made = pay_out(reli, amount="199.00")  # nobody tells its outcome
    wait_payout(reli, made["id"], "processing")
    body = json.dumps({"Result": {"ResultType": 0, "ResultCode": 0, "TransactionID": "X"}})
    wrong = (made["id"].replace("-", "")[:31] + "1" + reli.merchant.replace("-", "") + "0" * 32)
    r = reli.post(f"{V1}/cb/{wrong}", body, headers={"Authorization": None})
    assert r.status == 401, r
    assert show(reli, made["id"])["status"] == "processing"
    assert decide(reli, made["id"], "cancel").code == "invalid_state", "it may be paid"


# ---- the service dies ----

POINTS = ("payout.held", "payout.reserved", "payout.sent", "payout.recorded", "callback.processed")


class Death:
    """One payout whose service dies at one point; the client asks again."""

    def __init__(self, stack, point, folder):
        self.point = point
        self.launcher = Launcher(stack, Clock(folder / "clock"), stack.sandbox)
        assert self.launcher.database, "made here, one after the other"

    def run(self):
        launcher = self.launcher
        replica = launcher.one(RELI_CRASH_AT=self.point, RELI_PG_READERS="2")
        shop = launcher.shop()
        collected(shop)
        key, body = new_key(), order()
        try:
            ask(shop, body, key)
        except (OSError, http.client.HTTPException):
            pass
        wait_until(lambda: not replica.running(), 15, "the crash")
        replica.killed = True
        shop = shop.at(launcher.again(replica, RELI_CRASH_AT=None))
        self.answer = ask(shop, body, key)
        for step in (61, 61, 61, 120, 300, 600):  # the first ends the dead one's leases
            launcher.clock.advance(step)
            launcher.settle()
            brought(launcher.sandbox)
            launcher.settle()
            self.payout = show(shop, self.answer.json["id"])
            if self.payout["status"] in ("completed", "in_reconciliation"):
                break
        self.sent = launcher.sandbox.refunds(kind="b2c", phone=body["destination"]["phone"].lstrip("+"))
        self.left = left(launcher.database, shop)
        return self


@pytest.fixture(scope="module")
def deaths(stack, tmp_path_factory):
    stack.sandbox.reset()
    with concurrent.futures.ThreadPoolExecutor(len(POINTS)) as pool:
        lives = [Death(stack, p, tmp_path_factory.mktemp("death")) for p in POINTS]
        done = {d.point: d for d in pool.map(Death.run, lives)}
    yield done
    for d in lives:
        d.launcher.close()


@pytest.mark.parametrize("point", POINTS)
def test_dies_and_goes_on(deaths, stack, point):
    """Asked twice by nobody, held once, and its end found out."""
    d = deaths[point]
    assert d.answer.status == 201, d.answer
    assert len(d.sent) == (point != "payout.reserved"), "once, or not at all"
    assert d.payout["status"] == ("in_reconciliation" if point == "payout.reserved" else "completed"), d.payout
    assert d.left == 90000
    assert d.launcher.database.value("select count(*) from reli.payout") == 1
    books_agree(stack, d.launcher.database)

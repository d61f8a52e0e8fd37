"""Every ending of the sandbox's table, as it is, with all callbacks lost, and with all of them doubled.

All payments of a round live through the same time together: the prompts end, the prompt window passes, the
payments expire, the late ones are paid, the watch goes on. What each has come to is noted at each
stage; the tests look at the notes.
"""

import concurrent.futures

import pytest
from helpers import SLOW, V1, Clock, new_key, phone, stk, wait_until
from stack import Launcher

LATE_S = 3600  # until a late success: more than a round takes to reach the payments' expiry
PATIENCE_S = int(3 * SLOW)  # of reli with its provider

FAILED = {
    "001": "insufficient_funds", "002": "cancelled_by_customer", "003": "wrong_pin",
    "004": "customer_unreachable", "005": "customer_timeout", "006": "provider_error",
    "007": "provider_error", "008": "limit_exceeded", "009": "provider_busy", "010": "provider_busy",
    "011": "duplicate", "012": "customer_blocked", "013": "configuration", "015": "configuration",
    "021": "cancelled_by_customer", "032": "insufficient_funds",
}
REFUSED = {"047": "provider_busy", "048": "provider_busy", "049": "configuration", "052": "declined"}
UNKNOWN = {"041", "042", "044", "050"}  # nobody can ever know
PAID = {"000", "014", "020", "022", "023", "027", "028", "029", "030", "040", "043", "045", "046", "051",
        "060", "061", "062", "064", "065"}
ANSWER_LOST = {"040", "043", "045", "046"}
LATE = {"024", "025", "031"}
ODD = {"026", "063"}
ENDINGS = sorted({*FAILED, *REFUSED, *UNKNOWN, *PAID, *LATE, *ODD})

# The callback carries the receipt; these have none, or one that is not the payment's.
NO_RECEIPT = {"014", "020", "028"}


class Round:
    """All endings at one replica and a sandbox of its own, taken through time."""

    def __init__(self, stack, folder, **chaos):
        self.sandbox = stack.new_sandbox()
        # The answer of 043 comes when nobody waits for it any more.
        self.sandbox.chaos(delay_ms=300, timeout_delay_ms=900, late_delay_s=LATE_S, slow_answer_ms=1000 * PATIENCE_S + 1500,
                           **chaos)
        self.clock = Clock(folder / "clock")
        self.launcher = Launcher(stack, self.clock, self.sandbox)
        # No time for a poll before the first stage, however slow the machine.
        self.replica = self.launcher.one(RELI_PROVIDER_TIMEOUT=f"{PATIENCE_S}s",
                                         RELI_POLL_SCHEDULE="90s,15s,30s,45s,1m,90s,2m,3m,5m")
        self.shop = self.launcher.shop()
        wait_until(lambda: self.shop.pay(stk())["status"] == "processing", what="there is a token from here on")
        self.phones = {e: phone(e) for e in ENDINGS}
        self.requests, self.answers, self.replays = {}, {}, {}
        self.stages = {}  # stage → ending → payment

    def initialize(self, ending):
        body, key = self.requests[ending]
        return self.shop.initialize(body, key=key, timeout=60)

    def create(self):
        self.requests = {e: (stk(phone=self.phones[e], reference=f"R-{e}"), new_key()) for e in ENDINGS}
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            self.answers = dict(zip(ENDINGS, pool.map(self.initialize, ENDINGS)))
        for ending, r in self.answers.items():
            assert r.status in (201, 202), (ending, r)

    def note(self, stage):
        self.launcher.settle()
        self.stages[stage] = {e: self.shop.payment(r.json["id"]) for e, r in self.answers.items()}

    def live(self):
        """The prompts end; the window passes; the payments expire; the late ones are paid; days."""
        self.create()
        self.decided()
        self.note("decided")
        self.replays = {e: self.initialize(e) for e in ENDINGS}
        for _ in range(12):
            self.clock.advance(15)
            self.launcher.settle()
        self.note("polled")
        for _ in range(6):
            self.clock.advance(150)
            self.launcher.settle()
        self.note("expired")
        self.sandbox.skip(LATE_S)
        late = [self.phones[e] for e in LATE]
        wait_until(lambda: all(self.charge(p)["state"] == "paid" for p in late), what="the late ones are paid")
        wait_until(self.brought, what="their callbacks are brought")
        for step in (300, 1800, 3600, 7200, 43200, 86400, 86400):
            self.clock.advance(step)
            self.launcher.settle()
        self.note("end")
        self.charges = self.sandbox.charges()
        self.pushes = {}
        for call in self.sandbox.calls(op="push"):
            self.pushes.setdefault("+" + call["phone"], []).append(call)

    def charge(self, number):
        (charge,) = self.sandbox.charges(phone=number.lstrip("+"))
        return charge

    def decided(self):
        open_ones = {self.phones[e].lstrip("+") for e in (*LATE, "025", "063")}
        wait_until(lambda: all(c["state"] != "pending" for c in self.sandbox.charges()
                               if c["phone"] not in open_ones), 15, "the customers have decided")
        wait_until(lambda: self.charge(self.phones["025"])["state"] != "pending", 15, "1037 for 025")
        wait_until(self.brought, 15, "the callbacks are brought")
        wait_until(self.processed, 15, "the callbacks are processed")

    def brought(self):
        return all(c["state"] != "in_flight" for c in self.sandbox.callbacks())

    def processed(self):
        """A callback is acknowledged before anything comes of it."""
        return self.replica.database.value("""select count(*) from reli.provider_event
            where state in ('received', 'verified')""") == 0

    def payment(self, ending, stage="end"):
        return self.stages[stage][ending]

    def transfers(self, ending):
        return self.replica.database.transfers(self.payment(ending)["id"])

    def exceptions(self, ending):
        return [x["kind"] for x in self.replica.database.rows(
            "select kind from reli.exception_item where subject_id = %s", self.payment(ending)["id"])]

    def row(self, ending):
        return self.replica.database.one("select * from reli.payment where id = %s",
                                         self.payment(ending)["id"])

    def close(self):
        self.launcher.close()
        self.sandbox.term()
        self.sandbox.wait()
        self.launcher.stack.check_end(self.sandbox)


@pytest.fixture(scope="module")
def rounds(stack, tmp_path_factory):
    """The three of them side by side: most of a round is waiting."""
    chaos = {"plain": {}, "lost": {"callback_loss_rate": 1000}, "doubled": {"callback_dup_rate": 1000}}
    made = {name: Round(stack, tmp_path_factory.mktemp(name), **c) for name, c in chaos.items()}
    try:
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            for done in [pool.submit(r.live) for r in made.values()]:
                done.result()
        yield made
    finally:
        for r in made.values():
            r.close()


@pytest.fixture
def plain(rounds):
    return rounds["plain"]


@pytest.fixture
def lost(rounds):
    return rounds["lost"]


@pytest.fixture(params=["plain", "lost", "doubled"])
def each(rounds, request):
    return rounds[request.param]


RECEIVED = [("provider_receivable", "merchant_pending", 10000, "KES")]


def is_completed(r, ending, receipt):
    p = r.payment(ending)
    assert p["status"] == "completed", p
    assert (p["amount_received"], p["net"]) == ("100.00", "100.00")
    assert p["failure"] is None and p["completed_at"] is not None
    assert r.transfers(ending) == RECEIVED
    (charge,) = [c for c in r.charges if "+" + c["phone"] == r.phones[ending]]
    assert charge["state"] == "paid"
    assert p["provider_receipt"] == (charge["receipt"] if receipt else None), p
    assert [a["status"] for a in p["attempts"]] == ["succeeded"]


def is_failed(r, ending, code):
    p = r.payment(ending)
    assert p["status"] == "failed", p
    assert p["failure"]["code"] == code, p
    assert p["failure"]["message"] and p["failure"]["advice"], p
    assert p["amount_received"] == "0.00" and p["completed_at"] is None
    assert r.transfers(ending) == []


def is_open(r, ending):
    """Neither paid nor failed: an operator has to look."""
    p = r.payment(ending)
    assert p["status"] == "in_reconciliation", p
    assert r.transfers(ending) == []
    assert r.exceptions(ending) == ["stuck"]


def check(r, ending, callbacks=True):
    """What the ending must have come to."""
    if ending in FAILED:
        is_failed(r, ending, FAILED[ending])
    elif ending in REFUSED:
        is_failed(r, ending, REFUSED[ending])
        assert [a["status"] for a in r.payment(ending)["attempts"]] == ["rejected"]
    elif ending in UNKNOWN or ending == "063":
        is_open(r, ending)
    elif ending in ANSWER_LOST and not callbacks:
        is_open(r, ending)  # no id, no callback: as 041
    elif ending == "062" and not callbacks:
        is_open(r, ending)  # its query never says anything
    elif ending == "026" and callbacks:
        p = r.payment(ending)
        assert p["status"] == "in_reconciliation" and p["failure"]["code"] == "integrity_failure", p
        assert p["amount_received"] == "0.00"
        assert r.transfers(ending) == [("provider_receivable", "unallocated", 10100, "KES")]
    elif ending in LATE:
        is_completed(r, ending, receipt=callbacks)
    else:
        is_completed(r, ending, receipt=callbacks and ending not in NO_RECEIPT)


def test_the_table_is_the_sandboxs_own(stack):
    listed = {o["suffix"] for o in stack.sandbox.get("/_sandbox/outcomes").json["data"]}
    assert listed == set(ENDINGS)


@pytest.mark.parametrize("ending", ENDINGS)
def test_ending(rounds, ending):
    check(rounds["plain"], ending)


@pytest.mark.parametrize("ending", ENDINGS)
def test_ending_with_callbacks_lost(rounds, ending):
    check(rounds["lost"], ending, callbacks=False)


@pytest.mark.parametrize("ending", ENDINGS)
def test_ending_with_callbacks_doubled(rounds, ending):
    check(rounds["doubled"], ending)


def test_nobody_was_asked_twice(each):
    nothing_queued = {*REFUSED, *UNKNOWN} - {"041"}
    for ending in ENDINGS:
        pushes = each.pushes[each.phones[ending]]
        accepted = [c for c in pushes if c["accepted"]]
        assert len(accepted) == (0 if ending in nothing_queued else 1), (ending, pushes)
        # 051 is the one that may be sent again: its first was refused for its token.
        assert len(pushes) == (2 if ending == "051" else 1), (ending, pushes)


def test_the_provider_believes_the_same(each):
    paid = {"+" + c["phone"] for c in each.charges if c["state"] == "paid"}
    for ending in ENDINGS:
        status = each.payment(ending)["status"]
        allowed = ("completed", "in_reconciliation") if each.phones[ending] in paid \
            else ("failed", "in_reconciliation")
        assert status in allowed, (ending, status)


def test_events_have_no_holes(each):
    for ending in ENDINGS:
        p = each.payment(ending)
        events = each.replica.database.events(p["id"])
        assert [e["seq"] for e in events] == list(range(1, len(events) + 1)), (ending, events)
        assert [e["type"] for e in events[:2]] == ["payment.initiated", "payment.processing"], ending
        final = [e["type"] for e in events if e["type"] != "payment.updated"][-1]
        assert final == "payment." + p["status"], (ending, events)


def test_replays_after_the_outcome(each):
    """The answer as it was, byte by byte, and beside it the status as it is."""
    for ending in ENDINGS:
        first, again = each.answers[ending], each.replays[ending]
        assert (again.status, again.body) == (first.status, first.body), (ending, first, again)
        assert again.header("Idempotent-Replayed") == "true"
        assert again.header("Reli-Current-Status") == each.payment(ending, "decided")["status"]


def test_the_first_answer(each):
    for ending, answer in each.answers.items():
        p = answer.json
        if ending in REFUSED:
            assert (answer.status, p["status"]) == (201, "failed"), (ending, answer)
        elif ending in ANSWER_LOST | UNKNOWN:
            assert (answer.status, p["status"]) == (202, "processing"), (ending, answer)
        else:
            assert (answer.status, p["status"]) == (201, "processing"), (ending, answer)
            assert p["next_action"]["type"] == "approve_on_phone"


def test_what_callbacks_decide_needs_no_poll(plain):
    """At the first stage no second of the test clock has passed."""
    for ending in sorted(PAID - {"020", "028"}):
        assert plain.payment(ending, "decided")["status"] == "completed", ending
    for ending in sorted(set(FAILED) - {"021"}):
        assert plain.payment(ending, "decided")["status"] == "failed", ending
    for ending in ("020", "021", "024", "041", "042", "044", "050", "063"):
        assert plain.payment(ending, "decided")["status"] == "processing", ending


def test_the_callback_of_a_lost_answer_is_asked_about(plain):
    """As README says: nobody has told the id that it names, so it is believed only when the provider has been asked."""
    for ending in sorted(ANSWER_LOST):
        p = plain.payment(ending, "decided")
        assert p["status"] == "completed" and p["status_source"] == "poll", (ending, p)


def test_what_polls_decide(lost):
    for ending in sorted(PAID - ANSWER_LOST - {"062"}):
        p = lost.payment(ending, "polled")
        assert p["status"] == "completed" and p["status_source"] == "poll", (ending, p)
    for ending in FAILED:
        p = lost.payment(ending, "polled")
        assert p["status"] == "failed" and p["status_source"] == "poll", (ending, p)


def test_an_unknown_outcome_waits_in_reconciliation(plain):
    for ending in sorted(UNKNOWN | {"063", "024"}):
        assert plain.payment(ending, "polled")["status"] == "processing", ending
        assert plain.payment(ending, "expired")["status"] == "in_reconciliation", ending


@pytest.mark.parametrize("name", ["plain", "lost"])
def test_success_after_failure_is_late(rounds, name):
    """Trap 3 of domain.md, section 6: success after the end."""
    r = rounds[name]
    p = r.payment("025", "expired")
    assert p["status"] == "failed" and p["failure"]["code"] == "customer_unreachable", p
    assert r.payment("025")["status"] == "completed"
    assert r.row("025")["late"] is True
    assert r.row("024")["late"] is False
    events = [e["type"] for e in r.replica.database.events(p["id"])]
    assert events == ["payment.initiated", "payment.processing", "payment.failed", "payment.completed"]


def test_a_wrong_amount_opens_an_exception(plain):
    """Trap 5: the wrong amount in a success."""
    assert plain.exceptions("026") == ["integrity_failure"]


def test_after_the_retention_only_the_reference_stops_a_second_payment(plain):
    for ending in ("000", "026", "040"):
        again = plain.initialize(ending)
        assert again.status == 409 and again.code == "duplicate_reference", (ending, again)


def test_amounts_choose_too(reli, sandbox):
    """254700000999: the shillings modulo 1000 are the ending."""
    p = reli.pay(stk(phone="+254700000999", amount="1001"))
    q = reli.wait_status(p["id"], "failed")
    assert q["failure"]["code"] == "insufficient_funds"


def test_a_callback_that_comes_late_within_the_window(reli, sandbox):
    """The first poll is not needed, and a second event does not come."""
    sandbox.chaos(delay_ms=60_000)
    p = reli.pay(stk())
    assert reli.payment(p["id"])["status"] == "processing"
    sandbox.skip(60)
    q = reli.wait_status(p["id"], "completed")
    assert q["status_source"] == "callback" and q["provider_receipt"]


@pytest.mark.parametrize("ending", ["000", "001", "023"])
def test_polls_and_callbacks_race(replicas, clock, sandbox, ending):
    """Trap 2: the callback and a poll find the same at the same moment; one posting, one event."""
    sandbox.chaos(delay_ms=400)
    one, two = replicas(2, RELI_POLL_SCHEDULE="1s,1s,1s,1s,1s,1s,1s,1s")
    shop = replicas.shop(one)
    made = [shop.at(r).pay(stk(ending)) for r in (one, two) * 5]
    for _ in range(3):
        clock.advance(40)
    for p in made:
        q = shop.wait_status(p["id"], "failed" if ending == "001" else "completed")
        events = [e["type"] for e in replicas.database.events(p["id"])]
        assert [e for e in events if e != "payment.updated"] == [
            "payment.initiated", "payment.processing", "payment." + q["status"]]
        assert replicas.database.transfers(p["id"]) == ([] if ending == "001" else RECEIVED)


def test_limits_that_the_installation_knows_better(replicas, sandbox):
    """The papers are not sure of them: a wrong guess must not refuse what M-Pesa would take."""
    one = replicas.one(clock=False, MPESA_MAX_AMOUNT="300000", MPESA_MIN_PAYOUT="1", MPESA_MAX_PAYOUT="20.00")
    shop, number = replicas.shop(one), phone()
    (told,) = [p["limits"] for p in shop.get(f"{V1}/providers").json["data"] if p["name"] == "mpesa"]
    assert {k: told[k] for k in told if "_" in k and k != "whole_units"} == {
        "min_amount": "1.00", "max_amount": "300000.00", "min_payout": "1.00", "max_payout": "20.00"}
    assert shop.initialize(stk(phone=number, amount="300001"), key=new_key()).status == 422
    assert sandbox.pushes(number) == []
    shop.pay(stk(phone=number, amount="300000"))
    assert len(sandbox.pushes(number)) == 1, "what becomes of it is M-Pesa's matter: the sandbox has a limit of its own"
    body = {"provider": "mpesa", "currency": "KES",
            "destination": {"type": "mobile_money", "phone": number}}
    for amount, wrong in (("0.50", True), ("1", False), ("20", False), ("21", True)):
        r = shop.post(f"{V1}/payouts", body | {"amount": amount, "reference": f"OUT-{amount}"},
                      headers={"Idempotency-Key": new_key()})
        faults = [e["param"] for e in r.json.get("errors", [])]
        assert faults == (["amount"] if wrong else []), r


@pytest.mark.parametrize("wrong", [
    {"currency": "USD"}, {"amount": "100.50"}, {"amount": "250001"}, {"phone": "+256700000000"},
    {"customer": None},
])
def test_refused_before_it_is_sent(reli, sandbox, wrong):
    number = wrong.get("phone") or phone()
    body = stk(phone=number)
    if "phone" in wrong:
        pass
    elif wrong.get("customer", 1) is None:
        del body["customer"]
    else:
        body.update(wrong)
    r = reli.initialize(body, key=new_key())
    assert r.status == 422 and r.code == "validation_failed", r
    assert sandbox.pushes(number) == []
    assert reli.get(f"{V1}/payments").json["data"] == []


def test_the_provider_is_away(reli, sandbox):
    """A connection that was never made has carried nothing: failed, and may be tried again."""
    sandbox.chaos(down=True)
    p = reli.pay(stk())
    sandbox.chaos(down=False)
    assert p["status"] in ("failed", "processing"), p
    if p["status"] == "failed":
        assert p["failure"]["code"] == "provider_unavailable"
        assert p["failure"]["advice"] == "retry_later"


def test_cancel_is_refused_while_money_may_move(reli, sandbox):
    sandbox.chaos(delay_ms=60_000)
    p = reli.pay(stk())
    r = reli.post(f"{V1}/payments/{p['id']}/cancel", {})
    assert r.status == 409 and r.code == "invalid_state", r
    sandbox.skip(60)
    reli.wait_status(p["id"], "completed")


def test_a_forged_callback_changes_nothing(reli, sandbox, db):
    sandbox.chaos(delay_ms=60000)
    p = reli.pay(stk())
    body = {"Body": {"stkCallback": {
        "MerchantRequestID": "1-1-1", "CheckoutRequestID": p["provider_transaction_id"], "ResultCode": 0,
        "ResultDesc": "ok", "CallbackMetadata": {"Item": [
            {"Name": "Amount", "Value": 100}, {"Name": "MpesaReceiptNumber", "Value": "AAA1BBB2CC"},
            {"Name": "PhoneNumber", "Value": 254700000000}]}}}}
    for token in ("0" * 96, "zz", p["id"].replace("-", "") * 3):
        for path in (f"{V1}/cb/{token}", f"{V1}/webhooks/mpesa/{token}",
                     f"{V1}/payments/mpesa/callback/{token}"):
            r = reli.post(path, body)
            assert r.status == 401 and r.code == "unauthenticated", r
    assert reli.payment(p["id"])["status"] == "processing"
    assert db.value("select count(*) from reli.provider_event where payment_id = %s", p["id"]) == 0


def test_the_token_is_fetched_once_for_all(replicas, sandbox):
    shop = replicas.shop(replicas.one())
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: shop.pay(stk()), range(16)))
    for p in made:
        shop.wait_status(p["id"], "completed")
    assert len(sandbox.calls(op="token")) == 1

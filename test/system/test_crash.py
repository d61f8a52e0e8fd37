"""The service dies at every named point and is started again: nobody is asked twice, nothing is lost.

Each point has a process, a database and a clock of its own; the merchant has an endpoint for webhooks. All live
side by side, since most of their time is waiting; the tests look at what has become of them.
"""

import concurrent.futures
import http.client
import subprocess

import pytest
from helpers import SLOW, V1, Clock, Receiver, new_key, phone, stk, wait_until
from stack import Launcher, binary

# Some points are passed several times in a payment's life.
VISITS = {"store.committed": 6, "fanout.loaded": 3, "fanout.stored": 3, "delivery.sent": 3,
          "delivery.recorded": 3}
# Here no callback comes, so that the service has to ask.
NEEDS_POLL = ("poll.", "tick.")
# Here the payment is given back, as soon as it is completed.
NEEDS_REFUND = ("refund.",)
# What may be passed while the request to pay is still on its way out.
BEFORE_SENDING = ("charge.reserved", "store.committed", "fanout.", "delivery.")
RECEIVED = [("provider_receivable", "merchant_pending", 10000, "KES")]


def points():
    """name → words, as the binary lists them."""
    out = subprocess.run([binary(), "version", "--crash-points"], text=True, capture_output=True,
                         timeout=60, stdin=subprocess.DEVNULL)
    return dict(line.split("\t", 1) if "\t" in line else (line, "")
                for line in out.stdout.splitlines() if line.strip())


try:
    POINTS = points()
except OSError:
    POINTS = {}  # test_the_binary_has_points fails
# test_failover.py has a payment that passes it, test_payouts.py payouts.
ELSEWHERE = ("failover.", "payout.")
CASES = [f"{name}:{n}" for name in POINTS if not name.startswith(ELSEWHERE) for n in range(1, VISITS.get(name, 1) + 1)]


class Life:
    """One payment whose service dies at one point."""

    def __init__(self, stack, case, folder, sandbox, receiver):
        self.case, self.sandbox, self.receiver = case, sandbox, receiver
        self.clock = Clock(folder / "clock")
        self.launcher = Launcher(stack, self.clock, sandbox)
        self.database = self.launcher.database
        self.path = "/" + case
        self.ending = "020" if case.startswith(NEEDS_POLL) else "000"
        self.number = phone(self.ending)
        self.visited = False
        self.first = self.replay = self.payment = None
        self.refund, self.refund_key = None, new_key()

    def run(self):
        replica = self.launcher.one(RELI_CRASH_AT=self.case, RELI_PG_READERS="2")
        shop = self.launcher.shop()
        self.secret = shop.endpoint(self.receiver.url(self.path))["secret"]
        key, body = new_key(), stk(phone=self.number, reference="ORDER-1")
        try:
            self.first = shop.initialize(body, key=key)
        except (OSError, http.client.HTTPException):
            pass  # died before it answered
        if self.case.startswith(NEEDS_REFUND):
            self.refund = self.ask_back(shop)
        self.visited = self.dies(replica)
        if not self.visited:
            return self
        replica = self.launcher.again(replica, RELI_CRASH_AT=None)
        shop = shop.at(replica)
        # The client tries again until it has an answer; leases run out meanwhile.
        self.replay = shop.initialize(body, key=key)
        for _ in range(8):
            if self.replay.status != 409:
                break
            self.clock.advance(20)
            self.replay = shop.initialize(body, key=key)
        payment_id = self.replay.json["id"]
        wait_until(self.brought, 15, "callbacks on their way")
        for step in (61, 30, 61, 61, 120, 300, 600):  # the first ends the dead one's leases
            self.clock.advance(step)
            self.launcher.settle()
        self.payment = shop.payment(payment_id)
        self.events = self.database.events(payment_id)
        self.last_replay = shop.initialize(body, key=key)
        self.pushes = self.sandbox.pushes(self.number)
        self.charges = self.sandbox.charges(phone=self.number.lstrip("+"))
        self.transfers = self.database.transfers(payment_id)
        self.counts = self.database.one("""select
            (select count(*) from reli.payment) as payments, (select count(*) from reli.attempt) as attempts,
            (select count(*) from reli.webhook_delivery where status <> 'delivered') as undelivered""")
        self.due = self.database.due(self.clock.now())
        if self.refund is not None:
            self.refund_now = shop.get(f"{V1}/refunds/{self.refund.json['id']}").json
            self.refund_replay = shop.post(f"{V1}/payments/{payment_id}/refund", {"amount": 40},
                                           headers={"Idempotency-Key": self.refund_key})
            self.sent_back = self.sandbox.refunds(receipt=self.payment["provider_receipt"]) + \
                self.sandbox.refunds(kind="b2c", phone=self.number.lstrip("+"))
        return self

    def ask_back(self, shop):
        shop.wait_status(self.first.json["id"], "completed")
        r = shop.post(f"{V1}/payments/{self.first.json['id']}/refund", {"amount": "40.00"},
                      headers={"Idempotency-Key": self.refund_key})
        assert r.status == 201, r
        return r

    def dies(self, replica):
        """True when it has died where it was told to. Polls need time to pass."""
        for _ in range(4):
            if self.first is not None and wait_until(lambda: not replica.running() or self.idle(), what="nothing to do"):
                self.clock.offset += 16
                self.clock.write()
        try:
            wait_until(lambda: not replica.running(), what="the crash")
        except AssertionError:
            return False
        replica.killed = True
        return replica.p.returncode == -9

    def idle(self):
        return self.brought() and not self.database.due(self.clock.now())

    def brought(self):
        mine = self.sandbox.charges(phone=self.number.lstrip("+"))
        if any(c["state"] == "pending" for c in mine):
            return False
        return all(n["state"] != "in_flight" for c in mine
                   for n in self.sandbox.callbacks(checkout_request_id=c["checkout_request_id"]))


@pytest.fixture(scope="module")
def lives(stack, tmp_path_factory):
    receiver, sandbox = Receiver(), stack.new_sandbox()
    # The service is up again before the customer has decided.
    sandbox.chaos(delay_ms=int(2500 * SLOW))
    made = {case: Life(stack, case, tmp_path_factory.mktemp("crash"), sandbox, receiver)
            for case in CASES}

    def run(life):
        try:
            return life.run()
        except Exception as e:  # told by the test of that point
            life.error = e
            return life
        finally:
            life.launcher.close()
            life.database.close()

    try:
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            list(pool.map(run, made.values()))
        yield made
    finally:
        for life in made.values():
            life.launcher.close()
        sandbox.term()
        sandbox.wait()
        receiver.close()


def test_the_binary_has_points():
    assert len(POINTS) >= 10, f"{binary()} lists no crash points: build it with V=debug"
    assert all(words for words in POINTS.values())


@pytest.mark.parametrize("case", CASES)
def test_crash(lives, case):
    life = lives[case]
    if hasattr(life, "error"):
        raise life.error
    assert life.visited, f"{case} was never visited"

    # One question at most, and the provider's truth in the books.
    p = life.payment
    accepted = [c for c in life.pushes if c["accepted"]]
    assert len(life.pushes) <= 1 and len(life.charges) == len(accepted), life.pushes
    if accepted:
        assert life.charges[0]["state"] == "paid"
        assert p["status"] == "completed" and life.transfers == RECEIVED, p
    else:
        # Whether it was sent cannot be known any more: open, and an operator is told.
        assert case.startswith(BEFORE_SENDING) and life.first is None, case
        assert p["status"] == "in_reconciliation" and life.transfers == [], p
    assert (life.counts["payments"], life.counts["attempts"]) == (1, 1)

    if life.refund is not None:
        # Whether it was sent cannot be known: reserved until a person says so, and never sent again.
        assert life.sent_back == [], life.sent_back
        assert life.refund_now["status"] == "in_reconciliation", life.refund_now
        assert [(a["rail"], a["status"]) for a in life.refund_now["attempts"]] == [("reversal", "uncertain")]
        assert p["amount_refunded"] == "0.00"
        assert (life.refund_replay.status, life.refund_replay.body) == (201, life.refund.body)

    # The client's retry.
    if life.first is not None:
        assert life.first.status == 201
        assert (life.replay.status, life.replay.body) == (life.first.status, life.first.body)
        assert life.replay.header("Idempotent-Replayed") == "true"
    elif case.startswith("charge.built"):
        assert life.replay.status == 201 and life.replay.header("Idempotent-Replayed") is None
    elif case.startswith(("charge.reserved", "charge.sent")):
        assert life.replay.status == 202 and life.replay.header("Idempotent-Recovered") == "true"
    assert life.last_replay.status in (201, 202)
    assert life.last_replay.json["id"] == p["id"]

    # Every event, at least once, signed, as it was.
    assert [e["seq"] for e in life.events] == list(range(1, len(life.events) + 1))
    hooks = life.receiver.at(life.path)
    assert {(h.json["seq"], h.json["type"]) for h in hooks} == {(e["seq"], e["type"]) for e in life.events}
    bodies = {}
    for hook in hooks:
        assert hook.signed_by(life.secret)
        assert hook.id == hook.json["id"] and hook.json["payment_id"] == p["id"]
        assert bodies.setdefault(hook.id, hook.body) == hook.body, "a repetition says the same"
    assert life.counts["undelivered"] == 0 and life.due == []

"""What shops do with money that they have: they ask for refunds, whole and in parts, one after the other and at once,
with second thoughts; and a second person or an operator answers."""

import decimal
import http.client
import json

V1 = "/api/v1"
LOOKS = 6  # at a refund that is not decided yet


def shillings(minor):
    return f"{minor // 100}.{minor % 100:02d}"


class Giving:
    """The refunds of one worker's payments."""

    def __init__(self, worker):
        self.worker, self.client, self.dice = worker, worker.client, worker.dice

    def perhaps(self, merchant, n, p, wait):
        """Some of the payments that ought to be paid after `wait` seconds."""
        if self.dice.random() < 0.45:
            amount = int(decimal.Decimal(p["amount"]) * 100)
            self.worker.later(wait, lambda: self.ask(merchant, n, p["id"], amount, p["provider"] == "cash"))

    def wish(self, merchant, n, payment, number, amount):
        """One refund that is wanted; None: whatever is left."""
        body = {"reason": f"rf-{n}-{number}"}
        if amount is not None:
            body["amount"] = shillings(amount)
        return self.client.request("refund", merchant, f"{V1}/payments/{payment}/refund", body,
                                   self.worker.key(), n, number)

    def part(self, amount, cash, low, high):
        """A share of an amount; shillings and odd endings where the provider is one who cares."""
        minor = int(amount * self.dice.uniform(low, high))
        if not cash:
            minor = max(100, minor // 100 * 100)
            if minor >= 10000 and self.dice.random() < 0.5:
                minor = minor // 10000 * 10000 - 10000 + next(self.client.refund_endings) * 100
        return max(1, min(amount, minor))

    def ask(self, merchant, n, payment, amount, cash):
        dice, how = self.dice, self.dice.random()
        if how < 0.35:
            wishes = [self.wish(merchant, n, payment, 0, None)]
            self.worker.persist(wishes[0])
        elif how < 0.65:
            wishes = [self.wish(merchant, n, payment, i, self.part(amount, cash, 0.1, 0.6))
                      for i in range(dice.randint(1, 3))]
            for r in wishes:
                self.worker.persist(r)
        elif how < 0.85:  # more in all than there is
            wishes = [self.wish(merchant, n, payment, i, self.part(amount, cash, 0.4, 1.0)) for i in range(3)]
            self.worker.both(*wishes)
        else:
            wishes = [self.wish(merchant, n, payment, 0, self.part(amount, cash, 0.3, 1.0))]
            self.worker.both(wishes[0], wishes[0])
            if dice.random() < 0.5:
                self.worker.persist(wishes[0])
        for i, r in enumerate(wishes):
            if r.answer is not None and r.answer[0] == 201:
                self.worker.later(dice.uniform(0.3, 1.5), lambda i=i, r=r: self.look(r, i, r.answer[1]["id"], 1))

    def look(self, r, number, refund, looks):
        """As a person would: approves, rejects, takes back, confirms what was paid by hand."""
        dice, client = self.dice, self.client
        keys = client.merchants[r.merchant]
        try:
            status, _, data = self.worker.wire.call(dice.choice(client.ports), "GET", f"{V1}/refunds/{refund}", None,
                                                    {"Authorization": "Bearer " + keys["key"]})
            said = json.loads(data) if status == 200 else {}
        except (OSError, ValueError, http.client.HTTPException):
            said = {}
        state = said.get("status")
        op = None
        if state == "pending_approval":
            op = dice.choices(["approve", "reject", "take_back", None], [6, 2, 1, 1])[0]
            if dice.random() < 0.5:  # who asked may not
                self.worker.persist(self.move("self_approve", "approve", r, number, refund, "key"))
        elif state == "in_reconciliation" and said["rail"] == "manual":
            op = "paid" if dice.random() < 0.8 else None
        if op is not None:
            self.worker.persist(self.move(op, {"paid": "confirm", "take_back": "cancel"}.get(op, op), r, number, refund,
                                          "second_key" if op in ("approve", "reject") else "key"))
        if looks < LOOKS and (state in (None, "pending", "processing") or op == "approve"):
            self.worker.later(dice.uniform(0.5, 2), lambda: self.look(r, number, refund, looks + 1))

    def move(self, op, verb, r, number, refund, who):
        return self.client.request(op, r.merchant, f"{V1}/refunds/{refund}/{verb}", {}, None, r.n, number, who)

"""The evidence by what it is about. Shares no code with reli: what a state or a message means is written here again,
from contract.md, domain.md and the sandbox's README."""

import base64
import collections
import decimal
import json


def minor(amount):
    """Minor units of shillings, from a JSON number or text."""
    return int(decimal.Decimal(str(amount)) * 100)


class Groups(dict):
    """Rows by a key; asking for one that is not there gives no rows, and does not make it."""

    def __missing__(self, key):
        return []


def by(rows, *names):
    out = Groups()
    for row in rows:
        key = row[names[0]] if len(names) == 1 else tuple(row[n] for n in names)
        out.setdefault(key, []).append(row)
    return out


class Want:
    """One thing that a client asked for: create, with all that was asked and answered about it."""

    def __init__(self, n):
        self.n = n
        self.requests = collections.defaultdict(list)  # op → requests
        self.answers = collections.defaultdict(list)   # op → answers, body read

    @property
    def body(self):
        return self.requests["create"][0]["body"]

    @property
    def merchant(self):
        return self.requests["create"][0]["merchant"]

    @property
    def key(self):
        return self.requests["create"][0]["key"]

    @property
    def phone(self):
        return self.body.get("phone") or self.body["customer"].get("phone")

    @property
    def ending(self):
        return self.phone[-3:] if self.phone else None

    @property
    def customer(self):
        return self.body["customer"]["id"]

    def made(self):
        """The answers to create that acknowledge a payment."""
        return [a for a in self.answers["create"] if a["status"] in (201, 202)]

    def told(self, op):
        """A 2xx came for this move."""
        return any(a["status"] == 200 for a in self.answers[op])


class RefundWant(Want):
    """One refund that a client asked for."""

    def __init__(self, n, sub):
        super().__init__(n)
        self.sub = sub

    @property
    def reason(self):
        return f"rf-{self.n}-{self.sub}"

    @property
    def request(self):
        return self.requests["refund"][0]

    @property
    def body(self):
        return self.request["body"]

    @property
    def payment_id(self):
        return self.request["path"].split("/")[4]

    def made(self):
        """The answers that acknowledge a refund."""
        return [a for a in self.answers["refund"] if a["status"] == 201]


class Facts:
    def __init__(self, e):
        self.e, self.meta, t = e, e.meta, e.tables
        self.wants, self.refund_wants = {}, {}
        for line in e.client:
            if line["sub"] is None:
                want = self.wants.setdefault(line["n"], Want(line["n"]))
            else:
                name = line["n"], line["sub"]
                want = self.refund_wants.setdefault(name, RefundWant(*name))
            if line["kind"] == "request":
                want.requests[line["op"]].append(line)
            elif line["kind"] == "answer":
                try:
                    line["said"] = json.loads(line["body"])
                except ValueError:
                    line["said"] = None
                want.answers[line["op"]].append(line)
        # Moves of a payment whose creation is journalled under the same number.
        self.wants = {n: w for n, w in self.wants.items() if w.requests["create"]}
        self.merchant_ids = [m["id"] for m in self.meta["merchants"]]
        self.payments = {p["id"]: p for p in t["payment"]}
        self.by_customer = by(t["payment"], "customer_id")
        self.by_pay_code = {p["pay_code"]: p for p in t["payment"]}
        self.want_of = {}
        for w in self.wants.values():
            for p in self.by_customer[w.customer]:
                self.want_of[p["id"]] = w
        self.events = by(sorted(t["event"], key=lambda x: x["seq"]), "subject_id")
        self.event_by_id = {x["id"]: x for x in t["event"]}
        for x in t["event"]:
            x["said"] = json.loads(x["data"])
        self.refunds = {r["id"]: r for r in t["refund"]}
        self.refunds_of = by(t["refund"], "payment_id")
        self.rails = by(sorted(t["refund_attempt"], key=lambda a: a["n"]), "refund_id")
        self.refund_by_reason = by(t["refund"], "reason")
        self.attempts = by(t["attempt"], "payment_id")
        self.transfers = by(t["ledger_transfer"], "payment_id")
        self.accounts = {(a["merchant_id"], a["id"]): a for a in t["ledger_account"]}
        self.exceptions = by(t["exception_item"], "subject_id")
        self.charges = by(e.charges, "phone")
        self.pushes = by(e.pushes, "phone")
        self.reversals = by([x for x in e.refunds if x["kind"] == "reversal"], "receipt")
        self.payouts = by([x for x in e.refunds if x["kind"] == "b2c"], "originator_id")
        self.callbacks = by(e.callbacks, "checkout_request_id")
        self.hooks = e.receiver
        for h in self.hooks:
            if "bytes" not in h:
                h["bytes"] = base64.b64decode(h["body"])
                try:
                    h["said"] = json.loads(h["bytes"])
                except ValueError:
                    h["said"] = {}

    def charge(self, want):
        """The provider's charge for what a client wanted, if there is one."""
        found = self.charges[want.phone.lstrip("+")] if want.phone else []
        return found[0] if found else None

    def fee(self, p):
        """What is taken of a payment, and what its customer is asked for: world.make_merchants, written again."""
        first = p["merchant_id"] == self.merchant_ids[0]
        part = (p["amount"] * (15 if first else 20) + 500) // 1000
        if first:
            return min(part + 2000, 50000, p["amount"]), p["amount"]
        if p["provider"] == "mpesa":
            part = (part + 50) // 100 * 100
        return part, p["amount"] + part

    def kinds(self, payment_id):
        return {x["kind"] for x in self.exceptions[payment_id]}

    def has_told_reference(self, p, want):
        """reli has said, to anybody, that it knows the provider's id of this payment."""
        if any(a["provider_ref"] for a in self.attempts[p["id"]]) or p["provider_ref"]:
            return True
        if any((a["said"] or {}).get("provider_transaction_id") for a in want.made()):
            return True
        return any(x["said"].get("provider_transaction_id") for x in self.events[p["id"]])

    def by_hand(self, refund_id):
        """A refund whose last rail was a person; None if there is no such refund."""
        if refund_id not in self.refunds:
            return None
        return bool(self.rails[refund_id]) and self.rails[refund_id][-1]["rail"] == "manual"

    def was_told(self, refund):
        """The gateway has acknowledged a result of this reversal or payout."""
        return any(200 <= c["http_status"] < 300 for c in self.callbacks[refund["conversation_id"]])

    def was_called_back(self, charge):
        """The gateway has acknowledged a callback that decides this charge."""
        if charge["phone"][-3:] in ("014", "028"):  # an unknown result, somebody else's id
            return False
        return any(200 <= c["http_status"] < 300 for c in self.callbacks[charge["checkout_request_id"]])

    def is_unknowable(self, p, want, charge):
        """Nobody told reli how the charge ended, and it has nothing to ask by. 062: the provider never answers
        questions, and a callback without a known reference is no evidence without asking."""
        knows = self.has_told_reference(p, want)
        return not knows if want.ending == "062" and self.was_called_back(charge) else \
            not self.was_called_back(charge) and (not knows or want.ending == "062")

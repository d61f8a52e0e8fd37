"""What clients were promised, what the provider did, what the books say."""

import json
from collections import Counter

from facts import by, minor

PAID = ("completed", "partially_refunded", "refunded")


def acknowledged(f):
    """Every acknowledged payment exists unchanged."""
    for w in f.wants.values():
        for a in w.made():
            said = a["said"]
            p = f.payments.get(said["id"])
            if p is None:
                yield f"{w.n}: acknowledged payment {said['id']} does not exist"
            else:
                yield from (f"{w.n}: payment {p['id']}: {x}" for x in differences(f, w, said, p))
        for a in w.answers["create"]:
            if a["status"] == 409 and a["said"]["code"] == "duplicate_reference":
                if w.key is not None or len(f.by_customer[w.customer]) != 1:
                    yield f"{w.n}: refused as a duplicate of {len(f.by_customer[w.customer])} payments"
        for op, good in (("confirm", PAID), ("cancel", ("cancelled",))):
            for a in w.answers[op]:
                if a["status"] == 200 and (f.payments.get(a["said"]["id"]) or {}).get("status") not in good:
                    yield f"{w.n}: {op} was acknowledged, the payment is none of {good}"
    if f.meta["left"]:
        yield f"{f.meta['left']} clients have no definite answer"


def differences(f, w, said, p):
    """Between the request, its answer and the row."""
    body = w.body
    phone, email = w.phone, body["customer"].get("email")
    rows = [
        ("amount", minor(body["amount"]), minor(said["amount"]), p["amount"]),
        ("currency", body["currency"], said["currency"], p["currency"]),
        ("reference", body["reference"], said["reference"], p["reference"]),
        ("reference_no", p["reference_no"], said["reference_no"], p["reference_no"]),
        ("provider", body["provider"], said["provider"], p["provider"]),
        ("customer.id", w.customer, said["customer"]["id"], p["customer_id"]),
        ("customer.phone", phone, said["customer"]["phone"], phone),
        ("customer.email", email, said["customer"]["email"], email),
        ("description", body.get("description"), said["description"], p["description"]),
        ("callback_url", body.get("callback_url"), said["callback_url"], p["callback_url"]),
        ("metadata", body.get("metadata"), said["metadata"], json_of(p["metadata"])),
        ("merchant", f.merchant_ids[w.merchant], p["merchant_id"], p["merchant_id"]),
        ("created_at", said["created_at"], said["created_at"], milliseconds(p["created_at"])),
        ("mode", "test", said["mode"], p["mode"]),
    ]
    for name, asked, answered, stored in rows:
        if not asked == answered == stored:
            yield f"{name}: asked {asked!r}, answered {answered!r}, stored {stored!r}"


def json_of(text):
    return None if text is None else json.loads(text)


def milliseconds(at):
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def counting(w, found):
    """A reference whose payment came to nothing may be used again: without a key that is what a client does who has
    lost the answer. All but the last do not count then."""
    found = sorted(found, key=lambda p: p["id"])
    nothing = all(p["status"] in ("failed", "expired", "cancelled") and p["received"] == 0 for p in found[:-1])
    return found[-1:] if w is not None and w.key is None and nothing else found


def keys(f):
    """One payment per key and per reference; a replay repeats the answer."""
    for w in f.wants.values():
        found = counting(w, f.by_customer[w.customer])
        if len(found) > 1:
            yield f"{w.n}: {len(found)} payments: {[p['id'] for p in found]}"
        ids = {a["said"]["id"] for a in w.made()}
        if len(ids) > 1 or (ids and ids != {p["id"] for p in found}):
            yield f"{w.n}: answers name {sorted(ids)}, stored is {[p['id'] for p in found]}"
        if w.key is not None:
            plain = {(a["status"], a["body"]) for a in w.made() if not a["recovered"]}
            if len(plain) > 1:
                yield f"{w.n}: {len(plain)} different answers to one key: {sorted(plain)}"
        for a in w.answers["changed"]:
            if a["status"] < 500 and a["status"] not in (409, 429) and (
                    a["status"] != 422 or a["said"]["code"] != "idempotency_key_reused"):
                yield f"{w.n}: a changed request under the same key was answered {a['status']}"
    for (merchant, reference), found in by(f.e.tables["payment"], "merchant_id", "reference").items():
        if len(counting(f.want_of.get(found[0]["id"]), found)) > 1:
            yield f"reference {reference} of {merchant} names {len(found)} payments"
    for p in f.e.tables["payment"]:
        if p["id"] not in f.want_of:
            yield f"payment {p['id']} was never asked for"
    records = by(f.e.keys, "merchant_id", "key")
    for w in f.wants.values():
        named = {r["payment_id"] for r in records[f.merchant_ids[w.merchant], w.key]}
        stored = {p["id"] for p in f.by_customer[w.customer]}
        if w.key is not None and stored and named != stored:
            yield f"{w.n}: the key's record names {sorted(named)}, stored is {sorted(stored)}"


def may_be_asked(f, w):
    """How often the customer may be asked: once for each payment under a reference that was used again."""
    made = f.by_customer[w.customer]
    return max(len(made), 1) if len(counting(w, made)) < 2 else 1


def charges(f):
    """At most one charge per payment at the provider, and one question."""
    wanted = {w.phone.lstrip("+"): w for w in f.wants.values() if w.phone}
    for phone, found in f.charges.items():
        w = wanted.get(phone)
        if w is None:
            yield f"a charge for …{phone[-6:]}, for whom nobody asked"
            continue
        if len(found) > may_be_asked(f, w):
            yield f"{len(found)} charges for …{phone[-6:]}: {[c['checkout_request_id'] for c in found]}"
        for c in found:
            p = f.by_pay_code.get(c["reference"])
            if p is None or f.want_of.get(p["id"]) is not w:
                yield f"{w.n}: charge {c['checkout_request_id']} names {c['reference']}, not this payment"
            elif minor(c["amount"]) != f.fee(p)[1]:
                yield f"{w.n}: charged {c['amount']}, to be asked for are {f.fee(p)[1]} minor units"
    for reference, found in by(f.e.charges, "reference").items():
        if len(found) > 1:
            yield f"{len(found)} charges under {reference}"
    for phone, found in f.pushes.items():
        found = sorted(found, key=lambda c: c["n"])
        w = wanted.get(phone)
        most = may_be_asked(f, w) if w is not None else 1
        asked = [c["http_status"] != 404 for c in found]  # who was refused for his token may ask again
        if sum(c["accepted"] for c in found) > most or sum(asked[:-1]) >= most:
            yield f"…{phone[-6:]} was asked {len(found)} times: {[(c['http_status'], c['outcome']) for c in found]}"


def truth(f):
    """The final state is the provider's truth; unknowable outcomes say so."""
    for p in f.e.tables["payment"]:
        w = f.want_of.get(p["id"])
        if w is None:
            continue
        where = f"{w.n}: payment {p['id']} ({p['provider']}, ending {w.ending}) is {p['status']}"
        fault = (cash if p["provider"] == "cash" else stk)(f, p, w)
        if fault:
            yield f"{where}, {fault}"
    for w in f.wants.values():
        c = f.charge(w)
        if c is not None and not f.by_customer[w.customer]:
            yield f"{w.n}: charge {c['checkout_request_id']} has no payment"


def cash(f, p, w):
    """Completed by confirmation, cancelled by cancelling, expired otherwise."""
    if p["status"] not in (*PAID, "cancelled", "expired"):
        return "which is no end"
    if p["status"] in PAID and not w.requests["confirm"]:
        return "nobody has confirmed it"
    if p["status"] == "cancelled" and not w.requests["cancel"]:
        return "nobody has cancelled it"
    return None


def stk(f, p, w):
    c = f.charge(w)
    state = c["state"] if c is not None else "none"
    if p["status"] == "in_reconciliation":
        return open_at_the_end(f, p, w, c)
    if p["status"] not in (*PAID, "failed"):
        return "which is no end"
    if state == "pending":
        return "the provider has not decided"
    if (p["status"] in PAID) != (state == "paid"):
        return f"at the provider it is {state}"
    if p["status"] == "failed" and not p["failure_code"]:
        return "without a reason"
    if state == "none":
        cut = [x for x in f.pushes[w.phone.lstrip("+")] if x["http_status"] == 0]
        if cut:
            return "although the request was cut off and may have been carried out"
    return None


def open_at_the_end(f, p, w, c):
    """In reconciliation at the end: only if it cannot be known, and an operator is told."""
    kinds = f.kinds(p["id"])
    if not kinds & {"stuck", "integrity_failure"}:
        return "and no operator is told"
    if w.ending == "026" and p["failure_code"] == "integrity_failure":
        return None if c is not None and c["state"] == "paid" else "without a payment of another amount"
    if p["failure_code"] == "integrity_failure":
        return "for an integrity that nothing has broken"
    if c is None or c["state"] == "pending":
        return None
    if f.is_unknowable(p, w, c):
        return None
    return f"at the provider it is {c['state']}, which could be known"


def ledger(f):
    """The books balance and equal the provider's total."""
    t = f.e.tables
    sums, counts = Counter(), Counter()
    for x in t["ledger_transfer"]:
        where = f"transfer {x['journal_id']}/{x['step']}"
        for side, sign in (("debit_id", 1), ("credit_id", -1)):
            account = f.accounts.get((x["merchant_id"], x[side]))
            if account is None or (account["currency"], account["mode"]) != (x["currency"], x["mode"]):
                yield f"{where}: no such account on one side"
                continue
            if x["state"] == "posted":
                sums[x["merchant_id"], x[side]] += sign * x["amount"]
                counts[x["merchant_id"], x[side]] += 1
        if x["payment_id"] not in f.payments:
            yield f"{where}: of no payment"
    kept = {(b["merchant_id"], b["account_id"]): b for b in t["ledger_balance"]}
    for key in set(sums) | set(kept):
        b = kept.get(key) or {"balance": 0, "n_transfers": 0}
        if (b["balance"], b["n_transfers"]) != (sums[key], counts[key]):
            yield (f"balance of account {key[1]}: kept {b['balance']} of {b['n_transfers']} transfers, "
                   f"sum {sums[key]} of {counts[key]}")
    if sum(b["balance"] for b in t["ledger_balance"]) != 0:
        yield "the balances do not add up to nothing"
    yield from postings(f)
    yield from totals(f)


def legs(f, payment_id):
    """[(debit type, credit type, amount)] of a payment."""
    return sorted((f.accounts.get((x["merchant_id"], x["debit_id"]), {}).get("type"),
                   f.accounts.get((x["merchant_id"], x["credit_id"]), {}).get("type"), x["amount"])
                  for x in f.transfers[payment_id] if x["state"] == "posted")


def postings(f):
    """Each payment has exactly the transfers that its outcome asks for."""
    for p in f.e.tables["payment"]:
        w, expected = f.want_of.get(p["id"]), []
        fee, asked = f.fee(p)
        if p["late"] or p["status"] not in PAID:
            fee = 0
        if p["fee"] != fee:
            yield f"payment {p['id']} ({p['status']}): a fee of {p['fee']}, due is {fee}"
        if p["status"] in PAID:
            expected += [leg for leg in (("provider_receivable", "merchant_pending", asked - fee),
                                         ("provider_receivable", "fees_income", fee)) if leg[2] > 0]
            if p["received"] != asked:
                yield f"payment {p['id']}: received {p['received']} of {asked}"
        elif p["received"] != 0:
            yield f"payment {p['id']} is {p['status']} and has received {p['received']}"
        expected += [("merchant_pending", "provider_receivable", r["amount"])
                     for r in f.refunds_of[p["id"]] if r["status"] == "completed"]
        found = legs(f, p["id"])
        wrong = w is not None and w.ending == "026" and "integrity_failure" in f.kinds(p["id"])
        if wrong and p["status"] not in PAID:  # the provider's word was another amount: kept apart
            expected.append(("provider_receivable", "unallocated", asked + 100))
        if found != sorted(expected):
            yield f"payment {p['id']} ({p['status']}): transfers {found}, expected {expected}"


def totals(f):
    """What the books have received is what the provider took, but for what is openly undecided."""
    took, undecided, excess, booked = 0, 0, 0, Counter()
    for w in f.wants.values():
        c = f.charge(w)
        if c is None or c["state"] != "paid":
            continue
        took += minor(c["amount"])
        for p in f.by_customer[w.customer]:
            found = legs(f, p["id"])
            if not found and p["status"] == "in_reconciliation":
                undecided += minor(c["amount"])
            if any(leg[1] == "unallocated" for leg in found):
                excess += 100
    for x in f.e.tables["ledger_transfer"]:
        p = f.payments.get(x["payment_id"])
        debit = f.accounts.get((x["merchant_id"], x["debit_id"]), {})
        if p is not None and debit.get("type") == "provider_receivable":
            booked[p["provider"]] += x["amount"]
    if booked["mpesa"] + undecided != took + excess:
        yield (f"the provider took {took}, the books have {booked['mpesa']}, openly undecided {undecided}, "
               f"wrongly reported {excess}")
    cash_taken = sum(f.fee(p)[1] for p in f.payments.values()
                     if p["provider"] == "cash" and p["status"] in PAID)
    if booked["cash"] != cash_taken:
        yield f"cash: taken {cash_taken}, booked {booked['cash']}"
    yield from given_back(f)


def given_back(f):
    """What the books have given back is what the provider gave back, but for what is openly undecided."""
    booked = sum(x["amount"] for x in f.e.tables["ledger_transfer"]
                 if f.accounts.get((x["merchant_id"], x["credit_id"]), {}).get("type") == "provider_receivable"
                 and x["state"] == "posted" and f.by_hand(x["journal_id"]) is False)
    gave = sum(minor(x["amount"]) for x in f.e.refunds if x["state"] == "paid")
    open_ones = sum(r["amount"] for r in f.refunds.values() if r["status"] == "in_reconciliation"
                    and f.rails[r["id"]] and f.rails[r["id"]][-1]["rail"] != "manual")
    if not booked <= gave <= booked + open_ones:
        yield f"the provider gave back {gave}, the books have {booked}, openly undecided {open_ones}"

"""Money on its way back: what clients asked for and were told, what the payment says, what the provider did."""

import itertools
from collections import Counter

from facts import by, minor

OPEN = ("pending_approval", "pending", "processing", "in_reconciliation")
UNPAID = ("failed", "rejected", "cancelled")


def refunds(f):
    """Every acknowledged refund exists unchanged, one per key; never more than was received; reserved until decided."""
    for w in f.refund_wants.values():
        yield from asked(f, w)
    for r in f.refunds.values():
        if r["reason"] is None or r["payment_id"] not in f.payments:
            yield f"refund {r['id']} was never asked for, or of no payment"
        elif not any(w.reason == r["reason"] and w.payment_id == r["payment_id"] for w in f.refund_wants.values()):
            yield f"refund {r['id']}: nobody asked for {r['reason']} of {r['payment_id']}"
    for p in f.payments.values():
        yield from amounts(f, p)
    owned = {(o["payment_id"], o["refund_id"]) for o in f.e.tables["refund_owner"]}
    if owned != {(r["payment_id"], r["id"]) for r in f.refunds.values()}:
        yield "the list of a payment's refunds is another than its refunds"


def asked(f, w):
    where = f"refund {w.reason}"
    found = f.refund_by_reason[w.reason]
    if len(found) > 1 and w.request["key"] is not None:
        yield f"{where}: {len(found)} refunds under one key"
    for a in w.made():
        said, r = a["said"], f.refunds.get(a["said"]["id"])
        if r is None:
            yield f"{where}: acknowledged refund {said['id']} does not exist"
            continue
        wish = minor(w.body["amount"]) if "amount" in w.body else r["amount"]
        rows = [("amount", wish, minor(said["amount"]), r["amount"]),
                ("payment", w.payment_id, said["payment_id"], r["payment_id"]),
                ("reason", w.reason, said["reason"], r["reason"]),
                ("currency", "KES", said["currency"], r["currency"])]
        for name, wanted, answered, stored in rows:
            if not wanted == answered == stored:
                yield f"{where}: {name}: asked {wanted!r}, answered {answered!r}, stored {stored!r}"
    if len({a["body"] for a in w.made()}) > 1:
        yield f"{where}: {len({a['body'] for a in w.made()})} different answers to one key"
    for op, good in (("paid", {"completed"}), ("reject", {"rejected"}), ("take_back", {"cancelled"}),
                     ("approve", {"pending", "processing", "in_reconciliation", "completed", "failed"})):
        for r in found if w.told(op) else ():
            if r["status"] not in good:
                yield f"{where}: {op} was acknowledged, the refund is {r['status']}"
    if w.told("self_approve"):
        yield f"{where} was approved by who asked for it"


def amounts(f, p):
    """I4, and that the payment's sums are those of its refunds."""
    found = f.refunds_of[p["id"]]
    back = sum(r["amount"] for r in found if r["status"] == "completed")
    held = sum(r["amount"] for r in found if r["status"] in OPEN)
    where = f"payment {p['id']}"
    if back + held > p["received"]:
        yield f"{where}: received {p['received']}, refunded {back}, on its way back {held}"
    if (p["refunded"], p["refund_reserved"]) != (back, held):
        yield (f"{where}: says refunded {p['refunded']}, reserved {p['refund_reserved']}; "
               f"its refunds say {back}, {held}")
    if p["received"] > 0:
        status = "completed" if back == 0 else "refunded" if back == p["received"] else "partially_refunded"
        if p["status"] != status:
            yield f"{where} is {p['status']} with {back} of {p['received']} refunded"


def refund_truth(f):
    """A refund's end is what people and the provider did; what nobody can know stays reserved, and somebody is told."""
    wants = {w.reason: w for w in f.refund_wants.values()}
    for r in f.refunds.values():
        w, rails = wants.get(r["reason"]), f.rails[r["id"]]
        if w is None:
            continue
        where = f"refund {r['reason']} ({r['id']}) is {r['status']}"
        fault = end(f, r, w, rails)
        if fault:
            yield f"{where}, {fault}"
        yield from repeated(where, rails)
        for a in rails[:-1]:
            if a["status"] not in ("rejected", "failed"):
                yield f"{where}: another rail was asked while {a['rail']} is {a['status']}"
    for p in f.payments.values():
        if p["provider"] != "cash":
            yield from provider(f, p)
    yield from strangers(f)


def repeated(where, rails):
    """A rail is asked again only if it was busy, at once after that, and before another one is asked."""
    asked = [(a["rail"], a["status"]) for a in rails]
    if len({rail for rail, _ in asked}) != len(list(itertools.groupby(asked, lambda a: a[0]))):
        yield f"{where}: {asked}: a rail was asked again after another one"
    for (rail, status), (following, _) in itertools.pairwise(asked):
        if rail == following and status != "rejected":
            yield f"{where}: {asked}: a rail was asked again that had not been busy"


def end(f, r, w, rails):
    last = rails[-1] if rails else None
    if r["status"] in ("pending", "processing"):
        return "which is no end"
    if r["status"] == "pending_approval":
        merchant = f.meta["merchants"][w.request["merchant"]]
        return None if merchant["approval_above"] and r["amount"] > merchant["approval_above"] else "for no reason"
    if r["status"] in ("rejected", "cancelled"):
        op = "reject" if r["status"] == "rejected" else "take_back"
        return None if w.requests[op] and not rails else "which nobody asked for, or after it was sent"
    if last is None:
        return "and was never sent"
    if r["status"] == "in_reconciliation":
        kinds = f.kinds(r["id"]) | f.kinds(r["payment_id"])
        if last["rail"] == "manual":
            return None if "refund_manual" in kinds else "and no operator is told"
        return None if "stuck" in kinds else "and no operator is told"
    if r["status"] == "completed" and last["rail"] == "manual" and not w.requests["paid"]:
        return "and nobody has confirmed it"
    if r["status"] == "completed" and last["status"] != "succeeded":
        return f"by a rail that is {last['status']}"
    if r["status"] == "failed" and last["rail"] == "manual":
        return "although a person could pay it"
    return None


def attempt_id(refund, n):
    """Ids of attempts are their owner's, with the low four bits set to n."""
    return refund[:-1] + "0123456789abcdef"[n]


def provider(f, p):
    """What the provider paid back of one payment, refund by refund."""
    where = f"payment {p['id']}"
    reversals = list(f.reversals[p["receipt"]]) if p["receipt"] else []
    tried = []
    for r in f.refunds_of[p["id"]]:
        for a in f.rails[r["id"]]:
            if a["rail"] == "payout":
                done = f.payouts[attempt_id(r["id"], a["n"])]
                if len(done) > 1:
                    yield f"{where}: refund {r['id']} was paid out {len(done)} times"
                yield from agree(f, where, r, a, done[0] if done else None)
            elif a["rail"] == "reversal":
                tried.append((r, a))
    # A reversal has no id of ours: those whose reference is known find theirs, the others one of their amount.
    for known in (True, False):
        for r, a in tried:
            if bool(a["provider_ref"]) != known:
                continue
            fits = [x for x in reversals if minor(x["amount"]) == r["amount"] and
                    (not known or a["provider_ref"] in (x["conversation_id"], x["originator_id"]))]
            fits.sort(key=lambda x: x["state"] != {"succeeded": "paid", "failed": "failed", "rejected": "failed"}.get(a["status"], "?"))
            if fits:
                reversals.remove(fits[0])
            yield from agree(f, where, r, a, fits[0] if fits else None)
    if reversals:
        yield f"{where}: {len(reversals)} reversals too many"
    paid = sum(minor(x["amount"]) for x in f.reversals[p["receipt"]] if x["state"] == "paid") if p["receipt"] else 0
    paid += sum(minor(x["amount"]) for r in f.refunds_of[p["id"]] for a in f.rails[r["id"]]
                for x in f.payouts[attempt_id(r["id"], a["n"])] if x["state"] == "paid")
    if paid > p["received"]:
        yield f"{where}: the provider took {p['received']} and gave back {paid}"


def agree(f, where, r, a, done):
    """One attempt and what the provider says of it."""
    state = done["state"] if done else "none"
    where = f"{where}: refund {r['id']}: {a['rail']} is {a['status']}, at the provider {state}"
    if a["status"] == "succeeded" and state != "paid":
        yield where
    elif a["status"] in ("failed", "rejected") and state not in ("failed", "none"):
        yield where
    elif a["status"] in ("sending", "submitted", "uncertain") and state in ("paid", "failed") \
            and not unknowable(f, r, a, done):
        yield where + ", which could be known"


def unknowable(f, r, a, done):
    """Ending 99 is never told; a reversal whose acknowledgement and result were lost leaves nothing to ask by; and of
    the words of a status query only "Completed" is documented, so a failure is known by its result alone."""
    if done["state"] == "failed" and not f.was_told(done):
        return True
    if minor(done["amount"]) // 100 % 100 == 99:
        return True
    return a["rail"] == "reversal" and not a["provider_ref"] and not f.was_told(done)


def strangers(f):
    """The provider knows of no refund that reli does not."""
    receipts = {p["receipt"] for p in f.payments.values() if p["receipt"]}
    ids = {attempt_id(a["refund_id"], a["n"]) for found in f.rails.values() for a in found}
    for x in f.e.refunds:
        if (x["receipt"] not in receipts) if x["kind"] == "reversal" else (x["originator_id"] not in ids):
            yield f"the provider has a {x['kind']} {x['conversation_id']} that nobody asked for"
    for receipt, found in by(f.e.refunds, "receipt").items():
        if receipt is not None and len({x["conversation_id"] for x in found}) != len(found):
            yield f"two refunds of {receipt} have one conversation"


def figures(f):
    states = Counter(r["status"] for r in f.refunds.values())
    return (f"{len(f.refunds)} refunds ({', '.join(f'{n} {s}' for s, n in states.most_common())}), "
            f"{len(f.e.refunds)} at the provider")

"""The independent checker: reads what a run left behind, and says what is wrong, check by check."""

from collections import Counter

import check_money
import check_refund
import check_trail
from facts import Facts

LINKS = ("client", "provider", "callback", "postgres", "redis", "receiver")


def rest(f):
    """Nothing is left undone: no job is due, every callback is decided, both replicas ended well, and reli's own
    proofs say the same."""
    for j in f.e.tables["job"]:
        if j["run_at"] <= f.meta["now"]:
            yield f"job {j['kind']} of {j['subject']} is due"
    for x in f.e.tables["provider_event"]:
        told = x["state"] == "dead" and "callback_dead" in f.kinds(x["payment_id"])
        if x["state"] not in ("processed", "ignored") and not told:
            yield f"callback {x['id']} of {x['payment_id']} is {x['state']}"
    for words, end in f.meta["tools"].items():
        if end["exit"] != 0:
            yield f"reli {words}: exit {end['exit']}: {end['said']}"
    for name, code in f.meta["exits"].items():
        if code != 0:
            yield f"replica {name} ended with {code}"
    for d in f.meta["deeds"]:
        if d["deed"] == "died" and d["words"][1] != -9:
            yield f"replica {d['words'][0]} ended by itself with {d['words'][1]}"


def effort(f):
    """The run was one: the whole plan was carried out, faults were met on every link, payments were made."""
    done = [[d["deed"], *d["words"]] for d in f.meta["deeds"] if d["deed"] != "died"]
    if sorted(map(str, done)) != sorted(map(str, f.meta["plan"])):
        yield "the plan was not carried out"
    met = Counter(x["link"].split("-")[0] for x in f.e.faults)
    for link in LINKS:
        if not met[link]:
            yield f"no fault on a link of kind {link}"
    states = Counter(p["status"] for p in f.e.tables["payment"])
    back = Counter(r["status"] for r in f.refunds.values())
    if len(f.refunds) < 20 or back["completed"] < 5:
        yield f"{len(f.refunds)} refunds, {back['completed']} completed"
    if len(f.payments) < 100 or states["completed"] < 50:
        yield f"{len(f.payments)} payments, {states['completed']} completed"


CHECKS = {
    "acknowledged": check_money.acknowledged, "keys": check_money.keys, "charges": check_money.charges,
    "truth": check_money.truth, "refunds": check_refund.refunds,
    "refund_truth": check_refund.refund_truth, "ledger": check_money.ledger, "events": check_trail.events,
    "positions": check_trail.positions, "audit": check_trail.audit, "webhooks": check_trail.webhooks,
    "sockets": check_trail.sockets, "canary": check_trail.canary, "rest": rest, "effort": effort,
}


def check(e, names=None):
    """name → what is wrong."""
    f = Facts(e)
    return {name: list(CHECKS[name](f)) for name in names or CHECKS}


def figures(e):
    f = Facts(e)
    states = Counter(p["status"] for p in e.tables["payment"])
    doubts = sum(line["kind"] == "lost" for line in e.client)
    kills = sum(d["deed"] in ("kill", "died") for d in e.meta["deeds"])
    dead = sum(d["status"] == "dead" for d in e.tables["webhook_delivery"])
    return (f"{len(f.payments)} payments ({', '.join(f'{n} {s}' for s, n in states.most_common())}), "
            f"{check_refund.figures(f)}, {len(e.client)} journal lines with {doubts} doubts, {len(e.charges)} charges, "
            f"{len(e.tables['event'])} events, {len(e.receiver)} webhooks with {dead} dead letters, "
            f"{len(e.frames)} frames, {len(e.faults)} faults, {kills} kills")

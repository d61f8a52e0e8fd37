"""Does the checker see? Doctored evidence, one lie at a time; each must be named by the check that stands for it."""

import json

import checker
from facts import Facts


def last(lines, wanted):
    """The number of the last line that fits."""
    return max(i for i, line in enumerate(lines) if wanted(json.loads(line)))


def lines_of(e, name):
    return e.text(name).splitlines()


def joined(lines):
    return "\n".join(lines) + "\n"


def charge_twice(e):
    said = json.loads(e.text("sandbox-charges.json"))
    charge = next(c for c in said["data"] if c["state"] == "paid")
    said["data"].append(charge | {"n": 10**6, "checkout_request_id": charge["checkout_request_id"] + "9"})
    return {"sandbox-charges.json": json.dumps(said)}


def charge_never_paid(e):
    """The provider says that a completed payment has failed."""
    said = json.loads(e.text("sandbox-charges.json"))
    done = {p["pay_code"] for p in e.tables["payment"] if p["status"] == "completed"}
    next(c for c in said["data"] if c["reference"] in done)["state"] = "failed"
    return {"sandbox-charges.json": json.dumps(said)}


def push_again(e):
    said = json.loads(e.text("sandbox-calls.json"))
    said["data"].append(said["data"][0] | {"n": 10**6, "accepted": False})
    return {"sandbox-calls.json": json.dumps(said)}


def webhook_lost(e):
    """No line is left of one message that the database calls delivered."""
    delivered = {d["event_id"] for d in e.tables["webhook_delivery"] if d["status"] == "delivered"}
    lines = lines_of(e, "receiver.jsonl")
    gone = json.loads(lines[last(lines, lambda x: x["id"] in delivered and x["status"] == 200)])
    return {"receiver.jsonl": joined(
        [x for x in lines if (json.loads(x)["id"], json.loads(x)["path"]) != (gone["id"], gone["path"])])}


def webhook_forged(e):
    lines = lines_of(e, "receiver.jsonl")
    x = json.loads(lines[0])
    lines[0] = json.dumps(x | {"timestamp": str(int(x["timestamp"]) + 1)})
    return {"receiver.jsonl": joined(lines)}


def answer_altered(e):
    """The client was told another amount than is stored."""
    lines = lines_of(e, "client.jsonl")
    i = last(lines, lambda x: x["kind"] == "answer" and x["op"] == "create" and x["status"] == 201)
    x = json.loads(lines[i])
    said = json.loads(x["body"])
    lines[i] = json.dumps(x | {"body": json.dumps(said | {"amount": "1.00"})})
    return {"client.jsonl": joined(lines)}


def answer_of_another(e):
    """Two answers to one key name two payments."""
    lines = lines_of(e, "client.jsonl")
    made = [i for i, line in enumerate(lines) for x in [json.loads(line)]
            if x["kind"] == "answer" and x["op"] == "create" and x["status"] == 201]
    x, y = json.loads(lines[made[0]]), json.loads(lines[made[-1]])
    return {"client.jsonl": joined([*lines, json.dumps(x | {"body": y["body"]})])}


def frames_swapped(e):
    lines = lines_of(e, "frames.jsonl")
    for i in range(len(lines) - 1):
        a, b = json.loads(lines[i]), json.loads(lines[i + 1])
        if a["connection"] == b["connection"] and a["payment"] == b["payment"] and a["frame"]["type"] != "hello":
            lines[i], lines[i + 1] = lines[i + 1], lines[i]
            return {"frames.jsonl": joined(lines)}
    raise AssertionError("no two events of one connection")


def phone_in_log(e):
    phone = next(w.phone for w in Facts(e).wants.values() if w.phone)
    return {"serve-a.log": e.text("serve-a.log") + f'{{"event":"x","phone":"{phone}"}}\n'}


def key_in_dump(e):
    return {"dump.sql": e.text("dump.sql") + e.meta["merchants"][0]["key"] + "\n"}


def phone_sealed_badly(e):
    phone = next(w.phone for w in Facts(e).wants.values() if w.phone)
    return {"dump.sql": e.text("dump.sql") + "\\\\x0100" + phone.encode().hex() + "00\n"}


def refund_altered(e):
    """A client was told another amount of money that comes back."""
    lines = lines_of(e, "client.jsonl")
    i = last(lines, lambda x: x["kind"] == "answer" and x["op"] == "refund" and x["status"] == 201)
    x = json.loads(lines[i])
    lines[i] = json.dumps(x | {"body": json.dumps(json.loads(x["body"]) | {"amount": "0.01"})})
    return {"client.jsonl": joined(lines)}


def paid_back_twice(e):
    """The provider has carried out a refund once more."""
    said = json.loads(e.text("sandbox-refunds.json"))
    one = next(x for x in said["data"] if x["state"] == "paid")
    said["data"].append(one | {"n": 10**6, "conversation_id": one["conversation_id"] + "9"})
    return {"sandbox-refunds.json": json.dumps(said)}


def never_paid_back(e):
    said = json.loads(e.text("sandbox-refunds.json"))
    next(x for x in said["data"] if x["state"] == "paid")["state"] = "failed"
    return {"sandbox-refunds.json": json.dumps(said)}


def pick(e, table, wanted):
    return next(r for r in e.tables[table] if wanted(r))


def trials(e):
    """(what was done, check that must name it, statements, files)."""
    done = pick(e, "payment", lambda p: p["status"] == "completed" and p["provider"] == "mpesa")
    mid = pick(e, "event", lambda x: x["seq"] == 2 and x["subject_id"] == done["id"])
    pid = done["id"]
    yield "an event is deleted", "events", [f"delete from reli.event where id = '{mid['id']}'"], None
    yield "a charge is doubled", "charges", [], charge_twice(e)
    yield "a delivered webhook never came", "webhooks", [], webhook_lost(e)
    yield "a ledger amount is changed", "ledger", [
        f"update reli.ledger_transfer set amount = amount + 100 where payment_id = '{pid}'"], None
    yield "an acknowledged payment's amount is changed", "acknowledged", [
        f"update reli.payment set amount = amount + 100 where id = '{pid}'"], None
    # Beyond what is asked: each check at least once.
    yield "an acknowledged payment is deleted", "acknowledged", [
        f"delete from reli.payment where id = '{pid}'"], None
    yield "an answer named another amount", "acknowledged", [], answer_altered(e)
    yield "one key names two payments", "keys", [], answer_of_another(e)
    yield "a request was sent again", "charges", [], push_again(e)
    yield "a completed payment was never paid", "truth", [], charge_never_paid(e)
    yield "a paid payment has failed", "truth", [
        f"update reli.payment set status = 'failed', received = 0, refund_reserved = 0, fee = 0, "
        f"failure_code = 'declined' where id = '{pid}'"], None
    yield "a refund was acknowledged with another amount", "refunds", [], refund_altered(e)
    yield "more is refunded than was received", "refunds", [
        "update reli.refund set amount = amount * 1000 where status = 'completed'"], None
    yield "a refund is forgotten", "refunds", ["delete from reli.refund where status = 'completed'"], None
    yield "nobody has confirmed a refund", "refund_truth", [
        "update reli.refund set status = 'completed' where status = 'in_reconciliation'"], None
    yield "a rail that had failed is asked again", "refund_truth", [
        "insert into reli.refund_attempt select (jsonb_populate_record(a, '{\"n\": 2}')).* from reli.refund_attempt a "
        "where n = 1 and rail = 'manual'",
        "update reli.refund_attempt set status = 'failed' where n = 1 and rail = 'manual'"], None
    yield "the provider refunded twice", "refund_truth", [], paid_back_twice(e)
    yield "the provider never refunded", "refund_truth", [], never_paid_back(e)
    yield "a balance is off", "ledger", ["update reli.ledger_balance set balance = balance + 1"], None
    yield "a transfer is deleted", "ledger", [f"delete from reli.ledger_transfer where payment_id = '{pid}'"], None
    yield "an event shows another status", "events", [
        f"update reli.event set data = replace(data, '\"processing\"', '\"failed\"') where id = '{mid['id']}'"], None
    yield "an event has no position", "positions", [
        "update reli.log_position set n = n - 1, subjects = subjects[1:n - 1], seqs = seqs[1:n - 1] "
        "where kind = 1 and position = 1"], None
    yield "an audit row is deleted", "audit", [
        f"delete from reli.audit_log where subject_id = '{pid}' and action = 'payment.completed'"], None
    yield "an audit row is rewritten", "audit", [
        f"update reli.audit_log set actor = 'nobody' where subject_id = '{pid}'"], None
    yield "a seal is made anew without the key", "audit", ["update reli.audit_seal set mac = hash"], None
    yield "a webhook is signed by nobody", "webhooks", [], webhook_forged(e)
    yield "a delivery was never made", "webhooks", [
        f"delete from reli.webhook_delivery where event_id = '{mid['id']}'"], None
    yield "two frames are swapped", "sockets", [], frames_swapped(e)
    yield "a phone number is in a log", "canary", [], phone_in_log(e)
    yield "an API key is in the dump", "canary", [], key_in_dump(e)
    yield "a phone number is stored as bytes", "canary", [], phone_sealed_badly(e)
    yield "a job is left", "rest", ["update reli.job set run_at = '2020-01-01'"], None


def trial(e):
    """How many lies were named, and how many were not."""
    named = missed = 0
    for words, name, statements, files in trials(e):
        faults = checker.check(e.changed(statements, files), [name])[name]
        before = checker.check(e, [name])[name]
        if len(faults) > len(before):
            named += 1
            print(f"  named by {name}: {words}: {faults[0][:140]}", flush=True)
        else:
            missed += 1
            print(f"  FAIL  {name} did not see: {words}", flush=True)
    return named, missed

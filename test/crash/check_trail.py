"""What was told to whom, and what is kept of it: events, webhooks, sockets, the audit trail, and what nobody may see."""

import base64
import hashlib
import hmac
import re
import struct
import subprocess
import uuid

from facts import by, minor

# domain.md, sections 2.1 and 2.3: what may follow what, as far as this suite goes.
FOLLOWS = {
    None: {"pending"},
    "pending": {"processing", "requires_action", "failed", "cancelled", "expired"},
    "requires_action": {"completed", "cancelled", "expired", "processing", "failed", "in_reconciliation"},
    "processing": {"completed", "failed", "in_reconciliation", "expired", "requires_action"},
    "in_reconciliation": {"completed", "failed", "in_reconciliation"},
    "failed": {"completed"}, "expired": {"completed"}, "cancelled": {"completed"},
    "completed": set(),
}
REFUND_FOLLOWS = {
    None: {"pending_approval", "pending"},
    "pending_approval": {"pending", "rejected", "cancelled"},
    "pending": {"processing", "in_reconciliation", "cancelled"},
    "processing": {"completed", "failed", "in_reconciliation"},
    "in_reconciliation": {"completed", "failed"},
    "completed": set(), "failed": set(), "rejected": set(), "cancelled": set(),
}


def events(f):
    """Events have no holes, follow the table of states, and the last one is the payment."""
    if len(f.event_by_id) != len(f.e.tables["event"]):
        yield "two events have one id"
    for p in f.e.tables["payment"]:
        found = f.events[p["id"]]
        where = f"payment {p['id']}"
        if [x["seq"] for x in found] != list(range(1, p["version"] + 1)):
            yield f"{where}: version {p['version']}, seq {[x['seq'] for x in found]}"
            continue
        before, back = None, {}
        for x in found:
            status = x["said"]["status"]
            if x["merchant_id"] != p["merchant_id"]:
                yield f"{where}: event {x['seq']} is another merchant's"
            if x["type"].startswith("refund."):
                yield from refund_event(f, p, x, back)
                continue
            if x["type"] == "payment.updated":
                if plain(status) != before:
                    yield f"{where}: event {x['seq']} updates and changes the status"
                continue
            word = x["type"].removeprefix("payment.")
            if status != ("pending" if word == "initiated" else word):
                yield f"{where}: event {x['seq']} is {x['type']} and shows {status}"
            if status not in FOLLOWS.get(before, set()):
                yield f"{where}: {before} was followed by {status}"
            before = status
            if x["said"]["id"] != p["id"]:
                yield f"{where}: event {x['seq']} shows another payment"
        for r in f.refunds_of[p["id"]]:
            if back.get(r["id"]) != r["status"]:
                yield f"{where}: refund {r['id']} is {r['status']}, its events end with {back.get(r['id'])}"
        if before != plain(p["status"]):
            yield f"{where} is {p['status']}, its events end with {before}"
    for subject in f.events:
        if subject not in f.payments:
            yield f"events of {subject}, which does not exist"


def plain(status):
    """A payment's status without what its refunds have made of it."""
    return "completed" if status in ("partially_refunded", "refunded") else status


def refund_event(f, p, x, back):
    """One event of a refund; `back`: refund → its status so far."""
    said, where = x["said"], f"payment {p['id']}: event {x['seq']}"
    r, status = f.refunds.get(said["id"]), said["status"]
    if r is None or r["payment_id"] != p["id"] or said["payment_id"] != p["id"] or minor(said["amount"]) != r["amount"]:
        yield f"{where} shows another refund"
        return
    word = x["type"].removeprefix("refund.")
    if status != word and (word, status) != ("pending", "pending_approval"):
        yield f"{where} is {x['type']} and shows {status}"
    if status not in REFUND_FOLLOWS.get(back.get(r["id"]), set()):
        yield f"{where}: a refund's {back.get(r['id'])} was followed by {status}"
    back[r["id"]] = status


def positions(f):
    """Every event and every audit row has exactly one position, in order of seq, without gaps."""
    things = {1: by(f.e.tables["event"], "merchant_id"), 2: by(f.e.tables["audit_log"], "merchant_id")}
    for (merchant, kind), rows in by(f.e.tables["log_position"], "merchant_id", "kind").items():
        name = {1: "event", 2: "audit"}[kind]
        next_one, seen, last = 1, [], {}
        for r in sorted(rows, key=lambda r: r["position"]):
            if r["position"] != next_one:
                yield f"{name} positions of {merchant}: {next_one} expected, {r['position']} found"
            next_one = r["position"] + r["n"]
            items = list(zip(r["subjects"], r["seqs"] if kind == 1 else r["row_ids"]))
            if len(items) != r["n"]:
                yield f"{name} position {r['position']} of {merchant}: {len(items)} of {r['n']}"
            seen += items
        for subject, seq in seen if kind == 1 else ():
            if seq != last.get(subject, 0) + 1:
                yield f"event {seq} of {subject} has its position after {last.get(subject, 0)}"
            last[subject] = seq
        stored = {(x["subject_id"], x["seq"] if kind == 1 else x["id"]) for x in things[kind].pop(merchant, [])}
        if len(seen) != len(set(seen)) or set(seen) != stored:
            odd = sorted(set(seen) ^ stored)[:3]
            yield f"{name} positions of {merchant}: {len(seen)} for {len(stored)} rows, for example {odd}"
    for kind, rest in things.items():
        for merchant, rows in rest.items():
            yield f"{len(rows)} rows of kind {kind} of {merchant} have no position"
    if f.e.tables["log_new"]:
        yield f"{len(f.e.tables['log_new'])} rows wait for their position"


def audit(f):
    """Each change of status has its audit row, and the seals' chain holds."""
    rows = by(f.e.tables["audit_log"], "subject_id")
    for p in f.e.tables["payment"]:
        told = [x["type"] for x in f.events[p["id"]] if x["type"] != "payment.updated"]
        moves = [(r["action"], r["before"], r["after"]) for r in sorted(rows[p["id"]], key=lambda r: r["at_us"])]
        actions = [a for a, _, _ in moves]
        for word in set(told):
            names = ("refund.requested", "refund.approved") if word == "refund.pending" else (word,)
            kept = sum(a in names for a in actions)
            if kept != told.count(word):
                yield f"payment {p['id']}: {told.count(word)} × {word}, audited {kept} times"
        for action, _, after in moves:
            if action in ("payment.completed", "payment.failed", "payment.cancelled", "payment.expired",
                          "payment.processing", "payment.in_reconciliation") \
                    and after != action.removeprefix("payment."):
                yield f"payment {p['id']}: audit row {action} ends in {after}"
    yield from chain(f)


def chain(f):
    """SHA-256 over the previous hash, merchant, number and rows of each range of positions; HMAC over merchant,
    number, end and hash, by a key that the database holds only wrapped."""
    key = mac_key(f)
    rows = {(r["merchant_id"], r["subject_id"], r["id"]): r for r in f.e.tables["audit_log"]}
    at = {}
    for r in f.e.tables["log_position"]:
        if r["kind"] == 2:
            for i, item in enumerate(zip(r["subjects"], r["row_ids"])):
                at[r["merchant_id"], r["position"] + i] = item
    top = {}
    for merchant, position in at:
        top[merchant] = max(top.get(merchant, 0), position)
    seals = by(sorted(f.e.tables["audit_seal"], key=lambda s: s["n"]), "merchant_id")
    for merchant in set(seals) | set(top):
        previous, next_one = b"", 1
        for n, s in enumerate(seals[merchant], 1):
            if (s["n"], s["from_position"]) != (n, next_one):
                yield f"seal {s['n']} of {merchant} begins at {s['from_position']}, expected {n} at {next_one}"
            text = previous + uuid.UUID(merchant).bytes + struct.pack(">Q", s["n"])
            for position in range(s["from_position"], s["to_position"] + 1):
                row = rows.get((merchant, *at.get((merchant, position), ("", ""))))
                if row is None:
                    yield f"seal {s['n']} of {merchant}: the audit row at {position} is missing"
                    break
                text += sealed(position, row)
            previous = bytes(s["hash"])
            if hashlib.sha256(text).digest() != previous:
                yield f"seal {s['n']} of {merchant} does not fit its rows"
            text = uuid.UUID(merchant).bytes + struct.pack(">QQ", s["n"], s["to_position"]) + previous
            if hmac.new(key, b"audit_seal\0" + text, hashlib.sha256).digest() != bytes(s["mac"]):
                yield f"seal {s['n']} of {merchant} has another MAC"
            next_one = s["to_position"] + 1
        if next_one != top.get(merchant, 0) + 1:
            yield f"{top.get(merchant, 0)} audit rows of {merchant}, sealed {next_one - 1}"


def mac_key(f):
    """The newest HMAC key of the installation, unwrapped: format byte, number of the master key, nonce of 12 bytes,
    then AES-256-GCM, whose cipher is CTR from block 2. Its tag is not looked at: a wrong key makes no right MAC."""
    row = max((k for k in f.e.tables["installation_key"] if k["kind"] == "hmac"), key=lambda k: k["number"])
    wrapped = bytes(row["wrapped"])
    nonce, text = wrapped[5:17], wrapped[17:-16]
    master = base64.b64decode(f.meta["secrets"]["RELI_MASTER_KEY"])
    return subprocess.run(["openssl", "enc", "-d", "-aes-256-ctr", "-K", master.hex(), "-iv", nonce.hex() + "00000002"],
                          input=text, check=True, capture_output=True).stdout


def sealed(position, row):
    out = struct.pack(">Q", position) + uuid.UUID(row["subject_id"]).bytes + uuid.UUID(row["id"]).bytes
    for name in ("mode", "action", "actor", "before", "after", "detail"):
        text = row[name]
        out += b"\xff\xff\xff\xff" if text is None else struct.pack(">I", len(text.encode())) + text.encode()
    return out + struct.pack(">Q", row["at_us"])


# ---- what merchants were told ----

def same_resource(shown, stored):
    """The resource as it was; who the person is, is filled in when it is told."""
    a, b = dict(shown), dict(stored)
    a["customer"] = {"id": (a.get("customer") or {}).get("id")}
    b["customer"] = {"id": (b.get("customer") or {}).get("id")}
    return a == b


def signed(secret, h):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = f"{h['id']}.{h['timestamp']}.".encode() + h["bytes"]
    wanted = "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    return wanted in (h["signature"] or "").split(" ")


def wanted_deliveries(f):
    """(event, path, endpoint's id, secret) of every message that somebody asked for."""
    for i, m in enumerate(f.meta["merchants"]):
        for x in f.e.tables["event"]:
            if x["merchant_id"] != m["id"]:
                continue
            for endpoint in m["endpoints"]:
                if "*" in endpoint["events"] or x["type"] in endpoint["events"]:
                    yield x, endpoint["path"], endpoint["id"], endpoint["secret"]
            if (f.payments.get(x["subject_id"]) or {}).get("callback_url"):
                yield x, "/well/own", x["subject_id"], m["secret"]


def webhooks(f):
    """Every event was delivered at least once, correctly signed, or is in dead letters."""
    came = by(f.hooks, "path", "id")
    kept = by(f.e.tables["webhook_delivery"], "event_id", "endpoint_id")
    disabled = {w["id"] for w in f.e.tables["webhook_endpoint"] if w["status"] == "disabled"}
    secrets = {}
    for x, path, endpoint, secret in wanted_deliveries(f):
        secrets[path, x["id"]] = secret
        where = f"{x['type']} {x['seq']} of {x['subject_id']} to {path}"
        found = kept.pop((x["id"], endpoint), [])
        if len(found) != 1:
            yield f"{where}: {len(found)} deliveries"
            continue
        (d,) = found
        taken = [h for h in came[path, x["id"]] if h["status"] == 200]
        if d["status"] == "delivered":
            if not taken:
                yield f"{where}: delivered, says the database; nobody has taken it"
        elif d["status"] == "dead":
            if d["tries"] != f.meta["waits"] + 1:
                yield f"{where}: dead after {d['tries']} tries"
        elif d["status"] != "cancelled" or endpoint not in disabled:
            yield f"{where}: the delivery is {d['status']}"
    for key, found in kept.items():
        yield f"{len(found)} deliveries of event {key[0]} that nobody wants"
    yield from said(f, came, secrets)


def said(f, came, secrets):
    """Each message as it came: signed, of an event, and the same each time."""
    for (path, message), hooks in came.items():
        secret, x = secrets.get((path, message)), f.event_by_id.get(message)
        if secret is None or x is None:
            yield f"a message {message} at {path} that nobody wants"
            continue
        if len({h["body"] for h in hooks}) > 1:
            yield f"message {message} has {len({h['body'] for h in hooks})} bodies"
        for h in hooks:
            if not signed(secret, h):
                yield f"message {message} at {path} is not signed by the endpoint's secret"
        body = hooks[0]["said"]
        if (body.get("id"), body.get("type"), body.get("seq"), body.get("payment_id")) != \
                (x["id"], x["type"], x["seq"], x["subject_id"]) or not same_resource(body["data"], x["said"]):
            yield f"message {message} does not say what event {x['seq']} of {x['subject_id']} was"
        elif x["type"].startswith("payment.") and x["subject_id"] in f.want_of and \
                body["data"]["customer"]["phone"] != f.want_of[x["subject_id"]].phone:
            yield f"message {message} names another phone"


def sockets(f):
    """WebSockets: from where they were, one after the other, to the newest."""
    watched = by(f.e.frames, "payment")
    if not watched:
        yield "nobody has watched"
    for payment, frames in watched.items():
        p = f.payments.get(payment)
        if p is None:
            yield f"{payment} was watched and does not exist"
            continue
        seen = set()
        for number, lines in by(frames, "connection").items():
            where = f"payment {payment}, connection {number}"
            hello, at = lines[0]["frame"], lines[0]["after"]
            if hello.get("type") != "hello" or hello.get("channel") != f"transaction/{payment}":
                yield f"{where} begins with {hello.get('type')}"
            for line in lines[1:]:
                frame = line["frame"]
                at += 1
                if frame.get("seq") != at:
                    yield f"{where}: seq {frame.get('seq')} after {at - 1}"
                    at = frame.get("seq") or at
                x = f.event_by_id.get(frame.get("id"))
                if x is None or (x["subject_id"], x["seq"], x["type"]) != (payment, frame["seq"], frame["type"]) \
                        or not same_resource(frame["data"], x["said"]):
                    yield f"{where}: frame {frame.get('seq')} is not the event"
                seen.add(frame.get("seq"))
        if seen != set(range(1, p["version"] + 1)):
            yield f"payment {payment}: version {p['version']}, watched {sorted(seen)}"
        last = max(line["connection"] for line in frames)
        again = [line["frame"].get("seq") for line in frames if line["connection"] == last][1:]
        if again != list(range(1, p["version"] + 1)):
            yield f"payment {payment}: from the beginning {again}, version {p['version']}"


# ---- what nobody may see ----

PHONE = re.compile(r"(?<![0-9A-Za-z])\+?(?:254|0)?([17]\d{8})(?![0-9A-Za-z])")
HEX_PHONE = re.compile(r"323534(3[17](?:3\d){8})")
TOKENS = re.compile(r"whsec_[A-Za-z0-9+/]{8,}|rct_[0-9a-f]{16,}|wst_[0-9a-f]{16,}|/cb/[0-9a-f]{16,}|Bearer [A-Za-z0-9]")


def canary(f):
    """No secret, token, phone number or name in a log or in the dump."""
    phones = {w.phone[-9:] for w in f.wants.values() if w.phone}
    secrets = dict(f.meta["secrets"])
    secrets["the M-Pesa password"] = base64.b64encode(b"174379" + secrets["MPESA_PASSKEY"].encode()).decode()[:60]
    for i, m in enumerate(f.meta["merchants"]):
        secrets |= {f"API key {i}": m["key"], f"second API key {i}": m["second_key"], f"webhook secret {i}": m["secret"]}
        secrets |= {f"secret of endpoint {x['path']}": x["secret"] for x in m["endpoints"]}
    for name in ("serve-a.log", "serve-b.log", "dump.sql"):
        text = f.e.text(name)
        for what, secret in secrets.items():
            if secret in text or secret.removeprefix("whsec_") in text:
                yield f"{name} holds {what}"
        found = {m[1] for m in PHONE.finditer(text)} & phones
        found |= {bytes.fromhex(m[1]).decode() for m in HEX_PHONE.finditer(text)} & phones
        if found:
            yield f"{name} holds {len(found)} phone numbers"
        if "zqcanary" in text.lower() or b"zqcanary".hex() in text:
            yield f"{name} holds names or e-mail addresses"
        tokens = {m[0][:8] for m in TOKENS.finditer(text)}
        if tokens:
            yield f"{name} holds tokens: {sorted(tokens)}"

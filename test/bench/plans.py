"""The plans of reli's own statements, as PostgreSQL ran them for reli with its real parameters.

auto_explain writes down every plan of the service's role while a payment, a refund, webhooks, lists and
watchers go their way beside a million other payments. No statement may walk through a big table, sort
without bound, or look at more rows than it is meant to; each is named with the indexes that it used.
"""

import json
import pathlib
import re
import socket
import subprocess
import tempfile
import time
import uuid

import bench
import deliveries
from statement import text_of
from world import ROOT

V1 = "/api/v1"
LEAST = 100_000    # payments, for plans to be those of many
BIG = 10_000       # rows of a table that nobody may walk through
READ_MOST = 5_000  # rows that one node of a plan may look at, and SORT_MOST that it may sort
SORT_MOST = 2_000
SORTS = {"feed_page": 4_000}  # more, by design: the positions that a page looks at

# Without one of these the check has not looked where it hurts.
HOT = {"payment_create", "payment_move", "payment_get", "audit_list", "idempotency_get", "event_newer",
       "event_list", "callback_store", "fanout_get", "delivery_create", "delivery_get",
       "delivery_move", "job_due", "job_lease", "log_append", "log_waiting", "seal_waiting", "seal_rows",
       "payment_list", "payment_list_newer", "payment_list_count", "payment_list_of", "payment_list_of_newer",
       "payment_list_of_count", "reference_get", "refund_get", "refund_list", "refund_list_newer", "refund_list_count",
       "delivery_list", "delivery_list_newer", "delivery_list_count",
       "transfer_list", "transfer_list_newer", "transfer_list_count", "transfer_of_payment",
       "callback_show", "customer_list", "customer_list_newer", "customer_list_count", "customer_find",
       "exception_list", "callback_list", "callback_list_newer", "callback_list_count", "callback_list_of",
       "callback_reach", "delivery_reach", "payment_reach", "event_page",
       "payment_tally", "terms_get", "limit_lock", "feed_page"}
# What may look at more, and why.
MAY = {**{f"{name}_list_count": "counts up to 10 000" for name in ("payment", "delivery", "callback", "customer", "transfer")},
       "payment_tally": "tells of the newest 10 000", "retention": "once a day; its BRIN indexes give whole ranges of pages"}
# Lists whose filter matches little or nothing: a page ends after 4 000 rows.
IN_VAIN = ("/payments?status=failed", "/payments?provider=stripe",
           "/webhook-deliveries?status=dead", "/provider-events?status=dead")

SETTINGS = {"session_preload_libraries": "auto_explain", "auto_explain.log_min_duration": "0",
            "auto_explain.log_analyze": "on", "auto_explain.log_timing": "off", "auto_explain.log_format": "json",
            "auto_explain.log_parameter_max_length": "0"}


def words(text):
    return " ".join(re.sub(r"--[^\n]*", "", text).split()).rstrip(";")


# ---- what is run ----

class Shop:
    def __init__(self, reli, key):
        self.reli, self.key = reli, key

    def ask(self, method, path, body=None, also=()):
        """The answer as an object; any other status than a success or one of `also` is an error."""
        text = json.dumps(body) if body is not None else None
        status, _, said = self.reli.call(method, V1 + path, text, self.key, {"Idempotency-Key": str(uuid.uuid4())}
                                         if method == "POST" else None)
        if status // 100 != 2 and status not in also:
            raise RuntimeError(f"{method} {path}: {status} {said}")
        return json.loads(said) if said.startswith("{") else {}


def watch(reli, key, path, seconds=0):
    """A WebSocket up to its first bytes, so that what it has missed is read; held for as long."""
    with socket.create_connection(("127.0.0.1", reli.port), timeout=20) as s:
        s.sendall((f"GET {path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   f"Authorization: Bearer {key}\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: YmVuY2gtYmVuY2gtYmVuYw==\r\n\r\n").encode())
        said = b""
        while b"\r\n\r\n" not in said or said.endswith(b"\r\n\r\n"):
            part = s.recv(65536)
            said += part
            if not part or not said.startswith(b"HTTP/1.1 101"):
                raise RuntimeError(f"{path}: no upgrade: {said[:200]}")
        time.sleep(seconds)


def live(side, reli):
    """What a shop with many payments does on a day."""
    key = side.shops[0][1]
    shop, person = Shop(reli, key), {"id": "somebody", "phone": "+254711222333", "email": "a@example.com"}
    deliveries.add_endpoints(reli, key, [side.receiver.url(1), side.receiver.url(2), side.receiver.url(3, "half")])
    shop.ask("PUT", "/limits", {"limits": [
        {"currency": "KES", "scope": "customer", "window": "daily", "max_amount": "7000000000.00"},
        {"currency": "KES", "scope": "merchant", "window": "monthly", "max_amount": "1000000000000.00"}]})
    made = []
    for i in range(12):
        cash = {"provider": "cash", "amount": "1000.00", "currency": "KES", "customer": person, "reference": f"day-{uuid.uuid4()}"}
        made.append(shop.ask("POST", "/payments/initialize", cash))
        shop.ask("POST", "/payments/initialize", json.loads(bench.STK.replace("#####", f"{i:05}")))
        shop.ask("POST", f"/payments/{made[-1]['id']}/confirm", {})
        shop.ask("POST", f"/payments/{made[-1]['id']}/refund", {"amount": "10.00", "reason": "one"})
    _, word = side.b.create(reli, key=key)
    for _ in range(2):  # the same once more
        reli.call("POST", f"{V1}/payments/initialize", bench.CASH, key, {"Idempotency-Key": word})
    side.b.settled()
    old = side.w.db.value("select id from reli.payment where merchant_id = %s order by id offset 40 limit 1", side.shops[0][0])
    for p in made[:3]:
        for path in ("", "/refunds", "/refunds?page=1", f"/refunds?before={p['id']}", "/events"):
            shop.ask("GET", f"/payments/{p['id']}{path}")
        shop.ask("POST", "/payments/status", {"reference": p["reference"]})
        shop.ask("GET", f"/payments?reference={p['reference']}")
        shop.ask("GET", f"/ledger/transfers?payment_id={p['id']}")
        watch(reli, key, f"/ws/transaction/{p['id']}?after=0")
    head = side.w.db.value("select max(position) from reli.log_position where kind = 1 and merchant_id = %s", side.shops[0][0])
    for path in (f"/ws/user/somebody?after={head - 100}", f"/ws/merchant?after={head - 100}"):
        watch(reli, key, path)
    for path in ("/payments?", "/payments?status=completed&",
                 "/payments?customer_id=somebody&", "/payments?customer_id=nobody&page=1&", f"/payments?customer_id=somebody&before={old}&",
                 "/payments?page=2&", "/webhook-deliveries?page=2&", "/provider-events?page=2&", "/customers?page=2&",
                 "/ledger/transfers?page=2&", "/payments?date_from=2026-01-01T00:00:00Z&",
                 f"/payments?after={old}&", f"/payments?before={old}&", "/payments?min_amount=500&currency=KES&", "/events?",
                 "/events?type=payment.completed&", "/events?type=payment.failed&",
                 "/webhook-deliveries?", "/provider-events?", f"/provider-events?payment_id={made[0]['id']}&",
                 *(path + "&" for path in IN_VAIN), "/exceptions?",
                 "/exceptions?status=open&", "/customers?", "/customers?phone=%2B254711222333&", "/ledger/transfers?",
                 "/security-events?", "/balances?", "/metrics?", "/limits?", "/routes?"):
        for _ in range(2):
            found = shop.ask("GET", f"{path}limit=20" if path not in ("/balances?", "/metrics?", "/limits?", "/routes?") else path[:-1],
                             also=(403,))
        if found.get("has_more") and found.get("next") and not re.search("page=|after=|before=", path):
            shop.ask("GET", f"{path}limit=20&after={found['next']}")
            if not path.startswith("/events"):
                shop.ask("GET", f"{path}limit=20&before={found['next']}")
    watch(reli, key, f"/ws/transaction/{made[0]['id']}", 11)  # ws/hub.c looks every ten seconds for what it was not told
    waiting = "select count(*) from reli.{}"
    deliveries.wait_until(lambda: side.w.db.value(waiting.format("log_new")) == 0, "positions of all")


# ---- what is looked at ----

def nodes(plan):
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def faults(name, plan, sizes):
    """What is wrong with one plan of a statement, in words; and the indexes it used."""
    bad, used = [], set()
    for node in nodes(plan):
        loops = node.get("Actual Loops", 0)
        if "Index Name" in node:
            used.add(node["Index Name"])
        if loops == 0:
            continue
        kind, table = node["Node Type"], node.get("Relation Name", "")
        seen = (node.get("Actual Rows", 0) + node.get("Rows Removed by Filter", 0)
                + node.get("Rows Removed by Index Recheck", 0)) * loops
        if kind == "Seq Scan" and sizes.get(table, 0) > BIG:
            bad.append(f"walks through {table}")
        elif "Scan" in kind and seen > READ_MOST:
            bad.append(f"looks at {seen:,} rows of {table or node.get('CTE Name', '?')}")
        if kind in ("Sort", "Incremental Sort") and node.get("Actual Rows", 0) > SORTS.get(name, SORT_MOST):
            bad.append(f"sorts {node['Actual Rows']:,} rows")
    return bad, used


def read_log(path, start):
    with open(path, encoding="utf-8", errors="replace") as log:
        log.seek(start)
        text = log.read()
    for found in re.finditer(r"LOG:  duration: [\d.]+ ms  plan:\n((?:\t.*\n)+)", text):
        yield json.loads(re.sub(r"(?m)^\t", "", found[1]))


def outline(plan, depth=0):
    """A plan as people read it."""
    words_ = [plan["Node Type"]] + [plan[k] for k in ("Relation Name", "Index Name", "CTE Name") if k in plan]
    lines = [f"{'  ' * depth}{' '.join(words_)}: {plan.get('Actual Rows', 0)} rows x {plan.get('Actual Loops', 0)}"]
    lines += [f"{'  ' * depth}  {k}: {plan[k]}" for k in ("Index Cond", "Filter", "Sort Key") if k in plan]
    for part in plan.get("Plans", ()):
        if part.get("Actual Loops", 0) > 0:
            lines += outline(part, depth + 1)
    return lines


def record(side):
    """All plans of the service while `live` goes on."""
    log = pathlib.Path((side.w.folder / "place").read_text().splitlines()[1]) / "postgres.log"
    for name, value in SETTINGS.items():
        side.admin.rows(f"alter role reli_service set {name} = '{value}'")
    start = log.stat().st_size
    sandbox = side.w.sandbox()
    reli = side.w.serve(MPESA_BASE_URL=f"http://127.0.0.1:{sandbox.port}/mpesa")
    try:
        live(side, reli)
    finally:
        side.w.stop(reli)
        side.w.stop(sandbox)
        side.admin.rows("alter role reli_service reset all")
    return read_log(log, start)


def timed(side, path):
    began = time.monotonic()
    Shop(side.reli, side.shops[0][1]).ask("GET", path)
    return time.monotonic() - began


def check(side, out):
    """The statements whose plans are bad; each is printed with one of them."""
    if side.n < LEAST:
        out.note(f"plans are looked at from {LEAST:,} payments on: what is small may be sorted whole")
        return {}
    with tempfile.TemporaryDirectory() as made:
        subprocess.run(["scripts/lists.sh", made], cwd=ROOT, check=True)
        names = {words(text_of(path)): path.stem
                 for path in [*(ROOT / "sql/query").glob("*.sql"), *pathlib.Path(made).glob("*.sql")]}
    sizes = {r["name"]: r["n"] for r in side.w.db.rows(
        "select c.relname as name, greatest(c.reltuples, 0)::int8 as n from pg_class c where c.relkind in ('r', 'p')")}
    slowest = max((timed(side, path), path) for path in IN_VAIN)
    out.row(f"the slowest list of none, of {side.n // len(side.shops):,}, ms", f"{slowest[0] * 1e3:.0f}")
    out.note(f"GET {slowest[1]}: filters that match nothing look at 4 000 rows")
    side.w.stop(side.reli)
    seen, bad = {}, {}
    for one in record(side):
        name = names.get(words(one["Query Text"]))
        if name is None:
            continue
        wrong, used = faults(name, one["Plan"], sizes)
        count, indexes = seen.get(name, (0, set()))
        seen[name] = (count + 1, indexes | used)
        if wrong and name not in MAY:
            bad.setdefault(name, (wrong, one["Plan"]))
    for name in sorted(HOT - seen.keys()):
        bad[name] = (["was not seen: test/bench/plans.py does not reach it any more"], None)
    for name, (wrong, plan) in sorted(bad.items()):
        out.say(f"  {name}: {'; '.join(sorted(set(wrong)))}")
        for line in outline(plan) if plan is not None else ():
            out.say(f"      {line}")
    (side.w.tools / "plans.txt").write_text("".join(
        f"{name}: {count} plans; {', '.join(sorted(indexes)) or 'no index'}\n"
        for name, (count, indexes) in sorted(seen.items())))
    out.row("statements whose plans were looked at", f"{len(seen)}")
    out.row("of these read or sort without bound", f"{len(bad)}", "0", len(bad), at_most=0)
    out.note(f"indexes of each: {side.w.tools / 'plans.txt'}")
    return bad

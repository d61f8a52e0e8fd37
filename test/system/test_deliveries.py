"""Webhooks that arrive although endpoints are slow, dead, lossy; and what is told of each request."""

import base64
import hashlib
import hmac
import json
import random
import re
import subprocess
import threading
import time

from helpers import ROOT, V1, wait_until
from test_payouts import pay_out

ENDPOINTS = V1 + "/webhook-endpoints"
DELIVERIES = V1 + "/webhook-deliveries"


def deliveries(shop, query=""):
    found, after = [], ""
    while True:
        r = shop.get(f"{DELIVERIES}?limit=100&{query}{after}")
        assert r.status == 200, r
        found += r.json["data"]
        if not r.json["has_more"]:
            return found
        after = f"&after={r.json['next']}"


def test_every_request_is_told(replicas, clock, receiver):
    shop = replicas.shop(replicas.one())
    receiver.answers["/hook"] = [(500, {}, b"out of \xff\x00 order" + b"." * 2000), None, (200, {}, b"thanks")]
    made = shop.endpoint(receiver.url(), ["payment.initiated"])
    shop.pay()
    receiver.wait(1)
    (d,) = wait_until(lambda: [d for d in deliveries(shop) if d["tries"] == 1], 10, "the first is recorded")
    clock.advance(80)
    receiver.wait(2)
    receiver.released.set()  # the connection is closed without an answer
    wait_until(lambda: deliveries(shop)[0]["tries"] == 2 and deliveries(shop)[0]["status"] == "retry", 30, "the second")
    clock.advance(400)
    wait_until(lambda: deliveries(shop)[0]["status"] == "delivered", 10, "the third")
    r = shop.get(f"{DELIVERIES}/{d['id']}")
    assert r.status == 200, r
    told = r.json
    first, second, third = told.pop("attempts")
    assert told == deliveries(shop)[0] and told["endpoint_id"] == made["id"]
    assert [a["n"] for a in (first, second, third)] == [1, 2, 3]
    assert first["http_status"] == 500 and first["answer"].startswith("out of ?? order...")
    assert len(first["answer"]) == 512 and first["latency_ms"] < 15000
    assert second["http_status"] is None and second["answer"] is None and second["error"]
    assert third["http_status"] == 200 and third["answer"] == "thanks" and third["error"] is None
    assert deliveries(shop, f"endpoint_id={made['id']}&") == deliveries(shop)
    assert deliveries(shop, f"endpoint_id={d['id']}&") == []
    assert shop.get(f"{DELIVERIES}/{made['id']}").status == 404


def test_an_answer_in_another_script_is_shown(reli, receiver):
    """512 bytes may end within a character; the ones before it are shown all the same."""
    said = "خطأ\n€ zu groß: " + "ه" * 400
    receiver.answers["/hook"] = (200, {}, said.encode())
    reli.endpoint(receiver.url(), ["payment.initiated"])
    for lead in ("", "x"):
        receiver.answers["/hook"] = (200, {}, (lead + said).encode())
        p = reli.pay()
        (d,) = wait_until(lambda p=p: [d for d in deliveries(reli, "status=delivered")
                                       if d["payment_id"] == p["id"]], 10, "delivered")
        (attempt,) = reli.get(f"{DELIVERIES}/{d['id']}").json["attempts"]
        assert attempt["answer"] == (lead + said).encode()[:512].decode(errors="ignore")


def test_a_disabled_endpoint_is_told_to_people(reli, receiver):
    made = reli.endpoint(receiver.url(), ["payment.initiated"])
    receiver.answers["/hook"] = 410
    for _ in range(3):
        reli.pay()
    items = wait_until(lambda: [e for e in reli.get(V1 + "/exceptions?limit=100").json["data"]
                                if e["kind"] == "endpoint_disabled"], 10, "an item for people")
    assert len(items) == 1 and made["id"] in items[0]["detail"]
    assert reli.get(f"{ENDPOINTS}/{made['id']}").json["status"] == "disabled"
    r = reli.post(f"{V1}/exceptions/{items[0]['id']}/resolve", {"resolution": "noted", "evidence": "switched off"})
    assert r.status == 200, r


def test_what_was_cancelled_is_recovered(reli, receiver):
    made = reli.endpoint(receiver.url(), ["payment.initiated"])
    receiver.answers["/hook"] = [410, 200]
    p = reli.pay()
    wait_until(lambda: reli.get(f"{ENDPOINTS}/{made['id']}").json["status"] == "disabled", 10, "disabled")
    wait_until(lambda: [d["status"] for d in deliveries(reli)] == ["dead"], 10, "given up")
    assert reli.patch(f"{ENDPOINTS}/{made['id']}", {"status": "enabled"}).status == 200
    before = {"since": "2020-01-01T00:00:00Z", "until": "2021-01-01T00:00:00Z"}
    r = reli.post(f"{ENDPOINTS}/{made['id']}/recover", before)
    assert (r.status, r.json["deliveries"], r.json["has_more"]) == (202, 0, False), r
    r = reli.post(f"{ENDPOINTS}/{made['id']}/recover", {"since": "2020-01-01T00:00:00Z"})
    assert (r.status, r.json["deliveries"]) == (202, 1), r
    assert receiver.wait(2)[1].json["payment_id"] == p["id"]


def test_signed_with_a_private_key(reli, receiver, tmp_path):
    made = reli.post(ENDPOINTS, {"url": receiver.url(), "events": ["payment.initiated"], "signature": "v1a"}).json
    assert made["public_key"].startswith("whpk_")
    shown = reli.get(f"{ENDPOINTS}/{made['id']}").json
    assert shown["public_key"] == made["public_key"] and "whsk_" not in json.dumps(made)
    reli.pay()
    (hook,) = receiver.wait(1)
    assert hook.signed_by(made["secret"])
    (v1a,) = [s.removeprefix("v1a,") for s in hook.signatures if s.startswith("v1a,")]
    # the DER of an Ed25519 public key is this prefix and the 32 bytes (RFC 8410)
    public = bytes.fromhex("302a300506032b6570032100") + base64.b64decode(made["public_key"].removeprefix("whpk_"))
    (tmp_path / "key").write_bytes(public)
    (tmp_path / "signature").write_bytes(base64.b64decode(v1a))
    signed = f"{hook.id}.{hook.timestamp}.".encode() + hook.body

    def verify(message):
        (tmp_path / "message").write_bytes(message)
        return subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key",
                               "-rawin", "-in", "message", "-sigfile", "signature"],
                              cwd=tmp_path, capture_output=True, timeout=30).returncode == 0

    assert verify(signed) and not verify(signed + b" ")
    plain = reli.endpoint("https://shop.example/hook")
    assert plain["public_key"] is None
    assert reli.post(ENDPOINTS, {"url": receiver.url(), "signature": "v2"}).status == 422


def test_in_order_when_asked_for(replicas, clock, receiver):
    """The second event waits for the first; another payment's does not."""
    shop = replicas.shop(replicas.one())
    r = shop.post(ENDPOINTS, {"url": receiver.url(), "ordered": True})
    assert r.status == 201 and r.json["ordered"] is True, r
    first = []

    def answer(hook):
        first.append(hook.json["payment_id"])
        return 500 if len(first) == 1 else 200

    receiver.answers["/hook"] = answer
    one, other = shop.pay(), None
    receiver.wait(1)
    assert shop.post(f"{V1}/payments/{one['id']}/confirm", {}).status == 200
    other = shop.pay()
    receiver.wait(2, payment=other["id"])
    wait_until(lambda: len(deliveries(shop)) == 5, 10, "all five exist")
    assert len(receiver.at(payment=one["id"])) == 1
    clock.advance(80)
    hooks = receiver.wait(4, payment=one["id"], deadline=20)
    seqs = [h.json["seq"] for h in hooks]
    assert seqs == [1, 1, 2, 3], "one after the other, the first once more"


def test_what_waits_for_its_turn_obeys_a_change(replicas, clock, receiver):
    """One that this replica made at once, another's within a second."""
    first, second = replicas(2)
    shop = replicas.shop(first)
    gates = {"/moved": threading.Event(), "/deleted": threading.Event()}

    def held(hook):
        assert gates[hook.path].wait(30)
        return 200

    receiver.answers.update(dict.fromkeys(gates, held))
    moved, deleted = (shop.endpoint(receiver.url(path), ["payment.initiated"])["id"] for path in gates)
    for _ in range(6):
        shop.pay()
    for path in gates:
        receiver.wait(4, path)
    wait_until(lambda: len(deliveries(shop)) == 12, 10, "all are made, two wait at each endpoint")
    assert shop.patch(f"{ENDPOINTS}/{moved}", {"url": receiver.url("/there")}).status == 200
    gates["/moved"].set()
    receiver.wait(2, "/there")
    assert shop.at(second).delete(f"{ENDPOINTS}/{deleted}").status == 204
    clock.advance(2)
    gates["/deleted"].set()
    wait_until(lambda: len(deliveries(shop, "status=cancelled&")) == 2, 10, "those that waited are cancelled")
    assert len(receiver.at("/moved")) == len(receiver.at("/deleted")) == 4


def test_one_that_waits_for_too_long_comes_back_later(replicas, clock, receiver):
    """It gives its job back, and no try is counted."""
    replica = replicas.one()
    shop = replicas.shop(replica)
    gate = threading.Event()

    def held(hook):
        assert gate.wait(30)
        return 200

    receiver.answers["/hook"] = held
    shop.endpoint(receiver.url(), ["payment.initiated"])
    for _ in range(5):
        shop.pay()
    receiver.wait(4)
    wait_until(lambda: len(deliveries(shop)) == 5, 10, "all are made, one waits")
    clock.advance(21)

    def given_back():
        return replica.database.rows("select 1 from reli.job where kind = 'delivery' and lease_until = run_at and "
                                     "run_at between to_timestamp(%s) and to_timestamp(%s)",
                                     clock.now() + 10, clock.now() + 45)

    wait_until(lambda: len(given_back()) == 1, 10, "its job is given back")
    gate.set()
    wait_until(lambda: len(deliveries(shop, "status=delivered&")) == 4, 10, "the others are delivered")
    clock.advance(45)
    wait_until(lambda: len(deliveries(shop, "status=delivered&")) == 5, 10, "it is delivered too")
    assert {d["tries"] for d in deliveries(shop)} == {1} and len(receiver.at()) == 5


def test_ten_endpoints_one_dead_one_slow_one_failing_half(reli, receiver):
    """The seven that are well get everything as if they were alone, and so do the others in the end."""
    names = [f"/well{i}" for i in range(7)] + ["/dead", "/slow", "/half"]
    for name in names:
        reli.endpoint(receiver.url(name), ["payment.initiated"])
    turn = random.Random(1)

    def slow(hook):
        time.sleep(0.25)  # the endpoint is slow; nothing waits here for a result
        return 200

    receiver.answers.update({"/dead": None, "/slow": slow, "/half": lambda hook: turn.choice((200, 503))})
    n = 12
    made = [reli.pay()["id"] for _ in range(n)]
    for name in names[:7]:
        hooks = receiver.wait(n, name)
        assert {h.json["payment_id"] for h in hooks} == set(made)
    assert len(receiver.at("/dead")) <= 4, "its share at once, before the first of them has timed out"
    wait_until(lambda: {h.json["payment_id"] for h in receiver.at("/slow")} == set(made), 30, "the slow one has all")
    wait_until(lambda: {h.json["payment_id"] for h in receiver.at("/half")} == set(made), 30, "half has seen all")


def consumer_class():
    """The one of the README, as it stands there."""
    (code,) = re.findall(r"```python\n(class Consumer.*?)```", (ROOT / "README.md").read_text(), re.S)
    space = {"base64": base64, "hashlib": hashlib, "hmac": hmac, "json": json, "time": time}
    exec(compile(code, "README.md", "exec"), space)  # noqa: S102
    return space["Consumer"]


def test_the_readmes_consumer_heals_losses_and_disorder(reli, receiver):
    """A third of what is delivered gets lost behind the receiver, the rest comes shuffled, some twice."""
    secret = reli.endpoint(receiver.url())["secret"]
    chance, lock = random.Random(7), threading.Lock()
    state, held = {}, []

    def get(path):
        r = reli.get(path)
        assert r.status == 200, r
        return r.json

    def apply(event):
        state[event["data"]["id"]] = event["data"]["status"]

    consumer = consumer_class()(secret, get, apply)
    lost = []

    def lossy(hook):
        with lock:
            if chance.random() < 0.3:
                lost.append(hook.id)
                return 200
            held.append(hook)
            if len(held) >= 5:
                chance.shuffle(held)
                while held:
                    h = held.pop()
                    for _ in range(1 + (chance.random() < 0.2)):
                        assert consumer.receive({k.lower(): v for k, v in h.headers.items()}, h.body) == 200
        return 200

    receiver.answers["/hook"] = lossy
    made = [reli.pay()["id"] for _ in range(40)]
    for i in made:
        assert reli.post(f"{V1}/payments/{i}/confirm", {}).status == 200
    wait_until(lambda: len({h.id for h in receiver.at()}) == 120, 30, "every event was sent")
    assert len(lost) > 10
    forged = {"webhook-id": "x", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1,AAAA"}
    assert consumer.receive(forged, b"{}") == 401

    def all_there():
        with lock:
            consumer.heal()
        return len(consumer.seen) == 120

    wait_until(all_there, 20, "what was lost is found in GET /events")
    assert state == {i: "completed" for i in made}


def test_the_readmes_consumer_follows_refunds_and_payouts(reli, receiver, sandbox):
    """Their numbers are not the payment's: a refund's event hides none of its payment's, a payout's no other payout's.
    All come in the wrong order, while GET /events has nothing yet."""
    secret = reli.endpoint(receiver.url())["secret"]
    p = reli.pay()
    assert reli.post(f"{V1}/payments/{p['id']}/confirm", {}).status == 200
    refund = reli.post(f"{V1}/payments/{p['id']}/refund", {"amount": "1.00", "reason": "late"}).json["id"]
    payouts = [pay_out(reli, amount="10.00")["id"] for _ in range(2)]

    def told():
        return {(h.json["data"]["id"], h.json["type"]) for h in receiver.at()}

    wait_until(lambda: told() >= {(p["id"], "payment.completed"), (refund, "refund.pending"),
                                  *((i, "payout.completed") for i in payouts)}, 30, "all is told")
    hooks = sorted(receiver.at(), key=lambda h: -h.json["seq"])
    state = {}

    def nothing(path):
        return {"data": [], "has_more": False, "next": None}

    consumer = consumer_class()(secret, nothing, lambda event: state.update({event["data"]["id"]: event["type"]}))
    for h in hooks:
        assert consumer.receive({k.lower(): v for k, v in h.headers.items()}, h.body) == 200
    assert state[p["id"]] == "payment.completed" and state[refund].startswith("refund.")
    assert [state[i] for i in payouts] == ["payout.completed"] * 2

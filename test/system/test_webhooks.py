"""Webhooks to merchants: endpoints, signatures, retries, dead letters."""

import concurrent.futures
import json
import socket
import subprocess
import threading

import pytest
from helpers import V1, cash, free_port, npm_packages, parse_time, secret_key, stk, wait_until

ENDPOINTS = V1 + "/webhook-endpoints"
DELIVERIES = V1 + "/webhook-deliveries"
WAITS = [60, 300, 900, 3600, 21600]  # RELI_WEBHOOK_SCHEDULE by default


def deliveries(shop, query=""):
    r = shop.get(f"{DELIVERIES}?limit=100&{query}")
    assert r.status == 200, r
    return r.json["data"]


# ---- endpoints ----


def test_an_endpoints_life(reli):
    r = reli.post(ENDPOINTS, {"url": "https://shop.example/hook", "events": ["payment.completed"],
                              "description": "books"})
    assert r.status == 201, r
    made = r.json
    assert made["object"] == "webhook_endpoint" and made["status"] == "enabled"
    assert made["events"] == ["payment.completed"] and made["description"] == "books"
    assert 24 <= len(secret_key(made["secret"])) <= 64
    path = f"{ENDPOINTS}/{made['id']}"
    shown = reli.get(path).json
    assert "secret" not in shown and shown == {k: v for k, v in made.items() if k != "secret"}
    assert reli.get(ENDPOINTS).json["data"] == [shown]
    r = reli.patch(path, {"events": ["*"], "url": "https://shop.example/other", "status": "disabled"})
    assert r.status == 200, r
    assert (r.json["events"], r.json["status"]) == (["*"], "disabled")
    assert r.json["description"] == "books" and "secret" not in r.json
    assert reli.patch(path, {"status": "enabled"}).json["status"] == "enabled"
    assert reli.delete(path).status == 204
    for r in (reli.get(path), reli.delete(path), reli.patch(path, {"status": "enabled"}),
              reli.post(path + "/rotate-secret", {})):
        assert r.status == 404 and r.code == "not_found", r
    assert reli.get(ENDPOINTS).json["data"] == []


def test_another_merchants_endpoint_is_not_there(reli, stack, shared):
    made = reli.endpoint("https://shop.example/hook")
    other = stack.shop(shared)
    live = reli.with_key(stack.api_key(shared, reli.merchant, "live"))
    path = f"{ENDPOINTS}/{made['id']}"
    for shop in (other, live):
        assert shop.get(path).status == 404
        assert shop.patch(path, {"status": "disabled"}).status == 404
        assert shop.post(path + "/rotate-secret", {}).status == 404
        assert shop.delete(path).status == 404
        assert shop.get(ENDPOINTS).json["data"] == []
    assert reli.get(path).json["status"] == "enabled"


def test_endpoints_need_their_scope(reli, stack, shared):
    key = stack.api_key(shared, reli.merchant, "test", "--scopes", "payments:read,payments:write")
    r = reli.with_key(key).post(ENDPOINTS, {"url": "https://shop.example/"})
    assert r.status == 403 and r.code == "forbidden", r


def test_a_type_that_is_named_twice_is_kept_once(reli):
    twice = ["payment.failed", "payment.completed", "payment.failed", "payment.completed"]
    made = reli.post(ENDPOINTS, {"url": "https://shop.example/hook", "events": twice}).json
    assert made["events"] == ["payment.failed", "payment.completed"], made
    r = reli.patch(f"{ENDPOINTS}/{made['id']}", {"events": ["*", "*"]})
    assert r.json["events"] == ["*"], r


@pytest.mark.parametrize("body, param", [
    ({}, "url"), ({"url": 1}, "url"), ({"url": ""}, "url"), ({"url": "shop.example"}, "url"),
    ({"url": "ftp://shop.example/"}, "url"), ({"url": "https://u:p@shop.example/"}, "url"),
    ({"url": "https://"}, "url"), ({"url": "https://shop.example/" + "x" * 2000}, "url"),
    ({"url": "https://shop.example/", "events": []}, "events"),
    ({"url": "https://shop.example/", "events": "*"}, "events"),
    ({"url": "https://shop.example/", "events": ["payment.done"]}, "events"),
    ({"url": "https://shop.example/", "events": [1]}, "events"),
    ({"url": "https://shop.example/", "events": ["*"] * 33}, "events"),
    ({"url": "https://shop.example/", "secret": "whsec_mine"}, "secret"),
    ({"url": "https://shop.example/", "description": 1}, "description"),
])
def test_endpoints_refused(reli, body, param):
    r = reli.post(ENDPOINTS, body)
    assert r.status == 422 and r.json["param"] == param, r


def test_no_more_than_sixteen(reli):
    for i in range(16):
        reli.endpoint(f"https://shop.example/{i}")
    r = reli.post(ENDPOINTS, {"url": "https://shop.example/17"})
    assert r.status == 409 and r.code == "invalid_state", r
    assert len(reli.get(ENDPOINTS).json["data"]) == 16


def test_no_more_than_sixteen_whoever_comes_at_once(reli):
    """What is beyond the limit of a fan-out would get nothing, and nobody would be told."""
    def make(n):
        return reli.post(ENDPOINTS, {"url": f"https://shop.example/{n}"})

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(make, range(22)))
    made = [r.json["id"] for r in answers if r.status == 201]
    assert len(made) == 16 and {r.code for r in answers if r.status != 201} == {"invalid_state"}
    assert {e["id"] for e in reli.get(ENDPOINTS).json["data"]} == set(made)
    assert reli.delete(f"{ENDPOINTS}/{made[5]}").status == 204
    assert [make(n).status for n in (30, 31)] == [201, 409]


PRIVATE = ["http://shop.example/", "https://127.0.0.1/", "https://10.1.2.3/", "https://192.168.0.1/",
           "https://172.16.0.1/", "https://169.254.169.254/latest/meta-data/", "https://[::1]/",
           "https://[fd00::1]/", "https://[fe80::1]/", "https://0.0.0.0/", "https://100.64.0.1/",
           "https://[::ffff:127.0.0.1]/", "https://2130706433/", "https://0x7f000001/", "https://127.1/"]


@pytest.fixture(scope="module")
def strict(stack):
    """A replica that may not call private addresses."""
    replica = stack.serve(stack.database(), RELI_WEBHOOK_ALLOW_PRIVATE=None).ready()
    yield replica
    stack.leave(replica)


@pytest.fixture(scope="module")
def strict_shop(stack, strict):
    return stack.shop(strict)


@pytest.mark.parametrize("url", PRIVATE)
def test_private_addresses_are_refused(strict_shop, url):
    r = strict_shop.post(ENDPOINTS, {"url": url})
    assert r.status == 422 and r.json["param"] == "url", r
    r = strict_shop.initialize(cash(callback_url=url))
    assert r.status == 422 and r.json["param"] == "callback_url", r


def test_an_address_is_looked_at_before_each_try(strict_shop, strict, receiver):
    """A name that was public when the endpoint was made may be private when it is called."""
    made = strict_shop.endpoint("https://shop.example/hook")
    strict.database.rows("update reli.webhook_endpoint set url = %s where id = %s",
                         f"https://{socket.gethostname()}:{receiver.port}/hook", made["id"])
    strict_shop.pay()
    found = wait_until(lambda: [d for d in deliveries(strict_shop) if d["tries"] > 0], 10, "a try")
    assert found[0]["last_http_status"] is None
    assert found[0]["last_error"] in ("address not allowed", "cannot be sent")
    assert receiver.hooks == []


# ---- signatures ----


def verify_by_reference(hook, secret):
    """By the npm package of Standard Webhooks."""
    library = npm_packages() / "node_modules/standardwebhooks"
    script = """
        const { Webhook } = require(process.argv[1]);
        const [secret, headers, body] = JSON.parse(require('fs').readFileSync(0, 'utf8'));
        new Webhook(secret).verify(body, headers);
        console.log('verified');"""
    headers = {k: v for k, v in hook.headers.items() if k.lower().startswith("webhook-")}
    done = subprocess.run(["node", "-e", script, str(library)], text=True, capture_output=True, timeout=30,
                          input=json.dumps([secret, headers, hook.body.decode()]))
    assert done.stdout.strip() == "verified", done.stderr


def check_hook(hook, secret, payment_id):
    assert hook.signed_by(secret), hook.headers
    verify_by_reference(hook, secret)
    assert abs(int(hook.timestamp) - hook.at) < 60
    assert hook.headers["content-type"] == "application/json"
    e = hook.json
    assert list(e) == ["id", "type", "seq", "timestamp", "mode", "payment_id", "data"]
    assert e["id"] == hook.id and e["mode"] == "test"
    assert e["payment_id"] == e["data"]["id"] == payment_id
    parse_time(e["timestamp"])


def test_events_arrive_signed(reli, receiver):
    made = reli.endpoint(receiver.url())
    p = reli.pay(customer={"phone": "+254700000001", "name": "Ann"})
    reli.post(f"{V1}/payments/{p['id']}/confirm", {})
    hooks = sorted(receiver.wait(3), key=lambda h: h.json["seq"])
    assert [(h.json["seq"], h.json["type"]) for h in hooks] == [
        (1, "payment.initiated"), (2, "payment.requires_action"), (3, "payment.completed")]
    for hook in hooks:
        check_hook(hook, made["secret"], p["id"])
        assert hook.json["data"]["customer"]["name"] == "Ann"
        assert "client_token" not in hook.json["data"]
    wait_until(lambda: [d["status"] for d in deliveries(reli)] == ["delivered"] * 3, 5, "all delivered")
    assert {d["event_id"] for d in deliveries(reli)} == {h.id for h in hooks}
    assert len(receiver.at()) == 3


def test_the_state_is_that_of_the_event(reli, receiver):
    """Trap 6 of domain.md, section 6: rendered at the commit, not when it is sent."""
    reli.endpoint(receiver.url())
    p = reli.pay()
    reli.post(f"{V1}/payments/{p['id']}/confirm", {})
    for hook in receiver.wait(3):
        d = hook.json["data"]
        assert "payment." + {"pending": "initiated"}.get(d["status"], d["status"]) == hook.json["type"]
        assert d["amount_received"] == ("1000.00" if d["status"] == "completed" else "0.00")


def test_callback_url_is_signed_by_the_merchants_secret(reli, receiver):
    p = reli.pay(callback_url=receiver.url("/mine"))
    reli.post(f"{V1}/payments/{p['id']}/cancel", {})
    hooks = receiver.wait(3, "/mine")
    for hook in hooks:
        check_hook(hook, reli.webhook_secret, p["id"])
    shown = reli.get(ENDPOINTS + "/default")
    assert shown.status == 200 and shown.json["secret"] == reli.webhook_secret, shown
    assert {d["endpoint_id"] for d in deliveries(reli)} == {None}


def test_filters_of_endpoints(reli, receiver):
    reli.endpoint(receiver.url("/all"), ["payment.*"])
    reli.endpoint(receiver.url("/done"), ["payment.completed", "payment.failed"])
    p = reli.pay(callback_url=receiver.url("/mine"))
    reli.post(f"{V1}/payments/{p['id']}/confirm", {})
    receiver.wait(3, "/all")
    receiver.wait(3, "/mine")
    wait_until(lambda: [d["status"] for d in deliveries(reli)] == ["delivered"] * 7, 5, "all delivered")
    assert [h.json["type"] for h in receiver.at("/done")] == ["payment.completed"]


def test_rotation_signs_with_both(reli, receiver):
    made = reli.endpoint(receiver.url(), ["payment.initiated"])
    rotated = reli.post(f"{ENDPOINTS}/{made['id']}/rotate-secret", {})
    assert rotated.status == 200 and rotated.json["secret"] != made["secret"], rotated
    reli.pay()
    (hook,) = receiver.wait(1)
    assert hook.signed_by(rotated.json["secret"]) and hook.signed_by(made["secret"])
    assert len(hook.signatures) == 2
    verify_by_reference(hook, rotated.json["secret"])
    verify_by_reference(hook, made["secret"])
    third = reli.post(f"{ENDPOINTS}/{made['id']}/rotate-secret", {"overlap": "0s"}).json["secret"]
    reli.pay()
    second_hook = receiver.wait(2)[1]
    assert second_hook.signed_by(third) and len(second_hook.signatures) == 1
    for overlap in ("8d", "soon", -1):
        assert reli.post(f"{ENDPOINTS}/{made['id']}/rotate-secret", {"overlap": overlap}).status == 422


def test_a_replaced_secret_signs_for_a_day(replicas, clock, receiver):
    shop = replicas.shop(replicas.one())
    made = shop.endpoint(receiver.url(), ["payment.initiated"])
    new = shop.post(f"{ENDPOINTS}/{made['id']}/rotate-secret").json["secret"]
    clock.advance(86000)
    shop.pay()
    (hook,) = receiver.wait(1)
    assert hook.signed_by(made["secret"]) and hook.signed_by(new)
    clock.advance(1000)
    shop.pay()
    hook = receiver.wait(2)[1]
    assert hook.signed_by(new) and len(hook.signatures) == 1


# ---- when it does not work ----


def test_the_schedule_and_dead_letters(replicas, clock, receiver):
    shop = replicas.shop(replicas.one())
    receiver.answers["/hook"] = 500
    shop.endpoint(receiver.url(), ["payment.initiated"])
    shop.pay()
    receiver.wait(1)

    def delivery():
        (d,) = deliveries(shop)
        return d

    for n, wait in enumerate(WAITS, 1):
        d = wait_until(lambda n=n: delivery()["tries"] == n and delivery(), 5, f"try {n} is recorded")
        assert (d["status"], d["last_http_status"]) == ("retry", 500), d
        after = parse_time(d["next_at"]) - parse_time(d["updated_at"])
        assert wait * 0.79 <= after <= wait * 1.21, (n, after)
        clock.advance(max(0, parse_time(d["next_at"]) - clock.now() - 10))
        replicas.settle()
        clock.advance(max(0, parse_time(d["next_at"]) - clock.now() + 2))
        hook = receiver.wait(n + 1)[n]
        assert int(hook.timestamp) >= int(parse_time(d["next_at"])), "not before its time"
    d = wait_until(lambda: delivery()["status"] == "dead" and delivery(), 5, "dead")
    assert d["tries"] == 6 and d["next_at"] is None
    assert deliveries(shop, "status=dead") == [d] and deliveries(shop, "status=delivered") == []
    hooks = receiver.at()
    assert len({h.id for h in hooks}) == 1 and len({h.body for h in hooks}) == 1
    assert len({h.timestamp for h in hooks}) == 6, "each try has its own time"
    clock.advance(7 * 86400)
    replicas.settle()
    assert len(receiver.at()) == 6


def test_the_extended_schedule_has_three_tries_more(replicas, clock, receiver):
    shop = replicas.shop(replicas.one(RELI_WEBHOOK_SCHEDULE="extended"))
    receiver.answers["/hook"] = 500
    shop.endpoint(receiver.url(), ["payment.initiated"])
    shop.pay()

    for n, wait in enumerate([*WAITS, 12 * 3600, 24 * 3600, 24 * 3600], 1):
        (d,) = wait_until(lambda n=n: [d for d in deliveries(shop) if d["tries"] == n], 5, f"try {n} is recorded")
        assert d["status"] == "retry", d
        assert wait * 0.79 <= parse_time(d["next_at"]) - parse_time(d["updated_at"]) <= wait * 1.21, (n, d)
        clock.advance(parse_time(d["next_at"]) - clock.now() + 2)
    wait_until(lambda: [d["tries"] for d in deliveries(shop, "status=dead")] == [9], 5, "dead")


def test_recovers_in_the_middle_of_the_schedule(replicas, clock, receiver):
    shop = replicas.shop(replicas.one())
    receiver.answers["/hook"] = [500, (302, {"Location": receiver.url("/elsewhere")}), 404, 204]
    shop.endpoint(receiver.url(), ["payment.initiated"])
    shop.pay()
    for n, wait in enumerate((0, 75, 370, 1100)):
        clock.advance(wait)
        receiver.wait(n + 1)
        wait_until(lambda n=n: deliveries(shop)[0]["tries"] == n + 1, 5, "recorded")
    (d,) = deliveries(shop)
    assert (d["status"], d["tries"], d["last_http_status"]) == ("delivered", 4, 204)
    told = shop.get(f"{DELIVERIES}/{d['id']}").json["attempts"]
    assert [(a["n"], a["http_status"], a["answer"]) for a in told] == [
        (1, 500, None), (2, 302, None), (3, 404, None), (4, 204, None)]
    assert told[3]["at"] == d["updated_at"] and told[3]["latency_ms"] >= 0 and told[3]["error"] is None
    assert receiver.at("/elsewhere") == [], "redirects are not followed"


def test_retry_after_is_honoured(replicas, clock, receiver):
    shop = replicas.shop(replicas.one())
    receiver.answers["/hook"] = [(503, {"Retry-After": "1000"}), 200]
    shop.endpoint(receiver.url(), ["payment.initiated"])
    shop.pay()
    receiver.wait(1)
    d = wait_until(lambda: [d for d in deliveries(shop) if d["tries"] == 1], 5, "recorded")[0]
    assert parse_time(d["next_at"]) - parse_time(d["updated_at"]) >= 999
    clock.advance(300)
    replicas.settle()
    assert len(receiver.at()) == 1
    clock.advance(900)
    receiver.wait(2)


def test_410_disables(reli, receiver):
    made = reli.endpoint(receiver.url())
    receiver.answers["/hook"] = 410
    reli.pay()
    wait_until(lambda: reli.get(f"{ENDPOINTS}/{made['id']}").json["status"] == "disabled", 5, "disabled")
    assert reli.get(f"{ENDPOINTS}/{made['id']}").json["status_reason"] == "gone"
    wait_until(lambda: {d["status"] for d in deliveries(reli)} <= {"dead", "cancelled"}, 5, "given up")
    n = len(receiver.at())
    p = reli.pay()
    assert [d for d in deliveries(reli) if d["payment_id"] == p["id"]] == []
    assert len(receiver.at()) == n


def test_five_days_of_failures_disable(replicas, clock, receiver):
    shop = replicas.shop(replicas.one())
    receiver.answers["/hook"] = 500
    made = shop.endpoint(receiver.url(), ["payment.initiated"])
    shop.pay()
    for n, days in enumerate((0, 5, 1), 1):
        clock.advance(days * 86400 + (3600 if days == 5 else 0))
        receiver.wait(n)
        wait_until(lambda n=n: deliveries(shop)[0]["tries"] == n, 5, "recorded")
        assert shop.get(f"{ENDPOINTS}/{made['id']}").json["status"] == "enabled", "on so few days"
    clock.advance(86400)
    wait_until(lambda: shop.get(f"{ENDPOINTS}/{made['id']}").json["status"] == "disabled", 5, "disabled")
    assert shop.get(f"{ENDPOINTS}/{made['id']}").json["status_reason"] == "failing"
    assert [x["kind"] for x in shop.get(V1 + "/exceptions").json["data"]] == ["endpoint_disabled"]


def test_five_days_begin_anew_after_a_success(replicas, clock, receiver):
    shop = replicas.shop(replicas.one())
    made = shop.endpoint(receiver.url(), ["payment.initiated"])
    for n, answer in enumerate((500, 500, 500, 200, 500, 500, 500), 1):
        receiver.answers["/hook"] = answer
        shop.pay()
        wait_until(lambda n=n: len(receiver.at()) >= n, 5, "it was asked")
        replicas.settle()
        clock.advance(30 * 3600)
        replicas.settle()
    assert shop.get(f"{ENDPOINTS}/{made['id']}").json["status"] == "enabled"


def test_an_endpoint_that_was_deleted_gets_nothing_more(replicas, clock, receiver):
    shop = replicas.shop(replicas.one())
    receiver.answers["/hook"] = 500
    made = shop.endpoint(receiver.url(), ["payment.initiated"])
    shop.pay()
    receiver.wait(1)
    wait_until(lambda: deliveries(shop)[0]["tries"] == 1, 5, "recorded")
    assert shop.delete(f"{ENDPOINTS}/{made['id']}").status == 204
    clock.advance(100)
    wait_until(lambda: deliveries(shop)[0]["status"] == "cancelled", 5, "cancelled")
    assert len(receiver.at()) == 1


def test_nobody_listens(replicas, clock, receiver):
    """A refused connection is a failure like any other."""
    shop = replicas.shop(replicas.one())
    shop.endpoint(f"http://127.0.0.1:{free_port()}/hook", ["payment.initiated"])
    shop.pay()
    d = wait_until(lambda: [d for d in deliveries(shop) if d["tries"] == 1], 5, "recorded")[0]
    assert d["status"] == "retry" and d["last_http_status"] is None and d["last_error"]


def test_one_dead_endpoint_does_not_slow_others(reli, receiver):
    """Trap 9: one endpoint says nothing at all, the other gets everything at once."""
    receiver.answers["/dead"] = None
    reli.endpoint(receiver.url("/dead"))
    reli.endpoint(receiver.url("/quick"), ["payment.initiated"])
    made = [reli.pay() for _ in range(8)]
    receiver.wait(8, "/quick")
    assert {h.json["payment_id"] for h in receiver.at("/quick")} == {p["id"] for p in made}
    assert len(receiver.at("/dead")) <= 4, "before a request to the dead one was given up"


def test_an_answer_without_end_is_cut(reli, receiver):
    """A receiver that never stops sending its body has said 200 nevertheless."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(30)

    def flood():
        s, _ = server.accept()
        s.recv(65536)
        try:
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            while True:
                s.sendall(b"x" * 65536)
        except OSError:
            s.close()

    threading.Thread(target=flood, daemon=True).start()
    reli.endpoint(f"http://127.0.0.1:{server.getsockname()[1]}/", ["payment.initiated"])
    reli.pay()
    wait_until(lambda: [d["status"] for d in deliveries(reli)] == ["delivered"], 10, "delivered")
    server.close()


# ---- again ----


def test_replay_keeps_the_webhook_id(reli, receiver):
    made = reli.endpoint(receiver.url(), ["payment.initiated"])
    p = reli.pay()
    (first,) = receiver.wait(1)
    reli.post(f"{V1}/payments/{p['id']}/confirm", {})
    (d,) = deliveries(reli)
    r = reli.post(f"{DELIVERIES}/{d['id']}/replay", {})
    assert r.status == 202, r
    again = receiver.wait(2)[1]
    assert (again.id, again.body) == (first.id, first.body)
    assert again.signed_by(made["secret"])
    assert len(deliveries(reli)) == 2
    assert reli.post(f"{DELIVERIES}/{made['id']}/replay", {}).status == 404


def test_nothing_is_promised_for_an_endpoint_that_gets_nothing(reli, receiver):
    """202 for what would be cancelled at once told a developer that it had been sent."""
    made = reli.endpoint(receiver.url(), ["payment.initiated"])
    reli.pay(callback_url=receiver.url("/own"))
    receiver.wait(1)
    own, d = sorted(wait_until(lambda: len(found := deliveries(reli, "status=delivered")) == 3 and found, 10, "all there"),
                    key=lambda d: (d["endpoint_id"] or "", d["seq"]))[1:]
    reli.patch(f"{ENDPOINTS}/{made['id']}", {"status": "disabled"})
    for r in (reli.post(f"{DELIVERIES}/{d['id']}/replay"),
              reli.post(f"{ENDPOINTS}/{made['id']}/recover", {"since": "2020-01-01"})):
        assert (r.status, r.code) == (409, "invalid_state") and "disabled" in r.json["detail"], r
    assert reli.post(f"{DELIVERIES}/{own['id']}/replay").status == 202
    assert len(receiver.wait(3, "/own")) == 3
    reli.delete(f"{ENDPOINTS}/{made['id']}")
    r = reli.post(f"{DELIVERIES}/{d['id']}/replay")
    assert (r.status, r.code) == (409, "invalid_state"), r
    assert len(deliveries(reli)) == 4


def test_of_two_rotations_at_once_no_secret_is_lost(reli, receiver, db):
    """What is answered signs, or the answer is a refusal."""
    made = reli.endpoint(receiver.url(), ["payment.initiated"])
    for _ in range(10):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: reli.post(f"{ENDPOINTS}/{made['id']}/rotate-secret"), range(4)))
        assert {r.status for r in answers} <= {200, 409}, answers
        secrets = [r.json["secret"] for r in answers if r.status == 200]
        p = reli.pay()
        (hook,) = receiver.wait(1, payment=p["id"])
        signs = [hook.signed_by(s) for s in secrets]
        assert signs.count(True) == min(len(signs), 3), [r.status for r in answers]
        if 409 in {r.status for r in answers}:
            break  # it has been put to the test


def test_another_merchants_deliveries(reli, receiver, stack, shared):
    reli.endpoint(receiver.url(), ["payment.initiated"])
    reli.pay()
    receiver.wait(1)
    (d,) = deliveries(reli)
    other = stack.shop(shared)
    assert deliveries(other) == []
    assert other.post(f"{DELIVERIES}/{d['id']}/replay", {}).status == 404
    assert len(receiver.at()) == 1


def test_recover_sends_what_has_died(replicas, clock, receiver):
    shop = replicas.shop(replicas.one(RELI_WEBHOOK_SCHEDULE="1s"))
    receiver.answers["/hook"] = 500
    made = shop.endpoint(receiver.url(), ["payment.initiated"])
    for _ in range(3):
        shop.pay()
    receiver.wait(3)
    clock.advance(5)
    wait_until(lambda: len(deliveries(shop, "status=dead")) == 3, 10, "all dead")
    ids = {h.id for h in receiver.at()}
    receiver.answers["/hook"] = 200
    r = shop.post(f"{ENDPOINTS}/{made['id']}/recover", {"since": "2020-01-01"})
    assert r.status == 202 and r.json["deliveries"] == 3, r
    receiver.wait(9)
    wait_until(lambda: len(deliveries(shop, "status=delivered")) == 3, 5, "delivered")
    assert {h.id for h in receiver.at()[6:]} == ids
    r = shop.post(f"{ENDPOINTS}/{made['id']}/recover", {"since": "2999-01-01T00:00:00Z"})
    assert r.status == 202 and r.json["deliveries"] == 0, r


def test_what_was_recovered_is_not_recovered_again(replicas, clock, receiver):
    """Of an event that died more than once the last delivery counts, and only until one arrives."""
    shop = replicas.shop(replicas.one(RELI_WEBHOOK_SCHEDULE="1h"))
    receiver.answers["/hook"] = 500
    made = shop.endpoint(receiver.url(), ["payment.initiated"])
    for _ in range(2):
        shop.pay()

    def recover(**until):
        r = shop.post(f"{ENDPOINTS}/{made['id']}/recover", {"since": "2020-01-01", **until})
        assert r.status == 202 and r.json["has_more"] is False, r
        return r.json["deliveries"]

    def all_dead(n):
        replicas.settle()  # each has failed once
        clock.advance(5000)
        wait_until(lambda: len(deliveries(shop, "status=dead")) == n, 10, f"{n} dead")

    receiver.wait(2)
    all_dead(2)
    clock.advance(1)
    between = shop.get(V1 + "/health/detailed").json["time"]
    clock.advance(1)
    assert recover() == 2
    assert recover() == 0, "they are under way"
    receiver.wait(6)
    all_dead(4)
    assert recover(until=between) == 2 and recover() == 0
    all_dead(6)
    receiver.answers["/hook"] = 200
    assert recover() == 2
    wait_until(lambda: len(deliveries(shop, "status=delivered")) == 2, 10, "delivered")
    assert recover() == 0 and recover(until=between) == 0


def test_more_than_a_thousand_are_recovered_in_turn(replicas):
    shop = replicas.shop(replicas.one())
    made = shop.endpoint("https://shop.example/hook", ["payment.failed"])
    p = shop.pay()
    rows = shop.replica.database.rows
    # of events that are not there, so that nothing is sent
    rows("insert into reli.webhook_delivery (merchant_id, id, mode, payment_id, seq, event_id, event_type, endpoint_id, "
         "status, revision, tries, created_at, updated_at) "
         "select merchant_id, overlay(subject_id::text placing lpad(to_hex(n), 12, '0') from 25)::uuid, mode, "
         "subject_id, n, id, type, %s, 'dead', 1, 6, created_at, created_at "
         "from reli.event, generate_series(3, 1003) n where subject_id = %s and seq = 1", made["id"], p["id"])
    rows("insert into reli.delivery_owner (merchant_id, payment_id, seq, endpoint_id, n, delivery_id) "
         "select merchant_id, payment_id, seq, endpoint_id, 0, id from reli.webhook_delivery where status = 'dead'")
    told = [shop.post(f"{ENDPOINTS}/{made['id']}/recover", {"since": "2020-01-01"}).json for _ in range(3)]
    assert [(t["deliveries"], t["has_more"]) for t in told] == [(1000, True), (1, False), (0, False)]


@pytest.mark.parametrize("query, param", [("status=lost", "status"), ("after=x", "after"), ("limit=0", "limit")])
def test_queries_refused(reli, query, param):
    r = reli.get(f"{DELIVERIES}?{query}")
    assert r.status == 422 and r.json["param"] == param, r


def test_pages_of_deliveries(reli, receiver):
    reli.endpoint(receiver.url(), ["payment.initiated"])
    for _ in range(5):
        reli.pay()
    receiver.wait(5)
    got, cursor = [], None
    while True:
        r = reli.get(f"{DELIVERIES}?limit=2" + (f"&after={cursor}" if cursor else "")).json
        got += [d["id"] for d in r["data"]]
        if not r["has_more"]:
            break
        cursor = r["next"]
    assert got == sorted(got, reverse=True) and len(set(got)) == 5


def test_mpesa_events_go_out_too(reli, receiver, sandbox):
    made = reli.endpoint(receiver.url())
    p = reli.pay(stk())
    hooks = sorted(receiver.wait(3), key=lambda h: h.json["seq"])
    assert [h.json["type"] for h in hooks] == ["payment.initiated", "payment.processing", "payment.completed"]
    for hook in hooks:
        check_hook(hook, made["secret"], p["id"])
    assert hooks[2].json["data"]["provider_receipt"]


def test_endpoints_change_with_their_audit_rows_or_not_at_all(replicas):
    """Who redirects a merchant's webhooks in the moment of a crash is in the trail all the same."""
    shop, db = replicas.shop(replicas.one(clock=False)), replicas.database
    kept = shop.endpoint("http://127.0.0.1:9/kept")
    at = f"{V1}/webhook-endpoints/{kept['id']}"
    before = db.rows("select id, url, status, secrets::text from reli.webhook_endpoint")
    (trail,) = db.rows("select action from reli.audit_log where subject_id = %s", kept["id"])
    assert trail["action"] == "webhook_endpoint.created"
    db.rows("alter table reli.audit_log add constraint never check (action not like 'webhook_endpoint.%%') not valid")
    for method, path, body in (("POST", f"{V1}/webhook-endpoints", {"url": "http://127.0.0.1:9/new"}),
                               ("PATCH", at, {"url": "http://127.0.0.1:9/other"}),
                               ("POST", at + "/rotate-secret", None), ("DELETE", at, None)):
        r = shop.request(method, path, body)
        assert r.status >= 400, (method, path, r)
        assert db.rows("select id, url, status, secrets::text from reli.webhook_endpoint") == before, (method, path)
    db.rows("alter table reli.audit_log drop constraint never")
    assert shop.patch(at, {"url": "http://127.0.0.1:9/other"}).json["url"] == "http://127.0.0.1:9/other"
    assert shop.post(at + "/rotate-secret").status == 200
    assert shop.delete(at).status == 204
    trail = db.rows("select action, actor from reli.audit_log where subject_id = %s order by id", kept["id"])
    assert [r["action"].partition(".")[2] for r in trail] == ["created", "changed", "secret_rotated", "deleted"]
    assert len({r["actor"] for r in trail}) == 1 and trail[0]["actor"].startswith("api_key:")

"""What providers call back with: listed, looked into, processed once more."""

import concurrent.futures

from helpers import SLOW, V1, parse_time, phone, stk, wait_until

EVENTS = V1 + "/provider-events"


def events(shop, query=""):
    r = shop.get(f"{EVENTS}?limit=100&{query}")
    assert r.status == 200, r
    return r.json["data"]


def test_a_callback_is_listed_and_shown_without_what_is_personal(reli, sandbox):
    number = phone()
    p = reli.pay(stk(customer={"phone": number}))
    reli.wait_status(p["id"], "completed")
    (e,) = wait_until(lambda: [e for e in events(reli, f"payment_id={p['id']}") if e["status"] == "processed"], 10,
                      "processed")
    assert (e["object"], e["provider"], e["subject_id"], e["attempt"]) == ("provider_event", "mpesa", p["id"], 1)
    assert e["address_ok"] is True and e["next_at"] is None and e["reason"] is None
    r = reli.get(f"{EVENTS}/{e['id']}")
    assert r.status == 200 and {k: v for k, v in r.json.items() if k != "body"} == e
    assert "ResultCode" in r.json["body"] and number.lstrip("+") not in r.json["body"]
    assert p["provider_transaction_id"] in r.json["body"]
    r = reli.post(f"{EVENTS}/{e['id']}/replay")
    assert r.status == 409 and r.code == "invalid_state", r


def test_dead_letters_are_processed_once_the_provider_is_back(replicas, clock, sandbox):
    """The callback comes from a strange address and the provider cannot be asked, for eight hours."""
    one = replicas.one(MPESA_CALLBACK_CIDRS="192.0.2.0/24")
    shop = replicas.shop(one)
    sandbox.chaos(delay_ms=int(2000 * SLOW))  # the provider is gone before the customer has decided
    p = shop.pay(stk())
    sandbox.chaos(down=True)
    (e,) = wait_until(lambda: events(shop), 10, "the callback")

    def put_off_for(wait):
        (e,) = events(shop)
        return e["next_at"] and parse_time(e["next_at"]) - clock.now() > 0.9 * wait and e

    for wait in (60, 300, 900, 3600, 21600):
        e = wait_until(lambda wait=wait: put_off_for(wait), 20, f"put off for {wait} s")
        assert e["status"] == "received"
        clock.advance(wait + 5)
    (e,) = wait_until(lambda: events(shop, "status=dead"), 20, "given up")
    assert e["reason"] == "provider_undecided" and e["next_at"] is None
    assert shop.payment(p["id"])["status"] != "completed"
    sandbox.chaos(down=False)
    r = shop.post(f"{EVENTS}/{e['id']}/replay")
    assert r.status == 202 and r.json["id"] == e["id"], r
    shop.wait_status(p["id"], "completed", deadline=20)
    wait_until(lambda: [e["status"] for e in events(shop)] == ["processed"], 10, "processed")
    assert one.database.value("select count(*) from reli.audit_log where action = 'provider_event.replayed'") == 1


def test_a_rush_of_callbacks_is_heard_at_once_and_understood_in_turn(replicas, sandbox):
    """Each has to be asked about, which takes the provider its time: up to 64 as they come, 200 by the jobs, the others
    after them."""
    one = replicas.one(MPESA_CALLBACK_CIDRS="192.0.2.0/24", RELI_POLL_SCHEDULE="1h", RELI_PROVIDER_TIMEOUT="60s")
    shop = replicas.shop(one)
    sandbox.chaos(delay_ms=int(4000 * SLOW))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: shop.pay(stk())["id"], range(300)))
    sandbox.chaos(answer_delay_ms={"min": int(6000 * SLOW), "max": int(6000 * SLOW)})

    def waiting():
        found = one.database.one(
            "select count(*) as n, count(*) filter (where j.lease_until > j.run_at) as leased from reli.job j "
            "where j.kind = 'inbound'")
        return found["n"], found["leased"]

    wait_until(lambda: waiting()[0] == 300 and waiting()[1] >= 200, 20, "all are stored, and many asked about")
    assert waiting()[1] <= 264
    sandbox.chaos(answer_delay_ms={"min": 0, "max": 0})
    wait_until(lambda: waiting()[0] == 0, 30, "all are understood")
    assert {shop.payment(id_)["status"] for id_ in made} == {"completed"}


def test_pages_and_what_is_refused(reli, sandbox, stack, shared):
    made = [reli.pay(stk())["id"] for _ in range(3)]
    wait_until(lambda: {e["subject_id"] for e in events(reli, "status=processed")} >= set(made), 20, "all three")
    whole, after = [], ""
    while True:
        r = reli.get(f"{EVENTS}?limit=1{after}")
        assert r.status == 200 and len(r.json["data"]) == 1, r
        whole += r.json["data"]
        if not r.json["has_more"]:
            break
        after = f"&after={r.json['next']}"
    assert whole == events(reli)
    for query in ("status=lost", "limit=0", "limit=101", "after=x", "payment_id=1"):
        assert reli.get(f"{EVENTS}?{query}").status == 422, query
    assert events(reli, f"after={made[0]}") == []
    other = stack.shop(shared)
    assert events(other) == []
    for path in (f"{EVENTS}/{whole[0]['id']}", f"{EVENTS}/{made[0]}"):
        assert other.get(path).status == 404 and other.post(path + "/replay").status == 404

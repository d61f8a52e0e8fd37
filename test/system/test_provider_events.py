"""What providers call back with: listed, looked into, processed once more."""

import concurrent.futures
import json

import psycopg2
from helpers import V1, parse_time, phone, stk, wait_until
from test_mpesa_payouts import Provider, provider  # noqa: F401  (a fixture)

JSON = {"Content-Type": "application/json"}
INBOUND = "select count(*) from reli.job where kind = 'inbound'"

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
    sandbox.chaos(delay_ms=60_000)
    p = shop.pay(stk())
    sandbox.chaos(down=True)  # the provider is gone before the customer has decided
    sandbox.skip(60)
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


def result_of(push, checkout):
    """What M-Pesa calls back with when the customer has paid what was asked of him."""
    return {"Body": {"stkCallback": {
        "MerchantRequestID": "1", "CheckoutRequestID": checkout, "ResultCode": 0, "ResultDesc": "x",
        "CallbackMetadata": {"Item": [
            {"Name": "Amount", "Value": int(push["Amount"])}, {"Name": "MpesaReceiptNumber", "Value": "Q" + checkout[6:].rjust(9, "0")},
            {"Name": "TransactionDate", "Value": 20261121120000}, {"Name": "PhoneNumber", "Value": int(push["PhoneNumber"])}]}}}}


def test_a_rush_of_callbacks_is_heard_at_once_and_understood_in_turn(replicas, clock, provider):  # noqa: F811
    """Nobody gets at payments for a while. All callbacks are thanked for; 256 are kept in memory, by what lease is theirs,
    and the others are left to the jobs."""
    one = replicas.one(MPESA_BASE_URL=provider, RELI_POLL_SCHEDULE="1h")
    shop, database = replicas.shop(one), replicas.database

    def pay(number):
        return number, shop.pay(stk(phone=number))["provider_transaction_id"]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        made = dict(pool.map(pay, [phone() for _ in range(500)]))
        bodies = [(b["CallBackURL"], json.dumps(result_of(b, made["+" + str(b["PhoneNumber"])])))
                  for b in Provider.asked if "CallBackURL" in b]
        assert len(bodies) == len(made) == 500
        lock = psycopg2.connect(database.owner_url)
        with lock.cursor() as c:
            c.execute("lock table reli.payment in access exclusive mode")
        answers = [pool.submit(one.request, "POST", url.replace(one.url, ""), body, JSON) for url, body in bodies]
        wait_until(lambda: database.value(INBOUND) >= 480, 20, "nearly all are stored: one may wait for whose it is")
        wait_until(lambda: database.value(INBOUND + " and lease_until > run_at") >= 256, what="so many are kept in memory")
        lock.close()
        assert {a.result().status for a in answers} == {200}
    wait_until(lambda: database.value(INBOUND + " and lease_until <= run_at") == 0, 20, "who was not kept is taken")
    clock.advance(61)  # whoever was too long in coming
    wait_until(lambda: database.value(INBOUND) == 0, 30, "all are understood")
    assert database.value("select count(*) from reli.payment where status = 'completed'") == 500


def test_callbacks_about_one_payment_do_not_wait_for_a_lease(replicas, provider):  # noqa: F811
    """Who loses the race for a payment too often, against others about the same, comes again soon; it waited for its lease
    to run out, and what was about a refund or a payout was ignored."""
    one = replicas.one(clock=False, MPESA_BASE_URL=provider, RELI_POLL_SCHEDULE="1h")
    shop, database = replicas.shop(one), replicas.database
    number = phone()
    made = shop.pay(stk(phone=number))
    push = Provider.asked[-1]
    bodies = []
    for n in range(50):
        body = result_of(push, made["provider_transaction_id"])
        body["Body"]["stkCallback"]["ResultDesc"] = str(n)
        bodies.append(json.dumps(body))
    path = push["CallBackURL"].replace(one.url, "")
    lock = psycopg2.connect(database.owner_url)
    with lock.cursor() as c, concurrent.futures.ThreadPoolExecutor(16) as pool:
        c.execute("lock table reli.payment in access exclusive mode")
        answers = [pool.submit(one.request, "POST", path, body, JSON) for body in bodies]
        wait_until(lambda: database.value(INBOUND) >= 40, 20, "many wait for the payment")
        lock.close()
        assert {a.result().status for a in answers} == {200}
    wait_until(lambda: database.value("select count(*) from reli.provider_event where state = 'received'") == 0, 30,
               "all have been looked at")
    assert [e for e in one.logs() if e["event"] == "callback.outrun"]
    assert shop.payment(made["id"])["status"] == "completed"


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

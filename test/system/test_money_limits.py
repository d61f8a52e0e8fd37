"""Limits on money: in the payment's own commit, over replicas, taken back when no money comes of it."""

import concurrent.futures
import json
from random import Random

import pytest
from helpers import V1, cash, new_key, phone, scaled, stk, wait_until

PATH = V1 + "/limits"


def limit(scope="merchant", window="daily", amount=None, count=None, **more):
    out = {"currency": "KES", "scope": scope, "window": window, **more}
    if amount is not None:
        out["max_amount"] = amount
    if count is not None:
        out["max_count"] = count
    return out


def set_limits(shop, *limits):
    r = shop.request("PUT", PATH, {"limits": list(limits)})
    assert r.status == 200, r
    return r.json


def pay(shop, amount, key=None, **fields):
    return shop.initialize(cash(amount=str(amount), **fields), key=key or new_key())


def counted(database, merchant):
    """What the counters say, and what the payments say that count in them: always the same."""
    rows = database.rows("""
        select c.about, c.amount, c.n, coalesce(p.amount, 0)::int8 as due, coalesce(p.n, 0) as due_n
        from reli.limit_counter c left join (
            select substring(p.counted from 1 + 16 * g for 16) as id, sum(p.amount) as amount, count(*) as n
            from reli.payment p cross join lateral generate_series(0, length(p.counted) / 16 - 1) g
            where p.merchant_id = %s and p.status not in ('failed', 'expired', 'cancelled')
            group by 1) p on p.id = decode(replace(c.id::text, '-', ''), 'hex')
        where c.merchant_id = %s""", merchant, merchant)
    for r in rows:
        assert (r["amount"], r["n"]) == (r["due"], r["due_n"]), r
    return {r["about"]: (r["amount"], r["n"]) for r in rows}


def limited(r, words):
    assert r.status == 422 and r.code == "limit_exceeded", r
    assert words in r.json["detail"], r
    return True


def test_they_count_for_the_next_payment(reli):
    assert pay(reli, 101).status == 201
    set_limits(reli, limit(window="single", amount=100))
    limited(pay(reli, 101), "")
    set_limits(reli)
    assert pay(reli, 101).status == 201


def test_they_are_set_and_shown(reli, db):
    assert reli.get(PATH).json == {"object": "limits", "mode": "test", "limits": []}
    said = set_limits(reli, limit(amount="5000.00", count=10), limit("customer", "monthly", amount=100),
                      limit("method", "single", amount="70.5", payment_method="cash"))
    assert said["limits"] == [
        {"currency": "KES", "scope": "customer", "payment_method": None, "window": "monthly",
         "max_amount": "100.00", "max_count": None},
        {"currency": "KES", "scope": "merchant", "payment_method": None, "window": "daily",
         "max_amount": "5000.00", "max_count": 10},
        {"currency": "KES", "scope": "method", "payment_method": "cash", "window": "single",
         "max_amount": "70.50", "max_count": None}]
    assert reli.get(PATH).json == said
    assert db.value("select count(*) from reli.audit_log where subject_id = %s and action = 'limits.set'",
                    reli.merchant) == 1
    said = set_limits(reli, limit(amount="1.00"))
    assert [x["max_amount"] for x in said["limits"]] == ["1.00"] and said["limits"][0]["max_count"] is None


@pytest.mark.parametrize("wrong, param", [
    ({}, "limits"), ({"limits": {}}, "limits"), ({"limits": ["x"]}, "limits[0]"),
    ({"limits": [limit()]}, "limits[0].max_amount"),
    ({"limits": [limit(amount="-1")]}, "limits[0].max_amount"),
    ({"limits": [limit(count=0)]}, "limits[0].max_count"),
    ({"limits": [limit("shop", amount=1)]}, "limits[0].scope"),
    ({"limits": [limit(window="weekly", amount=1)]}, "limits[0].window"),
    ({"limits": [limit(window="single", count=1)]}, "limits[0].max_amount"),
    ({"limits": [limit(amount=1, payment_method="cash")]}, "limits[0].payment_method"),
    ({"limits": [limit("method", amount=1, payment_method="a:b;c")]}, "limits[0].payment_method"),
    ({"limits": [limit(amount=1), limit(amount=2)]}, "limits[1]"),
    ({"limits": [limit(amount=1) | {"currency": "ZZZ"}]}, "limits[0].currency"),
    ({"limits": [limit(amount=1, max=3)]}, "limits[0].max"),
    ({"limits": [limit("method", amount=1, payment_method=f"m{i}") for i in range(41)]}, "limits"),
])
def test_limits_that_are_none(reli, wrong, param):
    r = reli.request("PUT", PATH, wrong)
    assert r.status == 422 and r.code == "validation_failed", r
    assert param in [e["param"] for e in r.json["errors"]], r
    assert reli.get(PATH).json["limits"] == []


def test_the_command_line(stack, reli, db):
    done = stack.cli(db, "limits", "set", "--merchant", reli.merchant, "--mode", "test", "--limits",
                     json.dumps([limit("customer", amount="70000")]))
    assert done.returncode == 0 and "scope=customer window=daily max_amount=70000.00" in done.stdout, done
    assert len(reli.get(PATH).json["limits"]) == 1
    assert stack.cli(db, "limits", "list", "--merchant", reli.merchant).stdout == done.stdout
    done = stack.cli(db, "limits", "set", "--merchant", reli.merchant, "--mode", "test", "--limits", "[{}]")
    assert done.returncode == 2 and "limits[0].currency" in done.stderr, done


@pytest.mark.parametrize("n_replicas", [1, 2])
def test_a_hundred_at_once(replicas, n_replicas):
    """Exactly the sum that fits; who is refused takes nothing from those behind him."""
    nodes = replicas(n_replicas, clock=False)
    shop = replicas.shop(nodes[0])
    set_limits(shop, limit(amount="3000.00", count=1000), limit("customer", amount="100000"))
    amounts = [500] * 2 + [100] * 2 + [30] * scaled(96)  # 30 fits whatever else was refused

    def one(i):
        return amounts[i], pay(shop.at(nodes[i % n_replicas]), amounts[i], customer={"id": f"c{i % 7}"})

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(one, range(len(amounts))))
    granted = sum(a for a, r in answers if r.status == 201)
    refused = [a for a, r in answers if r.status != 201]
    for _, r in answers:
        assert r.status == 201 or limited(r, "the daily limit of the merchant"), r
    assert refused and 3000 - min(refused) < granted <= 3000, (granted, refused)
    assert counted(replicas.database, shop.merchant)["test KES daily merchant"] == (
        100 * granted, len(amounts) - len(refused))
    assert replicas.database.value("select count(*) from reli.payment") == len(amounts) - len(refused)


def test_a_refusal_is_the_answer_of_its_key(reli, db):
    set_limits(reli, limit(count=1))
    first = new_key()
    body = cash(amount="5", reference=f"order-{new_key()}")
    assert pay(reli, 7, first).status == 201
    key = new_key()
    r = reli.initialize(body, key=key)
    limited(r, "the daily limit of the merchant")
    again = reli.initialize(body, key=key)
    assert again.status == 422 and again.body == r.body and again.header("Idempotent-Replayed") == "true", again
    assert reli.initialize(body | {"amount": "6"}, key=key).code == "idempotency_key_reused"
    set_limits(reli, limit(count=5))
    wait_until(lambda: pay(reli, 1).status == 201, 5, "the new limit counts")
    assert reli.initialize(body, key=key).body == r.body, "the same for ever"
    assert pay(reli, 7, first).header("Idempotent-Replayed") == "true"
    assert reli.initialize(body, key=new_key()).status == 201, "the reference was not used up"
    assert counted(db, reli.merchant)["test KES daily merchant"][1] == 3
    assert [pay(reli, 1).status for _ in range(3)] == [201, 201, 422]
    limited(reli.initialize(cash(amount="1")), "daily")


def test_cancelled_gives_it_back(reli, db):
    set_limits(reli, limit(amount="1000", count=2), limit("method", "monthly", amount="1000"))
    one, two = pay(reli, 600), pay(reli, 400)
    assert one.status == two.status == 201
    limited(pay(reli, 1), "limit of")
    assert reli.post(f"{V1}/payments/{one.json['id']}/cancel").status == 200
    assert counted(db, reli.merchant) == {"test KES daily merchant": (40000, 1),
                                          "test KES monthly method cash": (40000, 1)}
    assert reli.post(f"{V1}/payments/{one.json['id']}/cancel").status in (200, 409)
    assert counted(db, reli.merchant)["test KES daily merchant"] == (40000, 1)
    assert pay(reli, 600).status == 201
    limited(pay(reli, "0.01"), "limit of")
    assert reli.post(f"{V1}/payments/{two.json['id']}/confirm").status == 200
    limited(pay(reli, "0.01"), "limit of")  # paid: it counts


def test_refused_and_late(replicas, sandbox):
    """A refused payment gives its share back; money that comes after all counts again, limit or not."""
    one = replicas.one()
    shop = replicas.shop(one)
    set_limits(shop, limit(amount="250"))
    failed = shop.pay(stk("001"))
    shop.wait_status(failed["id"], "failed")
    assert counted(replicas.database, shop.merchant) == {"test KES daily merchant": (0, 0)}
    sandbox.chaos(timeout_delay_ms=300, late_delay_s=100)
    late = shop.pay(stk("025"))  # "no answer", then paid
    replicas.clock.advance(120)
    shop.wait_status(late["id"], "failed", 20)
    assert counted(replicas.database, shop.merchant) == {"test KES daily merchant": (0, 0)}
    assert pay(shop, 250).status == 201
    sandbox.skip(100)
    shop.wait_status(late["id"], "completed")
    assert counted(replicas.database, shop.merchant) == {"test KES daily merchant": (35000, 2)}


def test_customers_and_methods(reli, db):
    set_limits(reli, limit("customer", amount="100"), limit("method", count=4, payment_method="cash"),
               limit("merchant", "single", amount="90"))
    ann, ben = {"id": "ann"}, {"phone": phone()}
    assert pay(reli, 60, customer=ann).status == 201
    limited(pay(reli, 41, customer=ann), "the daily limit of this customer")
    limited(pay(reli, 41, customer=ann | {"phone": phone()}), "the daily limit of this customer")
    assert pay(reli, 40, customer=ann).status == 201
    assert pay(reli, 90, customer=ben).status == 201
    limited(pay(reli, 11, customer=ben), "the daily limit of this customer")
    limited(pay(reli, "90.01", customer={"id": "cyd"}), "the limit on a single payment of the merchant")
    assert pay(reli, 90).status == 201, "who is nobody's customer has no customer's limit"
    limited(pay(reli, 1, customer={"id": "dan"}), "the daily limit of this payment method")
    assert reli.initialize(stk(amount="50.00"), key=new_key()).status == 201
    assert "ann" not in json.dumps([dict(r, id=str(r["id"])) for r in db.rows(
        "select id, about from reli.limit_counter where merchant_id = %s", reli.merchant)])


def grant_by_hand(rows):
    """In order of ord: whoever fits beside those before him; else the place where he first does not."""
    used, out = {}, []
    for ord_ in sorted({r[0] for r in rows}):
        mine = sorted(r for r in rows if r[0] == ord_)
        spent = {r[2]: used.get(r[2], (0, 0)) for r in mine}
        crossed = next((pos for _, pos, place, amount, room, room_n in mine
                        if spent[place][0] + amount > room or spent[place][1] + 1 > room_n), 0)
        if not crossed:
            used |= {r[2]: (spent[r[2]][0] + r[3], spent[r[2]][1] + 1) for r in mine}
        out.append(16 * ord_ + crossed)
    return out


def test_the_grant_of_a_batch(db):
    random = Random(7)
    for case in range(scaled(300)):
        rows = []
        for ord_ in sorted(random.sample(range(128), random.randint(1, 12))):
            amount, places = random.randint(1, 9), random.sample(range(1, 5), random.randint(1, 3))
            rows += [(ord_, i + 1, place, amount, random.choice((3, 12, 20, -1, 10**18)),
                      random.choice((1, 3, 10**18))) for i, place in enumerate(places)]
        dense = sorted({r[2] for r in rows})
        rows = [(*r[:2], 1 + dense.index(r[2]), *r[3:]) for r in rows]
        got = db.rows("select reli.limit_grant(%s::int4[], %s::int2[], %s::int4[], %s::int8[], %s::int8[], "
                      "%s::int8[], %s::int8[]) as v",
                      *[[r[i] for r in rows] for i in (0, 1, 2, 3)], [1] * len(rows),
                      *[[r[i] for r in rows] for i in (4, 5)])
        assert [r["v"] for r in got] == grant_by_hand(rows), (case, rows)


def test_days_and_months_begin_anew(replicas):
    one = replicas.one()
    shop = replicas.shop(one)
    set_limits(shop, limit(amount="10"), limit(window="monthly", amount="15"))
    assert pay(shop, 10).status == 201
    limited(pay(shop, 1), "the daily limit")
    replicas.clock.advance(86400)
    r = pay(shop, 10)
    if time_of(one)[2] != 1:
        limited(r, "the monthly limit of the merchant")
        assert pay(shop, 5).status == 201
    replicas.clock.advance(31 * 86400)
    assert pay(shop, 10).status == 201


def time_of(replica):
    import datetime
    at = datetime.datetime.fromtimestamp(replica.time(), datetime.timezone.utc)
    return at.year, at.month, at.day


def test_other_modes_currencies_and_merchants(reli, db, stack):
    set_limits(reli, limit(amount="1"))
    limited(pay(reli, 2), "daily")
    assert reli.initialize(cash(amount="2", currency="UGX"), key=new_key()).status == 201
    other = stack.shop(reli.replica)
    assert pay(other, 2).status == 201
    assert counted(db, other.merchant) == {}
    assert db.value("select counted from reli.payment where merchant_id = %s", other.merchant) is None

"""Which provider takes a payment that names its method only, and what happens when one is not well: the
merchant's routes, the breaker of an account, and what is told about both."""

import pytest
from helpers import V1, Clock, new_key, phone, wait_until
from stack import Launcher

WAIT = 2  # seconds that a breaker stays open here


@pytest.fixture(scope="module")
def world(stack, tmp_path_factory):
    """M-Pesa and CPay behind a sandbox each, so that one may fail alone."""
    clock = Clock(tmp_path_factory.mktemp("routing") / "clock")
    sandbox, mpesa = stack.new_sandbox(), stack.new_sandbox()
    launcher = Launcher(stack, clock, sandbox)
    launcher.mpesa = mpesa
    try:
        yield launcher
    finally:
        launcher.close()
        for s in (sandbox, mpesa):
            s.term()
            s.wait()


@pytest.fixture
def at(world):
    """A replica with an empty memory of its own: at(**environment)."""
    for s in (world.sandbox, world.mpesa):
        s.reset()
    world.clock.offset = 0
    world.clock.write()
    started = []

    def start(**extra):
        replica = world.one(**{"MPESA_BASE_URL": world.mpesa.url + "/mpesa",
                               "MPESA_CERTIFICATE": str(world.mpesa.certificate), "RELI_BREAKER_CALLS": "4",
                               "RELI_BREAKER_WAIT": f"{WAIT}s",
                               "REDIS_URL": None} | extra)  # where replicas share tokens
        started.append(replica)
        return world.shop(replica)

    yield start
    for replica in started:
        world.stack.leave(replica)


def mobile(amount="1000.00", currency="KES", ending="000", **fields):
    return {"payment_method": "mobile_money", "amount": amount, "currency": currency,
            "customer": {"phone": phone(ending)}, **fields}


def stk(ending="000"):
    return mobile(ending=ending) | {"provider": "mpesa"}


def pay(shop, body, **kw):
    r = shop.initialize(body, **kw)
    assert r.status in (201, 202), r
    return r.json


def route_of(shop, payment):
    r = shop.get(f"{V1}/payments/{payment['id']}")
    assert r.status == 200, r
    assert r.json["route"]["chosen"] == r.json["provider"] == payment["provider"]
    (first,) = [t for t in r.json["timeline"] if t["action"] == "payment.initiated"]
    assert first["detail"] is None
    return r.json["route"]


def skipped(route):
    return [(s["provider"], s["reason"]) for s in route["skipped"]]


def put(shop, *routes):
    r = shop.request("PUT", V1 + "/routes", {"routes": list(routes)})
    assert r.status == 200, r
    return r.json


def rule(provider, **fields):
    return {"payment_method": "mobile_money", "provider": provider, **fields}


def health(shop, provider="mpesa"):
    """The same in both places, unless time has moved it in between."""
    def told():
        return [p for p in shop.get("/health/detailed").json["providers"] if p["provider"] == provider][0]

    public = told()
    (own,) = [p for p in shop.get(V1 + "/providers").json["data"] if p["name"] == provider]
    after = told()
    assert own["health"] in [{k: p[k] for k in ("state", "score", "reason", "money_out")} for p in (public, after)]
    return after


def gauge(shop, name, provider="mpesa"):
    (line,) = [line for line in shop.get("/metrics").text.splitlines()
               if line.startswith(f'{name}{{provider="{provider}"')]
    return float(line.split()[-1])


# ---- the choice ----


def test_without_routes_the_first_that_fits(at):
    shop = at()
    assert route_of(shop, pay(shop, mobile())) == {"chosen": "mpesa", "reason": "default", "skipped": []}
    route = route_of(shop, pay(shop, mobile(amount="1000", currency="RWF")))
    assert (route["chosen"], route["reason"], skipped(route)) == ("cpay", "default", [("mpesa", "currency")])
    route = route_of(shop, pay(shop, mobile(amount="1000.50")))
    assert (route["chosen"], skipped(route)) == ("cpay", [("mpesa", "amount")])
    route = route_of(shop, pay(shop, mobile(customer={"phone": "+250780000000"})))
    assert (route["chosen"], skipped(route)) == ("cpay", [("mpesa", "country")])
    route = route_of(shop, pay(shop, mobile(customer={"id": "c1"})))
    assert (route["chosen"], skipped(route)) == ("cpay", [("mpesa", "phone")])
    assert route_of(shop, pay(shop, stk())) == {"chosen": "mpesa", "reason": "named", "skipped": []}


def test_without_an_account_it_is_skipped(at):
    shop = at(MPESA_CONSUMER_KEY=None, MPESA_CONSUMER_SECRET=None, MPESA_SHORTCODE=None, MPESA_PASSKEY=None,
              MPESA_INITIATOR_NAME=None, MPESA_INITIATOR_PASSWORD=None, MPESA_CERTIFICATE=None)
    route = route_of(shop, pay(shop, mobile()))
    assert (route["chosen"], skipped(route)) == ("cpay", [("mpesa", "no_account")])


def test_the_merchants_routes_in_their_order(at, world):
    shop = at()
    made = put(shop, rule("cpay", max_amount="500", currency="KES"), rule("cpay", enabled=False),
               rule("cpay", country="RW"), rule("mpesa", country="KE"))
    assert made["version"] == 1
    assert shop.get(V1 + "/routes").json == made
    assert made["routes"][0] == {"payment_method": "mobile_money", "provider": "cpay", "account": None,
                                 "country": None, "currency": "KES", "min_amount": None, "max_amount": "500.00",
                                 "enabled": True}
    route = route_of(shop, pay(shop, mobile(amount="500.00")))
    assert (route["chosen"], route["reason"], skipped(route)) == ("cpay", "route", [])
    route = route_of(shop, pay(shop, mobile(amount="501.00")))
    assert (route["chosen"], route["reason"]) == ("mpesa", "route")
    assert skipped(route) == [("cpay", "amount"), ("cpay", "disabled"), ("cpay", "country")]
    # Other methods and other merchants have none.
    assert route_of(shop, pay(shop, {**mobile(), "payment_method": "wallet"}))["reason"] == "default"
    other = world.shop(shop.replica)
    assert route_of(other, pay(other, mobile()))["reason"] == "default"


def test_a_change_counts_at_once_here_and_is_audited(at, world):
    shop = at()
    assert pay(shop, mobile())["provider"] == "mpesa"
    assert put(shop, rule("cpay"))["version"] == 1
    assert pay(shop, mobile())["provider"] == "cpay"
    assert put(shop)["version"] == 2
    assert pay(shop, mobile())["provider"] == "mpesa"
    rows = world.database.rows("select action, detail, actor from reli.audit_log where merchant_id = %s"
                               " and action = 'routes.set' order by id", shop.merchant)
    assert [r["detail"] for r in rows] == ["version 1", "version 2"]
    assert all(r["actor"].startswith("api_key:") for r in rows)


def test_no_route_fits(at):
    shop = at()
    put(shop, rule("mpesa", country="UG"))
    r = shop.initialize(mobile())
    assert r.status == 422 and r.json["param"] == "payment_method", r
    assert r.json["errors"][0]["code"] == "unsupported"


def test_wrong_routes_are_named(at):
    shop = at()
    r = shop.request("PUT", V1 + "/routes", {"routes": [
        rule("mpesa", country="ke"), rule("nobody"), rule("mpesa", min_amount="5"),
        rule("mpesa", currency="KES", min_amount="5", max_amount="4"),
        {"payment_method": "cash", "provider": "mpesa"}, rule("mpesa", enabled="yes", more=1), 7]})
    assert r.status == 422 and r.code == "validation_failed", r
    assert {(e["param"], e["code"]) for e in r.json["errors"]} == {
        ("routes[0].country", "format"), ("routes[1].provider", "unknown"), ("routes[2].currency", "required"),
        ("routes[3].max_amount", "range"), ("routes[4].payment_method", "unsupported"),
        ("routes[5].enabled", "type"), ("routes[5].more", "unknown"), ("routes[6]", "type")}
    for body in ({}, {"routes": None}, {"routes": {}}, {"routes": [rule("mpesa")] * 33}):
        assert shop.request("PUT", V1 + "/routes", body).status == 422
    assert shop.get(V1 + "/routes").json["version"] == 0


def test_a_replay_does_not_depend_on_the_route(at):
    shop, key, body = at(), new_key(), mobile()
    first = shop.initialize(body, key=key)
    put(shop, rule("cpay"))
    again = shop.initialize(body, key=key)
    assert again.header("Idempotent-Replayed") == "true", again
    assert again.json["id"] == first.json["id"] and again.json["provider"] == "mpesa"


# ---- the breaker ----


def break_mpesa(world, shop):
    """Four calls without an answer."""
    world.mpesa.chaos(down=True)
    for _ in range(4):
        pay(shop, stk())
    assert health(shop)["state"] == "open"


def test_an_open_breaker_is_told_everywhere(at, world):
    shop = at()
    pay(shop, stk())
    assert health(shop) == {"provider": "mpesa", "mode": "test", "state": "closed", "score": 100, "reason": None,
                            "money_out": "closed"}
    assert gauge(shop, "reli_provider_health") == 100 and gauge(shop, "reli_provider_breaker") == 0
    break_mpesa(world, shop)
    assert health(shop) == {"provider": "mpesa", "mode": "test", "state": "open", "score": 0, "reason": "unwell",
                            "money_out": "closed"}
    assert gauge(shop, "reli_provider_health") == 0 and gauge(shop, "reli_provider_breaker") == 2
    assert health(shop, "cpay")["state"] == "closed"


def test_an_open_breaker_refuses_before_anything_is_sent(at, world):
    shop = at(RELI_BREAKER_WAIT="1h")
    break_mpesa(world, shop)
    world.mpesa.reset()
    p = pay(shop, stk())
    assert p["status"] == "failed", p
    assert (p["failure"]["code"], p["failure"]["advice"]) == ("provider_unavailable", "retry_later")
    assert world.mpesa.get("/_sandbox/calls?limit=0").json["received"] == 0


def test_another_provider_takes_it(at, world):
    shop = at(RELI_BREAKER_WAIT="1h")
    break_mpesa(world, shop)
    p = pay(shop, mobile())
    route = route_of(shop, p)
    assert (route["chosen"], skipped(route)) == ("cpay", [("mpesa", "unwell")])
    # Nobody else is there: it is tried, and refused.
    put(shop, rule("mpesa"))
    p = pay(shop, mobile())
    assert route_of(shop, p) == {"chosen": "mpesa", "reason": "last_resort", "skipped": []}
    assert p["failure"]["code"] == "provider_unavailable"


def test_a_probe_closes_it(at, world):
    shop = at()
    break_mpesa(world, shop)
    wait_until(lambda: health(shop)["state"] == "half_open", WAIT + 5)
    assert pay(shop, stk())["status"] != "completed"  # the probe fails
    assert health(shop)["state"] == "open"
    world.mpesa.chaos(down=False)
    wait_until(lambda: health(shop)["state"] == "half_open", WAIT + 5)
    p = pay(shop, mobile())  # it is not skipped
    assert p["provider"] == "mpesa" and p["status"] == "processing"
    assert health(shop)["state"] == "closed"
    shop.wait_status(p["id"], "completed")


def test_money_that_may_have_moved_is_asked_for(at, world):
    shop = at(RELI_BREAKER_WAIT="1h")
    world.mpesa.chaos(callback_loss_rate=1000)
    p = pay(shop, stk())
    assert p["status"] == "processing"
    break_mpesa(world, shop)
    world.mpesa.chaos(down=False)
    wait_until(lambda: [c for c in world.mpesa.charges() if c["state"] == "paid"], 10)
    r = shop.post(f"{V1}/payments/{p['id']}/verify", {})
    assert r.status == 200 and r.json["status"] == "completed", r
    assert health(shop)["state"] == "open"


def test_keys_that_are_not_taken_are_not_tried_for_ever(at, world):
    shop = at(MPESA_CONSUMER_SECRET="not the secret")
    for _ in range(3):
        p = pay(shop, stk())
        assert p["status"] == "failed" and p["failure"]["code"] == "configuration", p
    assert (health(shop)["state"], health(shop)["reason"]) == ("open", "credentials")
    before = world.mpesa.get("/_sandbox/calls?limit=0").json["received"]
    p = pay(shop, stk())
    assert p["failure"]["code"] == "configuration" and p["failure"]["advice"] == "fix_configuration"
    assert world.mpesa.get("/_sandbox/calls?limit=0").json["received"] == before
    route = route_of(shop, pay(shop, mobile()))
    assert (route["chosen"], skipped(route)) == ("cpay", [("mpesa", "credentials")])


def test_a_wrong_operator_is_not_tried_until_it_is_locked(at, world):
    """A refund is tried by reversal and by payout; each result says that the password is wrong."""
    shop = at(MPESA_INITIATOR_PASSWORD="not the password", RELI_BREAKER_WAIT="1h")
    payments = [shop.wait_status(pay(shop, stk())["id"], "completed") for _ in range(3)]
    for p in payments:
        r = shop.post(f"{V1}/payments/{p['id']}/refund", {})
        assert r.status in (200, 201, 202), r
        wait_until(lambda made=r.json["id"]: shop.get(f"{V1}/refunds/{made}").json["rail"] == "manual", 10)
    assert len(world.mpesa.refunds()) == 3, "the third refusal was the last"
    assert health(shop)["state"] == "closed", "payments go on"
    assert pay(shop, stk())["status"] == "processing"


def test_it_can_be_switched_off(at, world):
    shop = at(RELI_BREAKER_CALLS="0")
    world.mpesa.chaos(down=True)
    for _ in range(8):
        pay(shop, stk())
    assert health(shop)["state"] == "closed"
    before = world.mpesa.get("/_sandbox/calls?limit=0").json["received"]
    assert shop.payment(pay(shop, mobile())["id"])["attempts"][0]["provider"] == "mpesa"
    assert world.mpesa.get("/_sandbox/calls?limit=0").json["received"] > before, "it was asked"


# ---- the command ----


def test_the_command_sets_and_lists(at, world):
    shop = at()

    def routes(*args):
        return world.stack.cli(world.database, "routes", *args)

    def set_routes(text, merchant=shop.merchant):
        return routes("set", "--merchant", merchant, "--mode", "test", "--routes", text)

    done = set_routes('[{"payment_method": "mobile_money", "provider": "cpay"}]')
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"merchant_id={shop.merchant} mode=test version=1\n"
    assert pay(shop, mobile())["provider"] == "cpay"
    listed = routes("list", "--merchant", shop.merchant).stdout
    assert listed.startswith(f"merchant_id={shop.merchant} mode=test version=1 ") and '"provider":"cpay"' in listed
    done = set_routes('[{"payment_method": "mobile_money", "provider": "nobody"}]')
    assert done.returncode == 2 and "routes[0].provider" in done.stderr
    for text in ("", "{}", "[1]", "nonsense"):
        assert set_routes(text).returncode == 2, text
    assert set_routes("[]", "01900000-0000-7000-8000-000000000000").returncode == 1
    assert routes("set").returncode == routes().returncode == 2
    assert routes("list", "--merchant", shop.merchant).stdout == listed

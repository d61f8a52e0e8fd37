"""What was refused to whom: noted, counted, listed; by address, scope and key."""

import pytest
from helpers import V1, wait_until
from people import Person


@pytest.fixture
def reli(replicas):
    """At a replica of its own: of what others have just had refused by thousands, only some is noted."""
    return replicas.shop(replicas.one(clock=False))


def noted(db, merchant, kind):
    return db.rows("select address, actor, route, detail, times from reli.security_event"
                   " where merchant_id = %s and kind = %s order by id", merchant, kind)


def test_refusals_are_noted(reli, stack, db):
    nobody = "00000000-0000-0000-0000-000000000000"
    reader = reli.with_key(stack.api_key(reli.replica, reli.merchant, "test", "--scopes", "payments:read"))
    for _ in range(5):
        assert reader.post(V1 + "/payments/initialize", {}).status == 403
    unknown = reli.with_key("sk_test_" + "0" * 48)
    assert unknown.get(V1 + "/balances").status == 401
    assert reli.post(V1 + "/cb/" + "ab" * 48, {}).status == 401
    rows = wait_until(lambda: noted(db, reli.merchant, "scope_refused"), what="a row")
    wait_until(lambda: sum(r["times"] for r in noted(db, reli.merchant, "scope_refused")) == 5, what="five times")
    assert rows[0]["address"] == "127.0.0.1" and rows[0]["actor"].startswith("api_key:")
    assert (rows[0]["route"], rows[0]["detail"]) == (V1 + "/payments/initialize", "payments.write")
    wait_until(lambda: [r for r in noted(db, nobody, "bad_credentials")
                        if (r["route"], r["detail"]) == (V1 + "/balances", "unknown key")], what="the unknown key")
    wait_until(lambda: [r for r in noted(db, nobody, "signature_refused") if r["route"] == V1 + "/cb/{token}"],
               what="the forged callback")
    metrics = reli.get("/metrics").text
    assert 'reli_security_events_total{kind="scope_refused"}' in metrics


def test_the_list_is_of_ones_own(reli, stack, db):
    reader = reli.with_key(stack.api_key(reli.replica, reli.merchant, "test", "--scopes", "payments:read"))
    for path in ("/api-keys", "/webhook-endpoints", "/security-events"):
        assert reader.get(V1 + path).status == 403
    events = V1 + "/security-events"
    found = wait_until(lambda: (lambda d: d if len(d) == 3 else None)(reli.get(events).json["data"]), what="three")
    assert {e["kind"] for e in found} == {"scope_refused"} and all(e["count"] == 1 for e in found)
    assert {e["detail"] for e in found} == {"api_keys", "webhooks.read", "security.read"}
    first = reli.get(events + "?limit=2").json
    assert [e["id"] for e in first["data"]] == [e["id"] for e in found[:2]] and first["has_more"]
    rest = reli.get(f"{events}?limit=2&after={first['next']}").json
    assert [e["id"] for e in rest["data"]] == [found[2]["id"]] and not rest["has_more"]
    assert reli.get(events + "?kind=bad_credentials").json["data"] == []
    assert len(reli.get(events + "?kind=scope_refused&date_from=2020-01-01").json["data"]) == 3
    assert reli.get(events + "?date_to=2020-01-01").json["data"] == []
    other = stack.shop(reli.replica)
    assert other.get(events).json["data"] == []


def test_an_attack_writes_little(replicas):
    """Each forged callback has an address of its own, by a proxy that is trusted."""
    replica = replicas.one(clock=False, RELI_TRUSTED_PROXIES="127.0.0.0/8")
    for i in range(300):
        answer = replica.request("POST", V1 + "/cb/" + "ab" * 48, "{}", {
            "Content-Type": "application/json", "X-Forwarded-For": f"203.0.113.{i % 250}"})
        assert answer.status == 401

    def number(name):
        return sum(int(float(line.split()[-1])) for line in replica.get("/metrics").text.splitlines()
                   if line.startswith(name))

    assert number('reli_security_events_total{kind="signature_refused"}') == 300
    stored = wait_until(lambda: replica.database.rows(
        "select times from reli.security_event where kind = 'signature_refused'"), what="some rows")
    dropped = number("reli_security_events_dropped_total")
    assert dropped > 0 and sum(r["times"] for r in stored) + dropped <= 300


def test_staff_see_who_is_not_known(reli, stack):
    assert reli.with_key("sk_test_" + "1" * 48).get(V1 + "/events").status == 401
    staff = Person(stack, reli.replica, role="admin")
    wait_until(lambda: [e for e in staff.get(V1 + "/security-events?kind=bad_credentials&limit=100").json["data"]
                        if e["route"] == V1 + "/events" and e["detail"] == "unknown key" and e["actor"] is None],
               what="the unknown key")
    owner = Person(stack, reli.replica, reli.merchant)
    assert "bad_credentials" not in {e["kind"] for e in owner.get(V1 + "/security-events").json["data"]}
    assert Person(stack, reli.replica, reli.merchant, "operator").get(V1 + "/security-events").status == 403


def test_sockets_and_doors_note_what_they_refuse(reli, db):
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    payment = reli.pay()
    path = f"/ws/transaction/{payment['id']}"
    for query in ("?ticket=wst_00", "?ticket=rct_00", ""):
        answer = reli.get(path + query, headers=upgrade | {"Authorization": None if query else "Bearer x"})
        assert answer.status == 401, answer
    assert reli.post(V1 + "/payments/mpesa/confirmation/" + "ab" * 48, {}).status == 401

    def details(route):
        return {r["detail"] for r in db.rows("select detail from reli.security_event where route = %s", route)}

    wait_until(lambda: details("/ws/transaction/{id}") >= {"ticket", "client token", "no API key"}, what="sockets")
    wait_until(lambda: details(V1 + "/payments/mpesa/confirmation/{token}") == {"callback token"}, what="the door")

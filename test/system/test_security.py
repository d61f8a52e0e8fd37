"""What was refused to whom: noted, counted, listed; by address, scope and key."""

from helpers import V1, wait_until


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

"""Maintenance: no new payments on any replica; replays, callbacks, refunds and deliveries go on."""

from helpers import V1, cash, new_key, stk, wait_until
from people import Person


def switch(stack, db, *words):
    done = stack.cli(db, "maintenance", *words)
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def taken(shop):
    answer = shop.initialize(cash())
    assert answer.status in (201, 503), answer
    return answer.status == 201


def test_switched_for_all_replicas(replicas, stack, receiver):
    first, second = replicas(2, clock=False)
    db = first.database
    shop = replicas.shop(first)
    there = shop.at(second)
    shop.endpoint(receiver.url())
    assert switch(stack, db, "status") == {"maintenance": "off"}
    key, body, other = new_key(), cash(), new_key()
    made = shop.initialize(body, key=key)
    pushed = shop.pay(stk("000"))  # paid a second later, told by callback
    collected = shop.pay()
    assert shop.post(f"{V1}/payments/{collected['id']}/confirm").status == 200

    words = switch(stack, db, "on", "--message", "Back at 14:00 UTC.")
    assert words["maintenance"] == "on" and words["by"] == "cli"
    for where in (shop, there):
        wait_until(lambda: not taken(where), what="no new payments")
        for path in ("/api/v1/payments/initialize", "/api/v1/payments/initiate", "/api/payments/create"):
            for headers in ({}, {"Idempotency-Key": other}):
                answer = where.post(path, cash(), headers=headers)
                assert answer.status == 503 and answer.code == "maintenance", answer
                assert answer.header("Retry-After") and answer.json["detail"] == "Back at 14:00 UTC."
        again = where.initialize(body, key=key)
        assert again.status == 201 and again.json["id"] == made.json["id"]
        assert again.header("Idempotent-Replayed") == "true"
        assert where.initialize(cash(amount="7"), key=key).code == "idempotency_key_reused"
        assert where.get("/health/detailed").json["maintenance"] is True
    shop.wait_status(pushed["id"], "completed")
    assert shop.post(f"{V1}/payments/{collected['id']}/refund", {"amount": "10"}).status == 201
    assert there.get(f"{V1}/payments/{collected['id']}").status == 200
    receiver.wait(3)

    assert switch(stack, db, "off")["maintenance"] == "off"
    for where in (shop, there):
        wait_until(lambda: taken(where), what="payments are taken again")
    late = shop.initialize(cash(), key=other)
    assert late.status == 201 and late.header("Idempotent-Replayed") is None
    assert [r["action"] for r in db.rows("select action from reli.audit_log where action like 'maintenance.%%'"
                                         " order by id")] == ["maintenance.on", "maintenance.off"]


def test_switched_by_staff_and_nobody_else(replicas, stack):
    first, second = replicas(2, clock=False)
    shop = replicas.shop(first)
    path = V1 + "/maintenance"
    for caller in (shop, Person(stack, first, shop.merchant), Person(stack, first, role="viewer")):
        assert caller.get(path).status == 403
        assert caller.request("PUT", path, {"on": True}).status == 403
    staff = Person(stack, first, role="operator")
    assert staff.get(path).json == {"object": "maintenance", "on": False, "message": None, "forced": False,
                                    "updated_by": None, "updated_at": None}
    answer = staff.request("PUT", path, {"on": True, "message": "Back soon."}).json
    assert answer["on"] and answer["message"] == "Back soon." and answer["updated_by"].startswith("user:")
    assert not taken(shop)  # at once
    wait_until(lambda: not taken(shop.at(second)), what="the other one knows")
    assert staff.at(second).get(path).json == answer
    assert staff.at(second).request("PUT", path, {"on": False}).json["on"] is False
    wait_until(lambda: taken(shop), what="payments are taken again")


def test_of_one_process_by_its_environment(replicas):
    shop = replicas.shop(replicas.one(clock=False, RELI_MAINTENANCE="1"))
    assert not taken(shop)
    assert shop.get("/health/detailed").json["maintenance"] is True


def test_wrong_words(stack, reli):
    for words in ((), ("maybe",), ("on", "--message"), ("on", "--message", ""), ("on", "--message", "x" * 201),
                  ("off", "now")):
        assert stack.cli(reli.replica.database, "maintenance", *words).returncode == 2, words

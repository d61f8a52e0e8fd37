"""API keys: made, rotated, limited, revoked; what they may, from where, and until when."""

import datetime
import re
import time

import pytest
from helpers import V1, new_key, wait_until
from people import Person

KEYS = V1 + "/api-keys"


def make(shop, wanted=201, **fields):
    answer = shop.post(KEYS, {"scopes": ["*"], **fields})
    assert answer.status == wanted, answer
    return answer.json if wanted == 201 else answer


def at(when):
    return datetime.datetime.fromisoformat(when.replace("Z", "+00:00"))


def soon(**more):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**more)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def works(shop, key):
    return shop.with_key(key).get(V1 + "/balances").status


def test_a_key_is_shown_once_and_does_what_it_may(reli, db):
    made = make(reli, name="Till 4", scopes=["payments:read", "refunds:write"])
    assert re.fullmatch("rk_test_[0-9a-f]{48}", made["key"])
    assert made["prefix"] == made["key"][:12] and made["status"] == "active" and made["mode"] == "test"
    mine = reli.with_key(made["key"])
    assert mine.get(V1 + "/balances").status == 200
    assert mine.post(V1 + "/payments/initialize", {}).status == 403
    assert mine.post(KEYS, {"scopes": ["payments:read"]}).status == 403
    shown = reli.get(f"{KEYS}/{made['id']}").json
    assert {k: v for k, v in made.items() if k not in ("key", "last_used_at")} == \
        {k: v for k, v in shown.items() if k != "last_used_at"}
    assert made["id"] in {k["id"] for k in reli.get(KEYS).json["data"]}
    assert made["key"] not in reli.get(KEYS).text
    assert make(reli)["key"].startswith("sk_test_")
    (row,) = db.rows("select action, actor, detail from reli.audit_log where merchant_id = %s and subject_id = %s",
                     reli.merchant, made["id"])
    assert row["action"] == "api_key.created" and row["actor"].startswith("api_key:")
    assert row["detail"] == f"{made['prefix']} payments:read,refunds:write"


def test_a_scope_that_is_named_twice_is_kept_once(reli, stack, db):
    made = make(reli, scopes=["refunds:write", "payments:read", "refunds:write"])
    assert made["scopes"] == ["refunds:write", "payments:read"], made
    done = stack.cli(db, "keys", "create", "--merchant", reli.merchant, "--mode", "test", "--scopes",
                     "payments:read,refunds:write,payments:read")
    assert done.returncode == 0, done
    assert db.value("select count(*) from reli.api_key where merchant_id = %s and scopes = %s", reli.merchant,
                    "payments:read,refunds:write") == 1


def test_what_a_key_cannot_be(reli):
    for field, code in (({"scopes": []}, "type"), ({"scopes": ["all"]}, "unknown"),
                        ({"scopes": ["payments:read,*"]}, "unknown"), ({"scopes": [1]}, "unknown"),
                        ({"cidrs": ["unix"]}, "format"), ({"cidrs": ["10.1.2.3/8"]}, "format"),
                        ({"cidrs": ["10.0.0.0/8,11.0.0.0/8"]}, "format"), ({"cidrs": [None]}, "format"),
                        ({"cidrs": ["192.0.2.1"] * 17}, "type"), ({"expires_at": soon(minutes=-1)}, "range"),
                        ({"expires_at": "soon"}, "format")):
        answer = make(reli, 422, **field)
        assert [e["code"] for e in answer.json["errors"]] == [code], answer
    answer = reli.post(KEYS, {"name": "x"})
    assert answer.status == 422 and answer.json["param"] == "scopes"


def test_live_keys_need_approved_papers(reli, stack, db):
    live = stack.api_key(reli.replica, reli.merchant, "live")
    assert make(reli.with_key(live))["key"].startswith("sk_live_")
    db.rows("update reli.merchant set kyc_level = 0 where merchant_id = %s", reli.merchant)
    assert make(reli.with_key(live), 409).code == "invalid_state"
    assert make(reli)["mode"] == "test"
    assert reli.with_key(live).get(f"{KEYS}/{make(reli)['id']}").status == 404  # of the other mode


def test_from_its_networks_only(replicas):
    replica = replicas.one(clock=False, RELI_TRUSTED_PROXIES="127.0.0.0/8")
    shop = replicas.shop(replica)
    made = make(shop, cidrs=["203.0.113.0/24", "2001:db8::/32", "::ffff:198.51.100.7"])
    assert made["cidrs"] == ["203.0.113.0/24", "2001:db8::/32", "198.51.100.7"]
    mine = shop.with_key(made["key"])
    for client, wanted in (("203.0.113.9", 200), ("203.0.114.9", 403), ("2001:db8:5::1", 200), ("2001:db9::1", 403),
                           ("198.51.100.7", 200), ("::ffff:198.51.100.7", 200), ("198.51.100.8", 403),
                           ("203.0.113.9, 192.0.2.1", 403), ("192.0.2.1, 203.0.113.9", 200), ("rubbish", 403)):
        answer = mine.get(V1 + "/balances", headers={"X-Forwarded-For": client})
        assert answer.status == wanted, (client, answer)
        assert wanted == 200 or answer.code == "address_not_allowed"
    wait_until(lambda: replica.database.rows(
        "select kind from reli.security_event where merchant_id = %s and kind = 'address_refused' and address = %s"
        " and actor = %s", shop.merchant, "203.0.114.9", f"api_key:{made['id']}"), what="a security event")
    # nobody gives away more than he has
    here = {"X-Forwarded-For": "203.0.113.9"}
    for cidrs, wanted in ((["203.0.113.128/25"], 201), (["203.0.113.0/24", "2001:db8:7::/48"], 201), ([], 403),
                          (None, 403), (["203.0.112.0/23"], 403), (["203.0.113.5", "192.0.2.1"], 403)):
        answer = mine.post(KEYS, {"scopes": ["*"], "cidrs": cidrs}, headers=here)
        assert answer.status == wanted, (cidrs, answer)
    assert mine.patch(f"{KEYS}/{made['id']}", {"cidrs": None}, headers=here).status == 403
    open_key = make(shop)
    assert mine.post(f"{KEYS}/{open_key['id']}/rotate", {}, headers=here).status == 403
    # changed by who may, for all within a second
    changed = shop.patch(f"{KEYS}/{made['id']}", {"cidrs": ["192.0.2.1"], "name": "Other"}).json
    assert changed["cidrs"] == ["192.0.2.1"] and changed["name"] == "Other"
    wait_until(lambda: mine.get(V1 + "/balances", headers=here).status == 403, 5, "the change counts")


def test_until_its_end(replicas, clock):
    replica = replicas.one()
    shop = replicas.shop(replica)
    end = soon(hours=2)
    made = make(shop, expires_at=end)
    assert at(made["expires_at"]) == at(end)
    mine = shop.with_key(made["key"])
    assert make(mine, expires_at=soon(hours=1))["status"] == "active"
    for later in (soon(hours=3), None):
        assert make(mine, 403, expires_at=later).code == "forbidden"
    clock.advance(7201)
    assert wait_until(lambda: mine.get(V1 + "/balances").status == 401, 5)
    assert shop.get(f"{KEYS}/{made['id']}").json["status"] == "expired"
    assert shop.post(f"{KEYS}/{made['id']}/rotate", {}).status == 409
    assert shop.patch(f"{KEYS}/{made['id']}", {"name": "x"}).status == 409


def test_rotation_leaves_the_old_one_its_overlap(replicas, clock):
    first, second = replicas(2)
    shop = replicas.shop(first)
    made = make(shop, name="Till", scopes=["payments:read"], cidrs=["127.0.0.0/8"])
    answer = shop.post(f"{KEYS}/{made['id']}/rotate", {"overlap": "1h"})
    assert answer.status == 201
    new = answer.json
    same = ("name", "scopes", "cidrs", "expires_at", "mode")
    assert new["id"] != made["id"] and new["key"] != made["key"]
    assert {k: new[k] for k in same} == {k: made[k] for k in same}
    old = shop.get(f"{KEYS}/{made['id']}").json
    assert old["status"] == "rotating" and old["expires_at"] is not None
    for where in (shop, shop.at(second)):
        assert works(where, made["key"]) == works(where, new["key"]) == 200
    assert shop.post(f"{KEYS}/{made['id']}/rotate", {}).status == 409
    clock.advance(3601)
    for where in (shop, shop.at(second)):
        wait_until(lambda: works(where, made["key"]) == 401, 5, "the old one ends")
        assert works(where, new["key"]) == 200
    gone = shop.post(f"{KEYS}/{new['id']}/rotate", {"overlap": "0s"}).json
    wait_until(lambda: works(shop, new["key"]) == 401, 5, "at once")
    assert works(shop, gone["key"]) == 200
    assert shop.get(f"{KEYS}/{new['id']}").json["status"] == "revoked"
    for overlap in ("31d", "x", "-1s", ""):
        assert shop.post(f"{KEYS}/{gone['id']}/rotate", {"overlap": overlap}).status == 422


def test_a_change_is_seen_by_the_next_request(reli):
    made = make(reli)
    assert works(reli, made["key"]) == 200
    assert reli.patch(f"{KEYS}/{made['id']}", {"cidrs": ["192.0.2.0/24"]}).status == 200
    assert works(reli, made["key"]) == 403
    assert reli.patch(f"{KEYS}/{made['id']}", {"cidrs": None}).status == 200
    assert works(reli, made["key"]) == 200
    new = reli.post(f"{KEYS}/{made['id']}/rotate", {"overlap": "0s"}).json
    assert works(reli, made["key"]) == 401 and works(reli, new["key"]) == 200
    assert reli.delete(f"{KEYS}/{new['id']}").status == 204
    assert works(reli, new["key"]) == 401


def test_the_nil_id_is_no_key(reli):
    path = f"{KEYS}/00000000-0000-0000-0000-000000000000"
    for answer in (reli.get(path), reli.patch(path, {"name": "x"}), reli.delete(path), reli.post(path + "/rotate")):
        assert answer.status == 404, answer


def test_revoked_on_all_replicas_within_a_second(replicas):
    first, second = replicas(2, clock=False)
    shop = replicas.shop(first)
    made = make(shop)
    there = shop.at(second)
    assert works(there, made["key"]) == 200
    assert shop.delete(f"{KEYS}/{made['id']}").status == 204
    done = time.monotonic()
    asked = [done]

    def refused(where):
        asked.append(time.monotonic())
        return works(where, made["key"]) == 401

    for where in (there, shop):
        wait_until(lambda: refused(where), what="revoked")
        # who was let in had asked before: a belief of a second, and the time that it took to read it
        assert asked[-1] - done < 1 or asked[-2] - done < 2
        asked = [done]
    assert shop.delete(f"{KEYS}/{made['id']}").status == 204  # twice is once
    assert shop.get(f"{KEYS}/{made['id']}").json["status"] == "revoked"
    actions = [r["action"] for r in first.database.rows(
        "select action from reli.audit_log where merchant_id = %s and subject_id = %s order by id", shop.merchant,
        made["id"])]
    assert actions == ["api_key.created", "api_key.revoked"]


def test_last_use_is_written_once_a_minute(replicas, clock):
    replica = replicas.one()
    shop = replicas.shop(replica)
    made = make(shop)
    assert made["last_used_at"] is None

    def used():
        return shop.get(f"{KEYS}/{made['id']}").json["last_used_at"]

    assert works(shop, made["key"]) == 200
    first = wait_until(used, what="a use")
    clock.advance(30)
    for _ in range(3):
        assert works(shop, made["key"]) == 200
    clock.advance(2)  # what waited has been written
    assert works(shop, made["key"]) == 200
    assert used() == first
    clock.advance(40)
    assert works(shop, made["key"]) == 200
    wait_until(lambda: at(used()) - at(first) >= datetime.timedelta(seconds=60), what="another use")


def test_lists_page_and_know_their_merchant(reli, stack):
    mine = [make(reli)["id"] for _ in range(4)]
    seen, after = [], ""
    while True:
        page = reli.get(f"{KEYS}?limit=2{after}").json
        seen += [k["id"] for k in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['next']}"
    assert seen[:4] == mine[::-1] and len(seen) == 5
    other = stack.shop(reli.replica)
    assert not set(seen) & {k["id"] for k in other.get(KEYS).json["data"]}
    for answer in (other.get(f"{KEYS}/{mine[0]}"), other.delete(f"{KEYS}/{mine[0]}"),
                   other.patch(f"{KEYS}/{mine[0]}", {"name": "x"}), other.post(f"{KEYS}/{mine[0]}/rotate", {})):
        assert answer.status == 404


def test_administration_from_its_networks_only(replicas, stack):
    replica = replicas.one(clock=False, RELI_TRUSTED_PROXIES="127.0.0.0/8", RELI_ADMIN_CIDRS="192.0.2.0/24")
    shop = replicas.shop(replica)
    for client, wanted in (("192.0.2.9", 200), ("198.51.100.1", 403)):
        for path in (KEYS, V1 + "/providers/mpesa/config"):
            answer = shop.get(path, headers={"X-Forwarded-For": client})
            assert answer.status == wanted, (path, answer)
            assert wanted == 200 or answer.code == "address_not_allowed"
        assert shop.get(V1 + "/balances", headers={"X-Forwarded-For": client}).status == 200
        owner = Person(stack, replica, shop.merchant).acting(X_Forwarded_For=client)
        assert owner.get(V1 + "/members").status == wanted
        assert owner.get(V1 + "/auth/me").status == 200
        assert owner.post(V1 + "/auth/logout").status == 204


def test_a_person_makes_keys_of_the_mode_that_he_names(reli, stack, db):
    owner = Person(stack, reli.replica, reli.merchant)
    made = owner.post(KEYS, {"scopes": ["*"]})
    assert made.status == 201 and made.json["key"].startswith("sk_test_"), made
    live = owner.acting(Reli_Mode="live")
    assert live.post(KEYS, {"scopes": ["*"]}).code == "invalid_state"  # no approved papers
    db.rows("update reli.merchant set kyc_level = 1 where merchant_id = %s", reli.merchant)
    assert wait_until(lambda: live.post(KEYS, {"scopes": ["payments:read"]}), 5).json["key"].startswith("rk_live_")
    assert live.get(f"{KEYS}/{made.json['id']}").status == 404
    for role in ("operator", "viewer", "support"):
        assert Person(stack, reli.replica, reli.merchant, role).post(KEYS, {"scopes": ["payments:read"]}).status == 403


def test_the_command_line(reli, stack):
    db = reli.replica.database
    key = stack.api_key(reli.replica, reli.merchant, "test", "--name", "From here", "--cidrs", "127.0.0.0/8, ::1",
                        "--expires", "30d", "--scopes", "payments:read")
    assert key.startswith("rk_test_") and works(reli, key) == 200
    (found,) = [k for k in reli.get(KEYS).json["data"] if k["name"] == "From here"]
    assert found["cidrs"] == ["127.0.0.0/8", "::1"] and found["expires_at"] is not None
    shown = stack.cli(db, "keys", "list", "--merchant", reli.merchant)
    assert shown.returncode == 0
    (line,) = [words for words in shown.stdout.splitlines() if found["id"] in words]
    assert key[:12] in line and "From here" in line and key not in shown.stdout
    gone = stack.cli(db, "keys", "revoke", "--merchant", reli.merchant, "--key", found["id"])
    assert gone.returncode == 0, gone.stderr
    wait_until(lambda: works(reli, key) == 401, 5, "revoked")
    for args in (("--cidrs", "10.1.2.3/8"), ("--expires", "yesterday"), ("--expires", "2020-01-01"), ("--name", "")):
        done = stack.cli(db, "keys", "create", "--merchant", reli.merchant, "--mode", "test", *args)
        assert done.returncode == 2, done
    missing = stack.cli(db, "keys", "revoke", "--merchant", reli.merchant, "--key", new_key())
    assert missing.returncode == 1


@pytest.mark.parametrize("args, word", [
    (("--scope", "payments:read"), "--scope is not known here"), (("--expire", "30d"), "--expire is not known here"),
    (("--scopes",), "--scopes needs a value"), (("--scopes", "--name", "x"), "--scopes needs a value"),
    (("--scopes", "payments:read", "--scopes", "*"), "--scopes is given twice"), (("payments:read",), "payments:read"),
    (("--scopes", "payments:reed"), "--scopes is neither"),
])
def test_an_option_that_is_spelt_wrong_makes_no_key_that_may_everything(reli, stack, args, word):
    def keys():  # the asking moves last_used_at
        return [key["id"] for key in reli.get(KEYS).json["data"]]

    before = keys()
    done = stack.cli(reli.replica.database, "keys", "create", "--merchant", reli.merchant, "--mode", "test", *args)
    assert done.returncode == 2 and word in done.stderr and done.stdout == "", done
    assert keys() == before


def test_a_merchant_has_at_most_a_hundred(reli):
    made = [make(reli)["id"] for _ in range(99)]  # the first is the one that makes them
    assert make(reli, 409).code == "invalid_state"
    assert reli.delete(f"{KEYS}/{made[0]}").status == 204
    make(reli)

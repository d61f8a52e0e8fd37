"""People: logins, sessions, second factors, members and merchants, on two replicas without Redis."""

import concurrent.futures
import itertools
import json
import math
import time

import pytest
import websocket
from helpers import SLOW, V1, Clock, cash, new_key, wait_until
from people import PASSWORD, Person, admin_create, new_email, totp

NOBODY = "01900000-0000-7000-8000-000000000000"
_addresses = itertools.count(1)


class World:
    """Two replicas on one database and a test clock."""

    def __init__(self, stack, clock):
        self.stack, self.clock = stack, clock
        self.database = stack.database()
        # sessions of an hour; the client's address is what the header says
        self.a, self.b = (stack.serve(self.database, clock=clock, REDIS_URL=None, RELI_SESSION_MAX="1h",
                                      RELI_TRUSTED_PROXIES="127.0.0.0/8") for _ in range(2))
        self.a.ready()
        self.b.ready()
        self.boss = Person(stack, self.a)

    def shop(self):
        return self.stack.shop(self.a)

    def believes_no_more(self):
        """What a replica was told it believes for a second, by this clock; which tells three from none."""
        self.clock.advance(3)

    def person(self, merchant=None, role="owner", **kw):
        return Person(self.stack, self.a, merchant, role, **kw)


@pytest.fixture(scope="module")
def world(stack, tmp_path_factory):
    w = World(stack, Clock(tmp_path_factory.mktemp("people") / "clock"))
    yield w
    stack.leave(w.a)
    stack.leave(w.b)


@pytest.fixture
def shop(world):
    return world.shop()


@pytest.fixture
def ann(world, shop):
    """An owner of the shop, logged in."""
    world.boss.login()  # the clock may have gone on
    return world.person(shop.merchant)


def without_id(answer):
    body = answer.json
    del body["request_id"]
    return answer.status, body


def new_address():
    return f"198.51.{next(_addresses) // 250}.{next(_addresses) % 250 + 1}"


def try_login(replica, email, password, address=None, **fields):
    return replica.request("POST", V1 + "/auth/login", json.dumps({"email": email, "password": password} | fields),
                           {"Content-Type": "application/json", "X-Forwarded-For": address or new_address()})


def may(person):
    return person.get(V1 + "/payments").status


# ---- logging in ----


def test_a_login_and_who_it_was(world, shop, ann):
    said = ann.login(email=ann.email.upper())
    assert said["user"]["role"] == "owner" and said["merchant"]["id"] == shop.merchant
    assert said["tokens"]["expires_in"] == 900
    me = ann.get(V1 + "/auth/me").json
    assert me["user"]["email"] == ann.email and me["session"]["mode"] == "test" and not me["session"]["staff"]
    assert [m["merchant"]["id"] for m in me["memberships"]] == [shop.merchant]
    paid = ann.post(V1 + "/payments/initialize", cash(), headers={"Idempotency-Key": new_key()})
    assert paid.status == 201, paid
    trail = world.database.rows("select actor from reli.audit_log where subject_id = %s", paid.json["id"])
    assert {r["actor"] for r in trail} == {"user:" + ann.id}
    live = ann.acting(Reli_Mode="live")
    assert live.get(f"{V1}/payments/{paid.json['id']}").status == 404
    assert live.get(V1 + "/auth/me").json["session"]["mode"] == "live"
    assert ann.acting(Reli_Mode="both").get(V1 + "/payments").status == 400


def test_whatever_is_wrong_is_one_answer(world, ann):
    disabled = world.person(ann.merchant)
    assert world.stack.cli(world.database, "admin", "disable", "--email", disabled.email).returncode == 0
    answers = [without_id(try_login(world.a, email, password)) for email, password in
               [(ann.email, "wrong password"), (new_email(), PASSWORD), (disabled.email, PASSWORD), ("nobody", "x")]]
    assert answers == [answers[0]] * 4 and answers[0][0] == 401
    world.believes_no_more()
    assert may(disabled) == 401, "his sessions are over as well"
    assert {m["email"]: m["status"] for m in ann.get(V1 + "/members").json["data"]}[disabled.email] == "disabled"
    assert world.stack.cli(world.database, "admin", "enable", "--email", disabled.email.upper()).returncode == 0
    assert try_login(world.a, disabled.email, PASSWORD).status == 200
    assert world.stack.cli(world.database, "admin", "disable", "--email", new_email()).returncode == 1


def test_no_password_hash_or_address_is_in_the_clear(world, ann):
    row = world.database.one("select person, password_hash, email_index from reli.account_user where id = %s", ann.id)
    assert ann.email.encode() not in bytes(row["person"]) and row["password_hash"].startswith("$argon2id$")
    for replica in (world.a, world.b):
        log = replica.log.read_text()
        assert ann.email not in log and PASSWORD not in log and ann.tokens["access"] not in log


# ---- sessions ----


def test_a_refresh_token_is_good_once(ann, world):
    first = ann.tokens["refresh"]
    answer = ann.refresh()
    assert answer.status == 200, answer
    ann.tokens = answer.json["tokens"]
    assert may(ann) == 200 and may(ann.at(world.b)) == 200
    assert ann.refresh(first).status == 401  # stolen: the whole family ends
    assert ann.refresh(ann.tokens["refresh"]).status == 401
    world.believes_no_more()
    assert may(ann) == 401 and may(ann.at(world.b)) == 401
    row = world.database.one("select revoked_for from reli.session where user_id = %s", ann.id)
    assert row["revoked_for"] == "refresh_reused"


def test_a_refresh_token_that_comes_at_once_at_both_replicas(ann, world):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: (ann, ann.at(world.b))[i % 2].refresh().status, range(8)))
    assert sorted(answers) == [200] + [401] * 7
    world.believes_no_more()
    assert may(ann) == 401


def test_a_refresh_token_that_is_forged_ends_nothing(ann):
    good = ann.tokens["refresh"]
    for bad in (good[:-1] + ("0" if good[-1] != "0" else "1"), good.upper(), good[:-1], good + "0",
                "rrt_" + "0" * 72, good[:43] + "2" + good[44:], ann.tokens["access"]):
        assert ann.refresh(bad).status == 401, bad
    assert may(ann) == 200 and ann.refresh().status == 200


def test_who_has_logged_out_is_out_at_once(ann):
    other = ann.at(ann)
    other.login()
    assert may(ann) == 200 and may(other) == 200
    assert ann.post(V1 + "/auth/logout").status == 204
    assert may(ann) == 401 and may(other) == 200
    other.login()
    stolen = other.at(other)
    assert other.refresh().status == 200 and may(stolen) == 200
    assert other.refresh().status == 401, "it came twice"
    assert may(stolen) == 401


def test_what_is_changed_counts_for_the_next_request(world, shop, ann):
    assert shop.post(V1 + "/payments/initialize", cash()).status == 201
    assert ann.patch(V1 + "/merchant", {"require_idempotency_key": True}).status == 200
    assert shop.post(V1 + "/payments/initialize", cash()).code == "idempotency_key_required"
    assert ann.patch(V1 + "/merchant", {"require_idempotency_key": False}).status == 200
    assert shop.post(V1 + "/payments/initialize", cash()).status == 201
    bob = Person(world.stack, world.a, shop.merchant, "admin")
    assert bob.get(V1 + "/members").status == 200
    assert ann.patch(f"{V1}/members/{bob.id}", {"role": "viewer"}).status == 200
    assert bob.get(V1 + "/members").status == 403
    assert ann.delete(f"{V1}/members/{bob.id}").status == 204
    assert may(bob) == 401


def test_a_logout_is_heard_by_all_within_a_second(ann, world):
    there = ann.at(world.b)
    other = ann.at(ann)
    other.login()
    assert may(ann) == 200 and may(there) == 200
    assert ann.post(V1 + "/auth/logout").status == 204
    world.believes_no_more()
    assert may(ann) == 401 and may(there) == 401 and ann.refresh().status == 401
    assert may(other) == 200, "another session goes on"
    other.login()
    third = other.at(world.b)
    third.login()
    assert other.post(V1 + "/auth/logout", {"everywhere": True}).status == 204
    world.believes_no_more()
    assert may(other) == 401 and may(third) == 401


def test_a_session_that_is_not_used_ends(ann, world):
    world.clock.advance(14 * 60)
    assert may(ann) == 200
    wait_until(lambda: world.database.value(
        "select last_seen_at > to_timestamp(%s) from reli.session where user_id = %s", world.clock.now() - 60, ann.id),
        what="the use is noted")
    world.clock.advance(14 * 60)
    assert may(ann) == 401, "the access token is too old"
    answer = ann.refresh()
    assert answer.status == 200, answer
    ann.tokens = answer.json["tokens"]
    world.clock.advance(15 * 60)
    assert may(ann) == 401 and ann.refresh().status == 401


def test_a_session_ends_after_its_time_however_much_it_is_used(ann, world):
    for _ in range(5):
        world.clock.advance(10 * 60)
        answer = ann.refresh()
        assert answer.status == 200, answer
        ann.tokens = answer.json["tokens"]
    assert ann.tokens["expires_in"] <= 600, "no token outlives the session"
    world.clock.advance(10 * 60)
    assert may(ann) == 401 and ann.refresh().status == 401


def test_a_websocket_takes_an_access_token(ann, shop):
    payment = shop.pay()
    url = f"ws://{ann.host}:{ann.port}/ws/transaction/{payment['id']}"
    ws = websocket.create_connection(url, timeout=20 * SLOW, header=["Authorization: Bearer " + ann.tokens["access"]])
    assert json.loads(ws.recv())["type"] == "hello"
    ws.close()
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        websocket.create_connection(url, timeout=10, header=["Authorization: Bearer a.b.c"])


def closes(ws):
    """What the socket is closed with; what comes before is let pass."""
    while True:
        opcode, data = ws.recv_data(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return int.from_bytes(data[:2], "big")


def test_an_open_websocket_ends_with_its_session_or_key(ann, world, shop):
    payment = shop.pay()
    channel = f"transaction/{payment['id']}"
    url = f"ws://{world.b.host}:{world.b.port}/ws/{channel}"
    ticket = ann.post(V1 + "/ws/tickets", {"channel": channel}).json["ticket"]
    key = shop.post(V1 + "/api-keys", {"scopes": ["payments:read"]}).json

    def opened(query="", bearer=None):
        header = [f"Authorization: Bearer {bearer}"] if bearer else []
        ws = websocket.create_connection(url + query, timeout=20 * SLOW, header=header)
        assert json.loads(ws.recv())["type"] == "hello"
        return ws

    stays = [opened(bearer=shop.key), opened("?ticket=" + payment["client_token"])]
    go = [opened(bearer=ann.tokens["access"]), opened("?ticket=" + ticket)]
    assert ann.post(V1 + "/auth/logout").status == 204
    assert [closes(ws) for ws in go] == [1008, 1008]
    by_key = opened(bearer=key["key"])
    assert shop.delete(f"{V1}/api-keys/{key['id']}").status in (200, 204)
    assert closes(by_key) == 1008
    assert shop.post(f"{V1}/payments/{payment['id']}/confirm").status == 200
    for ws in stays:
        while json.loads(ws.recv())["type"] != "payment.completed":
            pass
        ws.close()


# ---- too many tries ----


@pytest.mark.parametrize("known", [True, False])
def test_an_account_waits_longer_and_longer(world, ann, known):
    email = ann.email if known else new_email()
    for _ in range(5):
        since = time.monotonic()
        assert try_login(world.a, email, "wrong password").status == 401
    for wait in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900):
        if wait >= 16:  # less is over before a busy machine has asked
            answer = try_login(world.b, email, PASSWORD)  # the right one does not help
            assert answer.status == 429 and answer.code == "too_many_attempts", answer
            assert wait - (time.monotonic() - since) - 2 < int(answer.header("Retry-After")) <= wait
        world.clock.advance(max(wait, 3))
        since = time.monotonic()
        assert try_login(world.a, email, "wrong password").status == 401
    if known:
        world.clock.advance(900)
        assert try_login(world.a, email, PASSWORD).status == 200
        for _ in range(4):
            assert try_login(world.a, email, "wrong password").status == 401
        assert try_login(world.a, email, PASSWORD).status == 200, "success forgives"


def test_many_tries_at_once_are_counted_too(world, ann):
    """The fifth locks for a second, the next one for two: who is slow may try once more after each."""
    counted, began = "select sum(failures) from reli.login_guard", time.monotonic()
    before = world.database.value(counted) or 0
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda i: try_login((world.a, world.b)[i % 2], ann.email, "wrong password").status,
                                range(32)))
    tried, most = answers.count(401), 5 + int(math.log2(time.monotonic() - began + 1))
    assert tried <= most and tried + answers.count(429) == 32
    made = world.database.value(counted) - before
    assert made >= 2 * tried, "of the account, and of each address; a try that lost a race counts for its address"
    for _ in range(3):
        world.clock.advance(60)
        assert try_login(world.a, ann.email, "wrong password").status == 401
    listed = {m["email"]: m["status"] for m in ann.get(V1 + "/members").json["data"]}
    assert listed[ann.email] == "locked", "for eight seconds at least"


def test_an_address_waits_too(world, ann):
    address = "203.0.113.9"
    for i in range(20):
        assert try_login(world.a, new_email(), "wrong password", address).status == 401
    assert try_login(world.b, ann.email, PASSWORD, address).status == 429
    assert try_login(world.b, ann.email, PASSWORD).status == 200, "from elsewhere he may"
    world.clock.advance(16 * 60)
    assert try_login(world.b, ann.email, PASSWORD, address).status == 200


def test_a_try_that_nobody_had_time_for_is_not_counted(world):
    """Sixty-four wait for four threads; the rest is told to come again."""
    world.clock.advance(16 * 60)
    world.database.rows("delete from reli.login_guard")
    replica = world.a
    with concurrent.futures.ThreadPoolExecutor(150) as pool:
        answers = [a.status for a in pool.map(lambda i: try_login(replica, new_email(), "wrong password"), range(150))]
    assert set(answers) <= {401, 503} and 503 in answers
    assert world.database.value("select count(*) from reli.login_guard where failures > 0") == 2 * answers.count(401)


# ---- passwords and second factors ----


def test_a_new_password_ends_the_other_sessions(ann, world):
    other = ann.at(world.b)
    other.login()
    assert ann.post(V1 + "/auth/password", {"password": "wrong password", "new_password": "12345678"}).status == 401
    assert ann.post(V1 + "/auth/password", {"password": PASSWORD, "new_password": "ß" * 200}).status == 422
    assert ann.post(V1 + "/auth/password", {"password": PASSWORD, "new_password": "a better one"}).status == 204
    world.believes_no_more()
    assert may(ann) == 200 and may(other) == 401
    assert try_login(world.a, ann.email, PASSWORD).status == 401
    assert try_login(world.a, ann.email, "a better one").status == 200


def test_a_second_factor(ann, world):
    secret = ann.enrol(confirm=False)
    assert try_login(world.a, ann.email, PASSWORD).status == 200, "not before it is confirmed"
    now = ann.replica.time
    assert ann.post(V1 + "/auth/totp/confirm", {"totp": totp(secret, now(), -10)}).status == 401
    code = totp(secret, now())
    assert ann.post(V1 + "/auth/totp/confirm", {"totp": code}).status == 204
    assert ann.post(V1 + "/auth/totp/confirm", {"totp": totp(secret, now(), 1)}).status == 409
    assert try_login(world.a, ann.email, PASSWORD).code == "totp_required"
    assert try_login(world.a, ann.email, PASSWORD, totp=code).status == 401, "it confirmed"
    assert try_login(world.a, ann.email, PASSWORD, totp=totp(secret, now(), 9)).status == 401
    world.clock.advance(90)
    code = totp(secret, now())
    assert try_login(world.a, ann.email, PASSWORD, totp=code).status == 200
    assert try_login(world.b, ann.email, PASSWORD, totp=code).status == 401, "a code counts once"
    world.clock.advance(90)
    code = totp(secret, now())
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda i: try_login((world.a, world.b)[i % 2], ann.email, PASSWORD,
                                                    totp=code).status, range(4)))
    assert sorted(answers) == [200, 401, 401, 401]
    world.clock.advance(90)
    assert ann.post(V1 + "/auth/totp/enrol", {"password": PASSWORD}).status == 409
    assert ann.post(V1 + "/auth/totp/disable", {"password": PASSWORD}).code == "totp_required"
    assert ann.post(V1 + "/auth/totp/disable", {"password": PASSWORD, "totp": totp(secret, now())}).status == 204
    assert try_login(world.a, ann.email, PASSWORD).status == 200


# ---- members ----


def invite(person, email=None, role="operator"):
    r = person.post(V1 + "/members", {"email": email or new_email(), "role": role})
    assert r.status == 201, r
    return r.json


def accept(replica, token, password=PASSWORD, **fields):
    return replica.request("POST", V1 + "/auth/invitations/accept",
                           json.dumps({"token": token, "password": password} | fields),
                           {"Content-Type": "application/json", "X-Forwarded-For": new_address()})


def test_an_invitation(ann, world, shop):
    made = invite(ann, role="viewer")
    assert made["status"] == "invited" and made["email"] not in json.dumps(world.a.logs())
    assert try_login(world.a, made["email"], PASSWORD).status == 401
    token = made["invitation"]["token"]
    for other in (token[:-1] + ("0" if token[-1] != "0" else "1"), "x"):
        assert accept(world.b, other).status == 404
    joined = accept(world.b, token, name="Joe")
    assert joined.status == 200 and (joined.json["status"], joined.json["name"]) == ("active", "Joe"), joined
    assert accept(world.b, token).status == 404, "once"
    said = try_login(world.a, made["email"], PASSWORD).json
    assert said["user"]["role"] == "viewer" and said["merchant"]["id"] == shop.merchant
    listed = ann.get(V1 + "/members").json["data"]
    assert {m["email"] for m in listed} == {ann.email, made["email"]} and "invitation" not in listed[1]
    assert ann.post(V1 + "/members", {"email": made["email"], "role": "admin"}).status == 409, "a member already"


def test_an_invitation_that_is_over(ann, world):
    first = invite(ann)
    second = invite(ann, first["email"], "viewer")
    assert accept(world.a, first["invitation"]["token"]).status == 404, "there is a newer one"
    third = invite(ann)
    assert ann.delete(f"{V1}/members/{third['id']}").status == 204
    assert accept(world.a, third["invitation"]["token"]).status == 404, "taken back"
    world.clock.advance(7 * 86400 + 1)
    assert accept(world.a, second["invitation"]["token"]).status == 404, "too late"


def test_an_invitation_tells_nothing_about_who_is_known_elsewhere(ann, world):
    """Anybody can be invited: it must not be a way to ask who he is."""
    elsewhere = invite(world.person(world.shop().merchant))
    assert accept(world.b, elsewhere["invitation"]["token"], name="Jane Doe").status == 200
    assert try_login(world.a, elsewhere["email"], PASSWORD).status == 200
    world.database.rows("update reli.account_user set totp_confirmed_at = now() where id = %s", elsewhere["id"])
    stranger = invite(ann)
    known = invite(ann, elsewhere["email"])
    listed = {m["id"]: m for m in ann.get(V1 + "/members?limit=100").json["data"]}
    for m in (stranger, known, listed[stranger["id"]], listed[known["id"]]):
        assert (m["status"], m["name"], m["totp_enabled"], m["last_login_at"]) == ("invited", None, False, None), m
    joined = accept(world.a, known["invitation"]["token"], PASSWORD).json
    assert joined["name"] == "Jane Doe" and joined["totp_enabled"] and joined["last_login_at"], "now he is one of theirs"


def test_who_has_an_account_proves_it(ann, world):
    elsewhere = world.person(world.shop().merchant, "viewer")
    token = invite(ann, elsewhere.email, "admin")["invitation"]["token"]
    assert accept(world.a, token, "some other password").status == 401
    assert accept(world.a, token, PASSWORD).status == 200
    assert elsewhere.login()["merchant"]["id"] == elsewhere.merchant, "the oldest membership"
    assert elsewhere.login(merchant=ann.merchant)["user"]["role"] == "admin"
    answer = elsewhere.try_login(merchant=NOBODY)
    assert answer.status == 403 and answer.code == "no_membership"


def test_owners_are_the_owners_matter(ann, world):
    admin = world.person(ann.merchant, "admin")
    joe = world.person(ann.merchant, "viewer")
    assert admin.post(V1 + "/members", {"email": new_email(), "role": "owner"}).status == 403
    assert admin.patch(f"{V1}/members/{joe.id}", {"role": "owner"}).status == 403
    assert admin.patch(f"{V1}/members/{ann.id}", {"role": "viewer"}).status == 403
    assert admin.delete(f"{V1}/members/{ann.id}").status == 403
    assert admin.patch(f"{V1}/members/{joe.id}", {"role": "operator"}).json["role"] == "operator"
    world.believes_no_more()
    assert joe.get(V1 + "/auth/me").json["user"]["role"] == "operator", "from the next request on"
    for change in (ann.patch(f"{V1}/members/{ann.id}", {"role": "admin"}), ann.delete(f"{V1}/members/{ann.id}")):
        assert change.status == 409 and change.code == "invalid_state", "the last owner stays"
    assert ann.patch(f"{V1}/members/{admin.id}", {"role": "owner"}).status == 200
    assert ann.patch(f"{V1}/members/{ann.id}", {"role": "admin"}).status == 200
    stranger = world.person(world.shop().merchant)
    assert stranger.patch(f"{V1}/members/{joe.id}", {"role": "viewer"}).status == 404
    assert stranger.delete(f"{V1}/members/{joe.id}").status == 404


def test_two_owners_cannot_remove_each_other_at_once(ann, world):
    eve = world.person(ann.merchant).at(world.b)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            one = pool.submit(ann.patch, f"{V1}/members/{eve.id}", {"role": "admin"})
            two = pool.submit(eve.patch, f"{V1}/members/{ann.id}", {"role": "admin"})
            assert {one.result().status, two.result().status} <= {200, 403, 409}
            owners = world.database.rows("select user_id::text from reli.membership where merchant_id = %s "
                                         "and role = 'owner' and status = 'active'", ann.merchant)
            assert len(owners) >= 1
            world.database.rows("update reli.membership set role = 'owner' where merchant_id = %s", ann.merchant)
            world.believes_no_more()


def test_who_is_taken_out_is_out(ann, world):
    joe = world.person(ann.merchant, "admin")
    assert may(joe) == 200
    assert ann.delete(f"{V1}/members/{joe.id}").status == 204
    world.believes_no_more()
    assert may(joe) == 401 and joe.refresh().status == 401
    answer = joe.try_login()
    assert answer.status == 403 and answer.code == "no_membership"


# ---- staff and merchants ----


def test_staff_name_the_merchant_that_they_act_for(world, shop, ann):
    boss = world.boss
    payment = shop.pay()
    assert boss.get(V1 + "/payments").status == 403
    acting = boss.acting(Reli_Merchant=shop.merchant)
    assert acting.get(f"{V1}/payments/{payment['id']}").status == 200
    assert acting.get(V1 + "/members").json["data"][0]["email"] == ann.email
    assert boss.acting(Reli_Merchant=NOBODY).get(V1 + "/payments").status == 404
    assert boss.acting(Reli_Merchant="x").get(V1 + "/payments").status == 400
    assert ann.acting(Reli_Merchant=shop.merchant).get(V1 + "/payments").status == 200
    for path in ("payments", "auth/me", f"payments/{payment['id']}"):
        assert ann.acting(Reli_Merchant=world.shop().merchant).get(f"{V1}/{path}").status == 403
    assert acting.post(f"{V1}/payments/{payment['id']}/confirm").status == 200
    trail = shop.payment(payment["id"])["timeline"]
    assert trail[-1]["actor"] == "user:" + boss.id


def test_staff_invite_staff(world):
    boss = world.boss
    boss.login()
    made = invite(boss, role="support")
    assert accept(world.b, made["invitation"]["token"]).status == 200
    said = try_login(world.a, made["email"], PASSWORD).json
    assert said["merchant"] is None and said["user"]["role"] == "support"
    helper = boss.at(world.b)
    helper.tokens = said["tokens"]
    assert helper.get(V1 + "/auth/me").json["session"]["staff"] is True
    assert helper.get(V1 + "/merchants").status == 200
    assert helper.post(V1 + "/merchants", {"name": "Mine"}).status == 403
    assert made["id"] in [m["id"] for m in boss.get(V1 + "/members?limit=100").json["data"]]
    assert boss.delete(f"{V1}/members/{boss.id}").code == "invalid_state", "the last owner of all"


def test_the_life_of_a_merchant(world, ann):
    boss = world.boss
    made = boss.post(V1 + "/merchants", {"name": "New shop"}).json
    at = f"{V1}/merchants/{made['id']}"
    assert made["status"] == "onboarding" and made["webhook_secret"].startswith("whsec_")
    owner = world.person(made["id"])
    pay = V1 + "/payments/initialize"
    assert owner.post(pay, cash()).status == 201, "test mode works"
    live = owner.acting(Reli_Mode="live")
    assert live.post(pay, cash()).status == 403 and live.get(V1 + "/payments").status == 200
    assert boss.post(at + "/suspend").code == "invalid_state"
    assert boss.patch(at, {"kyc_level": 1}).json["kyc_level"] == 1
    assert world.stack.cli(world.database, "keys", "create", "--merchant", made["id"], "--mode",
                           "live").returncode == 1, "live keys are for active merchants"
    assert boss.post(at + "/activate").json["status"] == "active"
    world.believes_no_more()
    assert live.post(pay, cash()).status == 201
    assert boss.post(at + "/close").json["status"] == "closed"
    for word in ("activate", "suspend", "close"):
        assert boss.post(f"{at}/{word}").code == "invalid_state"
    world.believes_no_more()
    assert owner.post(pay, cash()).code == "merchant_closed" and may(owner) == 200
    assert owner.post(V1 + "/members", {"email": new_email(), "role": "viewer"}).code == "merchant_closed"
    moves = world.database.rows("select before, after, actor from reli.audit_log where subject_id = %s "
                                "and before is not null order by created_at", made["id"])
    assert [(m["before"], m["after"]) for m in moves] == [("onboarding", "active"), ("active", "closed")]
    assert {m["actor"] for m in moves} == {"user:" + boss.id}
    assert boss.get(V1 + "/merchants?status=closed&limit=1").json["data"][0]["id"] == made["id"]


def test_a_suspended_merchant_is_read_and_refunds(world, shop, ann):
    boss, payment = world.boss, shop.pay()
    assert shop.post(f"{V1}/payments/{payment['id']}/confirm").status == 200
    assert boss.post(f"{V1}/merchants/{shop.merchant}/suspend").status == 200
    world.believes_no_more()
    for caller in (shop, ann):
        assert caller.get(f"{V1}/payments/{payment['id']}").status == 200
        answer = caller.post(V1 + "/payments/initialize", cash(), headers={"Idempotency-Key": new_key()})
        assert answer.status == 403 and answer.code == "merchant_suspended", answer
        assert caller.post(V1 + "/webhook-endpoints", {"url": "https://shop.example/"}).code == "merchant_suspended"
        refund = caller.post(f"{V1}/payments/{payment['id']}/refund", {"amount": "10.00"})
        assert refund.status == 201, refund
    assert ann.login()["merchant"]["status"] == "suspended"
    staff = boss.acting(Reli_Merchant=shop.merchant)
    assert staff.post(V1 + "/payments/initialize", cash()).code == "merchant_suspended"
    assert boss.post(f"{V1}/merchants/{shop.merchant}/activate").status == 200
    world.believes_no_more()
    assert shop.pay()["status"] == "requires_action"


def test_a_merchants_own_settings(world, shop, ann):
    assert shop.get(V1 + "/merchant").json["id"] == shop.merchant
    assert ann.patch(V1 + "/merchant", {"require_idempotency_key": True, "name": "My shop"}).json["name"] == "My shop"
    assert ann.patch(V1 + "/merchant", {"kyc_level": 3}).status == 422
    world.believes_no_more()
    assert shop.post(V1 + "/payments/initialize", cash()).code == "idempotency_key_required"
    assert ann.patch(V1 + "/merchant", {"refund_approval_above": 100}).json["refund_approval_above"] == 100
    assert ann.patch(V1 + "/merchant", {"refund_approval_above": None}).json["refund_approval_above"] is None
    both = ann.patch(V1 + "/merchant", {"payout_approval_above": 7}).json
    assert (both["refund_approval_above"], both["payout_approval_above"]) == (None, 7)
    assert ann.patch(V1 + "/merchant", {"payout_approval_above": None}).json["payout_approval_above"] is None


def test_a_refund_is_approved_by_another_person(world, shop, ann):
    assert ann.patch(V1 + "/merchant", {"refund_approval_above": 100}).status == 200
    world.believes_no_more()
    payment = shop.pay()
    assert shop.post(f"{V1}/payments/{payment['id']}/confirm").status == 200
    made = ann.post(f"{V1}/payments/{payment['id']}/refund", {"amount": "500.00"}).json
    assert made["status"] == "pending_approval" and made["requested_by"] == "user:" + ann.id
    again = ann.at(world.b)
    again.login()  # another session is not another person
    assert again.post(f"{V1}/refunds/{made['id']}/approve").status == 403
    joe = world.person(shop.merchant, "operator")
    approved = joe.post(f"{V1}/refunds/{made['id']}/approve")
    assert approved.status == 200 and approved.json["approved_by"] == "user:" + joe.id, approved


def test_an_account_is_given_again_by_the_command_line(world, ann):
    secret = ann.enrol()
    email = ann.email
    assert admin_create(world.stack, world.database, email, ann.merchant, "owner", "forgotten, this one",
                        "--reset-totp") == ann.id
    world.believes_no_more()
    assert may(ann) == 401 and secret
    assert try_login(world.a, email, "forgotten, this one").status == 200
    made = world.stack.cli(world.database, "admin", "create", "--email", email)
    assert made.returncode == 1 and "8 to 256" in made.stderr


def test_the_audit_trail_of_people_is_sealed(world, ann):
    wait_until(lambda: not world.database.rows("select 1 from reli.log_new"), what="all has its position")
    for merchant in ("00000000-0000-0000-0000-000000000000", ann.merchant):
        wait_until(lambda merchant=merchant: world.database.value(
            "select (select max(to_position) from reli.audit_seal where merchant_id = %s) >= "
            "(select max(position + n - 1) from reli.log_position where merchant_id = %s and kind = 2)",
            merchant, merchant), what="all is sealed")
    done = world.stack.cli(world.database, "audit", "verify")
    assert done.returncode == 0, done.stdout

"""Logins by Firebase: who somebody is here, what a first login does, and the keys that count. Tokens that are not good
are in test_tokens.py."""

import concurrent.futures
import json

import pytest
from helpers import V1, Site, free_port, wait_until
from people import PASSWORD, Person, admin_create, new_email
from stack import Launcher
from tokens import b64, compact, parts_of

LOGIN = V1 + "/auth/firebase"


def login(site, id_token, path=LOGIN, **more):
    return Site(site.url).request("POST", path, json.dumps({"id_token": id_token} | more),
                                  {"Content-Type": "application/json"})


def token(sandbox, address, sub=None, verified=True, **claims):
    return sandbox.id_token(claims={"sub": sub or "firebase-" + address, "email": address, "email_verified": verified} | claims)


def audit(db, user):
    return [(r["action"], r["detail"]) for r in
            db.rows("select action, detail from reli.audit_log where subject_id = %s order by id", user)]


def test_the_first_login_links_the_person_with_the_verified_address(reli, sandbox, stack, db):
    ann = Person(stack, reli.replica, reli.merchant, login=False)
    sub = "sub-of-" + ann.id
    r = login(reli, token(sandbox, ann.email.upper(), sub))
    assert r.status == 200, r
    assert r.json["user"]["id"] == ann.id and r.json["user"]["role"] == "owner"
    assert r.json["merchant"]["id"] == reli.merchant
    assert reli.with_key(r.json["tokens"]["access"]).get(V1 + "/payments").status == 200
    # from then on it is the account that counts, whatever its address is
    for again in (token(sandbox, new_email(), sub, verified=False), sandbox.id_token(claims={"sub": sub})):
        assert login(reli, again).json["user"]["id"] == ann.id
    assert login(reli, token(sandbox, ann.email, sub), path="/api/auth/firebase").status == 200
    said = audit(db, ann.id)
    assert said.count(("user.linked", "firebase")) == 1 and said.count(("session.opened", "firebase")) == 4
    assert not db.rows("select 1 from reli.user_lookup where user_id = %s and position(convert_to(%s, 'UTF8') in hash) > 0",
                       ann.id, sub)


def test_an_address_that_nobody_has_verified_says_nothing(reli, sandbox, stack, db):
    ann = Person(stack, reli.replica, reli.merchant, login=False)
    for claims in ({"verified": False}, {"email_verified": "true"}, {"email_verified": 1}, {"email_verified": None}):
        r = login(reli, token(sandbox, ann.email, "thief", **claims))
        assert (r.status, r.code) == (403, "no_membership"), claims
    for email in (f" {ann.email[:-1]}", f"x{ann.email}", ann.email + ".evil.example", "", None, 7, [ann.email]):
        r = login(reli, token(sandbox, "x", "thief", email=email))
        assert (r.status, r.code) == (403, "no_membership"), email
    assert not db.rows("select 1 from reli.user_lookup where kind = 'firebase' and user_id = %s", ann.id)


def test_who_may_not(reli, sandbox, stack, db):
    """Disabled: 401 as with any bad credential. Invited, a stranger to that merchant, or with a second factor: 403."""
    gone = Person(stack, reli.replica, reli.merchant, login=False)
    linked = token(sandbox, gone.email)
    assert login(reli, linked).status == 200
    db.rows("update reli.account_user set status = 'disabled' where id = %s", gone.id)
    bad = login(reli, linked[:-2])
    for id_token in (linked, token(sandbox, gone.email, "another sub")):
        r = login(reli, id_token)
        assert (r.status, r.json["detail"]) == (401, bad.json["detail"])
    db.rows("update reli.account_user set status = 'invited', version = version + 1 where id = %s", gone.id)
    assert login(reli, token(sandbox, gone.email, "another sub")).code == "no_membership"
    ann = Person(stack, reli.replica, reli.merchant)
    assert login(reli, token(sandbox, ann.email), merchant=stack.shop(reli.replica).merchant).code == "no_membership"
    assert login(reli, token(sandbox, ann.email), merchant=reli.merchant).status == 200
    ann.enrol()
    assert login(reli, token(sandbox, ann.email)).status == 403
    for body in ("{}", '{"id_token":7}', '{"id_token":""}', '{"id_token":"x","surprise":1}'):
        r = Site(reli.url).request("POST", LOGIN, body, {"Content-Type": "application/json"})
        assert r.status == 422, (body, r)


def test_two_first_logins_at_once(reli, sandbox, stack, db):
    ann = Person(stack, reli.replica, reli.merchant, login=False)
    id_token = token(sandbox, ann.email)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: login(reli, id_token), range(8)))
    assert {r.json["user"]["id"] for r in answers} == {ann.id}
    assert audit(db, ann.id).count(("user.linked", "firebase")) == 1


def test_accounts_are_made_where_that_is_wanted(replicas, sandbox, stack):
    one = replicas.one(clock=False, RELI_FIREBASE_LOGIN="create")
    db, email = one.database, new_email()
    id_token = token(sandbox, email, name="Ann Wanjiru")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: login(one, id_token), range(4)))
    assert {(r.status, r.code) for r in answers} == {(403, "no_membership")}
    made = db.one("select id, status, password_hash from reli.account_user")
    assert (made["status"], made["password_hash"]) == ("active", None)
    assert audit(db, made["id"]) == [("user.created", "firebase")]
    dump = compact(db.rows("select u::text from reli.account_user u union all select l::text from reli.user_lookup l"))
    assert email not in dump and email.encode().hex() not in dump and b"Wanjiru".hex() not in dump
    # who is made a member is the same account
    shop = replicas.shop(one)
    assert admin_create(stack, db, email, shop.merchant, "viewer") == made["id"]
    r = login(one, id_token)
    assert r.status == 200 and [r.json["user"][k] for k in ("id", "email", "role")] == [made["id"], email, "viewer"]
    # nobody without a verified address gets one
    assert login(one, token(sandbox, new_email(), verified=False)).code == "no_membership"
    assert db.value("select count(*) from reli.account_user") == 1


# ---- invitations ----


def invite(owner, email, role="viewer"):
    made = owner.post(V1 + "/members", {"email": email, "role": role})
    assert made.status == 201, made
    return made.json["id"], made.json["invitation"]["token"]


def accept(site, invitation, **proof):
    return Site(site.url).request("POST", V1 + "/auth/invitations/accept", json.dumps({"token": invitation} | proof),
                                  {"Content-Type": "application/json"})


def firebase_accounts(db, user):
    return db.value("select count(*) from reli.user_lookup where kind = 'firebase' and user_id = %s", user)


def test_an_invitation_is_accepted_with_an_id_token(reli, sandbox, stack, db):
    """No password is made, and the address is the bearer's: nobody else can take it."""
    owner, email = Person(stack, reli.replica, reli.merchant), new_email()
    user, invitation = invite(owner, email)
    for id_token in (token(sandbox, new_email()), token(sandbox, owner.email), token(sandbox, email, verified=False),
                     token(sandbox, email)[:-2], "x"):
        r = accept(reli, invitation, id_token=id_token)
        assert (r.status, r.json["detail"]) == (401, "The ID token is not good."), r
    assert firebase_accounts(db, user) == 0 and firebase_accounts(db, owner.id) == 0
    for proof in ({}, {"password": PASSWORD, "id_token": token(sandbox, email)}, {"id_token": 7}, {"password": None}):
        r = accept(reli, invitation, **proof)
        assert (r.status, r.code) == (422, "validation_failed"), (proof, r)
    r = accept(reli, invitation, id_token=token(sandbox, email.upper(), "firebase-" + email), name="Joe Otieno")
    assert r.status == 200, r
    assert [r.json[k] for k in ("id", "status", "name", "confirmed")] == [user, "active", "Joe Otieno", False]
    assert accept(reli, invitation, id_token=token(sandbox, email)).status == 404, "once"
    assert login(reli, token(sandbox, email)).json["user"]["id"] == user
    row = db.one("select password_hash, stands_for from reli.account_user where id = %s", user)
    assert (row["password_hash"], row["stands_for"]) == (None, "user:" + owner.id)
    assert firebase_accounts(db, user) == 1


def test_who_has_an_account_accepts_with_an_id_token(reli, sandbox, stack, db):
    """Linked or not; of somebody who is confirmed nothing else changes."""
    owner = Person(stack, reli.replica, reli.merchant)
    ann = Person(stack, reli.replica, stack.shop(reli.replica).merchant, login=False)
    r = accept(reli, invite(owner, ann.email)[1], id_token=token(sandbox, ann.email))
    assert (r.status, r.json["confirmed"]) == (200, True), r
    assert ann.try_login().status == 200 and firebase_accounts(db, ann.id) == 1
    assert owner.delete(f"{V1}/members/{ann.id}").status == 204
    again = invite(owner, ann.email)[1]
    assert accept(reli, again, id_token=token(sandbox, new_email(), "firebase-" + ann.email)).status == 200
    assert firebase_accounts(db, ann.id) == 1
    # with a second factor by password, as he logs in
    joe = Person(stack, reli.replica, ann.merchant)
    joe.enrol()
    invitation = invite(owner, joe.email)[1]
    assert accept(reli, invitation, id_token=token(sandbox, joe.email)).status == 403
    assert firebase_accounts(db, joe.id) == 0
    assert accept(reli, invitation, password=joe.password).status == 200


def test_an_account_that_firebase_made_accepts_an_invitation(replicas, sandbox, stack):
    """It has no password to prove itself with."""
    one = replicas.one(clock=False, RELI_FIREBASE_LOGIN="create")
    owner, email = Person(stack, one, replicas.shop(one).merchant), new_email()
    assert login(one, token(sandbox, email, name="Ann Wanjiru")).code == "no_membership"
    user, invitation = invite(owner, email, "operator")
    assert accept(one, invitation, password=PASSWORD).status == 401
    r = accept(one, invitation, id_token=token(sandbox, email), name="Somebody Else")
    assert r.status == 200 and [r.json[k] for k in ("id", "name", "confirmed")] == [user, "Ann Wanjiru", False], r
    assert login(one, token(sandbox, email)).json["user"]["role"] == "operator"
    assert one.database.value("select stands_for from reli.account_user where id = %s", user) == "user:" + owner.id
    # whoever is not invited gets no account by trying
    stranger = token(sandbox, new_email())
    assert accept(one, invite(owner, new_email())[1], id_token=stranger).status == 401
    assert firebase_accounts(one.database, user) == 1
    assert one.database.value("select count(*) from reli.user_lookup where kind = 'firebase'") == 1


def test_an_address_that_was_taken_goes_back_to_whom_it_belongs(reli, sandbox, stack, db):
    """Who invited it has set its password. Whom another person has confirmed has set his own."""
    owner, other = (Person(stack, reli.replica, reli.merchant) for _ in range(2))
    thief, kim = Person.invited(owner), Person.invited(owner)
    assert other.post(f"{V1}/members/{kim.id}/confirm").status == 200
    assert thief.get(V1 + "/payments").status == kim.get(V1 + "/payments").status == 200
    kim.login()
    for user in (thief, kim):
        r = login(reli, token(sandbox, user.email))
        assert r.status == 200 and r.json["user"]["id"] == user.id, r
    assert thief.get(V1 + "/payments").status == 401, "his session has ended"
    assert thief.refresh().status == thief.try_login().status == 401
    assert kim.get(V1 + "/payments").status == kim.refresh().status == kim.try_login().status == 200
    assert ("user.linked", "firebase, password gone") in audit(db, thief.id)
    assert ("user.linked", "firebase") in audit(db, kim.id)
    # that the address is his does not make him somebody else than who invited him
    assert owner.post(f"{V1}/members/{thief.id}/confirm").status == 403


def test_a_second_factor_is_not_gone_round_by_a_first_login(reli, sandbox, stack, db):
    kim = Person.invited(Person(stack, reli.replica, reli.merchant))
    kim.enrol()
    r = login(reli, token(sandbox, kim.email))
    assert (r.status, r.code) == (403, "forbidden"), r
    assert firebase_accounts(db, kim.id) == 0
    assert kim.try_login().code == "totp_required", "the password is as it was"


@pytest.fixture
def apart(stack, clock):
    """A replica with a sandbox of its own, on the test clock: the keys of the others stay as they are."""
    launcher = Launcher(stack, clock, stack.new_sandbox())
    try:
        yield launcher
    finally:
        launcher.close()
        launcher.sandbox.term()
        launcher.sandbox.wait()


def test_keys_rotate(apart, stack):
    one, sandbox = apart.one(), apart.sandbox
    ann = Person(stack, one, apart.shop(one).merchant, login=False)
    old = token(sandbox, ann.email, exp=int(one.time()) + 400000)
    assert login(one, old).status == 200
    sandbox.firebase("_keys", rotate=True)
    new = token(sandbox, ann.email, exp=int(one.time()) + 400000)
    assert parts_of(old)[0]["kid"] != parts_of(new)[0]["kid"]
    n = len(sandbox.calls(provider="firebase", op="certs"))
    assert login(one, new).status == 200 and login(one, old).status == 200
    assert len(sandbox.calls(provider="firebase", op="certs")) == n + 1
    # the old key goes; it is believed until the set has been renewed, which happens by itself
    sandbox.firebase("_keys", drop=True)
    one.clock.advance(20000)
    wait_until(lambda: len(sandbox.calls(provider="firebase", op="certs")) == n + 2, what="the set is renewed")
    wait_until(lambda: login(one, old).status == 401, what="the old key is not believed")
    assert login(one, new).status == 200
    # away: the last good set counts for a day
    sandbox.chaos(down=True)
    one.clock.advance(23 * 3600)
    assert login(one, new).status == 200
    one.clock.advance(2 * 3600)
    r = login(one, new)
    assert r.status == 503 and r.header("Retry-After"), r
    sandbox.chaos(down=False)
    one.clock.advance(60)
    wait_until(lambda: login(one, new).status == 200, what="keys again")


def test_without_keys_nobody_is_refused_as_wrong(replicas, sandbox):
    one = replicas.one(clock=False, FIREBASE_CERTS_URL=f"http://127.0.0.1:{free_port()}/certs")
    r = login(one, token(sandbox, new_email()))
    assert (r.status, r.code) == (503, "unavailable") and r.header("Retry-After")
    # what needs no key to be seen is
    assert login(one, sandbox.id_token(claims={"aud": "other"})).status == 401


def test_jwk_sets_do_as_well(replicas, sandbox, stack):
    one = replicas.one(clock=False, FIREBASE_CERTS_URL=sandbox.url + "/firebase/jwks")
    ann = Person(stack, one, replicas.shop(one).merchant, login=False)
    assert login(one, token(sandbox, ann.email)).status == 200


@pytest.mark.parametrize("off", [{"RELI_FIREBASE_LOGIN": "off"}, {"FIREBASE_PROJECT_ID": None}])
def test_not_set_up(replicas, sandbox, off):
    one = replicas.one(clock=False, **off)
    r = login(one, token(sandbox, new_email()))
    assert (r.status, r.code) == (404, "not_found")


def test_the_emulator(replicas, sandbox, stack):
    """Unsigned tokens where it is named, and only there; never where money is real."""
    emulator = {"FIREBASE_AUTH_EMULATOR_HOST": "127.0.0.1:9099"}
    one = replicas.one(clock=False, **emulator)
    ann = Person(stack, one, replicas.shop(one).merchant, login=False)
    assert any(line["event"] == "firebase.emulator" and line["level"] == "warn" for line in one.logs())
    signed = token(sandbox, ann.email)
    unsigned = b64('{"alg":"none","typ":"JWT"}') + "." + signed.split(".")[1] + "."
    assert login(one, unsigned).status == 200
    assert login(one, signed).status == 401
    assert login(one, unsigned[:-1]).status == 401
    listen = {"RELI_LISTEN": f"127.0.0.1:{free_port()}"}
    done = stack.cli(one.database, "serve", RELI_PROVIDER_MODE="live", **emulator, **listen,
                     FIREBASE_CERTS_URL="https://keys.example/certs")
    assert done.returncode == 2 and "FIREBASE_AUTH_EMULATOR_HOST" in done.stderr, done
    stack.api_key(one, ann.merchant, "live")
    done = stack.cli(one.database, "serve", **emulator, **listen)
    assert done.returncode == 2 and "FIREBASE_AUTH_EMULATOR_HOST" in done.stderr + done.stdout, done

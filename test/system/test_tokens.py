"""Who is believed. Every bad token, key or session gets one and the same answer, and a good one still works afterwards.
The bad ones are in tokens.py."""

import json
import urllib.parse

import pytest
from helpers import V1, Connection, wait_until
from people import Person
from tokens import api_keys, b64, compact, hs256, id_tokens, parts_of, signed, without

SECRET = "jwt-secret-of-the-system-tests-0123456789"  # stack.py
PAYMENTS = V1 + "/payments"


@pytest.fixture
def ann(reli, stack):
    return Person(stack, reli.replica, reli.merchant)


@pytest.fixture
def wire(reli):
    """One connection for hundreds of requests."""
    parts = urllib.parse.urlsplit(reli.url)
    c = Connection(parts.hostname, parts.port, 30)
    yield c
    c.close()


def ask(wire, token):
    return wire.request("GET", PAYMENTS, None, {"Authorization": f"Bearer {token}"})


def login(wire, id_token):
    return wire.request("POST", V1 + "/auth/firebase", json.dumps({"id_token": id_token}),
                        {"Content-Type": "application/json"})


def refusal(r, name):
    """What a refused caller learns: everything but the request's id."""
    assert r.status == 401, f"{name}: {r}"
    assert r.header("WWW-Authenticate") == 'Bearer realm="reli"', name
    body = r.json
    assert body.pop("request_id"), name
    return compact(body)


def all_refused(send, bad, good, at_least):
    """Nobody of `bad` gets in, all learn the same, and `good` is still good."""
    learnt, n = {}, 0
    for name, token in bad:
        assert token != good, name
        learnt.setdefault(refusal(send(token), name), name)
        n += 1
    assert len(learnt) == 1, learnt
    assert n >= at_least, n
    assert send(good).status == 200
    return learnt.popitem()[0]


def test_access_tokens(ann, wire):
    good = ann.tokens["access"]
    assert ask(wire, good).status == 200
    # by hand it is made the same way: what follows differs in nothing but its fault
    header, claims = parts_of(good)
    assert ask(wire, signed(header, claims, SECRET)).status == 200
    assert ask(wire, signed(without(header, "typ"), claims, SECRET)).status == 200
    all_refused(lambda t: ask(wire, t), hs256(good, SECRET, ann.replica.time()), good, 250)


def test_keys_and_other_credentials(reli, ann, wire):
    paid = reli.pay()
    bad = list(api_keys(reli.key)) + [
        ("a refresh token", ann.tokens["refresh"]),
        ("the client token of a payment", paid["client_token"]),
        ("a merchant's webhook secret", reli.webhook_secret),
        ("the secret of the tokens", SECRET),
    ]
    said = all_refused(lambda t: ask(wire, t), bad, reli.key, 20)
    access = ann.tokens["access"]
    assert said == refusal(ask(wire, access + "x"), "an access token")
    # who sends nothing, or not as a bearer, learns no more
    for header in ({}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Bearer "},
                   {"Authorization": f"Basic {access}"}, {"Authorization": f"Token {reli.key}"},
                   {"Authorization": reli.key}, {"Authorization": f"Bearer: {reli.key}"},
                   {"Authorization": f"Bearer Bearer {reli.key}"}, {"X-Api-Key": reli.key}, {"Cookie": f"access={access}"}):
        assert refusal(wire.request("GET", PAYMENTS, None, header), header) == said
    assert refusal(wire.request("GET", f"{PAYMENTS}?access_token={access}", None, {}), "in the query") == said


def test_keys_that_have_been_good(reli, stack, wire):
    db, good = reli.replica.database, reli.key
    said = refusal(ask(wire, good[:-1]), "cut short")
    keys = {}
    for change in ("status = 'revoked'", "expires_at = now() - interval '1 second'"):
        keys[change] = stack.api_key(reli.replica, reli.merchant)
        assert ask(wire, keys[change]).status == 200
        db.rows(f"update reli.api_key set {change} where merchant_id = %s and id = "
                "(select id from reli.api_key where merchant_id = %s order by id desc limit 1)", reli.merchant, reli.merchant)
    for change, key in keys.items():
        wait_until(lambda k=key: ask(wire, k).status == 401, what=change)
        assert refusal(ask(wire, key), change) == said
    assert ask(wire, good).status == 200


def end_session(how, person, db):
    if how == "logout":
        assert person.post(V1 + "/auth/logout").status == 204
    elif how == "reused":
        old = person.tokens["refresh"]
        assert person.refresh(old).status == 200 and person.refresh(old).status == 401
    else:
        db.rows({"disabled": "update reli.account_user set status = 'disabled' where id = %s",
                 "no member": "update reli.membership set status = 'removed' where user_id = %s"}[how], person.id)


# What PostgreSQL has to say of a session that does not count any more.
STALE = {"unknown": "delete from reli.session where id = %s",
         "revoked": "update reli.session set revoked_at = now() where id = %s",
         "too old": "update reli.session set ends_at = now() - interval '1 second' where id = %s",
         "not used": "update reli.session set last_seen_at = now() - interval '16 minutes' where id = %s"}


def test_sessions_that_have_been_good(reli, stack, ann, wire):
    db = reli.replica.database
    said = refusal(ask(wire, ann.tokens["access"] + "x"), "mangled")
    ended = {how: Person(stack, reli.replica, reli.merchant) for how in ("logout", "reused", "disabled", "no member")}
    stale = {how: ann.login()["tokens"]["access"] for how in STALE}
    access = {how: person.tokens["access"] for how, person in ended.items()} | stale
    for how, token in access.items():
        assert ask(wire, token).status == 200, how
    for how, person in ended.items():
        end_session(how, person, db)
    for how, statement in STALE.items():
        db.rows(statement, parts_of(stale[how])[1]["sid"])
    for how, token in access.items():
        wait_until(lambda t=token: ask(wire, t).status == 401, what=how)
        assert refusal(ask(wire, token), how) == said
    assert ask(wire, ann.login()["tokens"]["access"]).status == 200


def test_another_installation_and_another_person(reli, replicas, stack, ann, wire):
    """The same schema and key names, other secrets; and sessions of two people changed for each other."""
    elsewhere = replicas.one(clock=False, JWT_SECRET_KEY="jwt-secret-of-another-house-0123456789")
    shop = replicas.shop(elsewhere)
    bob = Person(stack, elsewhere, shop.merchant)
    said = refusal(ask(wire, "x.y.z"), "no token")
    for name, token in (("their access token", bob.tokens["access"]), ("their key", shop.key)):
        assert refusal(ask(wire, token), name) == said
    assert bob.get(PAYMENTS).status == 200
    assert bob.request("GET", PAYMENTS, headers={"Authorization": "Bearer " + ann.tokens["access"]}).status == 401
    # one's own session with another's name in it, signed as it should be
    cat = Person(stack, reli.replica, reli.merchant)
    header, mine = parts_of(ann.tokens["access"])
    theirs = parts_of(cat.tokens["access"])[1]
    for claims in (mine | {"sub": theirs["sub"]}, mine | {"sid": theirs["sid"]}):
        assert refusal(ask(wire, signed(header, claims, SECRET)), "mixed") == said


def test_attempts_to_log_in_are_counted_together(replicas, stack):
    """Of an address, whatever they try with."""
    one = replicas.one(clock=False, RELI_RATE_LIMIT_LOGIN="1/h burst 3", REDIS_URL=None)
    bob = Person(stack, one, replicas.shop(one).merchant, login=False)

    def attempt(path, **body):
        return one.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})

    tries = [lambda: attempt(V1 + "/auth/login", email=bob.email, password=bob.password),
             lambda: attempt(V1 + "/auth/firebase", id_token="x.y.z"),
             lambda: attempt("/api/auth/login", email=bob.email, password="wrong password")]
    assert [t().status for t in tries] == [200, 401, 401]
    for t in tries + [lambda: attempt(V1 + "/auth/invitations/accept", token="x")]:
        r = t()
        assert (r.status, r.code) == (429, "rate_limited") and int(r.header("Retry-After")) > 60, r


def test_id_tokens(reli, sandbox, ann, wire):
    keys = sandbox.get("/firebase/jwks").json["keys"]
    certs = sandbox.get("/firebase/certs").json
    claims = {"sub": "ann-" + ann.id, "email": ann.email, "email_verified": True}

    def sign(**wishes):
        if "payload" not in wishes:
            wishes["claims"] = claims | wishes.get("claims", {})
            wishes["claims"] = {k: v for k, v in wishes["claims"].items() if k not in wishes.get("without", [])}
        return sandbox.id_token(**wishes)

    good = sign()
    assert login(wire, good).status == 200
    kid = parts_of(good)[0]["kid"]
    (jwk,) = [k for k in keys if k["kid"] == kid]
    before = len(sandbox.calls(provider="firebase", op="certs"))
    bad = list(id_tokens(sign, "reli-demo", int(reli.replica.time()), certs[kid], jwk))
    bad += [("our own access token", ann.tokens["access"]), ("an API key", reli.key)]
    said = all_refused(lambda t: login(wire, t), bad, good, 150)
    assert json.loads(said)["code"] == "unauthenticated"
    # names of keys that nobody has cost their publisher next to nothing
    assert len(sandbox.calls(provider="firebase", op="certs")) - before <= 2
    assert ask(wire, good).status == 401  # good for a login and nothing else
    log = reli.replica.log.read_text()
    assert good.split(".")[2] not in log and b64(compact(claims))[:40] not in log and ann.email not in log

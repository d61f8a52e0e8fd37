"""A merchant's own accounts with providers: over which one a payment goes, whose webhooks are believed, and that no
secret comes out again: not in an answer, not in a log, not in the database."""

import base64
import hashlib
import hmac
import json
import subprocess
import time

import pytest
from helpers import PASSKEY, V1, phone, stk, wait_until

KEY = "cpk_sandbox:cps_cmVsaSBzYW5kYm94IENQYXkgZGVtbyBzZWNyZXQgMDE"
TILL = {"shortcode": "600997", "passkey": "sandbox_till_passkey", "type": "till", "till": "7654321"}


def config(shop, provider, **fields):
    return shop.post(f"{V1}/providers/{provider}/config", {"mode": "test", **fields})


def paybill(sandbox, **fields):
    """The sandbox's one, as a merchant sets it."""
    return {"api_key": "sandbox_consumer_key", "api_secret": "sandbox_consumer_secret",
            "config": {"base_url": sandbox.url + "/mpesa", "shortcode": "174379", "passkey": PASSKEY}, **fields}


def till(sandbox, **fields):
    return paybill(sandbox, config={"base_url": sandbox.url + "/mpesa", **TILL}, **fields)


def listed(shop, provider):
    r = shop.get(f"{V1}/providers/{provider}/config")
    assert r.status == 200, r
    return r.json["data"]


def shortcode_of(sandbox, number):
    (charge,) = sandbox.charges(phone=number.lstrip("+"))
    return charge["organisation"]


def pay(shop, status="completed", **fields):
    body = stk(**fields)
    p = shop.pay(body)
    return shop.wait_status(p["id"], status), body["customer"]["phone"]


# ---- what may be sent ----


def test_the_answer(reli, sandbox):
    r = config(reli, "mpesa", **paybill(sandbox))
    assert r.status == 201, r
    made = r.json
    assert made["object"] == "provider_account" and made["provider"] == "mpesa" and made["mode"] == "test"
    assert made["name"] == "default" and made["is_active"] is True and made["version"] == 1
    assert made["last4"] == {"api_key": "_key", "api_secret": "cret", "passkey": PASSKEY[-4:],
                             "initiator_password": None}
    assert made["config"]["shortcode"] == "174379" and "passkey" not in made["config"]
    assert made["webhook_url"] is None, "it does not sign"
    assert listed(reli, "mpesa") == [made]
    for secret in ("sandbox_consumer_key", "sandbox_consumer_secret", PASSKEY):
        assert secret not in r.text
    changed = config(reli, "mpesa", is_active=False)
    assert changed.status == 200, changed
    assert changed.json == made | {"is_active": False, "version": 2, "updated_at": changed.json["updated_at"]}


@pytest.mark.parametrize("change, wrong", [
    ({"mode": "live"}, {"mode"}),
    ({"mode": None}, {"mode"}),
    ({"mode": "Test"}, {"mode"}),
    ({"is_active": "yes"}, {"is_active"}),
    ({"name": "Main"}, {"name"}),
    ({"name": "-x"}, {"name"}),
    ({"name": "x" * 33}, {"name"}),
    ({"priority": -1}, {"priority"}),
    ({"priority": 1.5}, {"priority"}),
    ({"webhook_secret": "x"}, {"webhook_secret"}),
    ({"api_key": ""}, {"api_key"}),
    ({"api_key": None}, {"api_key"}),
    ({"api_key": 7, "api_secret": []}, {"api_key", "api_secret"}),
    ({"api_key": "a\r\nX-Evil: 1"}, {"api_key"}),
    ({"api_key": "a\nb"}, {"api_key"}),
    ({"api_key": "x" * 8193}, {"api_key"}),
    ({"consumer_key": "x"}, {"consumer_key"}),
    ({"extra": 1, "config": {"more": 1}}, {"extra", "config.more"}),
    ({"config": []}, {"config"}),
    ({"config": {}}, {"config.shortcode", "config.passkey"}),
    ({"config": {"shortcode": "174379"}}, {"config.passkey"}),
    ({"config": {"shortcode": "12", "passkey": "x"}}, {"config.shortcode"}),
    ({"config": {"shortcode": "174379", "passkey": "x", "type": "shop"}}, {"config.type"}),
    ({"config": {"shortcode": "174379", "passkey": "x", "type": "till"}}, {"config.till"}),
    ({"config": {"shortcode": "174379", "passkey": "x", "b2c_shortcode": "1"}}, {"config.b2c_shortcode"}),
    ({"config": {"consumer_key": "x"}}, {"config.consumer_key"}),
    ({"config": {"certificate": "/etc/passwd"}}, {"config.certificate"}),
    ({"config": {"base_url": "ftp://example.org"}}, {"config.base_url"}),
    ({"config": {"base_url": "https://user:pw@example.org"}}, {"config.base_url"}),
    ({"config": {"base_url": "https://example.org/?x=1"}}, {"config.base_url"}),
    ({"config": {"callback_cidrs": "10.1.2.3/8"}}, {"config.callback_cidrs"}),
    ({"config": {"rate_per_s": 100001}}, {"config.rate_per_s"}),
])
def test_wrong_fields(reli, sandbox, change, wrong):
    body = paybill(sandbox, mode="test")
    body.update(change)
    r = reli.post(f"{V1}/providers/mpesa/config", {k: v for k, v in body.items() if (k, v) != ("mode", None)})
    assert r.status == 422 and r.code == "validation_failed", r
    assert {e["param"] for e in r.json["errors"]} == wrong, r
    assert listed(reli, "mpesa") == []


def test_who_may(reli, stack, sandbox):
    reader = reli.with_key(stack.api_key(reli.replica, reli.merchant, "test", "--scopes", "payments:read"))
    assert config(reader, "mpesa", **paybill(sandbox)).status == 403
    assert reader.get(f"{V1}/providers/mpesa/config").status == 403
    assert reli.with_key("sk_test_" + "0" * 48).get(f"{V1}/providers/mpesa/config").status == 401
    for provider in ("nobody", "cash"):
        assert config(reli, provider, api_key="x").status == 404
        assert reli.get(f"{V1}/providers/{provider}/config").status == 404
    assert reli.post(f"{V1}/providers/mpesa/config", b"[").status == 400


def test_secrets_do_not_follow_to_another_base_url(reli, sandbox):
    """What cannot be read cannot be had by naming a server that it is sent to, either."""
    assert config(reli, "mpesa", **paybill(sandbox)).status == 201
    for url in (sandbox.url + "/mpesa2", None):
        r = config(reli, "mpesa", config={"base_url": url})
        assert r.status == 422, (url, r)
        assert {(e["param"], e["code"]) for e in r.json["errors"]} == {
            ("api_key", "required"), ("api_secret", "required"), ("config.passkey", "required")}
    assert [a["version"] for a in listed(reli, "mpesa")] == [1]
    half = config(reli, "mpesa", api_key="another", api_secret="another", config={"base_url": sandbox.url + "/mpesa2"})
    assert half.status == 422 and [e["param"] for e in half.json["errors"]] == ["config.passkey"]
    same = config(reli, "mpesa", priority=7, config={"base_url": sandbox.url + "/mpesa/", "callback_cidrs": "127.0.0.1"})
    assert same.status == 200, same
    moved = config(reli, "mpesa", api_key="another", api_secret="another",
                   config={"base_url": sandbox.url + "/mpesa2", "passkey": PASSKEY})
    assert moved.status == 200 and moved.json["config"]["base_url"] == sandbox.url + "/mpesa2", moved


def test_a_private_host_is_refused(replicas):
    """Where merchants are strangers: neither when it is set, nor, by its address, when it is called."""
    strict = replicas.one(RELI_WEBHOOK_ALLOW_PRIVATE="0")
    shop = replicas.shop(strict)
    for url in ("http://example.org", "https://127.0.0.1/x", "https://169.254.169.254"):
        body = paybill(replicas.sandbox)
        body["config"]["base_url"] = url
        r = config(shop, "mpesa", **body)
        assert r.status == 422 and r.json["errors"][0]["param"] == "config.base_url", (url, r)
    body["config"]["base_url"] = "https://localhost.localdomain"
    if config(shop, "mpesa", **body).status == 201:
        _, number = pay(shop, "failed")
        assert replicas.sandbox.pushes(number) == []


def test_at_most_32(reli, sandbox):
    for i in range(32):
        assert config(reli, "cpay", name=f"n{i}", api_key=KEY).status == 201
    assert config(reli, "cpay", name="n32", api_key=KEY).status == 409
    assert config(reli, "cpay", name="n31", is_active=False).status == 200


# ---- over which account ----


def test_the_own_account_is_used(reli, sandbox):
    """At once where it was set; and what is under way stays where it went."""
    before, number = pay(reli)
    assert shortcode_of(sandbox, number) == "174379"
    assert config(reli, "mpesa", **till(sandbox)).status == 201
    after, number = pay(reli)
    assert shortcode_of(sandbox, number) == "600997"
    assert config(reli, "mpesa", is_active=False).status == 200
    _, number = pay(reli)
    assert shortcode_of(sandbox, number) == "174379"


def test_another_merchant_is_not_concerned(reli, stack, sandbox):
    other = stack.shop(reli.replica)
    assert config(reli, "mpesa", **till(sandbox)).status == 201
    _, number = pay(other)
    assert shortcode_of(sandbox, number) == "174379"
    assert listed(other, "mpesa") == []


def test_two_accounts(reli, sandbox):
    """The lower number first, then the older one; the next one when it is switched off."""
    assert config(reli, "mpesa", **till(sandbox, name="shop", priority=1)).status == 201
    assert config(reli, "mpesa", **paybill(sandbox, name="online")).status == 201
    assert [a["name"] for a in listed(reli, "mpesa")] == ["online", "shop"]
    _, number = pay(reli)
    assert shortcode_of(sandbox, number) == "174379"
    assert config(reli, "mpesa", name="online", priority=2).status == 200
    _, number = pay(reli)
    assert shortcode_of(sandbox, number) == "600997"
    assert config(reli, "mpesa", name="shop", is_active=False).status == 200
    _, number = pay(reli)
    assert shortcode_of(sandbox, number) == "174379"


def test_asked_over_the_account_it_went_over(reli, sandbox):
    """The callback is lost; the account was switched off meanwhile, and is asked all the same."""
    assert config(reli, "mpesa", **till(sandbox)).status == 201
    p = reli.pay(stk("020"))
    assert config(reli, "mpesa", is_active=False).status == 200

    def done():
        r = reli.post(f"{V1}/payments/{p['id']}/verify", {})
        assert r.status == 200, r
        return r.json["status"] == "completed"

    wait_until(done, what="the provider says so", every=0.2)
    assert 200 in {c["http_status"] for c in sandbox.calls(op="query")}, "another pass key would be refused"


def test_refunded_over_the_account_it_went_over(stack, reli, sandbox):
    body = till(sandbox)
    body["config"] |= {"initiator_name": "testapi", "initiator_password": "sandbox_initiator_password",
                       "certificate": sandbox.certificate.read_text()}
    assert config(reli, "mpesa", **body).status == 201
    p, _ = pay(reli, amount="500.00")
    assert config(reli, "mpesa", is_active=False).status == 200
    r = reli.post(f"{V1}/payments/{p['id']}/refund", {"amount": "100.00"})
    assert r.status == 201, r
    wait_until(lambda: sandbox.refunds(), what="the refund has left")
    assert sandbox.refunds()[0]["organisation"] == "600997"


def test_wrong_credentials_fail_the_payment(reli, sandbox):
    """And do not let it go over the installation's account."""
    assert config(reli, "mpesa", **paybill(sandbox, api_secret="wrong-consumer-secret")).status == 201
    p, number = pay(reli, "failed")
    assert p["failure"]["code"] in ("configuration", "provider_unavailable"), p
    assert sandbox.pushes(number) == []
    assert config(reli, "mpesa", api_secret="sandbox_consumer_secret").status == 200
    pay(reli)


def test_live_and_test_are_apart(reli, stack, sandbox):
    live = reli.with_key(stack.api_key(reli.replica, reli.merchant, "live"))
    assert live.initialize(stk()).json["status"] == "failed", "the installation takes test payments only"
    assert config(live, "mpesa", **paybill(sandbox)).status == 422
    assert config(live, "mpesa", **till(sandbox, mode="live")).status == 201
    assert listed(reli, "mpesa") == [] and len(listed(live, "mpesa")) == 1
    _, number = pay(live)
    assert shortcode_of(sandbox, number) == "600997"
    _, number = pay(reli)
    assert shortcode_of(sandbox, number) == "174379"
    active = {p["name"]: p["active"] for p in live.get(f"{V1}/providers").json["data"]}
    assert active["mpesa"] and not active["cpay"]


def test_it_counts_on_every_replica(replicas):
    a, b = replicas(2)
    shop = replicas.shop(a)
    pay(shop.at(b))
    assert config(shop.at(a), "mpesa", **till(replicas.sandbox)).status == 201

    def there():
        _, number = pay(shop.at(b))
        return shortcode_of(replicas.sandbox, number) == "600997"

    wait_until(there, 5, "the other replica has heard")


def test_two_changes_at_once(reli, sandbox):
    """Neither half of one and half of the other, nor one lost without a word."""
    import concurrent.futures
    assert config(reli, "mpesa", **paybill(sandbox)).status == 201
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda i: config(reli, "mpesa", config={"account_reference_max": str(i + 1)}),
                                range(6)))
    assert {r.status for r in answers} <= {200, 409}
    (left,) = listed(reli, "mpesa")
    assert left["version"] == 1 + sum(r.status == 200 for r in answers)


# ---- webhooks ----


def signed(body, secret):
    at = int(time.time())
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {"CPay-Signature": f"t={at},v1={mac}", "Content-Type": "application/json"}


def wallet(amount="1500.00"):
    return {"provider": "cpay", "amount": amount, "currency": "KES", "customer": {"phone": phone("000")}}


def paid(charge):
    return json.dumps({
        "id": "evt_1", "type": "payment.completed", "created_at": "2026-01-10T12:00:20Z", "livemode": False,
        "sequence": 3, "data": {"object": {
            "id": charge["checkout_request_id"], "object": "payment", "reference": charge["reference"],
            "amount": int(charge["amount"]), "currency": "KES", "method": "wallet", "status": "completed"}}}).encode()


def path_of(url):
    return url[url.index("/api/"):]


def test_webhooks_of_the_own_account(reli, stack, sandbox):
    """By its own URL and secret. The same secret decides nothing about a payment over another account."""
    own = "cpw_the_merchants_own_secret"
    sandbox.chaos(cpay_webhook_url="")
    theirs = reli.pay(wallet("1501.03"))  # over the installation's account
    (charge,) = sandbox.charges(provider="cpay")
    r = config(reli, "cpay", api_key=KEY, webhook_secret=own, config={"base_url": sandbox.url + "/cpay/v1"})
    assert r.status == 201 and r.json["last4"]["webhook_secret"] == "cret", r
    hook = path_of(r.json["webhook_url"])
    body = paid(charge)
    assert reli.replica.request("POST", hook, body, signed(body, own)).status == 401, "it went over another account"
    mine = reli.pay(wallet("1501.03"))
    charge = [c for c in sandbox.charges(provider="cpay") if c["reference"] != charge["reference"]][0]
    body = paid(charge)
    for path, headers in ((hook, {}), (hook, signed(body, "cpw_sandbox_webhook_secret")),
                          (hook, signed(body + b" ", own)), (f"{V1}/webhooks/cpay", signed(body, own)),
                          (hook[:-1] + ("0" if hook[-1] != "0" else "1"), signed(body, own)),
                          (hook.replace("/cpay/", "/mpesa/"), signed(body, own))):
        assert reli.replica.request("POST", path, body, headers).status == 401, (path, headers)
    other = stack.shop(reli.replica)
    stranger = config(other, "cpay", api_key=KEY, webhook_secret=own).json["webhook_url"]
    assert reli.replica.request("POST", path_of(stranger), body, signed(body, own)).status == 200, "thanked, forgotten"
    assert [reli.payment(p["id"])["status"] for p in (theirs, mine)] == ["processing"] * 2
    assert reli.replica.request("POST", hook, body, signed(body, own)).status == 200
    done = reli.wait_status(mine["id"], "completed")
    assert done["status_source"] in ("callback", "poll")
    assert reli.payment(theirs["id"])["status"] == "processing"


def test_a_rotated_webhook_secret(reli, sandbox):
    r = config(reli, "cpay", api_key=KEY, webhook_secret="cpw_the_first_secret",
               config={"base_url": sandbox.url + "/cpay/v1"})
    hook = path_of(r.json["webhook_url"])
    assert config(reli, "cpay", webhook_secret="cpw_the_second_secret").json["webhook_url"] == r.json["webhook_url"]
    sandbox.chaos(cpay_webhook_url="")
    p = reli.pay(wallet("1501.03"))
    (charge,) = sandbox.charges(provider="cpay")
    body = paid(charge)
    assert reli.replica.request("POST", hook, body, signed(body, "cpw_the_first_secret")).status == 401
    assert reli.replica.request("POST", hook, body, signed(body, "cpw_the_second_secret")).status == 200
    reli.wait_status(p["id"], "completed")


@pytest.mark.parametrize("networks, ok", [("192.0.2.0/24", False), ("192.0.2.0/24,127.0.0.0/8", True)])
def test_addresses_of_the_own_account(stack, sandbox, replicas, networks, ok):
    """A callback from elsewhere is no evidence by itself."""
    replica = replicas.one(MPESA_CALLBACK_CIDRS="198.51.100.0/24")
    shop = replicas.shop(replica)
    body = till(sandbox)
    body["config"]["callback_cidrs"] = networks
    assert config(shop, "mpesa", **body).status == 201
    p = shop.pay(stk())
    came = wait_until(lambda: replica.database.rows(
        "select ip_ok from reli.provider_event where payment_id = %s", p["id"]), what="the callback")
    assert [r["ip_ok"] for r in came] == [ok]


# ---- what is kept ----


def test_audit(reli, db, sandbox):
    made = config(reli, "mpesa", **paybill(sandbox)).json
    config(reli, "mpesa", api_secret="another-consumer-secret", is_active=False, config={"till": None})
    config(reli, "mpesa", config={"shortcode": "12"})  # refused
    rows = db.rows("select action, actor, detail, mode from reli.audit_log where subject_id = %s order by id",
                   made["id"])
    assert [(r["action"], r["detail"]) for r in rows] == [
        ("provider_account.created", "mpesa default: base_url api_key api_secret shortcode passkey"),
        ("provider_account.changed", "mpesa default: inactive api_secret till")], rows
    assert all(r["actor"].startswith("api_key:") and r["mode"] == "test" for r in rows)


def test_nothing_secret_is_kept_or_logged(stack, replicas):
    """All of the database as text, and every log."""
    replica = replicas.one(RELI_LOG_LEVEL="debug")
    shop = replicas.shop(replica)
    secrets = ["sandbox_consumer_key", "sandbox_consumer_secret", PASSKEY, "sandbox_initiator_password",
               "cpw_the_merchants_own_secret", KEY, KEY.split(":")[1]]
    body = paybill(replicas.sandbox)
    body["config"]["initiator_password"] = "sandbox_initiator_password"
    assert config(shop, "mpesa", **body).status == 201
    assert config(shop, "cpay", api_key=KEY, webhook_secret="cpw_the_merchants_own_secret",
                  config={"base_url": replicas.sandbox.url + "/cpay/v1"}).status == 201
    pay(shop)
    shop.pay(wallet())
    assert config(shop, "mpesa", api_key="sandbox_consumer_key\n").status == 422
    dump = subprocess.run(["pg_dump", "--data-only", replica.database.owner_url], capture_output=True, timeout=60)
    assert dump.returncode == 0, dump.stderr
    assert b"provider_account" in dump.stdout
    log = replica.log.read_bytes()
    for secret in secrets:
        plain = secret.encode()
        for form in (plain, plain.hex().encode(), base64.b64encode(plain)[:-4]):
            assert form not in dump.stdout, secret
            assert form not in log, secret


def test_a_ciphertext_that_was_moved(reli, stack, db, sandbox):
    """To another merchant's row, another account, another mode: it opens nowhere, and no payment goes through."""
    other = stack.shop(reli.replica)
    assert config(reli, "mpesa", **till(sandbox)).status == 201
    assert config(other, "mpesa", **paybill(sandbox)).status == 201
    db.rows("""update reli.provider_account set settings = (select settings from reli.provider_account
               where merchant_id = %s), version = version + 1 where merchant_id = %s""", reli.merchant, other.merchant)

    def refused():
        p = other.initialize(stk()).json
        return p["status"] == "failed" and p["failure"]["code"] == "configuration"

    wait_until(refused, 5, "the moved text does not open")
    wait_until(lambda: b'"account.not_opened"' in reli.replica.log.read_bytes(), what="the log says so")
    assert config(other, "mpesa", is_active=True).status == 422, "nothing is left of its settings"
    assert config(other, "mpesa", **paybill(sandbox)).status == 200, "sent anew, it works again"
    pay(other)


# ---- the master key ----


def test_the_master_key_is_rotated_while_payments_go_on(stack, replicas):
    replica = replicas.one()
    first = replica.env["RELI_MASTER_KEY"]
    second = "2:" + base64.b64encode(b"reli-system-tests-another-key-32").decode()
    shop = replicas.shop(replica)
    assert config(shop, "mpesa", **till(replicas.sandbox)).status == 201
    database = replica.database
    env = {"RELI_MASTER_KEY": f"{second},{first}"}
    rotated = stack.cli(database, "keys", "rotate", RELI_MASTER_KEY=second)
    assert rotated.returncode != 0, "it does not open what is there"
    p = shop.pay(stk("023"))
    rotated = stack.cli(database, "keys", "rotate", **env)
    assert rotated.returncode == 0, rotated.stderr
    assert rotated.stdout.split() == ["keys_rotated=2"]
    assert stack.cli(database, "keys", "rotate", **env).stdout.split() == ["keys_rotated=0"]
    shop.wait_status(p["id"], "completed")
    pay(shop)  # who runs with the old key alone goes on
    new = stack.serve(database, clock=replicas.clock, RELI_MASTER_KEY=second,
                      **stack.at_sandbox(replicas.sandbox)).ready()
    replicas.replicas.append(new)
    _, number = pay(shop.at(new))
    assert shortcode_of(replicas.sandbox, number) == "600997", "the sealed settings open"
    late = stack.cli(database, "keys", "create", "--merchant", shop.merchant, "--mode", "test", RELI_MASTER_KEY=first)
    assert late.returncode != 0, "the old key alone opens nothing any more"

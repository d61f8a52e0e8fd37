"""What is sealed: bound to its place, under keys that change while everybody works, and dropped in time."""

import base64
import json
import re
import secrets

import sealed
from helpers import PASSKEY, ROOT, V1, phone, stk, wait_until
from people import Person
from test_c2b import register, send, told
from test_payouts import pay_out, wait_payout
from test_refunds import collected

MASTER = "1:cmVsaS1zeXN0ZW0tdGVzdHMtbWFzdGVyLWtleS0zMmI="
# Dropped after their retention, so not sealed anew; or not in the database.
AGING = {"provider_call.body", "provider_event.raw", "delivery_attempt.answer"}
ELSEWHERE = {"redis.token"}
OWN = {"mode": "test", "is_active": True, "api_key": "sandbox_consumer_key", "api_secret": "sandbox_consumer_secret",
       "config": {"shortcode": "174379", "passkey": PASSKEY}}


def everything(stack, replica, shop, sandbox, receiver):
    """Something sealed in each place; a payment and its customer."""
    shop.endpoint(receiver.url())
    receiver.answers["/hook"] = (200, {}, b"thanks")
    person = Person(stack, replica, shop.merchant)
    person.enrol()
    collected(shop)
    wait_payout(shop, pay_out(shop)["id"], "completed")
    assert shop.post(V1 + "/providers/mpesa/config", OWN).status in (200, 201)
    assert register(shop).status == 200
    who = {"id": "one", "phone": phone(), "email": "one@example.com", "name": "One"}
    p = shop.pay(stk(customer=who))
    shop.wait_status(p["id"], "completed")
    told(sandbox, send(sandbox, "NOSUCH", phone=phone().lstrip("+")))
    wait_until(lambda: replica.database.rows("select n from reli.delivery_attempt"), 15, "a delivery")
    return p["id"], who


def numbers(seal):
    """place → the numbers of the keys that it is sealed with."""
    return {place: {sealed.number(text) for _, _, text in seal.rows(place)} for place in sealed.PLACES}


def words_of(done):
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def new_master(name):
    return f"{name}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


def test_every_place_is_known():
    """What the sources seal is what these tests, and the job that seals anew, know of."""
    used = set()
    for path in [*ROOT.glob("core/**/*.c"), *ROOT.glob("core/**/*.h"), *ROOT.glob("http/*.c")]:
        text = path.read_text()
        for call in re.findall(r"\bvault_seal\(([^;]*);", text) + re.findall(r'#define \w+_PLACE ("[^"]+")', text):
            used |= set(re.findall(r'"([a-z_]+\.[a-z_]+)"', call))
    assert used == set(sealed.PLACES) | ELSEWHERE
    job = re.search(r"places\[\] = \{(.*?)\};", (ROOT / "core/flow/reseal.c").read_text(), re.S).group(1)
    assert set(re.findall(r'"([^"]+)"', job)) == set(sealed.PLACES) - AGING
    for name in ("reseal_page", "reseal_put"):
        text = (ROOT / f"sql/query/{name}.sql").read_text()
        assert set(re.findall(r"\$1 = '([^']+)'", text)) == set(sealed.PLACES) - AGING
    assert set(re.findall(r"select '([^']+)' as place", (ROOT / "sql/query/data_key_use.sql").read_text())) == \
        set(sealed.PLACES)
    retire = (ROOT / "sql/query/data_key_retire.sql").read_text()
    assert retire.count("and not exists (select 1 from reli.") == len(sealed.PLACES)


def test_swapped_texts_do_not_open(stack, replicas, sandbox, receiver):
    """Between rows, columns, tables and tenants: each sealed text of the database in each other's place."""
    one = replicas.one(clock=False)
    shop, other = replicas.shop(one), replicas.shop(one)
    payment, who = everything(stack, one, shop, sandbox, receiver)
    second = shop.pay(stk(customer={"phone": phone(), "name": "Second"}))["id"]
    foreign = other.pay(stk(customer={"phone": phone(), "name": "Foreign"}))["id"]
    for p, at in ((second, shop), (foreign, other)):
        at.wait_status(p, "completed")
    database = one.database
    seal = sealed.Seal(database, MASTER)
    texts = [(place, merchant, row, text) for place in sealed.PLACES for merchant, row, text in seal.rows(place)]
    assert {t[0] for t in texts} == set(sealed.PLACES), "each place has something"
    for place, merchant, row, text in texts:
        assert seal.opens(place, merchant, row, text) is not None
        for other_place, other_merchant, other_row, _ in texts:
            if (place, merchant, row) != (other_place, other_merchant, other_row):
                assert seal.opens(other_place, other_merchant, other_row, text) is None
    # and what the service makes of it: an error, and nobody else's name
    secret = database.value("select secrets from reli.webhook_endpoint where merchant_id = %s", shop.merchant)
    for text in ([database.value("select pii from reli.payment where id = %s", p) for p in (second, foreign)] +
                 [secret, b"", b"\0" * 60]):
        database.rows("update reli.payment set pii = %s where id = %s", text, payment)
        r = shop.get(f"{V1}/payments/{payment}")
        assert r.status == 500 and "Second" not in r.text and "Foreign" not in r.text and "whsec" not in r.text, r


def test_the_master_key_changes_while_two_serve(stack, replicas, sandbox, receiver):
    """New key first, then old ones as well, then none of the old: no step of it stops anybody."""
    second = new_master("2")
    one, two = replicas(2, clock=False)
    shop = replicas.shop(one)
    payment, who = everything(stack, one, shop, sandbox, receiver)
    database = one.database
    before = database.rows("select kind, number, wrapped from reli.installation_key order by kind, number")
    three = replicas.again(two, RELI_MASTER_KEY=f"{second},{MASTER}")  # the new one wraps, both open
    rotated = words_of(stack.cli(database, "keys", "rotate", RELI_MASTER_KEY=f"{second},{MASTER}"))
    assert int(rotated["keys_rotated"]) == len(before)
    after = database.rows("select kind, number, wrapped from reli.installation_key order by kind, number")
    assert all(bytes(a["wrapped"]) != bytes(b["wrapped"]) for a, b in zip(before, after))
    for replica in (one, two, three):  # one and two have never heard of it
        at = shop.at(replica)
        assert at.payment(payment)["customer"] == who
        new = at.pay(stk(customer=who))["id"]
        shop.at(one).wait_status(new, "completed")
    four = replicas.one(clock=False, RELI_MASTER_KEY=second)  # the old one is gone
    assert shop.at(four).payment(new)["customer"] == who
    assert words_of(stack.cli(database, "keys", "rotate", RELI_MASTER_KEY=second))["keys_rotated"] == "0"
    refused = stack.cli(database, "keys", "rotate")
    assert refused.returncode != 0 and "RELI_MASTER_KEY" in refused.stderr


def test_data_keys_change_while_two_serve(stack, replicas, clock, sandbox, receiver):
    one, two = replicas(2)
    shop = replicas.shop(one)
    payment, who = everything(stack, one, shop, sandbox, receiver)
    database = one.database
    assert words_of(stack.cli(database, "keys", "rotate-data"))["data_key"] == "2"
    early_key = "select pii from reli.payment where id = %s"
    clock.advance(20)  # their hearts have beaten, with which they have read it
    wait_until(lambda: database.value("select count(*) from reli.replica where seen_at > to_timestamp(%s)",
                                      clock.now() - 10) == 2, 15, "both have read the key")
    for replica in (one, two):
        early = shop.at(replica).pay(stk(customer=who))["id"]
        assert sealed.number(database.value(early_key, early)) == 1, "not before everybody has it"
    refused = stack.cli(database, "keys", "retire-data", "--number", "1")
    assert refused.returncode == 1 and "keys list" in refused.stderr

    clock.advance(70)
    for replica, other in ((one, two), (two, one)):
        def sealed_anew():
            p = shop.at(replica).pay(stk(customer=who))["id"]
            shop.at(other).wait_status(p, "completed")
            assert shop.at(other).payment(p)["customer"] == who
            return sealed.number(database.value(early_key, p)) == 2

        wait_until(sealed_anew, 25, "the new key seals", every=0.3)
    clock.advance(60)
    wait_until(lambda: database.value("select progress from reli.installation_key where number = 2 and kind = 'data'")
               == "done", 25, "all is sealed anew")
    wait_until(lambda: not database.rows("select n from reli.job where kind = 'reseal'"), 10, "the job is over")
    found = numbers(sealed.Seal(database, MASTER))
    assert {place: n for place, n in found.items() if place not in AGING} == \
        {place: {2} for place in sealed.PLACES if place not in AGING}
    for place in AGING:
        assert found[place] == {1, 2}
    sealed.Seal(database, MASTER).everything()
    for replica in (one, two):
        assert shop.at(replica).payment(payment)["customer"] == who
    n = len(receiver.at())
    last = shop.pay(stk(customer=who))["id"]
    shop.wait_status(last, "completed")
    assert receiver.wait(n + 1)[-1].json["data"]["customer"] == who
    shown = stack.cli(database, "keys", "list").stdout
    assert re.search(r"^data 2 .*resealed done$", shown, re.M) and re.search(r"^data 1  provider_call.body \d+$",
                                                                            shown, re.M)
    refused = stack.cli(database, "keys", "retire-data", "--number", "1")
    assert refused.returncode == 1, "what was said to providers is still sealed with it"

    # Old messages go, and with them the last use of the old key.
    database.rows("update reli.provider_event set created_at = created_at - interval '31 days'")
    database.rows("update reli.provider_call set created_at = created_at - interval '31 days'")
    database.rows("update reli.delivery_attempt set at = at - interval '31 days'")
    database.rows("update reli.exception_item set updated_at = updated_at - interval '31 days', status = 'resolved', "
                  "resolution = 'kept', resolved_by = 'nobody' where id in (select id from reli.exception_item limit 1)")
    database.rows("insert into reli.security_event (merchant_id, id, kind, address, route, times, created_at, last_at) "
                  "values (%s, '01900000-0000-7000-8000-000000000001', 'login_failed', '192.0.2.1', '/', 1, "
                  "'2024-06-01', '2024-06-01')", shop.merchant)
    young = shop.pay(stk(customer=who))["id"]
    shop.wait_status(young, "completed")
    clock.advance(6 * 3600 + 60)
    wait_until(lambda: database.value("select count(*) from reli.provider_call where payment_id <> %s", young) == 0,
               20, "old calls are dropped")
    wait_until(lambda: database.value("select count(*) from reli.provider_event "
                                      "where created_at < now() - interval '30 days'") == 0, 20, "and callbacks")
    assert database.value("select count(*) from reli.provider_call where payment_id = %s", young) > 0
    assert database.value("select count(*) from reli.exception_item where payer is not null") == 0
    assert database.value("select count(*) from reli.security_event where last_at < '2025-01-01'") == 0
    database.rows("update reli.installation_key set created_at = created_at - interval '11 minutes'")
    assert stack.cli(database, "keys", "retire-data", "--number", "2").returncode == 1, "it seals"
    assert words_of(stack.cli(database, "keys", "retire-data", "--number", "1"))["data_key_retired"] == "1"
    three = replicas.one()
    assert shop.at(three).payment(payment)["customer"] == who
    sealed.Seal(database, MASTER).everything()


def test_a_key_is_sealed_anew_from_where_it_stopped(stack, replicas, clock):
    """The note in the key's row is where the next process goes on."""
    one = replicas.one()
    shop = replicas.shop(one)
    made = [shop.pay({"provider": "cash", "amount": "1", "currency": "KES", "customer": {"id": str(i), "name": "N"}})
            ["id"] for i in range(6)]
    database = one.database
    assert words_of(stack.cli(database, "keys", "rotate-data"))["data_key"] == "2"
    database.rows("update reli.installation_key set progress = %s where kind = 'data' and number = 2",
                  f"payment.pii {shop.merchant} {made[2]}")
    clock.advance(130)
    wait_until(lambda: database.value("select progress from reli.installation_key where number = 2 and kind = 'data'")
               == "done", 25, "all is sealed anew")
    keys = [sealed.number(database.value("select pii from reli.payment where id = %s", p)) for p in made]
    assert keys == [1, 1, 1, 2, 2, 2]


def test_only_what_is_as_it_was_read_is_replaced(reli, db):
    """Who has been erased while the job worked does not come back."""
    p = reli.pay({"provider": "cash", "amount": "1", "currency": "KES", "customer": {"id": "1", "name": "N"}})["id"]
    read = bytes(db.value("select pii from reli.payment where id = %s", p))
    db.rows("prepare put(text, json, int4, text) as " + (ROOT / "sql/query/reseal_put.sql").read_text())

    def put(old, fresh):
        row = {"merchant_id": reli.merchant, "id": p, "old": base64.b64encode(old).decode(),
               "fresh": base64.b64encode(fresh).decode()}
        (n,) = db.one("execute put('payment.pii', %s, 99, 'nowhere')", json.dumps([row])).values()
        return n, db.value("select pii from reli.payment where id = %s", p)

    assert put(b"other", b"fresh")[0] == 0
    n, stored = put(read, b"fresh")
    assert n == 1 and bytes(stored) == b"fresh"
    db.rows("update reli.payment set pii = null where id = %s", p)
    assert put(b"fresh", read) == (0, None)
    db.rows("deallocate put")

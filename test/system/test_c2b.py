"""Money that customers send unasked: from the menu of their phone to the pay bill."""

import base64
import concurrent.futures
import json

import pytest
from helpers import PASSKEY, V1, cash, stk, wait_until

SHORTCODE = "174379"
EVIDENCE = "seen in the provider's portal"


@pytest.fixture
def one(replicas):
    """A replica with one merchant, who may register the installation's account."""
    return replicas.one(clock=False)


@pytest.fixture
def shop(replicas, one):
    made = replicas.shop(one)
    assert register(made).status == 200
    return made


def register(shop, provider="mpesa"):
    return shop.post(f"{V1}/providers/{provider}/register-callbacks")


def send(sandbox, account, amount=100, **more):
    """What a customer does on his phone."""
    body = {"shortcode": SHORTCODE, "phone": "254711223344", "amount": amount, "account": account}
    r = sandbox.request("POST", "/_sandbox/mpesa/c2b", json.dumps(body | more),
                        {"Content-Type": "application/json"})
    assert r.status == 200, r
    return r.json["TransID"]


def transfer(sandbox, receipt):
    (found,) = [t for t in sandbox.get("/_sandbox/mpesa/c2b").json["data"] if t["TransID"] == receipt]
    return found


def confirmations(sandbox, receipt):
    return [c for c in sandbox.callbacks(checkout_request_id=receipt) if c["result_code"] == "confirmation"]


def told(sandbox, receipt, n=1):
    """All of the news has been answered."""
    def there():
        found = confirmations(sandbox, receipt)
        return len(found) >= n and all(c["state"] == "answered" for c in found) and found

    answered = wait_until(there, 10, f"{n} confirmations of {receipt}")
    assert {c["http_status"] for c in answered} == {200}


def settled(shop, n):
    """So many stored confirmations have ended; how."""
    def there():
        rows = shop.replica.database.rows(
            "select state, reason from reli.provider_event where kind = 'confirmation' order by updated_at")
        ended = [(r["state"], r["reason"]) for r in rows if r["state"] not in ("received", "retry")]
        return len(ended) == n and ended

    return wait_until(there, 10, f"{n} confirmations have ended")


def items(shop, kind="unallocated"):
    return [x for x in shop.get(f"{V1}/exceptions").json["data"] if x["kind"] == kind]


def unallocated(shop, n=1):
    return wait_until(lambda: len(items(shop)) == n and items(shop), 10, f"{n} unallocated")


def waits(shop, **fields):
    """A payment whose prompt stays unanswered, and the code that it has for people."""
    made = shop.pay(stk("063", **fields))
    assert made["status"] == "processing", made
    code = shop.replica.database.value("select pay_code from reli.payment where id = %s", made["id"])
    return made, code


def balance(shop, account):
    return sum((float(b["balance"]) for b in shop.get(f"{V1}/balances").json["data"]
                if b["type"] == account), 0.0)


def proves(stack, shop):
    for words in (("ledger", "prove"), ("replay", "--verify"), ("audit", "verify")):
        done = stack.cli(shop.replica.database, *words)
        assert done.returncode == 0, done.stdout + done.stderr


def test_it_pays_the_payment_that_waits(stack, sandbox, shop):
    made, code = waits(shop)
    receipt = send(sandbox, f"  {code.lower()[:4]} {code[4:]} ")
    paid = shop.wait_status(made["id"], "completed")
    assert (paid["status_source"], paid["provider_receipt"]) == ("callback", receipt)
    assert (paid["amount_received"], transfer(sandbox, receipt)["validation"]) == ("100.00", "0")
    assert shop.replica.database.transfers(made["id"]) == [
        ("provider_receivable", "merchant_pending", 10000, "KES")]
    assert settled(shop, 1) == [("processed", "paid")] and items(shop) == []
    proves(stack, shop)


def test_it_is_found_by_its_reference_no_as_well(stack, sandbox, shop):
    made, _ = waits(shop)
    send(sandbox, made["reference_no"].lower())
    shop.wait_status(made["id"], "completed")
    proves(stack, shop)


def test_a_reference_that_the_merchant_has_chosen_names_nothing(sandbox, shop):
    """Two merchants may have the same."""
    made, _ = waits(shop, reference="order-77")
    send(sandbox, "order-77")
    unallocated(shop)
    assert shop.payment(made["id"])["status"] == "processing"


def test_another_amount_waits_for_people(stack, sandbox, shop):
    made, code = waits(shop)
    receipt = send(sandbox, code, amount=99)
    (item,) = unallocated(shop)
    assert (item["subject"], item["subject_id"]) == ("payment", made["id"])
    assert (item["unallocated"], item["currency"], item["provider_receipt"]) == ("99.00", "KES", receipt)
    assert item["payer"] == {"phone": "2547 ***** 344", "name": "WANJIKU", "reference": code}
    assert shop.payment(made["id"])["status"] == "processing"
    assert balance(shop, "unallocated") == 99
    proves(stack, shop)


def test_an_unknown_account_waits_for_people(stack, sandbox, shop):
    receipt = send(sandbox, "Kamau's shoes", amount=750, name="ŽOFIE")
    (item,) = unallocated(shop)
    assert (item["subject"], item["subject_id"]) == ("receipt", item["id"])
    assert (item["unallocated"], item["provider_receipt"]) == ("750.00", receipt)
    assert item["payer"] == {"phone": "2547 ***** 344", "name": "ŽOFIE", "reference": "Kamau's shoes"}
    assert transfer(sandbox, receipt)["state"] == "paid"
    proves(stack, shop)


@pytest.mark.parametrize("resolution, account", [("kept", "merchant_pending"),
                                                 ("returned", "provider_receivable")])
def test_two_people_decide_about_it(stack, sandbox, shop, resolution, account):
    receipt = send(sandbox, "nobody", amount=750)
    (item,) = unallocated(shop)
    second = shop.with_key(stack.api_key(shop.replica, shop.merchant))
    path, body = f"{V1}/exceptions/{item['id']}/resolve", {"resolution": resolution, "evidence": EVIDENCE}
    for wrong in ("noted", "completed", "failed"):
        assert shop.post(path, body | {"resolution": wrong}).code == "invalid_state"
    assert shop.post(path, body).json["status"] == "assigned"
    assert shop.post(path, body).code == "forbidden"
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: second.post(path, body), range(8)))
    assert {a.status for a in answers} <= {200, 409}, answers
    (item,) = unallocated(shop)
    assert (item["status"], item["resolution"], item["provider_receipt"]) == ("resolved", resolution, receipt)
    kinds = [t["kind"] for t in shop.get(f"{V1}/ledger/transfers").json["data"]]
    assert sorted(kinds) == ["payment_unallocated", f"unallocated_{resolution}"]
    assert balance(shop, "unallocated") == 0
    assert balance(shop, "merchant_pending") == (750 if resolution == "kept" else 0)
    proves(stack, shop)


def test_a_payment_that_is_paid_already(stack, sandbox, shop):
    made = shop.pay(stk("000"))
    shop.wait_status(made["id"], "completed")
    send(sandbox, made["reference_no"])
    (item,) = unallocated(shop)
    assert item["subject_id"] == made["id"]
    assert shop.payment(made["id"])["amount_received"] == "100.00"
    proves(stack, shop)


def test_a_push_that_is_told_by_this_way_as_well_counts_once(stack, sandbox, shop):
    made = shop.pay(stk("000"))
    receipt = shop.wait_status(made["id"], "completed")["provider_receipt"]
    send(sandbox, made["reference_no"], receipt=receipt)
    told(sandbox, receipt)
    assert settled(shop, 1) == [("processed", "known")]
    assert items(shop) == [] and balance(shop, "unallocated") == 0
    proves(stack, shop)


def test_the_menu_and_then_the_prompt_as_well(stack, sandbox, shop):
    """Two receipts for one payment: the second is nobody's, though it answers our own push."""
    sandbox.chaos(delay_ms=60_000)
    made = shop.pay(stk("000"))
    first = send(sandbox, made["reference_no"])
    assert shop.wait_status(made["id"], "completed")["provider_receipt"] == first
    sandbox.skip(60)
    (item,) = unallocated(shop)
    assert item["subject_id"] == made["id"] and item["provider_receipt"] != first
    assert item["unallocated"] == "100.00"
    assert shop.payment(made["id"])["amount_received"] == "100.00"
    proves(stack, shop)


def test_the_same_news_many_times_counts_once(stack, sandbox, shop):
    made, code = waits(shop)
    paid = send(sandbox, code, times=5)
    lost = send(sandbox, "nobody", times=5)
    shop.wait_status(made["id"], "completed")
    told(sandbox, paid, 5)
    told(sandbox, lost, 5)
    assert len(settled(shop, 2)) == 2
    assert len(unallocated(shop)) == 1
    # and in other words: the balance of the account has changed meanwhile
    again = send(sandbox, "nobody else", receipt=lost, name="W")
    assert again == lost
    settled(shop, 3)
    assert len(items(shop)) == 1 and balance(shop, "unallocated") == 100
    proves(stack, shop)


def test_a_payment_that_had_failed_is_completed_late(stack, sandbox, shop):
    made = shop.pay(stk("002"))
    shop.wait_status(made["id"], "failed")
    send(sandbox, made["reference_no"])
    assert shop.wait_status(made["id"], "completed")["status_source"] == "callback"
    proves(stack, shop)


def test_forged_tokens(sandbox, shop):
    body = json.dumps({"TransID": "TCE2M70ZPB", "TransAmount": "100.00", "BusinessShortCode": SHORTCODE,
                       "BillRefNumber": "x", "MSISDN": "254711223344"})
    urls = register(shop).json
    good = urls["confirmation_url"].removeprefix(shop.url)
    flipped = good.replace(good[-20:-13], "0000000")
    attempt = shop.pay(stk("063"))["id"].replace("-", "")[:-1] + "1"
    for path in (flipped, f"{V1}/cb/{'0' * 96}.confirmation", f"{V1}/cb/{'0' * 96}.validation",
                 f"{V1}/payments/mpesa/confirmation/{'0' * 96}", f"{V1}/cb/{attempt}.confirmation",
                 f"{V1}/payments/mpesa/validation/short"):
        r = shop.post(path, body, headers={"Authorization": None})
        assert (r.status, r.code) == (401, "unauthenticated"), (path, r)
    assert shop.replica.database.rows("select 1 from reli.provider_event") == []
    assert items(shop) == []
    for path in (good, f"{V1}/payments/mpesa/confirmation/{good.split('/')[-1].split('.')[0]}"):
        r = shop.post(path, body, headers={"Authorization": None})
        assert (r.status, r.json) == (200, {"ResultCode": 0, "ResultDesc": "Success"})
    unallocated(shop)


@pytest.mark.parametrize("body", [
    b"{}", b"not json", json.dumps({"TransID": "TCE2M70ZPC", "TransAmount": "0", "BusinessShortCode": SHORTCODE}).encode(),
    json.dumps({"TransID": "TCE2M70ZPD", "TransAmount": "5.00", "BusinessShortCode": "600000"}).encode(),
])
def test_news_that_nobody_understands_is_kept_for_people(stack, shop, body):
    path = register(shop).json["confirmation_url"].removeprefix(shop.url)
    assert shop.post(path, body, headers={"Authorization": None}).status == 200
    assert settled(shop, 1) == [("ignored", "not_understood")]
    (item,) = items(shop, "callback_dead")
    assert item["subject"] == "receipt" and item["unallocated"] is None
    proves(stack, shop)


def test_a_strange_address_is_not_believed(stack, replicas, sandbox):
    one = replicas.one(clock=False, MPESA_CALLBACK_CIDRS="196.201.212.0/24")
    shop = replicas.shop(one)
    register(shop)
    send(sandbox, "nobody", validate=False)
    assert settled(shop, 1) == [("ignored", "address")]
    assert items(shop) == [] and len(items(shop, "sig_forged")) == 1
    proves(stack, shop)


def test_who_wants_to_know_is_asked_before(stack, replicas, sandbox):
    one = replicas.one(clock=False, MPESA_C2B_UNKNOWN="reject")
    shop = replicas.shop(one)
    register(shop)
    made, code = waits(shop)
    seen = {}
    for account, amount in (("nobody", 100), (code, 99), (code, 100)):
        receipt = send(sandbox, account, amount)
        wait_until(lambda r=receipt: transfer(sandbox, r)["state"] != "asking", 10, "an answer")
        seen[account, amount] = transfer(sandbox, receipt)["validation"]
    assert seen == {("nobody", 100): "C2B00012", (code, 99): "C2B00013", (code, 100): "0"}
    shop.wait_status(made["id"], "completed")
    assert items(shop) == []
    proves(stack, shop)


@pytest.mark.parametrize("point", ["callback.stored", "callback.acked", "callback.processed"])
@pytest.mark.parametrize("named", [True, False])
def test_a_crash_loses_nothing_and_counts_nothing_twice(stack, replicas, clock, sandbox, point, named):
    one = replicas.one()
    shop = replicas.shop(one)
    made, code = waits(shop)  # its push has no callback that could meet the point
    one.kill()
    one = replicas.again(one, RELI_CRASH_AT=point)
    register(shop)
    send(sandbox, code if named else "nobody", validate=False)
    wait_until(lambda: not one.running(), 10, "the crash")
    one.killed = True
    other = replicas.one()
    clock.advance(70)
    shop = shop.at(other)
    ((state, _),) = settled(shop, 1)
    assert state == "processed"
    if named:
        shop.wait_status(made["id"], "completed")
        assert items(shop) == []
    else:
        unallocated(shop)
        assert balance(shop, "unallocated") == 100
    proves(stack, shop)


def test_registering(stack, replicas, one, sandbox):
    shop = replicas.shop(one)
    made = register(shop)
    assert made.status == 200 and made.json["registered"] is True, made
    again = register(shop).json
    assert again["registered"] is False and again["confirmation_url"] == made.json["confirmation_url"]
    assert noted(replicas, shop) == [
        ("callbacks.registering", "mpesa"), ("callbacks.registered", "mpesa"),
        ("callbacks.registering", "mpesa"), ("callbacks.registered", "was registered before")]
    assert register(shop, "cash").code == "not_found"
    assert register(shop, "nobody").code == "not_found"
    assert "mpesa" not in made.json["confirmation_url"]
    stranger = stack.shop(one)
    for who in (shop, stranger):  # the account is everybody's now
        r = register(who)
        assert (r.status, r.code) == (403, "forbidden"), r
    # what names a payment of somebody else still finds it
    other, code = waits(stranger)
    send(sandbox, code)
    assert stranger.wait_status(other["id"], "completed")["amount_received"] == "100.00"
    assert items(shop) == [] and items(stranger) == []
    proves(stack, shop)


def test_registering_is_noted_before_the_provider_is_asked(stack, replicas, one, sandbox):
    """Whose answer is lost has left a trace; who can leave none asks for nothing."""
    shop, name = replicas.shop(one), replicas.database.name
    sandbox.chaos(reset_rate=1000)
    r = register(shop)
    assert (r.status, r.code) == (503, "unavailable"), r
    assert noted(replicas, shop) == [("callbacks.registering", "mpesa")]
    sandbox.reset()
    stack.services.admin([f"alter database {name} set default_transaction_read_only = on",
                          "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'reli_service'"
                          f" and datname = '{name}'"])
    wait_until(lambda: "takes no writes" in one.tail(), 10, "the writers refuse it")
    r = register(shop)
    assert (r.status, r.code) == (503, "unavailable"), r
    assert sandbox.calls(op="register") == []
    stack.services.admin(f"alter database {name} reset default_transaction_read_only")
    one.ready()
    assert register(shop).json["registered"] is True
    assert len(sandbox.calls(op="register")) == 1 and len(noted(replicas, shop)) == 3


def noted(replicas, shop):
    rows = replicas.database.rows("select action, detail, actor from reli.audit_log where merchant_id = %s"
                                  " and action like 'callbacks.%%' order by id", shop.merchant)
    assert all(r["actor"].startswith("api_key:") for r in rows)
    return [(r["action"], r["detail"]) for r in rows]


def test_a_merchants_own_account_is_his_alone(stack, replicas, one, sandbox):
    shop, other = replicas.shop(one), stack.shop(one)
    assert register(shop).status == 403
    own = shop.post(f"{V1}/providers/mpesa/config", {
        "mode": "test", "is_active": True, "api_key": "sandbox_consumer_key",
        "api_secret": "sandbox_consumer_secret", "config": {"shortcode": SHORTCODE, "passkey": PASSKEY}})
    assert own.status in (200, 201), own
    assert register(shop).json["registered"] is True
    made, code = waits(shop)
    strange, strange_code = waits(other)  # over the installation's account
    send(sandbox, strange_code)
    (item,) = unallocated(shop)
    assert item["subject"] == "receipt"
    send(sandbox, code)
    shop.wait_status(made["id"], "completed")
    left = other.payment(strange["id"])
    assert left["status"] != "completed" and left["amount_received"] == "0.00", left
    assert items(other) == []
    proves(stack, shop)


def test_a_picture_to_scan(sandbox, shop):
    made, code = waits(shop)
    picture = shop.post(f"{V1}/payments/{made['id']}/qr")
    assert picture.status == 200, picture
    assert base64.b64decode(picture.json["image"]).startswith(b"\x89PNG")
    assert (picture.json["pay_code"], picture.json["amount"]) == (code, "100.00")
    (call,) = sandbox.calls(op="qr")
    assert (call["reference"], call["amount"]) == (code, "100")
    send(sandbox, picture.json["pay_code"])
    shop.wait_status(made["id"], "completed")
    assert shop.post(f"{V1}/payments/{made['id']}/qr").code == "invalid_state"
    collected = shop.pay(cash())
    assert shop.post(f"{V1}/payments/{collected['id']}/qr").code == "invalid_state"
    other, _ = waits(shop)
    sandbox.chaos(down=True)
    assert shop.post(f"{V1}/payments/{other['id']}/qr").code == "unavailable"


def test_nothing_personal_is_in_the_clear(shop, sandbox):
    send(sandbox, "MARY-WANJALA", name="Mary Wanjala")
    unallocated(shop)
    settled(shop, 1)
    for table in ("exception_item", "audit_log", "provider_event", "ledger_transfer", "receipt"):
        text = str(shop.replica.database.rows(f"select t::text as t from reli.{table} t")).lower()
        assert "wanjala" not in text and "*****" not in text, table
    log = shop.replica.log.read_text().lower()
    assert "wanjala" not in log and "254711223344" not in log


def test_fees_are_taken_as_of_any_payment(stack, replicas, sandbox, one):
    shop = replicas.shop(one)
    done = stack.cli(one.database, "fees", "set", "--merchant", shop.merchant, "--currency", "KES",
                     "--mode", "test", "--schedule", "2%; payer customer")
    assert done.returncode == 0, done.stderr
    register(shop)
    wait_until(lambda: shop.payment(shop.pay(stk("063"))["id"])["next_action"].get("amount") == "102.00",
               10, "the schedule counts")
    made, code = waits(shop)
    send(sandbox, code, amount=100)
    unallocated(shop)
    send(sandbox, code, amount=102)
    paid = shop.wait_status(made["id"], "completed")
    assert (paid["fee"], paid["net"]) == ("2.00", "100.00")
    proves(stack, shop)

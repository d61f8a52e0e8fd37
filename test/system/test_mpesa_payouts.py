"""Refunds of payments without a receipt: nothing can be reversed, so the money is paid out. And what
results of refunds are believed."""

import http.server
import json
import threading

import pytest
from helpers import HttpServer, phone, stk, wait_until
from test_refunds import ADVANCES, back, brought, books_agree, exceptions, refund, show

# ending → (where it ends, state of its payout, what moved at the provider, exceptions)
OUTCOMES = {
    "10": ("completed", "succeeded", 1, []),
    "90": ("completed", "succeeded", 1, []),
    "91": ("completed", "succeeded", 1, []),
    "92": ("completed", "succeeded", 1, []),  # answer and result lost: asked by the id that is ours
    "93": ("completed", "succeeded", 1, []),
    "94": ("completed", "succeeded", 1, []),
    "95": ("completed", "succeeded", 1, []),
    "96": ("in_reconciliation", "failed", 0, ["refund_manual"]),
    "97": ("completed", "succeeded", 1, []),  # a queue timeout with a failing code is no failure
    "98": ("in_reconciliation", "rejected", 0, ["refund_manual"]),
    "99": ("in_reconciliation", "submitted", 0, ["stuck"]),
}


@pytest.fixture(scope="module")
def told(stack, tmp_path_factory):
    """A refund of every ending, all side by side, followed beyond the time for unknown outcomes."""
    from helpers import Clock
    from stack import Launcher

    clock, sandbox = Clock(tmp_path_factory.mktemp("payouts") / "clock"), stack.new_sandbox()
    launcher = Launcher(stack, clock, sandbox)
    try:
        shop = launcher.shop(launcher.one())
        lives = {e: {"number": phone("020")} for e in OUTCOMES}
        for life in lives.values():
            life["payment"] = shop.pay(stk(phone=life["number"], amount="300.00"))["id"]
        wait_until(lambda: all(c["state"] == "paid" for c in sandbox.charges()), 10, "the customers have paid")
        sandbox.chaos(delay_ms=0)
        clock.advance(16)
        for ending, life in lives.items():
            p = shop.wait_status(life["payment"], "completed")
            assert p["provider_receipt"] is None
            life["id"] = refund(shop, p["id"], f"1{ending}.00")["id"]
        for step in (*ADVANCES, 0):
            launcher.settle()
            brought(sandbox)  # a status query is told by a result of its own
            launcher.settle()
            clock.advance(step)
        for life in lives.values():
            life["refund"] = show(shop, life["id"])
            life["moved"] = sandbox.refunds(phone=life["number"].lstrip("+"))
            life["exceptions"] = exceptions(shop, life["id"])
        yield launcher, lives
    finally:
        launcher.close()
        sandbox.term()
        sandbox.wait()


@pytest.mark.parametrize("ending", OUTCOMES)
def test_outcome(told, ending):
    launcher, lives = told
    status, state, moved, kinds = OUTCOMES[ending]
    life = lives[ending]
    got = life["refund"]
    assert got["status"] == status, got
    assert [(a["rail"], a["status"]) for a in got["attempts"]][:2] == [("reversal", "rejected"), ("payout", state)]
    assert len(life["moved"]) == (ending != "98"), "asked for once"
    paid = [m for m in life["moved"] if m["state"] == "paid"]
    assert len(paid) == moved
    assert life["exceptions"] == kinds
    minor = 10000 + int(ending) * 100
    row = launcher.database.one("select refunded, refund_reserved from reli.payment where id = %s", life["payment"])
    if status == "completed":
        assert got["provider_receipt"] == paid[0]["transaction_id"]
        assert got["provider_transaction_id"] == paid[0]["originator_id"]
        assert launcher.database.transfers(life["payment"])[1:] == [back(minor)]
        assert row == {"refunded": minor, "refund_reserved": 0}
    else:
        assert launcher.database.transfers(life["payment"])[1:] == []
        assert row == {"refunded": 0, "refund_reserved": minor}, "reserved as long as unknown"


def test_the_books(told, stack):
    launcher, _ = told
    books_agree(stack, launcher.database)


# ---- results from somebody who is not to be trusted ----


class Provider(http.server.BaseHTTPRequestHandler):
    """Takes every request, calls nobody back by itself, and keeps what it was asked."""

    asked = []

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer({"access_token": "t", "expires_in": "3599"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        n = len(self.asked)
        self.answer({"CheckoutRequestID": body.get("CheckoutRequestID", f"ws_CO_{n}"), "ResponseCode": "0",
                     "ResultCode": "0", "ConversationID": f"AG_{n}",
                     "OriginatorConversationID": body.get("OriginatorConversationID", f"8821-{n}-1")})

    def log_message(self, *args):
        pass


@pytest.fixture
def provider():
    Provider.asked = []
    server = HttpServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/mpesa"
    server.shutdown()
    server.server_close()


def post(replica, url, body):
    assert url.startswith(replica.url)
    return replica.request("POST", url[len(replica.url):], json.dumps(body), {"Content-Type": "application/json"}).status


def asked_for(command):
    return [(n, b) for n, b in enumerate(Provider.asked, 1) if b.get("CommandID") == command]


def reversal_under_way(replica, shop):
    """A paid payment, and its refund as far as the provider has been asked."""
    p = shop.pay(stk(amount="300.00"))
    push = Provider.asked[-1]
    assert post(replica, push["CallBackURL"], {"Body": {"stkCallback": {
        "CheckoutRequestID": p["provider_transaction_id"], "ResultCode": 0, "ResultDesc": "ok",
        "CallbackMetadata": {"Item": [{"Name": "Amount", "Value": 300}, {"Name": "MpesaReceiptNumber", "Value": "TCE9K41XQ7"},
                                      {"Name": "PhoneNumber", "Value": push["PhoneNumber"]}]}}}}) == 200
    shop.wait_status(p["id"], "completed")
    made = refund(shop, p["id"], "100.00")
    wait_until(lambda: any(a["status"] == "submitted" for a in show(shop, made["id"])["attempts"]), 10, "taken")
    ((n, body),) = asked_for("TransactionReversal")
    return made["id"], f"8821-{n}-1", body


def result(originator, code, transaction="SKE0000000", desc="words"):
    return {"Result": {"ResultType": 0, "ResultCode": code, "ResultDesc": desc, "OriginatorConversationID": originator,
                       "ConversationID": "AG_x", "TransactionID": transaction}}


def events_of(replicas):
    return {(r["kind"], r["reason"]) for r in replicas.database.rows(
        "select kind, reason from reli.provider_event where state in ('processed', 'ignored') and "
        "get_byte(uuid_send(payment_id), 15) & 32 <> 0")}


def test_where_a_result_comes_says_what_it_is(replicas, provider):
    replica = replicas.one(MPESA_BASE_URL=provider)
    shop = replicas.shop(replica)
    made, originator, body = reversal_under_way(replica, shop)
    url = body["ResultURL"]
    assert body["QueueTimeOutURL"] == url + ".timeout"
    for bad in (".Timeout", ".a1", ".a-b", "." + "a" * 17, ".a.b", "timeout"):
        assert post(replica, url + bad, result(originator, 1)) in (401, 404), bad
    # The same failing code: a queue timeout, a question that failed, another request's, and the refund's own.
    assert post(replica, url + ".timeout", result(originator, 21)) == 200
    assert post(replica, url + ".status", result(originator, 21)) == 200
    assert post(replica, url, result("8821-9999-1", 21)) == 200
    wait_until(lambda: len(events_of(replicas)) >= 3 or None, 10, "heard")
    got = show(shop, made)
    assert [(a["rail"], a["status"]) for a in got["attempts"]] == [("reversal", "submitted")]
    assert {k for k, _ in events_of(replicas)} == {"", "timeout", "status"}
    assert post(replica, url, result(originator, 21)) == 200
    wait_until(lambda: len(show(shop, made)["attempts"]) == 2, 10, "the next rail")
    ((_, paid_out),) = wait_until(lambda: asked_for("BusinessPayment"), 10, "it is asked")
    done = result(paid_out["OriginatorConversationID"], 0, "TCE5P90LMN")
    assert post(replica, paid_out["ResultURL"], done) == 200
    wait_until(lambda: show(shop, made)["status"] == "completed", 10, "completed")
    assert show(shop, made)["provider_receipt"] == "TCE5P90LMN"


def test_a_failure_from_a_strange_address_opens_no_rail(replicas, provider):
    trusting = replicas.one(MPESA_BASE_URL=provider)
    shop = replicas.shop(trusting)
    made, originator, body = reversal_under_way(trusting, shop)
    wary = replicas.one(MPESA_BASE_URL=provider, MPESA_CALLBACK_CIDRS="192.0.2.0/24")
    url = body["ResultURL"].replace(trusting.url, wary.url)
    assert post(wary, url, result(originator, 21)) == 200
    assert post(wary, url, result(originator, 0, "TCE5P90LMN")) == 200
    wait_until(lambda: ("", "address") in events_of(replicas), 10, "heard")
    replicas.settle()
    got = show(shop, made)
    assert (got["status"], [(a["rail"], a["status"]) for a in got["attempts"]]) == (
        "processing", [("reversal", "submitted")])
    assert asked_for("BusinessPayment") == []


def test_a_receipt_from_a_strange_address_is_not_believed(replicas, provider):
    """The query says that it was paid; by which receipt, and how much, only the provider's own address may say."""
    replica = replicas.one(MPESA_BASE_URL=provider, MPESA_CALLBACK_CIDRS="192.0.2.0/24")
    shop = replicas.shop(replica)
    p = shop.pay(stk(amount="300.00"))
    push = Provider.asked[-1]
    assert post(replica, push["CallBackURL"], {"Body": {"stkCallback": {
        "CheckoutRequestID": p["provider_transaction_id"], "ResultCode": 0, "ResultDesc": "ok",
        "CallbackMetadata": {"Item": [{"Name": "Amount", "Value": 1}, {"Name": "MpesaReceiptNumber", "Value": "TCE0FORGED"},
                                      {"Name": "PhoneNumber", "Value": push["PhoneNumber"]}]}}}}) == 200
    done = shop.wait_status(p["id"], "completed")
    assert (done["status_source"], done["provider_receipt"], done["amount_received"]) == ("poll", None, "300.00")
    assert exceptions(shop, p["id"]) == ["integrity_failure"]

"""Sentences of the contract that nothing else held the service to, one test each."""

import http.server
import json
import os
import re
import subprocess
import threading

import pytest
from helpers import V1, HttpServer, cash, new_key, phone, stk, wait_until


# ---- 1 and 2: the program and its configuration ----

def command(stack, *args, **env):
    run = subprocess.run([stack.binary, *args], env={"PATH": os.environ["PATH"], **env}, capture_output=True,
                         text=True, timeout=60)
    return run.returncode, run.stdout + run.stderr


def test_every_bad_setting_is_named_in_one_go(stack):
    bad = {"RELI_LISTEN": "nowhere", "RELI_METRICS_LISTEN": "127.0.0.1", "RELI_MASTER_KEY": "a:AAAA",
           "REDIS_URL": "http://x", "RELI_PG_WRITERS": "many", "RELI_DRAIN_TIMEOUT": "5", "JWT_SECRET_KEY": "short",
           "RELI_PUBLIC_URL": "example.com", "RELI_PROVIDER_MODE": "prod", "MPESA_BASE_URL": "example.com",
           "MPESA_CONSUMER_KEY": "x", "MPESA_CONSUMER_SECRET": "x", "MPESA_SHORTCODE": "174379", "MPESA_PASSKEY": "x"}
    code, said = command(stack, "serve", **bad)
    assert code == 2, said
    good = {"MPESA_CONSUMER_KEY", "MPESA_CONSUMER_SECRET", "MPESA_SHORTCODE", "MPESA_PASSKEY"}
    for name in set(bad) - good | {"DATABASE_URL"}:
        assert sum(line.startswith(f"reli: {name}") for line in said.splitlines()) == 1, (name, said)


def test_the_doctor_looks_at_redis_and_at_the_clock(stack, reli):
    database = reli.replica.database
    sound = stack.cli(database, "doctor")
    assert re.search("^ok +this machine's clock agrees", sound.stdout, re.M), sound
    away = stack.cli(database, "doctor", REDIS_URL="unix:///tmp/no-such-redis.sock")
    assert away.returncode == 1 and re.search("^FAULT +Redis answers: start it", away.stdout, re.M), away
    gone = stack.cli(database, "doctor", DATABASE_URL="postgresql:///reli?host=/tmp/no-such-folder")
    assert gone.returncode == 1 and re.search("^FAULT +PostgreSQL", gone.stdout, re.M), gone


def test_help_of_a_command_that_does_not_exist(stack):
    assert command(stack, "help", "serve")[0] == 0
    assert command(stack, "help", "serv")[0] == 2


# ---- 3 and 4: answers that are given again ----

def test_a_refund_that_is_answered_again_says_how_it_stands(reli):
    payment = reli.pay(cash())
    reli.post(f"{V1}/payments/{payment['id']}/confirm", {})
    key, body = new_key(), {"amount": "10.00", "reason": "x"}
    first = reli.post(f"{V1}/payments/{payment['id']}/refund", body, headers={"Idempotency-Key": key})
    assert first.status == 201 and first.json["status"] == "pending"
    assert first.header("Reli-Current-Status") is None
    again = reli.post(f"{V1}/payments/{payment['id']}/refund", body, headers={"Idempotency-Key": key})
    assert (again.status, again.body) == (201, first.body) and again.header("Idempotent-Replayed") == "true"
    now = reli.get(f"{V1}/refunds/{first.json['id']}").json["status"]
    assert again.header("Reli-Current-Status") in ("pending", now)


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Provider(http.server.BaseHTTPRequestHandler):
    """A Daraja that takes every push, and notes what came with it."""
    traces = []

    def answer(self, **body):
        body = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(access_token="t", expires_in="3599")

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        Provider.traces.append(self.headers.get("traceparent"))
        if self.path.endswith("/stkpushquery/v1/query"):
            self.answer(ResponseCode="0", ResponseDescription="ok", MerchantRequestID="m", CheckoutRequestID="ws_CO_1",
                        ResultCode="0", ResultDesc="The service request is processed successfully.")
            return
        self.answer(MerchantRequestID="m", CheckoutRequestID=f"ws_CO_{len(self.traces)}", ResponseCode="0",
                    ResponseDescription="ok", CustomerMessage="ok")

    def log_message(self, *args):
        pass


def test_traceparent_goes_on_to_the_provider_and_into_webhooks(replicas, receiver):
    trace = TRACE
    Provider.traces = []
    server = HttpServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        shop = replicas.shop(replicas.one(clock=False, MPESA_BASE_URL=f"http://127.0.0.1:{server.server_address[1]}/mpesa"))
        shop.endpoint(receiver.url("/endpoint"))
        for sent, wanted in ((trace, trace), (None, None), (trace.upper(), None), (trace + "-x", None),
                             ("00-" + "0" * 32 + trace[35:], None)):
            before = len(Provider.traces)
            made = shop.initialize(stk(callback_url=receiver.url("/own")), headers={"traceparent": sent})
            assert made.status == 201 and Provider.traces[before:] == [wanted], (sent, Provider.traces)
            for path in ("/own", "/endpoint"):
                got = receiver.wait(2, path, payment=made.json["id"])
                assert {hook.headers.get("traceparent") for hook in got} == {wanted}, (sent, path)
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def daraja():
    Provider.traces = []
    server = HttpServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/mpesa"
    server.shutdown()
    server.server_close()


def test_traceparent_of_a_payout(replicas, receiver, daraja):
    """Goes with the order, with the questions about it, and with its webhooks."""
    shop = replicas.shop(replicas.one(clock=False, MPESA_BASE_URL=daraja))
    shop.endpoint(receiver.url("/endpoint"))
    paid = shop.pay(cash(amount="1000.00"))
    assert shop.post(f"{V1}/payments/{paid['id']}/confirm").status == 200
    order = {"provider": "mpesa", "amount": "100.00", "currency": "KES", "reference": new_key(),
             "destination": {"type": "mobile_money", "phone": phone()}}
    made = shop.post(f"{V1}/payouts", order, headers={"traceparent": TRACE})
    assert made.status == 201, made
    wait_until(lambda: Provider.traces, what="it is sent")
    shop.post(f"{V1}/payouts/{made.json['id']}/verify")
    wait_until(lambda: len(Provider.traces) >= 2, what="it is asked about")
    assert set(Provider.traces) == {TRACE}
    got = wait_until(lambda: [h for h in receiver.at("/endpoint") if h.json.get("payout_id") == made.json["id"]])
    assert {hook.headers.get("traceparent") for hook in got} == {TRACE}


def test_traceparent_of_a_refund(replicas, daraja):
    """It is the refund's own, not the payment's."""
    shop = replicas.shop(replicas.one(clock=False, MPESA_BASE_URL=daraja))
    paid = shop.initialize(stk(), headers={"traceparent": TRACE}).json
    assert shop.post(f"{V1}/payments/{paid['id']}/verify").json["status"] == "completed"
    Provider.traces = []
    own = TRACE.replace("4bf9", "5bf9")
    made = shop.post(f"{V1}/payments/{paid['id']}/refund", {"amount": "10.00"}, headers={"traceparent": own})
    assert made.status == 201, made
    wait_until(lambda: Provider.traces, what="it is sent")
    assert set(Provider.traces) == {own}

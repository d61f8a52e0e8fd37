"""Every route of the document, with what no honest caller sends: a clear answer of the document's own kind, no fault of
ours, no crash. Which values meet which field is chosen by a seed."""

import itertools
import json
import random
import re
import urllib.parse

import pytest
from helpers import V1, scaled, stk, wait_until
from test_mpesa_payouts import Provider, provider  # noqa: F401
from test_openapi import NOBODY, fields_of, is_callback, setting, which, with_field  # noqa: F401

SEED = 20261121


class Raw(str):
    """Text that goes into the body as it is."""


TEXTS = ["", " ", "\t", "a\u0000b", "\u0000", "a\r\nX-A: b", "\u001b[2J", "\u202e\u2066", "\ufeff", "\ufffe\uffff", "\U0010ffff",
         "e\u0301" * 40, "x" * 64, "x" * 65, "x" * 256, "x" * 2049, "x" * 70000, "漢" * 255, "%s%n%x", "%00", "../../etc/passwd",
         "'; drop table reli.payment; --", "\\", "\\x00", "{}", "{1,2}", "null", "NULL", "NaN", "0", "-0", "1e400", "1e-400",
         "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551616", "1" * 400, "0x10",
         "١٢٣", "1,000.00", "+1", "1.", ".5", "Infinity", "true", "*", "a,b", "KES", "mpesa", "test", "live", NOBODY,
         "00000000-0000-0000-0000-000000000000", NOBODY.upper(), "{" + NOBODY + "}", "urn:uuid:" + NOBODY,
         "0000-01-01T00:00:00Z", "0001-01-01", "9999-12-31T23:59:59.999999Z", "294277-01-01T00:00:00Z", "2026-02-30",
         "2026-01-01T24:00:00Z", "2026-01-01T23:59:60Z", "2026-01-01T00:00:00+99:99", "1970-01-01", "infinity",
         "+254700000000", "+" + "9" * 40, "a@b", "a@" + "b" * 300 + ".example", "https://x", "https://[::1]:99999/",
         "0.0.0.0/0", "::/0", "10.0.0.0/33", "::ffff:0:0/96"]
VALUES = TEXTS + [Raw(v) for v in (
    "null", "true", "false", "0", "-0", "-0.0", "-1", "0.1", "1e0", "1E+2", "1e-7", "1e15", "1e18", "1e19", "1e308", "0e0",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "0.00000000000000000001", "1" + "0" * 300,
    "0." + "0" * 300 + "1", "1e99", "-1e99", "0e99999", "2147483648", "4294967296", "[]", "{}", "[null]", "[[]]", '[""]',
    '["*","*"]', '["a\\u0000b"]', "[1e18]", '{"":null}', '{"\\u0000":1}', '{"a\\u0000b":"c"}', '{"id":null}', '{"$ref":"#"}',
    "[" + ",".join(["1"] * 5000) + "]", "[" * 30 + "]" * 30, '{"a":' * 30 + "1" + "}" * 30,
    "{" + ",".join(f'"k{i}":{i}' for i in range(3000)) + "}", '"\\u0000"', '"\\ud83d\\ude00"', '"\\ud800"', '"\\uffff"')]
QUERY = TEXTS + ["\ud800"]


@pytest.fixture(autouse=True)
def alive_after(shared):
    """Whatever came, the same process goes on and answers."""
    yield
    assert shared.running(), f"the service has died:\n{shared.tail()}"
    assert shared.get("/livez").status == 200


def chosen(op, cases):
    """Some of the cases, the same in every run. Passwords cost a good part of a second of work each."""
    n = 4 if "/auth/" in op.path or "/invitations/" in op.path else scaled(30)
    return random.Random(f"{SEED} {op}").sample(cases, min(n, len(cases)))


def fair(op, answer, *refused):
    """As documented, and never a fault of ours."""
    assert answer.status < 500, f"{op}: {answer}"
    if answer.status in refused:
        op.check_refusal(answer, answer.status)
    else:
        op.check(answer)


def written(body, name, value):
    """The body's text with this value in this place; names with dots lie within others."""
    text = json.dumps(with_field(body, name, "\u2603"))
    return text.replace(json.dumps("\u2603"), value if isinstance(value, Raw) else json.dumps(value), 1)


@which(lambda o: o.body is not None and not is_callback(o))
def test_no_field_of_a_body_is_a_fault_of_ours(op, setting):  # noqa: F811
    body = setting.prepare(op, op.body_examples()[0])
    path = setting.path(op)
    names = [*fields_of(op.json_body["schema"]), "", "__proto__", "a\u0000b", "metadata"]
    try:
        for name, value in chosen(op, [(name, value) for name in names for value in VALUES]):
            fair(op, setting.call(op, path, written(body, name, value)))
    finally:
        if op.id == "putMaintenance":
            assert setting.call(op, path, {"on": False}).status == 200


def escape(text):
    return urllib.parse.quote(text.encode("utf-8", "surrogatepass"), safe="")


@which(lambda o: not is_callback(o))
def test_no_path_or_parameter_is_a_fault_of_ours(op, setting):  # noqa: F811
    """An operation that is asked of nothing that is there."""
    base = re.sub(r"\{\w+\}", NOBODY, op.path)
    bodies = [b for b in op.body_examples() if op.id != "putMaintenance"] or [{}]
    targets = [f"{base}?{{0}}={{0}}&{{0}}"] + [f"{base}?{p['name']}={{0}}" for p in op.query()]
    if "{" in op.path:
        targets += [re.sub(r"\{\w+\}", "{0}", op.path)] * 2
    for target, text in chosen(op, [(target, text) for target in targets for text in [*TEXTS, "\ud800"] if text]):
        fair(op, setting.call(op, target.format(escape(text)), bodies[0]), 400, 414)


# ---- what providers call back with ----


BODIES = [b"", b" ", b"\x00", b"{", b"[]", b"null", b"1", b'"x"', b"\xff\xfe{\x00}\x00", b"\x1f\x8b\x08" + b"\x00" * 40,
          b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', b"a=b&c=d",
          b"[" * 100000, b'{"a":' * 40 + b"1" + b"}" * 40, b'{"a":1,"a":2}', b"{" + b" " * (1 << 20) + b"}"]


def test_no_callback_is_a_fault_of_ours(replicas, provider):  # noqa: F811
    """Genuine by its token: from a provider that is out of his mind, or in other hands."""
    replica = replicas.one(clock=False, MPESA_BASE_URL=provider)
    shop = replicas.shop(replica)
    made = shop.pay(stk())
    url = Provider.asked[-1]["CallBackURL"].replace(replica.url, "")
    text = json.dumps({"Body": {"stkCallback": {
        "MerchantRequestID": "1", "CheckoutRequestID": made["provider_transaction_id"], "ResultCode": 0, "ResultDesc": "x",
        "CallbackMetadata": {"Item": [{"Name": "Amount", "Value": 100}, {"Name": "MpesaReceiptNumber", "Value": "QKJ41HAX9Z"},
                                      {"Name": "TransactionDate", "Value": 20261121120000},
                                      {"Name": "PhoneNumber", "Value": 254700000000}]}}}})
    places = re.findall(r'(?<=: )(?:"[^"]*"|\d+)', text)
    assert len(places) == 12
    cases = random.Random(SEED).sample([(p, v) for p in places[1:] for v in VALUES], scaled(150))
    bodies = BODIES + [text.replace(place, value if isinstance(value, Raw) else json.dumps(value), 1).encode()
                       for place, value in cases]
    kinds = itertools.cycle(["application/json", "text/xml", "application/x-www-form-urlencoded", None])
    for body, kind, method in zip(bodies, kinds, itertools.cycle(["POST", "PUT", "POST"])):
        headers = {"Content-Type": kind, "Content-Encoding": None if kind else "gzip"}
        answer = replica.request(method, url, body, {k: v for k, v in headers.items() if v})
        assert answer.status in (200, 413), (body[:200], answer)
    wait_until(lambda: not replicas.database.rows("select 1 from reli.provider_event where state = 'received'"),
               what="all have been looked at")
    assert shop.payment(made["id"])["amount_received"] in ("0.00", "100.00")
    assert replica.running()


def test_no_webhook_that_nobody_signed_is_a_fault_of_ours(shared):
    for name in ("mpesa", "cpay", "stripe", "cash", "nobody"):
        for body in BODIES:
            for signature in ("t=1,v1=00", "v1," + "A" * 44, "", "\xff", "t=" + "9" * 400, "v1=" * 2000):
                answer = shared.request("POST", f"{V1}/webhooks/{name}", body, {
                    h: signature.encode("latin-1") for h in ("Stripe-Signature", "X-Cpay-Signature")})
                assert answer.status in (401, 404, 413), (name, answer)

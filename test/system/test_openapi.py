"""The OpenAPI document, the source and the running service say the same.

What is expected of an answer comes from the document alone: each of its operations is called with its
own examples, and with what must be refused.
"""

import http.server
import json
import re
import threading

import pytest
import websocket
from helpers import PASSKEY, ROOT, V1, HttpServer, Shop, Site, cash, new_key, phone, stk, wait_until
from openapi import Judge, load, operations
from people import Person, new_email, totp

DOCUMENT = load()
JUDGE = Judge(DOCUMENT)
OPERATIONS = operations(DOCUMENT)
NOBODY = "01900000-0000-7000-8000-000000000000"
FORGED = "0" * 96


def which(condition):
    found = [o for o in OPERATIONS if condition(o)]
    assert found
    return pytest.mark.parametrize("op", found, ids=[o.id for o in found])


def has_key(o):
    return bool(o.security) and "ApiKey" in o.security[0]


def is_for_people(o):
    """Nobody but people may."""
    return bool(o.security) and "Person" in o.security[0]


def is_for_staff(o):
    return "/merchants" in o.path or "/maintenance" in o.path


def is_socket(o):
    return "101" in o.responses


def is_callback(o):
    return "{token}" in o.path or "{provider}" in o.path


def schema(name):
    return DOCUMENT["components"]["schemas"][name]


# ---- the document against the source ----


def source(path):
    """C without comments, a macro on one line."""
    text = re.sub(r"/\*.*?\*/", "", (ROOT / path).read_text(), flags=re.S)
    return re.sub(r"\\\n\s*", " ", text)


def macro_words(path, macro):
    """The words of an X macro."""
    body = re.search(rf"#define {macro}\(X\)(.*)", source(path)).group(1)
    words = re.findall(r'X\(\w+, "(\w*)"', body)
    assert words, macro
    return words


def routes():
    """(method, pattern) → tag, of http/routes.c, and of what gateways add."""
    text = source("http/routes.c")
    words = dict(re.findall(r"#define (\w+) (.+)", text))
    found = re.findall(r'\{HTTP_(\w+)_,\s+(V1\s+)?"([^"]+)",\s+\w+,\s+([^}]+)\}', text)
    behind = {of: (method, tag) for of, method, tag in
              re.findall(r"\[GW_ALIAS_(\w+)\] = \{HTTP_(\w+)_, NULL, \w+, ([^}]+)\}", text)}
    assert len(found) + len(behind) == text.count("{HTTP_"), "a route that is written in another way"
    found = [(method, (words["V1"].strip('"') if v1 else "") + pattern, tag) for method, v1, pattern, tag in found]
    found += [(behind[of][0], path, behind[of][1]) for path, of in aliases()]
    found += [("PUT", path, behind[of][1]) for path, of in aliases() if of != "CREATE"]  # providers may use it
    return {(method, pattern): set(re.findall(r"\w+", words.get(tag, tag))) for method, pattern, tag in found}


def aliases():
    """Older paths that name a provider: data of its gateway."""
    found = [a for file in sorted((ROOT / "gateways").glob("*.c"))
             for a in re.findall(r'\{"(/[^"]+)", GW_ALIAS_(\w+)\}', file.read_text())]
    assert found
    return found


def test_every_route_is_documented_and_nothing_else():
    assert {(o.method, o.path) for o in OPERATIONS} == set(routes())


def matrix():
    """Permission → (scope of API keys or NEVER, roles), of core/domain/permission.h."""
    text = source("core/domain/permission.h")
    scopes = dict(re.findall(r'X\((\w+), "([a-z]+:[a-z]+)"\)', text)) | {"STAR": "*", "NEVER": None}
    roles = {word[0] if word != "operator" else "p": word for word in macro_words("core/domain/permission.h",
                                                                                 "PERMISSION_ROLES")}
    found = re.findall(r'X\((\w+), "[a-z_.]+", SCOPE_(\w+), "([a-zA-Z]+)"\)', text)
    assert found and len(roles) == 5
    return {name: (scopes[scope], [roles[c.lower()] for c in letters]) for name, scope, letters in found}


def test_every_operation_names_the_access_that_its_route_has():
    rows, table = matrix(), routes()
    for o in OPERATIONS:
        tags = table[o.method, o.path]
        if is_socket(o):  # authenticates itself
            row = rows["BOOKS_READ" if o.path.endswith("/ws/merchant") else "PAYMENTS_READ"]
            assert o.security == [{"ApiKey": ["payments:read"]}, {"Person": row[1]}, {"SocketTicket": []}], o
            continue
        wanted = []
        for scope, roles in [rows[t.removeprefix("PERM_")] for t in tags if t.startswith("PERM_")]:
            wanted += ([{"ApiKey": [scope]}] if scope else []) + [{"Person": roles}]
        if "API_CLIENT_TOKEN" in tags:
            wanted.append({"ClientToken": []})
        if "API_TICKET" in tags:
            wanted.append({"SocketTicket": []})
        assert o.security == wanted, o


def test_every_alias_is_deprecated():
    """Two routes with one handler: the older name is marked. Two methods, or a page that is also
    served without the base path, are no aliases."""
    text = (ROOT / "http/routes.c").read_text()
    older = text[text.index("/* older names"):].split("/*")[1]
    paths = {(V1 if v1 else "") + p for v1, p in re.findall(r'(V1\s+)?"(/[^"]+)"', older)}
    assert len(paths) == 9
    marked = {o.path for o in OPERATIONS if o.node.get("deprecated")}
    assert marked == paths | {path for path, _ in aliases()} | {"/callbacks/{provider}"}


def test_every_problem_code_is_in_the_enum_and_nothing_else():
    codes = re.findall(r'X\(\w+, (\d+),\s+"(\w+)"', source("core/base/err_codes.h"))
    assert len(codes) == source("core/base/err_codes.h").count(" X(")
    public = [word for status, word in codes if int(status) >= 400]
    assert schema("ErrorCode")["enum"] == public


def test_the_examples_of_problems_have_their_codes_status_and_title():
    catalogue = {word: (int(status), title) for status, word, title in
                 re.findall(r'X\(\w+, (\d+),\s+"(\w+)",\s+"([^"]+)"', source("core/base/err_codes.h"))}
    seen = set()
    for name, r in DOCUMENT["components"]["responses"].items():
        for e in r.get("content", {}).get("application/problem+json", {}).get("examples", {}).values():
            p = e["value"]
            assert (p["status"], p["title"]) == catalogue[p["code"]], name
            assert p["type"] == f"/docs/errors#{p['code']}" and p["detail"] != p["title"], name
            seen.add(p["code"])
    assert set(schema("ErrorCode")["enum"]) == seen


@pytest.mark.parametrize("where, macro, name", [
    ("core/domain/payment.h", "PAYMENT_STATES", ("PaymentStatus",)),
    ("core/domain/payment.h", "ATTEMPT_STATES", ("Attempt", "properties", "status")),
    ("core/domain/failure.h", "FAILURE_CODES", ("FailureCode",)),
    ("core/domain/failure.h", "FAILURE_ADVICE", ("Failure", "properties", "advice")),
    ("core/domain/refund.h", "REFUND_STATES", ("RefundStatus",)),
    ("core/domain/payout.h", "PAYOUT_STATES", ("PayoutStatus",)),
    ("core/domain/refund.h", "RAIL_STATES", ("RefundAttempt", "properties", "status")),
    ("core/domain/refund.h", "REFUND_RAILS", ("RefundAttempt", "properties", "rail")),
    ("core/domain/delivery.h", "DELIVERY_STATES", ("WebhookDelivery", "properties", "status")),
])
def test_every_word_of_a_machine_is_in_its_enum_and_nothing_else(where, macro, name):
    node = DOCUMENT["components"]["schemas"]
    for part in name:
        node = node[part]
    assert node["enum"] == [w for w in macro_words(where, macro) if w]


def test_the_other_words_are_in_their_enums():
    names = source("core/domain/payment_names.c")
    types = re.findall(r'\[(?:REFUND_)?NOTICE_\w+\] = "([^"]+)"', names + source("core/domain/refund_names.c"))
    words = re.findall(r'\[PAYOUT_\w+\] = "(payout\.[^"]+)"', source("core/domain/payout.c"))
    types += sorted(set(words), key=words.index)
    assert schema("EventType")["enum"] == types
    assert schema("EventFilter")["enum"] == types + ["payment.*", "refund.*", "payout.*", "*"]
    assert schema("Payment")["properties"]["status_source"]["enum"] == \
        re.findall(r'\[SOURCE_\w+\] = "([^"]+)"', names)
    rails = schema("RefundAttempt")["properties"]["rail"]["enum"]
    assert schema("Refund")["properties"]["rail"]["enum"] == rails + [None]
    assert DOCUMENT["components"]["parameters"]["DeliveryStatus"]["schema"]["enum"] == \
        schema("WebhookDelivery")["properties"]["status"]["enum"]
    faults = set()
    for path in [*ROOT.glob("http/*.c"), *ROOT.glob("ws/*.c"), ROOT / "core/codec/fields.c"]:
        for call in re.findall(r"\b(?:fields_fault|field_error)\(([^;]*);", path.read_text()):
            faults |= set(re.findall(r', "([a-z_]+)",', call.partition(",")[2]))
    assert set(schema("FieldError")["properties"]["code"]["enum"]) == \
        faults & {"required", "unknown", "unsupported", "type", "length", "format", "range", "duplicate"}


# ---- the judge ----


@pytest.mark.parametrize("node, value, good", [
    ({"type": "string"}, "x", True),
    ({"type": "string"}, 1, False),
    ({"type": "integer"}, True, False),
    ({"type": ["string", "null"]}, None, True),
    ({"type": "string", "pattern": "^a+$"}, "ab", False),
    ({"type": "string", "format": "uuid"}, "01935b2f", False),
    ({"type": "string", "format": "date-time"}, "2026-13-01T00:00:00.000Z", False),
    ({"type": "string", "format": "uri"}, "shop.example", False),
    ({"const": "true"}, True, False),
    ({"enum": [1]}, True, False),
    ({"type": "integer", "minimum": 1}, 0, False),
    ({"type": "array", "items": {"type": "integer"}}, [1, "2"], False),
    ({"type": "array", "minItems": 1}, [], False),
    ({"type": "object", "required": ["a"], "properties": {"a": {}}}, {}, False),
    ({"type": "object", "properties": {"a": {}}}, {"a": [1]}, True),
    ({"type": "object", "properties": {"a": {}}}, {"b": 1}, False),
    ({"type": "object", "additionalProperties": True}, {"b": {"c": 1}}, True),
    ({"type": "object", "additionalProperties": {"type": "string"}}, {"b": "c"}, True),
    ({"type": "object", "additionalProperties": {"type": "string"}}, {"b": 1}, False),
    ({"allOf": [{"type": "object", "properties": {"a": {}}}, {"type": "object", "properties": {"b": {}}}]},
     {"a": 1, "b": 2}, True),
    ({"allOf": [{"type": "object", "properties": {"a": {}}}, {"type": "object", "properties": {"b": {}}}]},
     {"a": 1, "b": 2, "c": 3}, False),
    ({"oneOf": [{"type": "string"}, {"type": "null"}]}, None, True),
    ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, 1, False),
    ({"type": "object", "properties": {"a": {}, "b": {}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
     {"a": 1, "b": 1}, False),
    ({"type": "object", "properties": {"a": {}, "b": {}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
     {"a": 1}, True),
    ({"$ref": "#/components/schemas/Mode"}, "live", True),
    ({"$ref": "#/components/schemas/Mode"}, "both", False),
])
def test_judge(node, value, good):
    assert JUDGE.fits(node, value, "$") == good


def test_judge_refuses_what_it_does_not_know():
    with pytest.raises(AssertionError, match="does not know"):
        JUDGE.check({"type": "string", "contentEncoding": "base64"}, "x")


def test_every_example_is_of_its_schema():
    n = 0

    def walk(node, at):
        nonlocal n
        if isinstance(node, list):
            for i, item in enumerate(node):
                walk(item, f"{at}/{i}")
        if not isinstance(node, dict):
            return
        if "schema" in node:
            examples = [e["value"] for e in node.get("examples", {}).values()]
            for e in examples + ([node["example"]] if "example" in node else []):
                JUDGE.check(node["schema"], e, at)
                n += 1
        for key, item in node.items():
            if key not in ("example", "examples"):
                walk(item, f"{at}/{key}")

    walk({k: DOCUMENT[k] for k in ("paths", "components")}, "#")
    assert n > 50


# ---- the document against the service ----


def test_the_service_serves_the_document(reli):
    assert Site(reli.url).get("/openapi.json").json == DOCUMENT


class Setting:
    """What an operation needs to exist, made on demand for one merchant."""

    def __init__(self, shop, receiver=None, careful=False):
        self.shop, self.receiver = shop, receiver
        self.careful = careful  # refunds wait for approval
        self.second_key = None  # who decides about them
        self.persons = {}

    def payment(self, **fields):
        return self.shop.pay(**fields)

    def person(self, staff=False):
        if staff not in self.persons:
            self.persons[staff] = Person(self.shop.stack, self.shop.replica, None if staff else self.shop.merchant)
        return self.persons[staff]

    def endpoint(self):
        return self.shop.endpoint("https://shop.example/hooks/mine")

    def delivery(self):
        self.shop.endpoint(self.receiver.url())
        self.payment()
        return wait_until(lambda: self.shop.get(V1 + "/webhook-deliveries").json["data"], 60,
                          what="a delivery")[0]

    def inbound(self):
        """A callback that changed nothing."""
        made = self.shop.pay(stk())
        self.shop.wait_status(made["id"], "completed")
        path = f"{V1}/provider-events?payment_id={made['id']}&status=processed"
        (e,) = wait_until(lambda: self.shop.get(path).json["data"], what="a callback")
        self.shop.replica.database.rows("update reli.provider_event set state = 'ignored' where id = %s", e["id"])
        return e

    def refund(self):
        """Of half of what was collected."""
        paid = self.payment()
        assert self.shop.post(f"{V1}/payments/{paid['id']}/confirm").status == 200
        answer = self.shop.post(f"{V1}/payments/{paid['id']}/refund", {"amount": "500.00"})
        assert answer.status == 201, answer
        if not self.careful:
            self.wait_refund(answer.json["id"], "in_reconciliation")  # a person has to pay it out
        return answer.json

    def payout(self):
        """Of half of what was collected."""
        paid = self.payment()
        assert self.shop.post(f"{V1}/payments/{paid['id']}/confirm").status == 200
        body = {"provider": "mpesa", "amount": "500.00", "currency": "KES", "reference": new_key(),
                "destination": {"type": "mobile_money", "phone": phone()}}
        answer = self.shop.post(f"{V1}/payouts", body)
        assert answer.status == 201, answer
        return answer.json

    def exception(self):
        """Another amount than was asked for."""
        other = self.shop.pay(stk("026"))
        self.shop.wait_status(other["id"], "in_reconciliation", 60)
        (item,) = self.shop.get(V1 + "/exceptions").json["data"]
        return item

    def customer(self):
        """Somebody no money of whom is on its way."""
        made = self.payment(customer={"id": "cust-42", "phone": "+254700000000"})
        assert self.shop.post(f"{V1}/payments/{made['id']}/cancel").status == 200
        return self.shop.get(V1 + "/customers?external_id=cust-42").json["data"][0]

    def wait_refund(self, refund, status):
        wait_until(lambda: self.shop.get(f"{V1}/refunds/{refund}").json["status"] == status, 60,
                   what=f"refund {refund} {status}")

    def id_for(self, op):
        if "/payouts/" in op.path:
            return self.payout()["id"]
        if "/refunds/" in op.path:
            return self.refund()["id"]
        if "/ws/user/" in op.path:
            return self.payment(customer={"id": "cust-42"})["customer"]["id"]
        if op.id == "createRefund":
            made = self.payment()
            assert self.shop.post(f"{V1}/payments/{made['id']}/confirm").status == 200
            return made["id"]
        if op.id == "confirmPayment":  # one that waits for a code
            return self.shop.pay({"provider": "cpay", "payment_method": "wallet", "amount": "250.00", "currency": "KES",
                                  "customer": {"phone": phone("110")}})["id"]
        if op.id == "createPaymentQr":
            return self.shop.pay(stk("063"))["id"]
        if op.id == "verifyPayment":
            return self.shop.pay(stk())["id"]
        if "/webhook-endpoints/" in op.path:
            return self.endpoint()["id"]
        if "/api-keys/" in op.path:
            return self.shop.post(V1 + "/api-keys", {"scopes": ["payments:read"]}).json["id"]
        if "/webhook-deliveries/" in op.path:
            return self.delivery()["id"]
        if "/provider-events/" in op.path:
            return self.inbound()["id"]
        if "/exceptions/" in op.path:
            return self.exception()["id"]
        if "/customers/" in op.path:
            return self.customer()["id"]
        if op.id == "confirmMember":  # by somebody else than who invited him
            return Person.invited(self.person(staff=True).acting(Reli_Merchant=self.shop.merchant)).id
        if "/members/" in op.path:
            return self.person().post(V1 + "/members", {"email": new_email(), "role": "viewer"}).json["id"]
        if "/merchants/" in op.path:
            made = self.person(staff=True).post(V1 + "/merchants", {"name": "Another shop"}).json["id"]
            if op.id == "suspendMerchant":
                self.person(staff=True).post(f"{V1}/merchants/{made}/activate")
            return made
        return self.payment()["id"]

    def path(self, op, chosen=None):
        path = op.path
        for p in op.parameters:
            if p["in"] == "path":
                value = (chosen or self.id_for(op)) if p["name"] == "id" else p["example"]
                path = path.replace("{%s}" % p["name"], value)
        assert "{" not in path
        return path

    def prepare(self, op, body):
        """What the example speaks of comes into being; the body with it."""
        if op.id == "findPayment":
            made = self.payment(reference=body.get("reference"))
            return {name: made[name] for name in body}
        if op.id == "createRefundByReference":
            made = self.payment(reference=new_key())
            assert self.shop.post(f"{V1}/payments/{made['id']}/confirm").status == 200
            return body | {"reference": made["reference"]}
        if op.id == "createPayout":
            paid = self.payment()
            assert self.shop.post(f"{V1}/payments/{paid['id']}/confirm").status == 200
            return body
        if op.id == "registerCallbacks":  # the installation's account is not this merchant's alone
            own = {"mode": "test", "is_active": True, "api_key": "sandbox_consumer_key",
                   "api_secret": "sandbox_consumer_secret", "config": {"shortcode": "174379", "passkey": PASSKEY}}
            answer = self.shop.post(V1 + "/providers/mpesa/config", own)
            assert answer.status in (200, 201), answer
        if op.id in ("login", "loginOld"):
            return body | {"email": self.person().email}
        if op.id in ("loginWithFirebase", "loginWithFirebaseOld"):
            claims = {"sub": self.person().id, "email": self.person().email, "email_verified": True}
            return {"id_token": self.shop.stack.sandbox.id_token(claims=claims)}
        if op.id in ("refreshSession", "refreshSessionOld"):
            return {"refresh": self.person().tokens["refresh"]}
        if op.id == "acceptInvitation":
            email = new_email()
            made = self.person().post(V1 + "/members", {"email": email, "role": "viewer"})
            if "id_token" in body:
                claims = {"sub": email, "email": email, "email_verified": True}
                body = {"id_token": self.shop.stack.sandbox.id_token(claims=claims)}
            return body | {"token": made.json["invitation"]["token"]}
        if op.id == "inviteMember":
            return body | {"email": new_email()}
        if op.id in ("confirmTotp", "disableTotp"):
            secret = self.person().enrol(confirm=op.id == "disableTotp")
            return body | {"totp": totp(secret, self.shop.replica.time(), int(op.id == "disableTotp"))}
        if op.id == "createTicket" and body["channel"].startswith("transaction/"):
            return {"channel": f"transaction/{self.payment()['id']}"}
        if op.id == "createTicket" and body["channel"].startswith("user/"):
            self.payment(customer={"id": body["channel"].removeprefix("user/")})
        return body

    def headers(self, op):
        if is_socket(op):
            return {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
        return {}

    def call(self, op, path, body=None, **headers):
        if is_for_people(op):
            return self.person(is_for_staff(op)).request(op.method, path, body=body,
                                                         headers=self.headers(op) | headers)
        shop = self.shop.with_key(self.second_key) if self.second_key else self.shop
        return shop.request(op.method, path, body=body, headers=self.headers(op) | headers)


def careful_shop(stack, replica):
    """A merchant whose refunds and payouts above one shilling wait for a second person."""
    made = stack.cli(replica.database, "merchant", "create", "--name", "A careful shop", "--refund-approval-above", "100")
    assert made.returncode == 0, made.stderr
    words = dict(line.split("=", 1) for line in made.stdout.splitlines() if "=" in line)
    replica.database.rows("update reli.merchant set payout_approval_above = 100 where merchant_id = %s",
                          words["merchant_id"])
    key = stack.api_key(replica, words["merchant_id"])
    return Shop(replica, words["merchant_id"], words["webhook_secret"], key)


RECEIPTS = ("mpesaConfirmation", "mpesaValidation", "mpesaConfirmationPut", "mpesaValidationPut")
DECISIONS = ("approveRefund", "rejectRefund", "cancelRefund", "approvePayout", "rejectPayout", "cancelPayout")


@pytest.fixture
def setting(reli, receiver, stack, request):
    """A new merchant. What is decided about its refunds is decided by a second person."""
    op = getattr(request.node, "callspec", None) and request.node.callspec.params.get("op")
    if op is None or op.id not in DECISIONS:
        return Setting(reli, receiver)
    shop = careful_shop(stack, reli.replica)
    careful = Setting(shop, receiver, careful=True)
    careful.second_key = stack.api_key(shop.replica, shop.merchant)
    return careful


@which(lambda o: not is_callback(o))
def test_each_example_succeeds_as_documented(op, setting):
    good = [int(c) for c in op.responses if re.fullmatch(r"[12]\d\d", c)]
    assert good, op
    for body in op.body_examples():
        if body is not None:
            JUDGE.check(op.json_body["schema"], body, op.id)
        body = setting.prepare(op, body)
        op.check(setting.call(op, setting.path(op), body), good)


@which(has_key)
def test_without_a_key(op, setting):
    for headers in ({"Authorization": None}, {"Authorization": "Bearer sk_test_" + "0" * 48}):
        op.check(setting.call(op, setting.path(op, NOBODY), op.body_examples()[0], **headers), [401])


@which(has_key)
def test_without_the_scope(op, setting, stack):
    (scope,) = op.security[0]["ApiKey"]
    others = {"payments:read", "payments:write", "refunds:write", "payouts:write", "webhooks:write"} - {scope}
    path = setting.path(op)
    setting.second_key = stack.api_key(setting.shop.replica, setting.shop.merchant, "test", "--scopes",
                                       ",".join(sorted(others)))
    op.check(setting.call(op, path, op.body_examples()[0]), [403])


@which(lambda o: has_key(o) and "{id}" in o.path)
def test_of_something_that_is_not_there(op, setting, stack):
    other = Setting(stack.shop(setting.shop.replica), setting.receiver)
    body = op.body_examples()[0]
    for path in (setting.path(op, NOBODY), setting.path(op, "nobody"), other.path(op)):
        op.check(setting.call(op, path, body), [404])


@which(lambda o: {"ClientToken": []} in (o.security or []))
def test_with_a_client_token(op, setting):
    mine, other = setting.payment(), setting.payment()
    token = {"Authorization": f"Bearer {mine['client_token']}"}
    op.check(setting.call(op, setting.path(op, mine["id"]), **token), [200])
    op.check(setting.call(op, setting.path(op, other["id"]), **token), [401])


@which(lambda o: o.body is not None and not is_callback(o))
def test_a_body_that_is_none(op, setting):
    path = setting.path(op)
    for raw in ("",) * op.body["required"] + ("{", "[]", '"x"', '{"a":1,"a":1}', "\x00"):
        op.check(setting.call(op, path, raw), [400])
    op.check(setting.call(op, path, "{}", **{"Content-Type": "text/plain"}), [415])


def merged(node):
    """An object schema with what it takes from others."""
    node = dict(JUDGE.resolve(node))
    for part in node.pop("allOf", []):
        node |= {k: v for k, v in merged(part).items() if k not in node}
    return node


def fields_of(node, prefix=""):
    """The members of an object schema, with those of nested closed objects: name with dots → schema."""
    out = {}
    for name, member in merged(node)["properties"].items():
        out[prefix + name] = member
        for choice in member.get("oneOf", []):
            inner = JUDGE.resolve(choice)
            if inner.get("additionalProperties") is False:
                out |= fields_of(inner, f"{prefix}{name}.")
    return out


def with_field(body, name, value):
    body = json.loads(json.dumps(body))
    *outer, last = name.split(".")
    at = body
    for part in outer:
        at = at.setdefault(part, {})
    at[last] = value
    return body


@which(lambda o: o.body is not None and not is_callback(o))
def test_each_field_is_known_and_no_other(op, setting):
    """A wrong type is faulted as such: the service knows the field. Another field is unknown."""
    path, example = setting.path(op), op.body_examples()[0]
    fields = fields_of(op.json_body["schema"])
    assert fields
    for name in fields:
        wrong = "x" if "boolean" in JUDGE.resolve(fields[name]).get("type", ()) else True
        answer = op.check(setting.call(op, path, with_field(example, name, wrong)), [422])
        found = {e["param"]: e["code"] for e in answer.json["errors"]}
        assert found.get(name) in ("type", "required"), (name, answer)
    outer = {name.rpartition(".")[0] for name in fields}
    for prefix in outer:
        name = f"{prefix}.surprise" if prefix else "surprise"
        answer = op.check(setting.call(op, path, with_field(example, name, "x")), [422])
        assert [(e["param"], e["code"]) for e in answer.json["errors"]] == [(name, "unknown")], answer
        assert answer.json["param"] == name


@which(lambda o: o.body is not None and not is_callback(o))
def test_each_required_field_is_missed_and_each_limit_is_kept(op, setting):
    path, example, node = setting.path(op), op.body_examples()[0], merged(op.json_body["schema"])
    choices = {name for c in node.get("anyOf", []) + node.get("oneOf", []) for name in c["required"]}
    for names in [{name} for name in node.get("required", [])] + ([choices] if choices else []):
        answer = op.check(setting.call(op, path, {k: v for k, v in example.items() if k not in names}), [422])
        (fault,) = answer.json["errors"]
        assert fault["param"] in names and fault["code"] == "required", answer
    for name, member in fields_of(node).items():
        member = JUDGE.resolve(member)
        if "maxLength" not in member:
            continue
        for n in (member["minLength"] - 1, member["minLength"], member["maxLength"], member["maxLength"] + 1):
            body = with_field(with_field(example, name, "7" * n), "surprise", "x")  # so nothing is made
            answer = op.check(setting.call(op, path, body), [422])
            faulted = (name, "length") in {(e["param"], e["code"]) for e in answer.json["errors"]}
            assert faulted == (not member["minLength"] <= n <= member["maxLength"]), (n, answer)


GOOD = {"after": NOBODY, "before": NOBODY, "provider": "cash", "customer_id": "cust-42", "payment_method": "cash",
        "currency": "KES", "reference": "ORDER-1", "min_amount": "1", "max_amount": "1000.00",
        "date_from": "2026-01-01", "date_to": "2026-01-01T10:00:00Z"}
BAD = {"min_amount": "KES", "max_amount": "1e3", "date_from": "yesterday", "date_to": "2026-02-30"}


def values_of(p):
    """A value that the parameter takes, and ones that it refuses, as far as the document says so."""
    node = JUDGE.resolve(p["schema"])
    if "enum" in node:
        return node["enum"][-1], ["nonsense", ""]
    if node.get("format") == "uuid":
        return GOOD.get(p["name"], NOBODY), ["nonsense"]
    if node["type"] == "integer":
        return str(node["maximum"]), [str(node["minimum"] - 1), str(node["maximum"] + 1), "x", ""]
    if p["name"] == "after":  # a position
        return p["example"], ["x", "-1", ""]
    return p.get("example", GOOD.get(p["name"])), [BAD[p["name"]]] if p["name"] in BAD else []


@which(lambda o: o.query() and not is_socket(o))
def test_each_parameter(op, setting):
    setting.payment()
    path = setting.path(op)
    for p in op.query():
        good, bad = values_of(p)
        also = "&currency=KES" if p["name"].endswith("_amount") else ""
        op.check(setting.call(op, f"{path}?{p['name']}={good}{also}"), [200])
        for value in bad:
            answer = op.check(setting.call(op, f"{path}?{p['name']}={value}{also}"), [422])
            assert answer.json["param"] == p["name"], answer


@which(lambda o: True)
def test_a_method_that_is_not_documented(op, setting):
    """Each path tells the methods that it has."""
    answer = setting.shop.request("TRACE", setting.path(op, NOBODY))
    op.check_refusal(answer, 405)
    allowed = set(answer.header("Allow").split(", "))
    documented = {o.method for o in OPERATIONS if o.path == op.path}
    assert documented | {"OPTIONS"} | ({"HEAD"} if "GET" in documented else set()) <= allowed


@which(lambda o: True)
def test_what_is_refused_before_the_operation_has_a_say(op, setting):
    path = setting.path(op, NOBODY)
    op.check(setting.shop.request(op.method, path + "?a=%zz"), [400])
    op.check_refusal(setting.shop.request(op.method, path + "?a=" + "x" * 17000), 414)
    op.check_refusal(setting.shop.request(op.method, path, headers={"X-Big": "x" * 17000}), 431)
    answer = setting.shop.request(op.method, path, headers={"Content-Length": str(1 << 21)})
    op.check_refusal(answer, 413)


# ---- payments in every kind of end, as resource, list, event, webhook and frame ----


@pytest.fixture
def ended(setting):
    """Payments of one merchant that ended in several ways."""
    shop = setting.shop
    shop.endpoint(setting.receiver.url())
    waiting, collected, cancelled = (shop.pay(cash(metadata={"n": [1, None]})) for _ in range(3))
    assert shop.post(f"{V1}/payments/{collected['id']}/confirm").status == 200
    assert shop.post(f"{V1}/payments/{cancelled['id']}/cancel").status == 200
    paid = shop.pay(stk("000", customer={"id": "c", "phone": phone("000"), "email": "c@example.com", "name": "C"},
                        callback_url=setting.receiver.url("/own"), return_url="https://shop.example/done"))
    failed, refused = shop.pay(stk("003")), shop.pay(stk("049"))
    ids = {"requires_action": waiting, "completed": collected, "cancelled": cancelled, "failed": refused}
    for status, p in ids.items():
        shop.wait_status(p["id"], status)
    shop.wait_status(paid["id"], "completed")
    shop.wait_status(failed["id"], "failed")
    return [p["id"] for p in (waiting, collected, cancelled, paid, failed, refused)]


def test_ended_payments_are_as_documented(setting, ended):
    by_id = {o.id: o for o in OPERATIONS}
    for payment in ended:
        by_id["getPayment"].check(setting.shop.get(f"{V1}/payments/{payment}"), [200])
    lists = [by_id["listPayments"].check(setting.shop.get(f"{V1}/payments?{q}"), [200]).json
             for q in ("", "limit=2", "limit=2&page=2", f"limit=3&before={ended[0]}", f"after={ended[-1]}")]
    assert [len(found["data"]) for found in lists] == [6, 2, 2, 3, 5]


def test_refunds_are_as_documented(setting, ended):
    shop, by_id = setting.shop, {o.id: o for o in OPERATIONS}
    collected = ended[1]

    def ask(body, wanted, key=None):
        answer = shop.post(f"{V1}/payments/{collected}/refund", body, headers={"Idempotency-Key": key} if key else {})
        return by_id["createRefund"].check(answer, [wanted])

    key = new_key()
    first = ask({"amount": "400"}, 201, key)
    again = ask({"amount": 400.00}, 201, key)
    assert again.body == first.body and again.header("Idempotent-Replayed") == "true"
    assert ask({"amount": "400", "reason": "x"}, 422, key).code == "idempotency_key_reused"
    assert ask({"amount": "600.01"}, 409).code == "invalid_state"
    assert ask({"amount": "0.001"}, 422).json["param"] == "amount"
    assert ask({}, 400, "short").code == "idempotency_key_invalid"
    rest = ask({}, 201)
    assert rest.json["amount"] == "600.00"
    for made, status in ((first, "partially_refunded"), (rest, "refunded")):
        refund = made.json["id"]
        setting.wait_refund(refund, "in_reconciliation")
        for name, wanted in (("confirm", 200), ("cancel", 409), ("approve", 409), ("reject", 409)):
            op = by_id[f"{name}Refund"]
            op.check(shop.post(op.path.replace("{id}", refund)), [wanted])
        by_id["getRefund"].check(shop.get(f"{V1}/refunds/{refund}"), [200])
        shop.wait_status(collected, status)
    shown = by_id["getPayment"].check(shop.get(f"{V1}/payments/{collected}"), [200]).json
    listed = by_id["listRefunds"].check(shop.get(f"{V1}/payments/{collected}/refunds"), [200]).json
    assert shown["refunds"] == listed["data"] and len(listed["data"]) == 2


def test_who_asks_for_a_refund_cannot_approve_it(reli, stack):
    op = [o for o in OPERATIONS if o.id == "approveRefund"][0]
    careful = Setting(careful_shop(stack, reli.replica), careful=True)
    refund = careful.refund()
    assert refund["status"] == "pending_approval"
    op.check(careful.shop.post(op.path.replace("{id}", refund["id"])), [403])


def test_books_are_as_documented(setting, ended):
    shop, by_id = setting.shop, {o.id: o for o in OPERATIONS}
    refund = shop.post(f"{V1}/payments/{ended[1]}/refund", {}).json["id"]
    setting.wait_refund(refund, "in_reconciliation")
    assert shop.post(f"{V1}/refunds/{refund}/confirm").status == 200
    other = shop.pay(stk("026"))["id"]  # another amount than was asked for

    def get(name, query=""):
        return by_id[name].check(shop.get(by_id[name].path + query), [200]).json

    wait_until(lambda: other in {x["subject_id"] for x in get("listExceptions", "?status=open")["data"]},
               what="an exception")
    assert len(get("listTransfers", f"?payment_id={ended[1]}")["data"]) == 2
    assert len(get("listTransfers")["data"]) >= 3
    assert {b["type"] for b in get("listBalances")["data"]} >= {"provider_receivable", "merchant_pending"}

    def all_events():
        seen, after = [], "0"
        while True:
            page = get("listEvents", f"?limit=7&after={after}")
            seen += page["data"]
            after = page["next"] or after
            if not page["has_more"]:
                return seen

    wait_until(lambda: "refund.completed" in {e["type"] for e in all_events()}, what="the events have positions")
    seen = all_events()
    for payment in ended:
        n = [e["seq"] for e in seen if e["payment_id"] == payment]
        assert n == list(range(1, len(n) + 1)) and n, payment
    assert {e["type"] for e in get("listEvents", "?type=refund.completed")["data"]} == {"refund.completed"}


def test_conflicts_are_as_documented(setting, ended):
    shop, by_id = setting.shop, {o.id: o for o in OPERATIONS}
    completed, cancelled = ended[1:3]
    for name, payment in (("confirmPayment", cancelled), ("cancelPayment", completed)):
        answer = by_id[name].check(shop.post(by_id[name].path.replace("{id}", payment)), [409])
        assert answer.code == "invalid_state"
    create, key, word = by_id["createPayment"], new_key(), "ORDER-9"
    first = create.check(shop.initialize(cash(reference=word), key=key), [201])
    again = create.check(shop.initialize(cash(reference=word), key=key), [201])
    assert again.body == first.body
    assert again.header("Idempotent-Replayed") == "true"
    assert again.header("Idempotency-Original-Date") and again.header("Reli-Current-Status")
    other = create.check(shop.initialize(cash(reference=word, amount="1"), key=key), [422])
    assert other.code == "idempotency_key_reused"
    key = new_key()
    for _ in range(2):
        taken = create.check(shop.initialize(cash(reference=word), key=key), [409])
        assert taken.code == "duplicate_reference"
    assert create.check(shop.initialize(cash(), key="short"), [400]).code == "idempotency_key_invalid"
    endpoints = by_id["createWebhookEndpoint"]
    for _ in range(15):
        endpoints.check(shop.post(endpoints.path, {"url": "https://shop.example/hook"}), [201])
    answer = endpoints.check(shop.post(endpoints.path, {"url": "https://shop.example/hook"}), [409])
    assert answer.code == "invalid_state"


def test_webhooks_are_as_documented(setting, ended):
    event = JUDGE.resolve(DOCUMENT["webhooks"]["paymentEvent"])["post"]
    assert JUDGE.resolve(DOCUMENT["paths"][V1 + "/payments/initialize"]["post"]["callbacks"]["paymentEvent"][
        "{$request.body#/callback_url}"])["post"] == event
    hooks = setting.receiver.wait(12) + setting.receiver.wait(3, "/own")
    for hook in hooks:
        JUDGE.check(event["requestBody"]["content"]["application/json"]["schema"], hook.json)
        for p in event["parameters"]:
            JUDGE.check(p["schema"], hook.headers[p["name"]], p["name"])
        assert hook.id == hook.json["id"]
        assert hook.headers["Content-Type"] == "application/json"
    deliveries = [o for o in OPERATIONS if o.id == "listWebhookDeliveries"][0]
    found = deliveries.check(setting.shop.get(deliveries.path + "?limit=100"), [200]).json["data"]
    assert {d["endpoint_id"] is None for d in found} == {True, False}


@which(is_socket)
def test_frames_are_as_documented(op, setting):
    p = setting.payment(customer={"id": "cust-42"})
    setting.shop.post(f"{V1}/payments/{p['id']}/confirm")
    wait_until(lambda: len(setting.shop.get(V1 + "/events").json["data"]) == 3, what="the log has it")
    channel, ticket = f"transaction/{p['id']}", p["client_token"]
    if "/transaction/" not in op.path:
        channel = "user/cust-42" if "/user/" in op.path else "merchant"
        ticket = setting.shop.post(V1 + "/ws/tickets", {"channel": channel}).json["ticket"]
    url = setting.shop.url.replace("http", "ws", 1) + op.path.replace("{id}", channel.rpartition("/")[2])
    s = websocket.create_connection(url + f"?ticket={ticket}&after=1", timeout=10)
    try:
        assert json.loads(s.recv()) == {"type": "hello", "channel": channel, "seq": 3}
        for seq in (2, 3):
            event = json.loads(s.recv())
            assert "/transaction/" in op.path or event.pop("position") == seq
            JUDGE.check(schema("Event"), event)
            assert event["seq"] == seq
    finally:
        s.close()


@which(is_socket)
def test_a_socket_is_refused_as_documented(op, setting):
    path = setting.path(op)
    op.check(setting.shop.get(path), [426])
    op.check(setting.call(op, path + "?after=x"), [400])
    op.check(setting.call(op, path, Authorization=None), [401])
    op.check(setting.call(op, path + "?ticket=rct_00"), [401])
    op.check(setting.call(op, path, Origin="https://elsewhere.example"), [403])
    if "{id}" in op.path:
        op.check(setting.call(op, setting.path(op, NOBODY)), [404])


# ---- callbacks ----


class Provider(http.server.BaseHTTPRequestHandler):
    """A provider that takes every push, never calls back, and keeps the URLs that it was given."""

    urls = []

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
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "CallBackURL" in asked:
            self.urls.append(asked["CallBackURL"])
        n = len(self.urls)
        self.answer({"MerchantRequestID": f"m-{n}", "CheckoutRequestID": f"ws_CO_{n}", "ResponseCode": "0",
                     "ResponseDescription": "ok", "CustomerMessage": "ok"})

    def log_message(self, *args):
        pass


def test_callbacks_are_taken_as_documented(replicas):
    Provider.urls = []
    server = HttpServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        replica = replicas.one(MPESA_BASE_URL=f"http://127.0.0.1:{server.server_address[1]}/mpesa")
        replicas.shop(replica).pay(stk())
        (url,) = Provider.urls
        assert re.fullmatch(re.escape(replica.url + V1) + "/cb/[0-9a-f]{96}", url)
        token = url[-96:]
        callbacks = [o for o in OPERATIONS if "{token}" in o.path and o.id not in RECEIPTS]
        assert len(callbacks) == 6
        for op in callbacks:
            (body,) = op.body_examples()
            for sent, wanted in ((token, 200), (FORGED, 401), ("x", 401)):
                answer = replica.request(op.method, op.path.replace("{provider}", "mpesa").replace("{token}", sent),
                                         json.dumps(body), {"Content-Type": "application/json"})
                op.check(answer, [wanted])
    finally:
        server.shutdown()
        server.server_close()


def test_money_sent_unasked_is_heard_of_as_documented(replicas):
    """The token is an account's; with the word behind it the general URL takes it as well."""
    replica = replicas.one()
    urls = replicas.shop(replica).post(V1 + "/providers/mpesa/register-callbacks").json
    assert re.fullmatch(re.escape(replica.url + V1) + "/cb/[0-9a-f]{96}.confirmation", urls["confirmation_url"])
    token = urls["confirmation_url"].rpartition("/")[2].partition(".")[0]
    for op in [o for o in OPERATIONS if o.id in RECEIPTS]:
        (body,) = op.body_examples()
        for sent, wanted in ((token, 200), (FORGED, 401), ("x", 401)):
            path = op.path.replace("{token}", sent)
            op.check(replica.request(op.method, path, json.dumps(body), {"Content-Type": "application/json"}), [wanted])


def test_webhooks_that_nobody_signed(reli):
    webhooks = [o for o in OPERATIONS if is_callback(o) and "{token}" not in o.path]
    assert len(webhooks) == 4
    for op in webhooks:
        for provider, wanted in (("cpay", 401), ("mpesa", 401), ("cash", 404), ("nobody", 404)):
            op.check(reli.request(op.method, op.path.replace("{provider}", provider), {}), [wanted])


# ---- when it cannot be done now ----


def test_maintenance_is_as_documented(replicas):
    shop = replicas.shop(replicas.one(RELI_MAINTENANCE="1"))
    for op in [o for o in OPERATIONS if "201" in o.responses and "202" in o.responses]:
        answer = op.check(shop.request(op.method, op.path, op.body_examples()[0]), [503])
        assert answer.code == "maintenance" and answer.header("Retry-After")


def listens(site):
    try:
        return site.get("/livez").status == 200
    except ConnectionRefusedError:
        return False


def test_without_a_database_is_as_documented(replicas):
    site = replicas.one(ready=False, DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    wait_until(lambda: listens(site), what="/livez is 200")
    for op in OPERATIONS:
        if not has_key(op) and op.id != "getReadiness":
            continue
        path = op.path.replace("{id}", NOBODY)
        headers = {"Authorization": "Bearer sk_test_" + "0" * 48}
        if is_socket(op):
            headers |= Setting(None).headers(op)
        answer = op.check(site.request(op.method, path, headers=headers), [503])
        assert answer.header("Retry-After")

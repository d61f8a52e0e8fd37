"""Nobody reaches what is another merchant's, or of the other mode: from the OpenAPI document, so that an operation
that nobody has thought about fails here. A new one with an {id} needs a word in KINDS, and the World one of that
kind; one that names something in its body a line in BODIES; one that changes only what is the caller's own a word in
OWN; a new query parameter belongs to NAMES or NO_NAMES."""

import json

import pytest
from helpers import V1, cash, new_key, phone, wait_until, word
from people import Person
from test_openapi import OPERATIONS, Setting, is_for_people, is_for_staff, is_socket

# What an {id} is of, by the word in front of it; None: for staff, who may look at every merchant.
KINDS = {"payments": "payment", "status": "payment", "transaction": "payment", "user": "external", "refunds": "refund",
         "payouts": "payout",
         "webhook-endpoints": "endpoint", "webhook-deliveries": "delivery", "provider-events": "inbound",
         "exceptions": "exception", "api-keys": "key", "customers": "customer", "members": "member", "merchants": None}

# Names of something in the query, and what the victim's is; the others are no names.
NAMES = {"after": "payment", "before": "payment", "payment_id": "payment", "endpoint_id": "endpoint",
         "customer_id": "external", "reference": "reference", "phone": "phone", "email": "email",
         "external_id": "external"}
NO_NAMES = {"limit", "page", "status", "provider", "payment_method", "currency", "min_amount", "max_amount",
            "date_from", "date_to", "type", "kind"}

# Operations whose body names something that exists, and with what.
BODIES = {"findPayment": [{"reference": "reference"}, {"reference_no": "reference_no"}],
          "createRefundByReference": [{"reference": "reference"}, {"reference": "reference_no"}],
          "createTicket": [{"channel": "channel"}, {"channel": "user"}]}

# Operations that change something, of the caller's own merchant or account, and name nothing that exists.
OWN = {"createPayout", "createPayment", "initiatePayment", "createPaymentOld", "createPaymentMpesa",
       "createWebhookEndpoint",
       "createApiKey", "configureProvider", "registerCallbacks", "putRoutes", "putMaintenance", "login", "loginOld",
       "loginWithFirebase", "loginWithFirebaseOld", "refreshSession", "refreshSessionOld", "logout", "logoutOld",
       "changePassword", "enrolTotp", "confirmTotp", "disableTotp", "acceptInvitation", "inviteMember",
       "changeOwnMerchant", "createMerchant", "putLimits"}

# What is the merchant's, whatever the mode.
OF_BOTH_MODES = {"getDefaultWebhookSecret", "getOwnMerchant"}

# What is compared before and after: everything of the victim's that a request could change.
TABLES = ("merchant", "payment", "attempt", "refund", "payout", "payout_reference", "ledger_guarded", "event",
          "audit_log", "ledger_transfer", "reference_owner", "webhook_endpoint", "webhook_delivery", "exception_item", "provider_account", "route_set", "customer",
          "provider_event", "membership", "api_key", "limit_rule", "limit_counter", "fee_schedule", "idempotency",
          "ticket_use")


def before_id(op):
    return op.path.partition("/{id}")[0].rpartition("/")[2]


class World:
    """A victim who has one of everything, and who wants it."""

    def __init__(self, stack, replica, receiver):
        self.shop = shop = stack.shop(replica)
        victim = Setting(shop, receiver)
        self.number, self.email = phone("123"), f"{word('mail')}@shop.example"
        self.external, self.reference = word("cust"), word("ORDER")
        exception = victim.exception()["id"]  # before others, of refunds
        inbound = victim.inbound()["id"]  # before there are endpoints that nobody answers at
        paid = shop.pay(cash(reference=self.reference, customer={
            "id": self.external, "phone": self.number, "email": self.email, "name": word("Name")}))
        self.things = {"payment": paid["id"], "reference": self.reference, "reference_no": paid["reference_no"],
                       "channel": f"transaction/{paid['id']}", "user": f"user/{self.external}", "external": self.external, "phone": self.number,
                       "email": self.email, "payout": self.payout(victim), "refund": victim.refund()["id"],
                       "delivery": victim.delivery()["id"],
                       "endpoint": victim.endpoint()["id"], "exception": exception, "inbound": inbound}
        self.things["key"] = shop.post(V1 + "/api-keys", {"scopes": ["payments:read"]}).json["id"]
        self.things["customer"] = shop.get(f"{V1}/customers?external_id={self.external}").json["data"][0]["id"]
        self.things["member"] = Person(stack, replica, shop.merchant, login=False).id
        self.db = replica.database
        live = stack.api_key(replica, shop.merchant, "live")
        self.other = stack.shop(replica)
        self.owner = Person(stack, replica, self.other.merchant)
        self.strangers = {"another merchant's key": self.other, "the other mode's key": shop.with_key(live),
                          "another merchant's owner": self.owner}
        wait_until(self.quiet, 60, "all is done")
        self.state = self.look()

    def payout(self, victim):
        """One that has ended: no job changes it."""
        made = victim.payout()["id"]
        wait_until(lambda: self.shop.get(f"{V1}/payouts/{made}").json["status"] == "completed", 60, "it is paid out")
        return made

    def quiet(self):
        """No event is still to be made into deliveries, no callback to be worked on."""
        return not self.db.rows("select kind from reli.job where merchant_id = %s and kind in ('fanout', 'inbound')",
                                self.shop.merchant)

    def look(self):
        """All rows of the victim's, but what jobs change by themselves: deliveries and questions to providers that
        are tried again, and when keys were used last."""
        out = {}
        for table in TABLES:
            rows = self.db.rows(f"select to_jsonb(t) as j from reli.{table} t where merchant_id = %s",
                                self.shop.merchant)
            moving = {"api_key": {"last_used_at"},
                      "attempt": {"poll_n", "next_poll_at", "updated_at", "version"},
                      "webhook_delivery": {"status", "revision", "tries", "next_at", "last_http", "last_error",
                                           "last_took_us", "updated_at"}}.get(table, set())
            out[table] = sorted(json.dumps({k: v for k, v in r["j"].items() if k not in moving}, sort_keys=True)
                                for r in rows)
        return out

    def marks(self):
        return [v for k, v in self.things.items() if k != "channel"] + [self.shop.merchant]

    def check(self, who, op, answer, wanted):
        assert answer.status in wanted, f"{who}: {op}: {answer}"
        for mark in self.marks():
            assert mark not in answer.text, f"{who}: {op} shows {mark}: {answer}"


@pytest.fixture(scope="module")
def world(stack, shared):
    from helpers import Receiver

    receiver = Receiver()
    stack.sandbox.reset()
    yield World(stack, shared, receiver)
    receiver.close()


@pytest.fixture(autouse=True)
def nothing_changes(world):
    yield
    now = world.look()
    for table in TABLES:
        assert now[table] == world.state[table], table


def ids(ops):
    return pytest.mark.parametrize("op", ops, ids=[o.id for o in ops])


def headers(op):
    return Setting(None).headers(op) if is_socket(op) else {}


def callers(world, op):
    for who, caller in world.strangers.items():
        if not (is_for_people(op) and not isinstance(caller, Person)):
            yield who, caller


def test_every_operation_is_thought_of():
    for op in OPERATIONS:
        places = {p["name"] for p in op.parameters if p["in"] == "path"}
        assert places <= {"id", "name", "token", "provider", "file", "user_id"}, op
        if "id" in places:
            assert before_id(op) in KINDS, f"whose is the id of {op}?"
        elif "token" in places or not op.security and op.method == "GET" or places & {"provider", "file"}:
            pass  # nobody's, or a secret of its own
        else:
            assert op.method == "GET" or (op.id in BODIES) != (op.id in OWN), f"what does {op} name?"
        for p in op.query():
            assert p["name"] in NAMES or p["name"] in NO_NAMES, f"{op} ?{p['name']}="


@ids([o for o in OPERATIONS if "{id}" in o.path and KINDS.get(before_id(o))])
def test_by_path(op, world):
    path = op.path.replace("{id}", world.things[KINDS[before_id(op)]])
    assert "{" not in path
    for who, caller in callers(world, op):
        for body in op.body_examples():
            answer = caller.request(op.method, path, body, headers=headers(op))
            assert answer.status == 404 and answer.code == "not_found", f"{who}: {op}: {answer}"


@ids([o for o in OPERATIONS if o.id in BODIES])
def test_by_body(op, world):
    for who, caller in callers(world, op):
        for names in BODIES[op.id]:
            example = {k: v for k, v in op.body_examples()[0].items() if k not in ("reference", "reference_no")}
            body = example | {name: world.things[thing] for name, thing in names.items()}
            answer = caller.request(op.method, op.path, body)
            assert answer.status == 404 and answer.code == "not_found", f"{who}: {op}: {answer}"


@ids([o for o in OPERATIONS if any(p["name"] in NAMES for p in o.query())
      and not is_socket(o) and not is_for_staff(o) and "{" not in o.path])
def test_by_query(op, world):
    """What is another's is as if it were not there."""
    for p in op.query():
        if p["name"] not in NAMES or p["schema"].get("type") == "integer":
            continue
        value = world.things[NAMES[p["name"]]].replace("+", "%2B")
        for who, caller in callers(world, op):
            answer = caller.get(f"{op.path}?{p['name']}={value}")
            world.check(who, op, answer, (200, 404, 422))


@ids([o for o in OPERATIONS if o.method == "GET" and "{id}" not in o.path and o.security and not is_for_staff(o)])
def test_what_is_shown_is_ones_own(op, world):
    path = op.path.replace("{name}", "mpesa")
    for who, caller in callers(world, op):
        if who == "the other mode's key" and op.id in OF_BOTH_MODES:
            continue
        answer = caller.get(path)
        assert answer.status in (200, 202, 400, 404, 409, 426), f"{who}: {op}: {answer}"
        for mark in world.marks():
            assert mark not in answer.text, f"{who}: {op} shows {mark}"


@ids([o for o in OPERATIONS if is_for_staff(o)])
def test_for_staff_only(op, world):
    path = op.path.replace("{id}", world.shop.merchant)
    for body in op.body_examples():
        answer = world.owner.request(op.method, path, body)
        assert answer.status in (403, 404), f"{op}: {answer}"


def test_a_word_in_use_by_another_is_free(world):
    """References and idempotency keys are each merchant's own."""
    key = new_key()
    mine = world.other.initialize(cash(reference=world.reference), key=key)
    assert mine.status == 201 and mine.json["id"] != world.things["payment"]
    for name in ("Reli-Merchant",):
        answer = world.owner.acting(**{name.replace("-", "_"): world.shop.merchant}).get(V1 + "/payments")
        assert answer.status == 403, answer

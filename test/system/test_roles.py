"""Who may do what: each operation of the OpenAPI document by each role and each scope, cell by cell.

The table is written by hand; it is not taken from the source. An operation that is not in it fails the
test. One request a cell, about something that is not there or with a body that is none: it is 403 for
who may not, and anything else but 401 and 403 for who may.
"""

import collections

import pytest
from helpers import V1, Connection
from openapi import load, operations
from people import Person

NOBODY = "01900000-0000-7000-8000-000000000000"
ROLES = {"o": "owner", "a": "admin", "p": "operator", "v": "viewer", "s": "support"}
SCOPES = ("payments:read", "payments:write", "refunds:write", "payouts:write", "webhooks:write", "*")

# Roles of a merchant's people | scopes of API keys | roles of the staff that names no merchant. Staff
# that names one may what the first column says, and what the third says.
TABLE = """
oap   | payments:write  |       | POST payments/initialize, payments/initiate, /api/payments/create, /api/payments/mpesa,
                                  payments/{id}/confirm, payments/{id}/cancel, payments/{id}/verify, payments/{id}/qr
oapvs | payments:read   |       | GET payments, payments/{id}, payments/transactions, /api/payments/status/{id},
                                  payments/{id}/refunds, refunds/{id}, payments/{id}/events
oapvs | payments:read   |       | POST payments/status, ws/tickets
oap   | refunds:write   |       | POST payments/{id}/refund, payments/refund, refunds/{id}/approve, refunds/{id}/reject,
                                  refunds/{id}/cancel, refunds/{id}/confirm, exceptions/{id}/resolve
oap   | payouts:write   |       | POST payouts, payouts/{id}/cancel, payouts/{id}/approve, payouts/{id}/reject,
                                  payouts/{id}/verify
oapv  | payments:read   |       | GET payouts, payouts/{id}
oapv  | payments:read   |       | GET events, balances, metrics, ledger/transfers,
                                  providers/{name}/balance
oapvs | payments:read   |       | GET exceptions, providers, routes, merchant
oaps  | payments:read   |       | GET customers, customers/{id}
oa    | *               |       | GET customers/{id}/data, providers/{name}/config, api-keys, api-keys/{id}
oa    | *               |       | DELETE customers/{id}/data, api-keys/{id}
oa    | *               |       | POST providers/{name}/config, providers/{name}/register-callbacks, api-keys,
                                  api-keys/{id}/rotate
oa    | *               |       | PUT routes
oa    | *               |       | PATCH api-keys/{id}
oapv  | webhooks:write  |       | GET webhook-endpoints, webhook-endpoints/{id}, webhook-deliveries, webhook-deliveries/{id}
oa    | webhooks:write  |       | GET webhook-endpoints/default
oa    | webhooks:write  |       | POST webhook-endpoints, webhook-endpoints/{id}/rotate-secret,
                                  webhook-endpoints/{id}/recover, webhook-deliveries/{id}/replay
oa    | webhooks:write  |       | PATCH webhook-endpoints/{id}
oa    | webhooks:write  |       | DELETE webhook-endpoints/{id}
oapv  | payments:read   |       | GET limits
oa    | *               |       | PUT limits
oa    | *               | oa    | GET security-events
oaps  | *               |       | GET provider-events, provider-events/{id}
oap   | *               |       | POST provider-events/{id}/replay
oapvs |                 | oapvs | GET auth/me, /api/auth/me
oapvs |                 | oapvs | POST auth/logout, /api/auth/logout, auth/password, auth/totp/enrol, auth/totp/confirm,
                                  auth/totp/disable
oa    |                 | oa    | GET members
oa    |                 | oa    | POST members, members/{id}/confirm
oa    |                 | oa    | PATCH members/{id}
oa    |                 | oa    | DELETE members/{id}
oa    |                 |       | PATCH merchant
      |                 | oapvs | GET merchants, merchants/{id}
      |                 | oa    | POST merchants, merchants/{id}/activate, merchants/{id}/suspend, merchants/{id}/close
      |                 | oa    | PATCH merchants/{id}
      |                 | oap   | GET maintenance
      |                 | oap   | PUT maintenance
"""

Row = collections.namedtuple("Row", "people scope staff")


def table():
    """(method, path) → Row."""
    out = {}
    lines = []
    for line in TABLE.strip("\n").splitlines():
        if line.count("|") == 3:
            lines.append(line)
        else:
            lines[-1] += " " + line.strip()
    for line in lines:
        people, scope, staff, paths = (part.strip() for part in line.split("|"))
        method, _, paths = paths.partition(" ")
        for path in paths.split(","):
            path = path.strip()
            key = method, path if path.startswith("/") else f"{V1}/{path}"
            assert key not in out, key
            out[key] = Row(people, scope, staff)
    return out


CELLS = table()
OPERATIONS = [o for o in operations(load()) if o.security and "101" not in o.responses]


def test_the_table_has_every_operation_and_no_other():
    there = {(o.method, o.path) for o in OPERATIONS}
    assert there - set(CELLS) == set(), "say in the table who may"
    assert set(CELLS) - there == set()


@pytest.fixture(scope="module")
def callers(stack, shared):
    """(who, headers, whether he may by a row) for each caller."""
    shop = stack.shop(shared)
    out = []
    for scope in SCOPES:
        key = stack.api_key(shared, shop.merchant, "test", "--scopes", scope)
        out.append((scope, {"Authorization": f"Bearer {key}"},
                    lambda row, scope=scope: bool(row.scope) and scope in (row.scope, "*")))
    for letter, role in ROLES.items():
        member = Person(stack, shared, shop.merchant, role)
        staff = Person(stack, shared, None, role)
        bearer = {"Authorization": "Bearer " + staff.tokens["access"]}
        out += [(role, {"Authorization": "Bearer " + member.tokens["access"]},
                 lambda row, c=letter: c in row.people),
                (f"staff {role}", bearer, lambda row, c=letter: c in row.staff),
                (f"staff {role} for a merchant", bearer | {"Reli-Merchant": shop.merchant},
                 lambda row, c=letter: c in row.people or c in row.staff)]
    return out


def test_each_operation_by_each_role_and_scope(callers, shared):
    connection = Connection(shared.host, shared.port)
    wrong, n = [], 0
    for o in OPERATIONS:
        path = o.path.replace("{id}", NOBODY).replace("{name}", "nobody")
        body = "{" if o.method in ("POST", "PUT", "PATCH") else None
        for who, headers, may in callers:
            headers = headers | ({"Content-Type": "application/json"} if body else {})
            status = connection.request(o.method, path, body, headers).status
            good = status not in (401, 403) if may(CELLS[o.method, o.path]) else status == 403
            n += 1
            if not good:
                wrong.append(f"{o}: {who}: {status}")
    connection.close()
    assert not wrong, "\n".join(wrong)
    assert n == len(OPERATIONS) * (6 + 15) and n > 1000

"""Card numbers are refused wherever a client puts them, and nothing keeps or logs one."""

import json
import uuid

import pytest
from helpers import V1, cash, new_key, phone, word

CARD = "4111111111111111"
TYPED = "3782 822463 10005"


def is_refused(reli, answer, param):
    assert answer.status == 422 and answer.code == "card_number_refused", answer
    (error,) = answer.json["errors"]
    assert (error["param"], error["code"]) == (param, "unsupported"), answer
    assert answer.json["param"] == param
    for kept in (CARD, TYPED):
        assert kept not in answer.text
        assert kept not in reli.replica.log.read_text(errors="replace")


PLACES = [
    (dict(reference="ORDER-" + CARD), "reference"),
    (dict(reference=TYPED), "reference"),
    (dict(description=f"pays with {TYPED}, exp. 12/27"), "description"),
    (dict(callback_url="https://shop.example/hook?pan=" + CARD), "callback_url"),
    (dict(return_url="https://shop.example/" + CARD), "return_url"),
    (dict(customer={"id": CARD}), "customer.id"),
    (dict(customer={"name": "Jane " + CARD}), "customer.name"),
    (dict(customer={"email": CARD + "@example.com"}), "customer.email"),
    (dict(customer={"phone": CARD}), "customer.phone"),
    (dict(customer={"phone": "+" + CARD}), "customer.phone"),
    (dict(phone=CARD), "phone"),
    (dict(metadata={"card": CARD}), "metadata.card"),
    (dict(metadata={"card": int(CARD)}), "metadata.card"),
    (dict(metadata={"a": {"b": [1, {"c": "4111-1111-1111-1111"}]}}), "metadata.a.b.c"),
    (dict(metadata={CARD: True}), "metadata"),
    (dict(metadata={"phone": "+378282246310005"}), "metadata.phone"),
    (dict(provider=CARD), "provider"),
    (dict(amount=CARD), "amount"),
    (dict(unknown=CARD), "unknown"),
]


@pytest.mark.parametrize("fields, param", PLACES, ids=[p + str(i) for i, (_, p) in enumerate(PLACES)])
def test_refused_in_every_field(reli, db, fields, param):
    is_refused(reli, reli.initialize(cash(**fields), key=new_key()), param)
    assert db.value("select count(*) from reli.payment where merchant_id = %s", reli.merchant) == 0
    assert db.value("select count(*) from reli.idempotency where merchant_id = %s", reli.merchant) == 0


def test_in_the_name_of_a_member(reli):
    is_refused(reli, reli.initialize(cash() | {CARD: 1}), "(body)")


def test_a_key_that_was_refused_is_free(reli):
    key = new_key()
    is_refused(reli, reli.initialize(cash(description=CARD), key=key), "description")
    assert reli.initialize(cash(), key=key).status == 201


def test_in_other_requests(reli):
    p = reli.pay(cash())
    is_refused(reli, reli.post(f"{V1}/payments/{p['id']}/refund", {"reason": "card " + CARD}), "reason")
    is_refused(reli, reli.post(f"{V1}/payments/refund", {"reference": TYPED}), "reference")
    is_refused(reli, reli.post(V1 + "/webhook-endpoints", {
        "url": "https://shop.example/hook", "events": ["*"], "description": CARD}), "description")
    is_refused(reli, reli.post(V1 + "/payments/status", {"reference": CARD}), "reference")


@pytest.mark.parametrize("fields", [
    dict(customer={"phone": "+254700000000"}),
    dict(customer={"phone": "0700 000 000"}),
    dict(description="4111111111111112"),
    dict(description="from 2026-11-21 10:00 until 2026-11-22 10:00"),
    dict(metadata={"order": str(uuid.UUID(int=0x41111111111141118111111111111111)),
                   "ms": 1732182923125, "us": 1732182923000005, "hash": "a94a8fe5ccb19ba61c4c08734111111111111111"}),
], ids=["e164", "national", "check-digit", "dates", "ids"])
def test_what_is_no_card_number(reli, fields):
    r = reli.initialize(cash(**fields))
    assert r.status == 201, r


def test_our_own_words_come_back(reli):
    """Whoever stores our ids in a new request is not refused."""
    for _ in range(100):
        p = reli.pay(cash())
        again = cash(reference=word(), customer={"phone": phone(), "id": p["id"]},
                     description=f"{p['reference_no']} {p['next_action']['reference']}",
                     metadata={"token": p["client_token"], "all": json.loads(json.dumps(p["id"]))})
        assert reli.initialize(again).status == 201

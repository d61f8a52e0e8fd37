"""What takes two people takes two people: an API key stands for whoever was given it, it is no second person.

An owner could ask for a refund with an API key of his and approve it as himself, or with a second key: who asked and
who approved were told apart by what they had come with."""

import json

import pytest
from helpers import V1, new_key, stk
from people import PASSWORD, Person
from test_exceptions import item_of, resolve
from test_payouts import order

KEYS = V1 + "/api-keys"


class World:
    """A merchant all of whose refunds and payouts above one shilling take two people, and two owners of it."""

    def __init__(self, stack, replica):
        self.stack, self.replica = stack, replica
        self.shop = stack.shop(replica)
        replica.database.rows("update reli.merchant set refund_approval_above = 100, payout_approval_above = 100 "
                              "where merchant_id = %s", self.shop.merchant)
        self.ann, self.joe = (Person(stack, replica, self.shop.merchant) for _ in range(2))

    def made(self, maker):
        """A key that somebody makes, as a caller."""
        answer = maker.post(KEYS, {"scopes": ["*"]})
        assert answer.status == 201, answer
        return self.caller(answer.json)

    def caller(self, key):
        shop = self.shop.with_key(key["key"])
        shop.id, shop.created_by = key["id"], key["created_by"]
        return shop

    def rotated(self, who, caller):
        """What comes in the place of a key when somebody rotates it."""
        answer = who.post(f"{KEYS}/{caller.id}/rotate", {"overlap": "1h"})
        assert answer.status == 201, answer
        return self.caller(answer.json)

    def of_nobody(self):
        """A key of the command line."""
        caller = self.shop.with_key(self.stack.api_key(self.replica, self.shop.merchant))
        (newest, *_) = self.shop.get(KEYS + "?limit=1").json["data"]
        caller.id, caller.created_by = newest["id"], newest["created_by"]
        return caller


@pytest.fixture(scope="module")
def world(stack, shared):
    return World(stack, shared)


@pytest.fixture(params=["refund", "payout", "exception"])
def asked(request, world):
    """Two functions: somebody asks, somebody agrees. The second's answer."""
    shop = world.shop

    def collected():
        p = shop.pay()
        assert shop.post(f"{V1}/payments/{p['id']}/confirm", {}).status == 200
        return p["id"]

    def ask(who, path, body):
        r = who.post(V1 + path, body, headers={"Idempotency-Key": new_key()})
        assert r.status == 201 and r.json["status"] == "pending_approval", r
        return lambda other: other.post(f"{V1}/{request.param}s/{r.json['id']}/approve", {})

    def refund(who):
        return ask(who, f"/payments/{collected()}/refund", {"amount": "10.00"})

    def payout(who):
        collected()
        return ask(who, "/payouts", order("10.00"))

    def exception(who):
        p = shop.pay(stk("026"))  # one shilling too many comes
        shop.wait_status(p["id"], "in_reconciliation")
        item = item_of(shop, p["id"], "integrity_failure")["id"]
        assert resolve(who, item, "completed").json["status"] == "assigned"
        return lambda other: resolve(other, item, "completed")

    return {"refund": refund, "payout": payout, "exception": exception}[request.param]


def is_refused(answer):
    assert answer.status == 403 and answer.code == "forbidden", answer


def is_agreed(answer):
    assert answer.status == 200, answer


def test_nobody_asks_with_his_key_and_approves_himself(world, asked):
    ann = world.ann
    agree = asked(world.made(ann))
    is_refused(agree(ann))
    is_agreed(agree(world.joe))


def test_nobody_asks_himself_and_approves_with_his_key(world, asked):
    ann = world.ann
    agree = asked(ann)
    is_refused(agree(world.made(ann)))
    is_agreed(agree(world.made(world.joe)))


def test_two_keys_of_one_person_are_one_person(world, asked):
    ann = world.ann
    agree = asked(world.made(ann))
    is_refused(agree(world.made(ann)))
    is_agreed(agree(world.made(world.joe)))


def test_a_key_that_his_key_made_is_his(world, asked):
    first = world.made(world.ann)
    agree = asked(first)
    for _ in range(2):
        first = world.made(first)
        is_refused(agree(first))
    is_agreed(agree(world.joe))


def test_a_rotated_key_is_the_same_person(world, asked):
    first = world.made(world.ann)
    agree = asked(first)
    second = world.rotated(world.ann, first)
    is_refused(agree(second))
    is_refused(agree(world.rotated(second, second)))
    is_agreed(agree(world.joe))


def test_who_rotates_somebodys_key_is_given_it_and_is_not_a_second_person(world, asked):
    agree = asked(world.ann)
    is_refused(agree(world.rotated(world.ann, world.made(world.joe))))
    is_agreed(agree(world.joe))


def test_a_key_that_is_gone_leaves_no_second_person(world, asked):
    first = world.made(world.ann)
    agree = asked(first)
    assert world.ann.delete(f"{KEYS}/{first.id}").status == 204
    is_refused(agree(world.ann))
    is_refused(agree(world.made(world.ann)))
    is_agreed(agree(world.joe))


def test_keys_of_the_command_line_are_nobodys(world, asked):
    first, second = world.of_nobody(), world.of_nobody()
    assert first.created_by is None
    agree = asked(first)
    is_refused(agree(first))
    is_refused(agree(world.made(first)))
    is_refused(agree(world.rotated(first, first)))
    is_agreed(agree(second))


def test_who_was_removed_and_comes_back_is_the_same_person(world, asked, stack):
    kim = Person(stack, world.replica, world.shop.merchant, "admin")
    agree = asked(world.made(kim))
    assert world.joe.delete(f"{V1}/members/{kim.id}").status == 204
    is_refused(agree(comes_back(world, kim)))
    is_agreed(agree(world.joe))


def comes_back(world, person):
    made = world.joe.post(V1 + "/members", {"email": person.email, "role": "admin"})
    assert made.status == 201, made
    done = world.replica.request("POST", V1 + "/auth/invitations/accept", json.dumps(
        {"token": made.json["invitation"]["token"], "password": PASSWORD}), {"Content-Type": "application/json"})
    assert done.status == 200, done
    person.login()
    return person


def test_a_key_says_whose_it_is(world):
    ann, joe = "user:" + world.ann.id, "user:" + world.joe.id
    first = world.made(world.ann)
    assert first.created_by == ann and world.made(first).created_by == ann
    assert world.rotated(first, first).created_by == ann
    assert world.rotated(world.joe, world.made(world.ann)).created_by == joe
    nobodys = world.of_nobody()
    assert nobodys.created_by is None and world.made(nobodys).created_by == "api_key:" + nobodys.id
    shown = world.shop.get(f"{KEYS}/{first.id}").json
    assert shown["created_by"] == ann

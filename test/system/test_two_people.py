"""What takes two people takes two people: an API key stands for whoever was given it, it is no second person; nor is
an account whose invitation one was given, until another person says so.

An owner could ask for a refund with an API key of his and approve it as himself, or with a second key: who asked and
who approved were told apart by what they had come with. And he could invite an address, take the token that he was
answered himself, and approve as that one."""

import pytest
from helpers import V1, new_key, stk
from people import PASSWORD, Person, admin_create, new_email
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

    def of_nobody(self, *args):
        """A key of the command line."""
        caller = self.shop.with_key(self.stack.api_key(self.replica, self.shop.merchant, "test", *args))
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


def test_a_key_that_the_host_hands_to_a_member_is_his(world, asked):
    ann = world.ann
    first, second = (world.of_nobody("--for", ann.email.upper()) for _ in range(2))
    assert first.created_by == second.created_by == "user:" + ann.id
    agree = asked(first)
    is_refused(agree(second))
    is_refused(agree(ann))
    is_agreed(agree(world.of_nobody("--for", world.joe.email)))


def test_a_key_is_handed_to_members_only(world, stack):
    def refused(email, code):
        made = stack.cli(world.replica.database, "keys", "create", "--merchant", world.shop.merchant, "--mode", "test",
                         "--for", email)
        assert (made.returncode, made.stdout) == (code, ""), made

    stranger = Person(stack, world.replica, stack.shop(world.replica).merchant, login=False)
    invited = world.ann.post(V1 + "/members", {"email": new_email(), "role": "viewer"}).json
    gone = Person(stack, world.replica, world.shop.merchant, login=False)
    assert world.ann.delete(f"{V1}/members/{gone.id}").status == 204
    for email in (new_email(), stranger.email, invited["email"], gone.email):
        refused(email, 1)
    refused("nobody", 2)
    kim = Person.invited(world.ann)
    key = world.of_nobody("--for", kim.email)
    assert key.created_by == "user:" + kim.id
    stands_for = world.replica.database.value("select created_by from reli.api_key where id = %s", key.id)
    assert stands_for == f"user:{world.ann.id} user:{kim.id}"


def test_who_was_removed_and_comes_back_is_the_same_person(world, asked, stack):
    kim = Person(stack, world.replica, world.shop.merchant, "admin")
    agree = asked(world.made(kim))
    assert world.joe.delete(f"{V1}/members/{kim.id}").status == 204
    is_refused(agree(comes_back(world, kim)))
    is_agreed(agree(world.joe))


def comes_back(world, person):
    made = world.joe.post(V1 + "/members", {"email": person.email, "role": "admin"})
    assert made.status == 201, made
    assert person.accept(made.json["invitation"]["token"]).status == 200
    person.login()
    return person


# ---- who invites is given the token ----


def confirm(who, member):
    return who.post(f"{V1}/members/{member.id}/confirm")


def confirmed(who, member):
    answer = confirm(who, member)
    assert answer.status == 200 and answer.json["confirmed"] is True, answer


only_refunds = pytest.mark.parametrize("asked", ["refund"], indirect=True)


def test_nobody_asks_himself_and_approves_as_whom_he_invited(world, asked):
    kim = Person.invited(world.ann)
    agree = asked(world.ann)
    is_refused(agree(kim))
    is_refused(agree(world.made(kim)))
    is_agreed(agree(world.joe))


def test_nobody_asks_as_whom_he_invited_and_approves_himself(world, asked):
    kim = Person.invited(world.ann)
    for asker in (kim, world.made(kim)):
        agree = asked(asker)
        is_refused(agree(world.ann))
        is_refused(agree(world.made(world.ann)))
        is_agreed(agree(world.joe))


@only_refunds
def test_two_whom_he_invited_are_no_two_people(world, asked):
    kim, lee = (Person.invited(world.ann) for _ in range(2))
    agree = asked(kim)
    is_refused(agree(lee))
    is_agreed(agree(Person.invited(world.joe)))


@only_refunds
def test_whom_the_invited_invites_is_nobody_else_either(world, asked):
    kim = Person.invited(world.ann)
    lee = Person.invited(kim)
    for one, other in ((world.ann, lee), (kim, lee), (lee, kim), (lee, world.ann)):
        is_refused(asked(one)(other))
    # that kim is confirmed says nothing of whom he invited before
    confirmed(world.joe, kim)
    for one, other in ((world.ann, lee), (kim, lee)):
        is_refused(asked(one)(other))
    is_agreed(asked(kim)(world.ann))
    is_refused(confirm(kim, lee))
    confirmed(world.joe, lee)
    is_agreed(asked(lee)(kim))


@only_refunds
def test_an_address_that_somebody_has_taken_before_is_his_as_well(world, asked, stack):
    """Ann takes an address with an invitation of another merchant, before joe invites whom it belongs to."""
    other, ann = stack.shop(world.replica).merchant, Person(stack, world.replica, world.shop.merchant)
    there = ann.at(world.replica)
    assert admin_create(stack, world.replica.database, ann.email, other) == ann.id
    there.login(merchant=other)
    taken = Person.invited(there)
    kim = Person.invited(world.joe, email=taken.email)
    kim.login(merchant=world.shop.merchant)
    ann.login(merchant=world.shop.merchant)
    agree = asked(ann)
    is_refused(agree(kim))
    is_refused(asked(world.joe)(kim))
    is_agreed(agree(world.joe))


def test_another_person_confirms_whom_somebody_invited(world, asked):
    kim, lee = (Person.invited(world.ann) for _ in range(2))
    early = world.made(kim)
    for who in (world.ann, kim, lee):
        is_refused(confirm(who, kim))
    confirmed(world.joe, kim)
    assert confirm(world.ann, kim).status == 200, "he is already"
    is_agreed(asked(kim)(world.ann))
    is_agreed(asked(world.ann)(world.made(kim)))
    # who was given a key before, nobody knows
    agree = asked(world.ann)
    is_refused(agree(early))
    is_refused(asked(kim)(early))
    is_agreed(agree(kim))
    # and who is confirmed confirms
    confirmed(kim, lee)


@only_refunds
def test_staff_or_the_host_confirm_where_there_is_nobody_else(world, asked, stack):
    boss = Person(stack, world.replica).acting(Reli_Merchant=world.shop.merchant)
    kim, lee = (Person.invited(world.ann) for _ in range(2))
    confirmed(boss, kim)
    is_agreed(asked(kim)(world.ann))
    own = Person.invited(boss)
    is_refused(confirm(boss, own))
    is_refused(asked(boss)(own))
    done = stack.cli(world.replica.database, "admin", "confirm", "--email", lee.email.upper())
    assert (done.returncode, done.stdout) == (0, f"user_id={lee.id}\nconfirmed=true\n"), done
    lee.login()
    is_agreed(asked(lee)(kim))
    is_agreed(asked(lee)(world.ann))


def test_who_has_not_accepted_is_confirmed_by_nobody(world, stack):
    made = world.ann.post(V1 + "/members", {"email": new_email(), "role": "viewer"}).json
    assert made["confirmed"] is False
    answer = world.joe.post(f"{V1}/members/{made['id']}/confirm")
    assert answer.status == 409 and answer.code == "invalid_state", answer
    assert stack.cli(world.replica.database, "admin", "confirm", "--email", made["email"]).returncode == 1
    assert stack.cli(world.replica.database, "admin", "confirm", "--email", new_email()).returncode == 1
    stranger = Person(stack, world.replica, stack.shop(world.replica).merchant)
    assert stranger.post(f"{V1}/members/{world.ann.id}/confirm").status == 404


def test_members_say_whether_they_are_confirmed_and_the_trail_by_whom(world):
    kim = Person.invited(world.ann)
    assert said(world)[kim.id] is False and said(world)[world.ann.id] is True
    confirmed(world.joe, kim)
    assert said(world)[kim.id] is True
    trail = world.replica.database.rows("select actor, detail from reli.audit_log where subject_id = %s "
                                        "and action = 'member.confirmed'", kim.id)
    assert [(r["actor"], r["detail"]) for r in trail] == [("user:" + world.joe.id, "user:" + world.ann.id)]


def said(world):
    return {m["id"]: m["confirmed"] for m in world.joe.get(V1 + "/members?limit=100").json["data"]}


def test_behind_one_account_there_is_room_for_three(world):
    """Ann invites, he invites, and so on: the fourth in the row has to wait until one before is confirmed."""
    row = [Person.invited(world.ann)]
    for _ in range(2):
        row.append(Person.invited(row[-1]))
    email = new_email()
    for fits in (False, True):
        made = row[-1].post(V1 + "/members", {"email": email, "role": "viewer"}).json
        answer = row[-1].accept(made["invitation"]["token"], password=PASSWORD)
        assert answer.status == (200 if fits else 409), answer
        confirmed(world.joe, row[-1])


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

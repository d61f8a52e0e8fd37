"""`reli listen`: a merchant's events on a developer's machine."""

import json
import re
import signal
import subprocess

import pytest
import tls
from helpers import SLOW, V1, cash, free_port, wait_until
from tls import Certificate

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # Standard Webhooks' example
LINE = re.compile(r"(?P<type>\S+) +(?P<id>[0-9a-f-]{36}) (?P<status>\d{3}|-) (?P<ms>\d+) ms(?P<more>.*)")


class Listen:
    """The program, as a developer starts it; it keeps what is written to its two ends."""

    def __init__(self, stack, tmp_path, url, key, *args):
        self.out, self.err = tmp_path / "out", tmp_path / "err"
        env = stack.base_env() | {"RELI_URL": url, "RELI_API_KEY": key}
        with open(self.out, "ab") as out, open(self.err, "ab") as err:
            self.p = subprocess.Popen([stack.binary, "listen", *args], env=env, stdin=subprocess.DEVNULL, stdout=out,
                                      stderr=err)

    def said(self):
        return self.err.read_text()

    def connected(self, times=1):
        wait_until(lambda: self.said().count("listening from position") >= times, 15, self.said())
        return self

    @property
    def secret(self):
        return re.match(r"webhook_secret=(\S+)\n", self.out.read_text()).group(1)

    def lines(self):
        """What it has shown of each event; the first line is the secret's."""
        return [LINE.fullmatch(line) for line in self.out.read_text().splitlines()[1:]]

    def wait(self, n):
        wait_until(lambda: len(self.lines()) >= n, 15, f"{n} events: {self.said()}")
        return self.lines()

    def stop(self, sig=signal.SIGINT):
        """The position at which it stopped."""
        self.p.send_signal(sig)
        assert self.p.wait(30 * SLOW) == 0, self.said()
        found = re.search(r"--after (\d+)\n$", self.said())
        return int(found.group(1)) if found else None


@pytest.fixture
def listen(stack, tmp_path):
    started = []

    def start(shop, *args, url=None, key=None):
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Listen(stack, folder, url or shop.url, key or shop.key, *args))
        return started[-1]

    yield start
    for one in started:
        one.p.kill()
        one.p.wait()


def paid(shop, **fields):
    """Three events."""
    p = shop.pay(cash(**fields))
    assert shop.post(f"{V1}/payments/{p['id']}/confirm", {}).status == 200
    return p


def logged(shop, n):
    """The events, when there are n in the log."""
    return wait_until(lambda: len(found := shop.get(f"{V1}/events?limit=100").json["data"]) == n and found, 15)


def test_the_same_as_webhooks(reli, receiver, listen):
    """Byte for byte what an endpoint gets, in order, signed with the secret that is shown."""
    reli.endpoint(receiver.url("/endpoint"))
    paid(reli)  # before: not of interest
    logged(reli, 3)
    one = listen(reli, "--forward", receiver.url("/mine")).connected()
    p = paid(reli, customer={"id": "c-1", "name": "Zoë", "phone": "+254700000001"},
             metadata={"n": 1.10, "position": 7, "text": 'a "quoted" ☃'})
    mine = receiver.wait(3, "/mine")
    theirs = {h.id: h for h in receiver.wait(3, "/endpoint", payment=p["id"])}
    assert [h.json["type"] for h in mine] == ["payment.initiated", "payment.requires_action", "payment.completed"]
    for h in mine:
        assert h.body == theirs[h.id].body and h.id == h.json["id"]
        assert h.signed_by(one.secret) and h.headers["Content-Type"] == "application/json"
        assert h.headers["Reli-Seq"] == theirs[h.id].headers["Reli-Seq"]
    shown = one.wait(3)
    assert [(m["type"], m["id"], m["status"], m["more"]) for m in shown] == [
        (h.json["type"], h.id, "200", "") for h in mine]
    assert one.stop() == 6


def test_what_is_asked_for(reli, receiver, listen):
    """From a position on, some types, with a secret of one's own."""
    ids = [paid(reli)["id"] for _ in range(3)]
    logged(reli, 9)
    one = listen(reli, "--forward", receiver.url(), "--after", "3", "--events", "payment.completed,refund.*",
                 "--secret", SECRET)
    hooks = receiver.wait(2)
    assert [(h.json["payment_id"], h.json["type"]) for h in hooks] == [(i, "payment.completed") for i in ids[1:]]
    assert one.secret == SECRET and all(h.signed_by(SECRET) for h in hooks)
    one.wait(2)
    assert one.stop(signal.SIGTERM) == 9
    assert len(receiver.at()) == 2


def test_targets_that_fail(reli, receiver, listen):
    """Some tries, then the next event; and always one after the other."""
    def moody(hook):
        n = len(receiver.at())
        return 200 if n == 3 or n > 7 else 503
    receiver.answers["/hook"] = moody
    one = listen(reli, "--forward", receiver.url()).connected()
    none = listen(reli, "--forward", f"http://127.0.0.1:{free_port()}/", "--events", "payment.completed").connected()
    paid(reli)
    shown = one.wait(3)
    assert [(m["status"], m["more"]) for m in shown] == [("200", ""), ("503", ", failed after 4 tries"), ("200", "")]
    assert [h.json["seq"] for h in receiver.at()] == [1, 1, 1, 2, 2, 2, 2, 3]
    assert all(h.signed_by(one.secret) for h in receiver.at())
    (m,) = none.wait(1)
    assert m["status"] == "-" and m["more"].startswith(", failed after 4 tries: ")
    assert one.stop() == none.stop() == 3


def test_nothing_is_lost_when_the_service_goes(replicas, receiver, listen, stack):
    """Killed and started again; what others committed meanwhile comes too, and nothing twice."""
    one, two = replicas(2, clock=False)
    shop = replicas.shop(two)
    ear = listen(shop, "--forward", receiver.url(), url=one.url).connected()
    made = [paid(shop) for _ in range(2)]
    receiver.wait(1)
    one.kill()
    made += [paid(shop) for _ in range(2)]
    wait_until(lambda: "; again in" in ear.said(), what="it has noticed")
    logged(shop, 12)
    replicas.replicas.append(stack.serve(replicas.database, port=one.port).ready())
    made.append(paid(shop))
    hooks = receiver.wait(15)
    ear.wait(15)
    assert sorted((h.json["payment_id"], h.json["seq"]) for h in hooks) == sorted(
        (p["id"], seq) for p in made for seq in (1, 2, 3))
    assert [h.id for h in hooks] == [e["id"] for e in logged(shop, 15)]
    assert ear.said().count("listening from position") == 2
    assert ear.stop() == 15


def test_another_log_than_that_of_the_position(reli, receiver, listen):
    """A developer's database has been made anew: its log is shorter, and is not waited for to grow."""
    paid(reli)
    logged(reli, 3)
    one = listen(reli, "--forward", receiver.url(), "--after", "1000").connected()
    p = paid(reli)
    assert {h.json["payment_id"] for h in receiver.wait(3)} == {p["id"]}
    assert one.stop() == 6


def test_through_tls(replicas, receiver, listen, tmp_path):
    """Whom it cannot trust it tells nothing."""
    certificate, port, secure = Certificate(tmp_path), free_port(), free_port()
    shop = replicas.shop(replicas.one(port=port, clock=False, RELI_PUBLIC_URL="https://pay.test", **certificate.env(),
                                      RELI_LISTEN=f"127.0.0.1:{port},127.0.0.1:{secure};tls"))
    url = f"https://127.0.0.1:{secure}"
    stranger = listen(shop, "--forward", receiver.url("/stranger"), url=url)
    one = listen(shop, "--forward", receiver.url(), "--ca", str(certificate.cert), url=url).connected()
    p = tls.request(secure, certificate.context(), "POST", f"{V1}/payments/initialize",
                    json.dumps(cash()), shop.headers({"Content-Type": "application/json"}))
    assert p.status == 201, p
    assert [h.json["seq"] for h in receiver.wait(2)] == [1, 2]
    one.wait(2)
    assert one.stop() == 2
    wait_until(lambda: "certificate" in stranger.said(), what="it has looked")
    assert stranger.lines() == [] and stranger.stop() is None


def test_a_service_that_is_not_there_yet(reli, receiver, listen):
    one = listen(reli, "--forward", receiver.url(), url=f"http://127.0.0.1:{free_port()}")
    wait_until(lambda: one.said().count("; again in") >= 2, 15, "it tries again")
    assert one.stop() is None


def test_a_key_that_is_none(reli, receiver, listen):
    one = listen(reli, "--forward", receiver.url(), key="sk_test_" + "0" * 48)
    assert one.p.wait(30 * SLOW) == 1
    assert "401: RELI_API_KEY is not" in one.said()


def test_wrong_usage(stack):
    def run(*args, **env):
        done = subprocess.run([stack.binary, "listen", *args], env=stack.base_env() | env, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=20 * SLOW)
        return done.returncode, done.stderr
    good = {"RELI_URL": "http://127.0.0.1:1", "RELI_API_KEY": "sk_test_x"}
    for args in ((), ("--forward",), ("--forward", "http://x/", "--after", "-1"), ("http://x/",),
                 ("--forward", "http://x/", "--after", "x"), ("--forward", "http://x/", "--more", "1")):
        code, said = run(*args, **good)
        assert code == 2 and "usage: reli listen --forward URL" in said, (args, said)
    code, said = run("--forward", "ftp://x/", "--secret", "x")
    assert code == 2
    assert all(word in said for word in ("RELI_URL", "RELI_API_KEY", "--forward", "--secret")), "all in one go"
    for events in ("payment.nope", "payments.*", "payment.completed,", "", "payment.completed, refund.*"):
        code, said = run("--forward", "http://x/", "--events", events, **good)
        assert code == 2 and "--events" in said, events
    for url in ("pay.example", "https://", "https://u:p@pay.example", "https://pay.example/?a=b"):
        code, said = run("--forward", "http://x/", **good | {"RELI_URL": url})
        assert code == 2 and "RELI_URL" in said, url

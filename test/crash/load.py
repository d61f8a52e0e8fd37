"""The merchants' clients: they take payments, try again with the same key after every doubt, and write down
what they asked and what they were told.

    load.py CONFIG     CONFIG: see world.World.load_config

Commands on standard input: `finish` after the load is over: every request without a definite answer is tried again,
until it has one; `end`: the watchers read to the end. Each command and the load itself are answered by a line.
"""

import heapq
import http.client
import itertools
import json
import os
import random
import sys
import threading
import time
import uuid

import giving
import watch

V1 = "/api/v1"
TIMEOUT_S = 8
ODD_ENDINGS = 0.45        # of the M-Pesa payments: any ending of the sandbox's table
DEFINITE_409 = ("duplicate_reference", "invalid_state")


class Journal:
    """One JSON object per line, appended by one write: a line is whole or missing."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, **fields):
        fields["t"] = time.time()
        os.write(self.fd, (json.dumps(fields) + "\n").encode())


class Wire:
    """Keep-alive connections of one thread, by address."""

    def __init__(self):
        self.open = {}

    def call(self, port, method, path, body, headers):
        conn = self.open.pop(port, None) or http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        try:
            conn.request(method, path, body, headers)
            r = conn.getresponse()
            data = r.read()
        except (OSError, http.client.HTTPException):
            conn.close()
            raise
        if r.will_close:
            conn.close()
        else:
            self.open[port] = conn
        return r.status, dict(r.getheaders()), data


class Request:
    """One thing that a client wants, however often it has to ask."""

    def __init__(self, n, op, merchant, path, body, key, sub, who):
        self.n, self.op, self.merchant, self.path, self.body, self.key = n, op, merchant, path, body, key
        self.sub = sub  # which refund of the payment; None
        self.who = who  # by which of the merchant's keys
        self.tries = itertools.count(1)
        self.answer = None  # the first definite one: status, body as an object


class Client:
    """Everything that the threads share."""

    def __init__(self, config):
        self.config = config
        self.journal = Journal(config["journal"])
        self.frames = Journal(config["frames"])
        self.merchants = config["merchants"]
        self.numbers = itertools.count(1)
        self.lock = threading.Lock()
        self.requests = []
        self.watchers = []
        self.ports = config["ports"]
        dice = random.Random(f"{config['seed']}/endings")
        # Each ending comes up, however short the load is.
        self.endings = itertools.cycle(dice.sample(config["endings"], len(config["endings"])))
        self.refund_endings = itertools.cycle(dice.sample(range(89, 100), 11))
        self.ends = time.monotonic() + config["seconds"]

    def request(self, op, merchant, path, body, key, n=None, sub=None, who="key"):
        r = Request(n or next(self.numbers), op, merchant, path, body, key, sub, who)
        with self.lock:
            self.requests.append(r)
        return r

    def ask(self, wire, r, port):
        """One try. True if the answer is definite."""
        k = next(r.tries)
        headers = {"Authorization": "Bearer " + self.merchants[r.merchant][r.who],
                   "Content-Type": "application/json"}
        if r.key is not None:
            headers["Idempotency-Key"] = r.key
        name = {"n": r.n, "op": r.op, "sub": r.sub, "k": k}
        self.journal.write(kind="request", **name, merchant=r.merchant, path=r.path, key=r.key, body=r.body,
                           port=port)
        try:
            status, said, data = wire.call(port, "POST", r.path, json.dumps(r.body), headers)
        except (OSError, http.client.HTTPException) as e:
            self.journal.write(kind="lost", **name, error=type(e).__name__)
            return False
        self.journal.write(kind="answer", **name, status=status, body=data.decode("utf-8", "replace"),
                           replayed=said.get("Idempotent-Replayed"),
                           recovered=said.get("Idempotent-Recovered"))
        try:
            words = json.loads(data)
        except ValueError:
            return False
        definite = status < 300 or (400 <= status < 500 and status not in (408, 429) and
                                    (status != 409 or words.get("code") in DEFINITE_409))
        if definite and r.answer is None:
            r.answer = (status, words)
        return definite


class Worker(threading.Thread):
    """One client at work, with dice of its own."""

    def __init__(self, client, number):
        super().__init__(daemon=True)
        self.client, self.wire = client, Wire()
        self.dice = random.Random(f"{client.config['seed']}/worker/{number}")
        self.giving = giving.Giving(self)
        self.plans, self.n_plans = [], itertools.count()

    def run(self):
        while time.monotonic() < self.client.ends:
            if self.plans and self.plans[0][0] <= time.monotonic():
                heapq.heappop(self.plans)[2]()
            else:
                self.one()

    def later(self, wait, what):
        heapq.heappush(self.plans, (time.monotonic() + wait, next(self.n_plans), what))

    def key(self):
        return str(uuid.UUID(int=self.dice.getrandbits(128), version=4))

    def persist(self, r, tries=5):
        for i in range(tries):
            if self.client.ask(self.wire, r, self.dice.choice(self.client.ports)):
                return True
            if time.monotonic() > self.client.ends:
                return False
            time.sleep(self.dice.uniform(0.02, 0.25) * (i + 1))
        return False

    def both(self, *requests):
        """All of them at the same time, through different replicas."""
        ports = self.client.ports
        others = [threading.Thread(target=self.client.ask, args=(Wire(), r, ports[(i + 1) % len(ports)]))
                  for i, r in enumerate(requests[1:])]
        for t in others:
            t.start()
        self.client.ask(self.wire, requests[0], ports[0])
        for t in others:
            t.join()

    def one(self):
        dice, client = self.dice, self.client
        merchant = dice.choices(range(len(client.merchants)), [2, 1])[0]
        n = next(client.numbers)
        cash = dice.random() < 0.3
        body = self.cash(n) if cash else self.stk(n)
        self.common(n, body)
        key = None if dice.random() < 0.04 else self.key()
        r = client.request("create", merchant, V1 + "/payments/initialize", body, key, n)
        if key is not None and dice.random() < 0.08:
            self.both(r, r)
        if not self.persist(r):
            return
        status, p = r.answer
        if status >= 300:
            return
        self.maybe_watch(merchant, p)
        if key is not None and dice.random() < 0.1:
            client.ask(self.wire, r, dice.choice(client.ports))
        if key is not None and dice.random() < 0.03:
            other = dict(body, amount=str(int(float(body["amount"])) + 1))
            self.persist(client.request("changed", merchant, r.path, other, key, n))
        if cash and status == 201:
            self.finish_cash(merchant, n, p)
        elif not cash:
            self.giving.perhaps(merchant, n, p, dice.uniform(0.3, 3))

    def cash(self, n):
        amount = f"{self.dice.randint(1, 4000)}.{self.dice.randint(0, 99):02d}"
        return {"provider": "cash", "amount": amount, "currency": "KES",
                "customer": {"id": f"c-{n}", "email": f"zqcanary{n}@shop.example", "name": f"Zqcanary {n}"}}

    def stk(self, n):
        dice, config = self.dice, self.client.config
        ending = next(self.client.endings) if dice.random() < ODD_ENDINGS else "000"
        phone = f"+2547{(config['first_phone'] + n) % 100000:05d}{ending}"
        amount = dice.randint(1, 70000)
        if amount > 100 and dice.random() < 0.3:  # where it decides what becomes of a refund
            amount = amount // 100 * 100 - 100 + next(self.client.refund_endings)
        body = {"provider": "mpesa", "amount": amount if dice.random() < 0.5 else f"{amount}.00",
                "currency": "KES", "customer": {"id": f"c-{n}"}}
        if dice.random() < 0.5:
            body["phone"] = phone
        else:
            body["customer"] |= {"phone": phone, "email": f"zqcanary{n}@shop.example"}
        return body

    def common(self, n, body):
        dice, config = self.dice, self.client.config
        body["reference"] = f"R-{n}"
        if dice.random() < 0.5:
            body["metadata"] = {"n": n, "words": ["a", "ü", None, {"x": 1.5}]}
        if dice.random() < 0.5:
            body["description"] = f"Order {n} <&\"> ä"
        if dice.random() < 0.2:
            body["callback_url"] = f"http://127.0.0.1:{config['receiver']}/well/own"

    def finish_cash(self, merchant, n, p):
        dice, client = self.dice, self.client

        def move(op):
            return client.request(op, merchant, f"{V1}/payments/{p['id']}/{op}", {}, self.key(), n)

        chance = dice.random()
        if chance < 0.6:
            self.persist(move("confirm"))
            self.giving.perhaps(merchant, n, p, 0)
        elif chance < 0.75:
            self.persist(move("cancel"))
        elif chance < 0.85:
            self.both(move("confirm"), move("cancel"))

    def maybe_watch(self, merchant, p):
        client = self.client
        with client.lock:
            if len(client.watchers) >= client.config["watchers"] or self.dice.random() > 0.1:
                return
            w = watch.Watcher(client.merchants[merchant]["key"], p["id"], client.ports, client.frames)
            client.watchers.append(w)
        w.start()


def finish(client, direct, deadline_s=120):
    """Every request gets its definite answer, without faults on the way."""
    ends = time.monotonic() + deadline_s
    left = [r for r in client.requests if r.answer is None]
    lock = threading.Lock()

    def work(port):
        wire = Wire()
        while time.monotonic() < ends:
            with lock:
                if not left:
                    return
                r = left.pop()
            if not client.ask(wire, r, port):
                time.sleep(0.05)
                with lock:
                    left.insert(0, r)

    threads = [threading.Thread(target=work, args=(port,)) for port in direct for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return len(left)


def main():
    with open(sys.argv[1]) as f:
        config = json.load(f)
    client = Client(config)
    workers = [Worker(client, i) for i in range(config["threads"])]
    for w in workers:
        w.start()
    for w in workers:
        w.join(config["seconds"] + 60)
    print("loaded", flush=True)
    for line in sys.stdin:
        if line.strip() == "finish":
            print("finished", finish(client, config["direct"]), flush=True)
        elif line.strip() == "end":
            for w in client.watchers:
                w.finish(config["direct"])
            for w in client.watchers:
                w.join(100)
            print("ended", sum(w.is_alive() for w in client.watchers), flush=True)


if __name__ == "__main__":
    main()

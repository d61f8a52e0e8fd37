"""The crash suite: reli under load while everything around it and in it dies, then an independent checker.

    run.py [--runs N] [--seed S] [--seconds N] [--threads N] [--keep] [--plan] [--self-test]

RELI_BIN names the binary (build/debug/reli). A run's seed is printed; run K of a series has the seed S + K.
--plan prints what a seed does to the processes. --self-test doctors the evidence of the first run in many ways and
expects the checker to name each. The folder of a run that failed is kept.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

import checker
import doctor
import plan
from evidence import Evidence
from world import INITIATOR_PASSWORD, LATE_S, MASTER_KEY, JWT_KEY, PASSKEY, ROOT, WEBHOOK_WAITS, World, until

# How far the test clock is moved at the end, step by step: leases, polls, the prompt window, expiry, …
NEAR = (61, 15, 30, 61, 61, 150, 300, 400)
# … late successes, dead letters, the watch on what has failed, five days of reconciliation, cash.
FAR = (61, 300, 1800, 3600, 7200, 43200, 86400, 86400, 86400, 86400, 86400, 86400, 86400)
# … and what the last step has set off.
LAST = (2, 4, 8, 30, 180)
SLOW_DEEDS = ("postgres stop", "services start", "redis kill")


class Run:
    def __init__(self, seed, args):
        self.seed, self.args = seed, args
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="reli-crash-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.deeds = []
        self.restless = False  # a job has stayed due
        self.world = None

    def log(self, text):
        print(f"  {time.monotonic() - self.began:5.1f} s  {text}", flush=True)

    def go(self):
        """The evidence of one run."""
        self.began = time.monotonic()
        binary = os.path.abspath(os.environ.get("RELI_BIN") or
                                 ROOT / os.environ.get("BUILD", "build") / "debug/reli")
        self.world = World(self.folder, binary, self.seed, self.args.seconds)
        self.world.set_clock(plan.first_clock(self.seed, time.time(), self.args.seconds))
        self.world.open()
        self.log("everything runs")
        self.storm()
        self.calm()
        self.settle(NEAR)
        self.wait_for_late_ones()
        self.settle(FAR)
        self.settle(LAST)
        self.gather()
        return Evidence(self.folder, self.world.connection)

    # ---- under load ----

    def storm(self):
        w = self.world
        config = w.load_config(self.args.threads)
        w.load = w.helper("load", config)
        w.proxy.say("storm")
        w.proxy.line()
        began = time.monotonic()
        timeline = plan.processes(self.seed, self.args.seconds)
        starting, services = {}, concurrent.futures.ThreadPoolExecutor(1)
        while time.monotonic() - began < self.args.seconds:
            while timeline and timeline[0][0] <= time.monotonic() - began:
                at, deed, *words = timeline.pop(0)
                if deed in SLOW_DEEDS:  # in their order, beside everything else
                    services.submit(self.do, deed, words)
                else:
                    self.do(deed, words)
                if deed == "kill":
                    starting[words[0]] = True
                elif deed == "start":
                    starting.pop(words[0], None)
            self.revive(starting)
            time.sleep(0.01)
        services.shutdown()
        for _, deed, *words in timeline:
            self.do(deed, words)

    def revive(self, but=()):
        """What died by itself is started again, and remembered: at a crash point it was meant to."""
        for name, r in self.world.replicas.items():
            if not r.running() and name not in but:
                self.deeds.append({"deed": "died", "words": [name, r.p.returncode]})
                if r.p.returncode != -9:
                    self.log(f"replica {name} ended by itself: {r.p.returncode}")
                r.start()

    def do(self, deed, words):
        w = self.world
        self.deeds.append({"deed": deed, "words": words, "t": time.time()})
        target = w.sandbox if words[:1] == ["sandbox"] else w.replicas.get(words[0] if words else None)
        if deed == "kill":
            target.kill()
        elif deed == "start" and not target.running():
            target.start(**self.crash_at(words[1]))
        elif deed == "stop":
            target.stop()
        elif deed == "continue":
            target.go_on()
        elif deed == "clock":
            w.set_clock(w.offset + words[0])
        elif deed == "postgres stop":
            w.postgres_stop()
        elif deed == "services start":
            w.services("start")
        elif deed == "redis kill":
            w.redis_kill()
        elif deed == "redis flush":
            w.redis_flush()

    def crash_at(self, wish):
        points = self.world.points
        if wish is None or not points:
            return {}
        return {"RELI_CRASH_AT": f"{points[int(wish[0] * 1e6) % len(points)]}:{wish[1]}"}

    # ---- and afterwards ----

    def calm(self):
        """The faults stop; everybody is well; the clients get their answers."""
        w = self.world
        w.proxy.say("calm")
        w.proxy.line()
        w.services("start")
        w.sandbox.go_on()
        for r in w.replicas.values():
            r.go_on()
            r.kill()
            r.start()
        w.call(w.sandbox_port, "POST", "/_sandbox/chaos", {
            "fail_rate": 0, "reset_rate": 0, "drop_answer_rate": 0, "callback_loss_rate": 0,
            "answer_delay_ms": {"min": 0, "max": 0}})
        with contextlib.suppress(RuntimeError):
            w.ready()
        self.load_line()
        self.log("the load is over")
        w.set_clock(w.offset + 61)  # what died has lost its leases
        w.load.say("finish")
        left = int(self.load_line().split()[1])
        self.log(f"every client has its answer, but for {left}")
        self.left = left
        (self.folder / "keys.json").write_text(json.dumps(w.rows(
            "select merchant_id::text, key, payment_id::text, http_status from reli.idempotency")))

    def load_line(self):
        """What the clients say next; reli is kept alive meanwhile."""
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            line = pool.submit(self.world.load.line)
            while not line.done():
                self.revive()
                time.sleep(0.05)
        return line.result()

    def settle(self, steps):
        w = self.world
        for i, step in enumerate(steps):
            if self.restless:  # the run has failed: the rest at once
                w.set_clock(w.offset + sum(steps[i:]))
                self.quiet()
                return
            w.set_clock(w.offset + step)
            self.quiet()

    def quiet(self):
        """No job is due. What is due again and again would be found by the deadline."""
        w = self.world
        time.sleep(0.04)  # the clock is looked at every 20 ms
        quiet, patience = 0, 90 if not self.restless else 2

        def due():
            nonlocal quiet
            self.revive()
            n = w.rows("select count(*) as n from reli.job where run_at <= to_timestamp(%s)", w.now())[0]["n"]
            quiet = quiet + 1 if n == 0 else 0
            return quiet >= 2

        try:
            until(due, patience, "no job is due", 0.03)
        except RuntimeError:
            if not self.restless:
                self.log(f"jobs stay due at offset {w.offset}")
            self.restless = True  # the checker will name them

    def wait_for_late_ones(self):
        w = self.world
        self.log("the near future is over")

        def over():
            said = json.loads(w.call(w.sandbox_port, "GET", "/_sandbox/charges?state=pending&limit=10000")[1])
            if any(c["phone"][-3:] != "063" for c in said["data"]):
                return False
            said = json.loads(w.call(w.sandbox_port, "GET", "/_sandbox/charges?state=failed&limit=10000")[1])
            if any(c["phone"][-3:] == "025" for c in said["data"]):
                return False
            said = json.loads(w.call(w.sandbox_port, "GET", "/_sandbox/callbacks?limit=10000")[1])
            return all(c["state"] != "in_flight" for c in said["data"])

        until(over, LATE_S + 90, "the sandbox has no outcome open")

    # ---- evidence ----

    def gather(self):
        w = self.world
        with contextlib.suppress(RuntimeError):  # the checker will say so
            until(lambda: w.rows("select count(*) as n from reli.log_new")[0]["n"] == 0,
                  90 if not self.restless else 5, "the log is kept")
        w.load.say("end")
        self.load_line()
        self.pages("charges")
        self.pages("refunds")
        self.sandbox_page("calls", "op=push&limit=10000")
        self.sandbox_page("callbacks", "limit=10000")
        tools = {}
        for words in (("ledger", "prove"), ("audit", "verify"), ("replay", "--verify")):
            done = w.cli(*words, check=False)
            tools[" ".join(words)] = {"exit": done.returncode, "said": (done.stdout + done.stderr)[-2000:]}
        with concurrent.futures.ThreadPoolExecutor(2) as pool:  # a drain takes seconds
            ends = dict(zip(w.replicas, pool.map(lambda r: r.term(), w.replicas.values())))
        self.dump()
        (self.folder / "meta.json").write_text(json.dumps({
            "seed": self.seed, "merchants": w.merchants, "now": w.now(), "deeds": self.deeds, "tools": tools,
            "left": self.left, "exits": ends, "waits": len(WEBHOOK_WAITS),
            "plan": [d[1:] for d in plan.processes(self.seed, self.args.seconds)],
            "secrets": {"RELI_MASTER_KEY": MASTER_KEY.split(":")[1], "JWT_SECRET_KEY": JWT_KEY,
                        "MPESA_PASSKEY": PASSKEY, "MPESA_CONSUMER_SECRET": "sandbox_consumer_secret",
                        "MPESA_INITIATOR_PASSWORD": INITIATOR_PASSWORD},
        }))
        self.log("the evidence is there")

    def sandbox_page(self, what, query):
        w = self.world
        status, said = w.call(w.sandbox_port, "GET", f"/_sandbox/{what}?{query}")
        if status != 200:
            raise RuntimeError(f"/_sandbox/{what}: {status}")
        (self.folder / f"sandbox-{what}.json").write_bytes(said)

    def pages(self, what):
        w, data, after = self.world, [], 0
        while True:
            status, said = w.call(w.sandbox_port, "GET", f"/_sandbox/{what}?limit=5000&after={after}")
            if status != 200:
                raise RuntimeError(f"/_sandbox/{what}: {status}")
            said = json.loads(said)
            data += said["data"]
            if not said["has_more"] or not said["data"]:
                break
            after = said["data"][-1]["n"]
        (self.folder / f"sandbox-{what}.json").write_text(json.dumps({"data": data}))

    def dump(self):
        """All that the database says in plain text."""
        with open(self.folder / "dump.sql", "wb") as out:
            subprocess.run(["pg_dump", "-d", self.world.urls["DATABASE_ADMIN_URL"]], check=True, stdout=out,
                           stdin=subprocess.DEVNULL)

    def close(self, keep):
        if self.world is not None:
            self.world.close()
        if keep:
            print(f"  kept: {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


def report(found):
    """Prints what the checker says; how many checks passed and failed."""
    for name, faults in found.items():
        if faults:
            print(f"  FAIL  {name}: {len(faults)}")
            for text in faults[:8]:
                print(f"        {text[:400]}")
    return sum(not f for f in found.values()), sum(bool(f) for f in found.values())


def one(seed, args, self_test):
    print(f"seed {seed}, plan {plan.summary(seed, args.seconds)}", flush=True)
    run, failed = Run(seed, args), True
    try:
        evidence = run.go()
        found = checker.check(evidence)
        print("  " + checker.figures(evidence), flush=True)
        passed, bad = report(found)
        if self_test:
            more = doctor.trial(evidence)
            passed, bad = passed + more[0], bad + more[1]
        run.log("checked")
        failed = bad > 0
        return passed, bad
    except Exception as e:
        print(f"  FAIL  the run itself: {type(e).__name__}: {e}", flush=True)
        if os.environ.get("RELI_CRASH_TRACE"):
            raise
        return 0, 1
    finally:
        run.close(failed or args.keep)


def judge(seed, args):
    """Check → what is wrong, of one run. One that did not come to its end is wrong in itself: `run`."""
    r = Run(seed, args)
    try:
        return checker.check(r.go())
    except Exception as e:
        return {"run": [f"{type(e).__name__}: {e}"]}
    finally:
        r.close(args.keep)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--runs", type=int, default=1)
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--seconds", type=float, default=14)
    p.add_argument("--threads", type=int, default=24)
    p.add_argument("--keep", action="store_true")
    p.add_argument("--plan", action="store_true")
    p.add_argument("--self-test", action="store_true")
    args = p.parse_args()
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1, 10**9)
    if args.plan:
        for at, *deed in plan.processes(seed, args.seconds):
            print(f"{at:6.2f} s  {' '.join(str(d) for d in deed if d is not None)}")
        return 0
    passed = failed = 0
    for k in range(args.runs):
        good, bad = one(seed + k, args, args.self_test and k == 0)
        passed, failed = passed + good, failed + bad
        if bad:
            print(f"  again: test/crash/run.py --seed {seed + k} --seconds {args.seconds:g}", flush=True)
            break
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())

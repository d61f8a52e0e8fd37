#!/usr/bin/env python3
"""Runs the system tests in several processes at once, each with files of its own and services of its own: most of
their time is waiting.

    side_by_side.py [--workers N] [--out DIR] [FILE…]

RELI_TEST_REDIS=off runs them with a Redis that is not there. Without FILES some are run once more in this way.

A process prints what it has to say when it has ended. The last line sums them up: N passed, N failed.
"""

import argparse
import concurrent.futures
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as tree

HERE = pathlib.Path(__file__).resolve().parent
# Seconds on two cores, to share them out evenly. What is not here counts as 6.
SECONDS = {"test_store.py": 68, "test_crash.py": 60, "test_mpesa_outcomes.py": 60, "test_openapi.py": 50,
           "test_idempotency.py": 40, "test_stripe.py": 40, "test_refunds.py": 35, "test_operations.py": 33,
           "test_payouts.py": 30, "test_rubbish.py": 28, "test_people.py": 25, "test_fees.py": 25,
           "test_cpay.py": 25, "test_webhooks.py": 25, "test_standby.py": 20, "test_listen.py": 20,
           "test_replicas.py": 18, "test_websocket.py": 18, "test_traps.py": 18, "test_provider_config.py": 18,
           "test_failover.py": 15, "test_limits.py": 14, "test_firebase.py": 12, "test_feeds.py": 12,
           "test_replay.py": 10, "test_c2b.py": 10, "test_routing.py": 10, "test_mpesa_payouts.py": 10,
           "test_providers.py": 10, "test_money_limits.py": 10, "test_payment_cash.py": 10,
           "test_provider_events.py": 10}
# What would miss Redis first: what is told to watchers, and tokens that replicas share.
WITHOUT_REDIS = [HERE / "test_websocket.py", HERE / "test_tokens.py"]
LONGEST = float(os.environ.get("SYSTEM_TIMEOUT", "1500"))


def shares(files, n):
    """The files in n heaps of about the same time: the longest first, each to the smallest heap."""
    heaps = [[0, []] for _ in range(n)]
    for f in sorted(files, key=lambda f: (-SECONDS.get(f.name, 6), f.name)):
        heap = min(heaps, key=lambda h: h[0])
        heap[0] += SECONDS.get(f.name, 6)
        heap[1].append(f)
    return [files for _, files in heaps if files]


class Worker:
    """One pytest in a process group of its own."""

    def __init__(self, number, files, out, **more):
        self.files, self.how = files, " ".join(f"{k}={v}" for k, v in more.items())
        self.xml = out / f"system-{number}.xml"
        self.log = out / f"system-{number}.log"
        env = {k: v for k, v in os.environ.items() if k not in ("DATABASE_ADMIN_URL", "REDIS_URL")}
        with open(self.log, "wb") as log:
            self.p = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "--durations=8",
                 "-o", "faulthandler_timeout=200",  # says where it hangs
                 f"--junitxml={self.xml}", *map(str, files)],
                env=env | {"PYTHONDONTWRITEBYTECODE": "1"} | more, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True)

    def wait(self, until):
        """pytest takes its services down on the first signal; it has half a minute for that."""
        try:
            self.p.wait(max(0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.stop()
        return self

    def stop(self):
        if self.p.poll() is not None:
            return
        self.p.send_signal(signal.SIGINT)
        try:
            self.p.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.p.pid, signal.SIGKILL)
            self.p.wait()

    def result(self):
        """(passed, failed); what pytest could not count is one failure."""
        n = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
        try:
            for suite in tree.parse(self.xml).getroot().iter("testsuite"):
                for word in n:
                    n[word] += int(suite.get(word, 0))
        except (OSError, tree.ParseError):
            return 0, 1
        failed = n["failures"] + n["errors"]
        passed = max(0, n["tests"] - failed - n["skipped"])
        return passed, failed or int(self.p.returncode != 0)


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, interrupted)
    files = args.files or list(HERE.glob("test_*.py"))
    with tempfile.TemporaryDirectory(prefix="reli-side-", dir="/tmp") as folder:
        out = args.out or pathlib.Path(folder)
        until = time.monotonic() + LONGEST
        workers = [Worker(i, heap, out) for i, heap in enumerate(shares(files, args.workers))]
        if not args.files and os.environ.get("RELI_TEST_REDIS") != "off":
            workers.append(Worker(len(workers), WITHOUT_REDIS, out, RELI_TEST_REDIS="off"))
        passed = failed = 0
        try:
            with concurrent.futures.ThreadPoolExecutor(len(workers)) as pool:
                for done in concurrent.futures.as_completed([pool.submit(w.wait, until) for w in workers]):
                    worker = done.result()
                    print("--", " ".join(f.name for f in worker.files), worker.how)
                    print(worker.log.read_text(errors="replace"), flush=True)
                    good, bad = worker.result()
                    passed, failed = passed + good, failed + bad
        finally:
            for worker in workers:
                worker.stop()
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())

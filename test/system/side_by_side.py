#!/usr/bin/env python3
"""Runs the system tests in several processes at once, each with services of its own: most of their time is waiting.

    side_by_side.py [--workers N] [FILE…]

pytest-xdist hands the files out, one by one, to whoever has time. RELI_TEST_REDIS=off runs them with a Redis that is
not there; without FILES some are run once more in this way. A run prints what it has to say when it has ended. The last
line sums them up: N passed, N failed.
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
# What would miss Redis first: what is told to watchers, and tokens that replicas share.
WITHOUT_REDIS = [HERE / "test_websocket.py", HERE / "test_tokens.py"]
LONGEST = float(os.environ.get("SYSTEM_TIMEOUT", "1500"))


class Run:
    """One pytest in a process group of its own."""

    def __init__(self, name, args, folder, **more):
        self.title = " ".join([name, *(f"{k}={v}" for k, v in more.items())])
        self.xml = folder / f"{name}.xml"
        self.log = folder / f"{name}.log"
        env = {k: v for k, v in os.environ.items() if k not in ("DATABASE_ADMIN_URL", "REDIS_URL")}
        with open(self.log, "wb") as log:
            self.p = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "--durations=12",
                 "-o", "faulthandler_timeout=200",  # says where it hangs
                 f"--junitxml={self.xml}", *map(str, args)],
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
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, interrupted)
    with tempfile.TemporaryDirectory(prefix="reli-side-", dir="/tmp") as folder:
        folder = pathlib.Path(folder)
        until = time.monotonic() + LONGEST
        runs = [Run("all", ["-n", args.workers, "--dist", "loadfile", *(args.files or [HERE])], folder)]
        if not args.files and os.environ.get("RELI_TEST_REDIS") != "off":
            runs.append(Run("some", WITHOUT_REDIS, folder, RELI_TEST_REDIS="off"))
        passed = failed = 0
        try:
            with concurrent.futures.ThreadPoolExecutor(len(runs)) as pool:
                for done in concurrent.futures.as_completed([pool.submit(run.wait, until) for run in runs]):
                    run = done.result()
                    print("--", run.title)
                    print(run.log.read_text(errors="replace"), flush=True)
                    good, bad = run.result()
                    passed, failed = passed + good, failed + bad
        finally:
            for run in runs:
                run.stop()
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())

"""Fixtures of the system tests: real PostgreSQL and Redis, the sandbox, replicas as processes.

RELI_BIN names the binary (build/debug/reli). DATABASE_ADMIN_URL and REDIS_URL, as scripts/test.sh sets
them, name services to use; without them a private instance is started and removed again. Every replica
that a test starts for itself gets a database of its own, a copy of a migrated template.
"""

import os
import pathlib
import shutil
import sys
import tempfile
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from helpers import Clock, Receiver  # noqa: E402
from people import Person  # noqa: E402
from stack import Launcher, Stack  # noqa: E402


def in_memory(room=4 << 30):
    """Where files are kept in memory, if there is that much room, bytes: every test of replicas copies a database."""
    shm = "/dev/shm"
    return shm if os.path.isdir(shm) and shutil.disk_usage(shm).free >= room else None


@pytest.fixture(scope="session")
def stack():
    folder = tempfile.mkdtemp(prefix="reli-system-", dir=in_memory() or "/tmp")
    os.chmod(folder, 0o755)
    s = None
    try:
        s = Stack(folder)
        yield s
    finally:
        if s is not None:
            s.close()
        if os.environ.get("RELI_TEST_KEEP"):
            print(f"kept: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def shared(stack):
    """A replica that many tests share: no test clock, nobody stops it."""
    replica = stack.serve(stack.database()).ready()
    replica.staff = Person(stack, replica)
    yield replica
    stack.leave(replica)


@pytest.fixture
def sandbox(stack):
    stack.sandbox.reset()
    return stack.sandbox


@pytest.fixture
def reli(stack, shared, sandbox):
    """A new merchant with a test key at the shared replica: .url, .key, .get, .post …"""
    assert shared.running(), f"the shared replica has died:\n{shared.tail()}"
    return stack.shop(shared)


@pytest.fixture
def db(reli):
    """The database behind `reli`."""
    return reli.replica.database


@pytest.fixture
def receiver():
    r = Receiver()
    yield r
    r.close()


@pytest.fixture
def clock(tmp_path):
    """A test clock for the replicas that this test starts."""
    return Clock(tmp_path / "clock")


@pytest.fixture
def replicas(stack, clock, sandbox):
    """replicas(n, **environment) starts n replicas on a database of their own, on the test clock."""
    launcher = Launcher(stack, clock)
    yield launcher
    launcher.close()


def pytest_collection_modifyitems(items):
    """Files that take long come first: they are handed out one by one, and the last one is waited for."""
    longest = ["test_store.py", "test_crash.py", "test_mpesa_outcomes.py", "test_openapi.py", "test_idempotency.py",
               "test_stripe.py", "test_refunds.py", "test_operations.py", "test_payouts.py", "test_rubbish.py"]
    items.sort(key=lambda item: longest.index(item.path.name) if item.path.name in longest else len(longest))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A test that failed shows the end of the logs that were written meanwhile."""
    outcome = yield
    report = outcome.get_result()
    if report.when != "call" or not report.failed:
        return
    folder = getattr(item.session, "reli_folder", None)
    if folder is None:
        return
    for log in sorted(folder.glob("*.log")):
        if log.stat().st_mtime >= time.time() - call.duration - 1 and log.name.startswith("serve"):
            report.sections.append((f"the end of {log.name}",
                                    log.read_bytes()[-3000:].decode(errors="replace")))


@pytest.fixture(scope="session", autouse=True)
def _logs_for_reports(request, stack):
    request.session.reli_folder = stack.folder

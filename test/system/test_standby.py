"""A primary that dies, and its synchronous standby that takes over: nothing that was acknowledged is lost, and the
former primary is never written to again."""

import concurrent.futures
import contextlib
import os
import pathlib
import signal
import subprocess
import time

import pytest
from helpers import SLOW, V1, cash, new_key, wait_until
from stack import Database, Services
from test_store import running

BIN = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))


class Server(Services):
    """One PostgreSQL, by its data directory and the directory of its socket."""

    def __init__(self, data, sockets):
        self.data, self.sockets = data, sockets
        self.folder, self.redis_url = None, None
        self.admin_url = f"postgresql://postgres@/postgres?host={str(sockets).replace('/', '%2F')}"

    def command(self, *args):
        """As the user that the services run as."""
        user = [] if os.getuid() else ["runuser", "-u", "postgres", "--"]
        done = subprocess.run([*user, *map(str, args)], cwd="/", stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60 * SLOW)
        assert done.returncode == 0, (args, done.stderr)

    def start(self):
        # A file for what it says: it would keep a pipe of ours open.
        self.command(BIN / "pg_ctl", "-D", self.data, "-w", "-t", "60", "-l", self.sockets / "log", "start")

    def start_again(self):
        """After a SIGKILL the kernel needs a moment to give back what was shared."""
        def started():
            with contextlib.suppress(AssertionError):
                self.start()
                return True

        wait_until(started, 30, "PostgreSQL is up again")

    def kill(self):
        """Every process at once, as when the machine loses power."""
        pid = int((self.data / "postmaster.pid").read_text().split("\n")[0])
        os.kill(pid, signal.SIGSTOP)  # no more children
        children = [int(p.name) for p in pathlib.Path("/proc").iterdir() if p.name.isdigit() and parent(p) == pid]
        for each in [pid, *children]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        wait_until(lambda: not any(running(p) for p in [pid, *children]), 10, "all of it is gone")

    def stop(self):
        self.command(BIN / "pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")


def parent(process):
    with contextlib.suppress(OSError, IndexError):
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])


class Pair:
    """A primary and its synchronous standby."""

    def __init__(self, stack, folder):
        self.services = Services(str(folder))
        base, sockets = pathlib.Path(folder, "place").read_text().split("\n")[:2]
        self.primary = Server(pathlib.Path(base, "pg"), pathlib.Path(sockets))
        self.standby = Server(pathlib.Path(base, "run", "standby"), pathlib.Path(base, "run", "sockets"))
        self.primary.command("mkdir", "-m", "700", "-p", self.standby.sockets)
        with open(self.primary.data / "pg_hba.conf", "a") as hba:
            hba.write("local replication all trust\n")
        self.primary.admin("alter system set fsync = off")  # the machine does not fail, only processes do
        self.primary.admin("select pg_reload_conf()")
        self.primary.command(BIN / "pg_basebackup", "-D", self.standby.data, "-c", "fast", "-R",
                             "-d", f"host={sockets} user=postgres application_name=standby")
        settings = (self.standby.data / "postgresql.conf").read_text().replace(sockets, str(self.standby.sockets))
        (self.standby.data / "postgresql.conf").write_text(settings)
        self.standby.start()
        self.primary.admin("alter system set synchronous_standby_names = 'standby'")
        self.primary.admin("select pg_reload_conf()")
        wait_until(lambda: self.primary.admin("select sync_state from pg_stat_replication") == [("sync",)], 20,
                   "the standby is synchronous")
        # Who takes the first that answers gets one that cannot be written to.
        self.hosts = ",".join(str(s.sockets).replace("/", "%2F") for s in (self.standby, self.primary))
        self.database = Database(self, "reli")
        self.stack, self.replicas = stack, []
        done = stack.cli(self.database, "migrate")
        assert done.returncode == 0, done.stderr

    def url(self, role, database):
        return f"postgresql://{role}@/{database}?host={self.hosts}"

    def serve(self):
        self.replicas.append(self.stack.serve(self.database, REDIS_URL=None))
        return self.replicas[-1]

    def close(self):
        for replica in self.replicas:
            if replica not in self.stack.leaving:
                replica.kill()  # of a test that has failed
        self.database.close()
        with contextlib.suppress(AssertionError):
            self.standby.stop()
        with contextlib.suppress(AssertionError):
            self.primary.stop()
        self.services.script("reset")


@pytest.fixture
def pair(stack):
    p = Pair(stack, stack.folder / "pair")
    yield p
    p.close()


def sessions(server):
    (row,) = server.admin("""select count(*) from pg_stat_activity
                             where usename = 'reli_service' and application_name = 'reli'""")
    return row[0]


def test_a_standby_takes_over(stack, pair):
    one, two = pair.serve(), pair.serve()
    shop = stack.shop(one.ready())
    two.ready()
    told, first, stop = {}, {}, []

    def client(n):
        """Takes payments, each until it has an answer, at either replica."""
        i = n
        while not stop:
            key = new_key()
            while not (stop and key not in first):
                i += 1
                first.setdefault(key, time.monotonic())
                r = shop.at((one, two)[i % 2]).initialize(cash(), key=key, timeout=60)
                assert r.status in (201, 503) or r.code == "idempotency_in_progress", r
                if r.status == 201:
                    told[key] = (r.json["id"], time.monotonic())
                    break

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        clients = [pool.submit(client, n) for n in range(6)]
        try:
            wait_until(lambda: len(told) >= 100, 30, "payments are taken")
            pair.primary.kill()
            gone, before = time.monotonic(), len(told)
            pair.standby.admin("select pg_promote()")
            wait_until(lambda: len(told) >= before + 50, 30, "payments are taken again")
        finally:
            stop.append(True)
        for c in clients:
            c.result()
    assert one.running() and two.running()
    back = min(at for key, (_, at) in told.items() if first[key] > gone)
    assert back - gone < 10 * SLOW, f"the first answer after {back - gone:.1f} s"
    pair.database.close()
    ids = {str(r["id"]) for r in pair.database.rows("select id from reli.payment")}
    assert {payment for payment, _ in told.values()} <= ids, "what was acknowledged is there"
    assert len({payment for payment, _ in told.values()}) == len(told) == len(ids), "and nothing twice"

    # The former primary is back, and does not know what has happened.
    pair.primary.start_again()
    assert pair.primary.admin("select pg_is_in_recovery()") == [(False,)]
    pair.primary.admin("alter system reset synchronous_standby_names")  # or its commits would wait for ever
    pair.primary.admin("select pg_reload_conf()")
    known = next(iter(told.values()))[0]
    written = pair.primary.admin("select count(*), max(op_id::text) from reli.payment", "reli")
    for _ in range(2):
        pair.standby.admin("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'reli_service'")
        for replica in (one, two):
            here = shop.at(replica)
            wait_until(lambda: here.initialize(cash(), key=new_key()).status == 201, 20, "payments are taken")
            wait_until(lambda: here.get(f"{V1}/payments/{known}").status == 200, 20, "what was taken is found")
    wait_until(lambda: sessions(pair.standby) == 8, 30, "all are connected to the one that counts")
    assert sessions(pair.primary) == 0
    assert pair.primary.admin("select count(*), max(op_id::text) from reli.payment", "reli") == written
    assert "has been replaced" in one.tail(200000) + two.tail(200000), "somebody has tried"
    pair.primary.stop()
    pair.database.close()
    for proof in (("ledger", "prove"), ("audit", "verify"), ("replay", "--verify")):
        done = stack.cli(pair.database, *proof)
        assert done.returncode == 0, done.stderr + done.stdout
    for replica in (one, two):
        stack.leave(replica)

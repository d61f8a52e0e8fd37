"""The processes behind the tests: services, databases, replicas, and how they end."""

import base64
import contextlib
import itertools
import os
import pathlib
import subprocess
import urllib.parse

import helpers
import psycopg2
import psycopg2.extras
import pytest
from helpers import ROOT, SANITIZER, Replica, Sandbox, Shop, wait_until


# RELI_TEST_REDIS=off: replicas find no Redis, and everything passes all the same but what tests Redis itself.
REDIS_OFF = os.environ.get("RELI_TEST_REDIS") == "off"
needs_redis = pytest.mark.skipif(REDIS_OFF, reason="RELI_TEST_REDIS=off")


def binary():
    build = os.environ.get("BUILD", "build")
    return os.path.abspath(os.environ.get("RELI_BIN", ROOT / build / "debug" / "reli"))


class Services:
    """PostgreSQL and Redis by scripts/services.sh in a directory of their own, or somebody else's."""

    def __init__(self, folder=None):
        self.folder = folder
        if folder is not None:
            self.script("start")
        self.read()

    def script(self, what):
        subprocess.run([ROOT / "scripts/services.sh", what, self.folder], check=True, timeout=120,
                       stdin=subprocess.DEVNULL)

    def read(self):
        found = dict(os.environ)
        if self.folder is not None:
            for line in pathlib.Path(self.folder, "services.env").read_text().splitlines():
                name, _, value = line.partition("=")
                found[name] = value.strip("'")
        self.admin_url = found["DATABASE_ADMIN_URL"]
        self.redis_url = found["REDIS_URL"]
        # Socket directories of the workers, when this is a coordinator of Citus (scripts/citus.sh).
        self.workers = found.get("CITUS_WORKERS", "").split()
        # What replicas are told: with RELI_TEST_REDIS=off a port that nobody listens on.
        self.redis_for_replicas = "redis://127.0.0.1:1" if REDIS_OFF else self.redis_url

    def url(self, role, database, worker=None):
        """The same server (or a worker of it), another role and database."""
        address = f"host={worker}" if worker else self.admin_url.partition("?")[2]
        return f"postgresql://{role}@/{database}?{address}"

    def admin(self, statement, database="postgres", worker=None):
        c = psycopg2.connect(self.url("postgres", database, worker))
        try:
            c.autocommit = True
            with c.cursor() as cursor:
                for s in [statement] if isinstance(statement, str) else statement:
                    cursor.execute(s)
                return cursor.fetchall() if cursor.description else None
        finally:
            c.close()


    def everywhere(self, statement, database="postgres"):
        """On the workers, too: what is about whole databases is not handed on to them."""
        for worker in [None, *self.workers]:
            self.admin(statement, database, worker)

    def distribute(self, database):
        """Makes the database known to the workers, before it is migrated."""
        self.everywhere("create extension citus", database)
        socket = urllib.parse.unquote(self.admin_url.partition("host=")[2])
        self.admin([f"select citus_set_coordinator_host('{socket}', 5432)",
                    *(f"select citus_add_node('{worker}', 5432)" for worker in self.workers)], database)

    @contextlib.contextmanager
    def alone(self):
        """One run at a time: with a schema its roles are handed on to the workers, and those belong to the servers."""
        c = psycopg2.connect(self.url("postgres", "postgres"))
        try:
            c.cursor().execute("select pg_advisory_lock(1)")
            yield
        finally:
            c.close()

    def close(self, database):
        """To everybody, Citus's own processes too: a template must have no sessions."""
        self.everywhere([f"alter database {database} with allow_connections false",
                         f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}'"])


class Database:
    """A migrated database, for looking only."""

    def __init__(self, services, name):
        self.services, self.name = services, name
        self.service_url = services.url("reli_service", name)
        self.owner_url = services.url("reli_owner", name)
        self.conn = None

    def rows(self, statement, *params):
        if self.conn is None or self.conn.closed:
            self.conn = psycopg2.connect(self.owner_url, cursor_factory=psycopg2.extras.RealDictCursor)
            self.conn.autocommit = True
        with self.conn.cursor() as c:
            c.execute(statement, params)
            return [dict(r) for r in c.fetchall()] if c.description else None

    def one(self, statement, *params):
        (row,) = self.rows(statement, *params)
        return row

    def value(self, statement, *params):
        (value,) = self.one(statement, *params).values()
        return value

    def transfers(self, payment):
        """The ledger's transfers of a payment: (debit type, credit type, minor units, currency)."""
        return [(r["debit"], r["credit"], r["amount"], r["currency"]) for r in self.rows("""
            select d.type as debit, c.type as credit, t.amount, t.currency
            from reli.ledger_transfer t
            join reli.ledger_account d on d.merchant_id = t.merchant_id and d.id = t.debit_id
            join reli.ledger_account c on c.merchant_id = t.merchant_id and c.id = t.credit_id
            where t.payment_id = %s order by t.journal_id, t.step""", payment)]

    def events(self, payment):
        return self.rows("select seq, type from reli.event where subject_id = %s order by seq", payment)

    def due(self, now):
        """Jobs whose time has come, whoever holds them."""
        return self.rows("select kind, subject, n from reli.job where run_at <= to_timestamp(%s)", now)

    def close(self):
        if self.conn is not None:
            self.conn.close()
            self.conn = None


class Stack:
    """What one run of the tests shares."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.binary = binary()
        if not os.access(self.binary, os.X_OK):
            pytest.exit(f"{self.binary} is missing: make V=debug, or set RELI_BIN", 2)
        self.numbers = itertools.count(1)
        self.tag = f"sys{os.getpid()}"
        given = "DATABASE_ADMIN_URL" in os.environ and "REDIS_URL" in os.environ
        self.services = Services(None if given else str(self.folder / "services"))
        if not given:
            # The machine does not fail, only processes do: what the kernel has taken is safe.
            self.services.admin("alter system set fsync = off")
            self.services.admin("select pg_reload_conf()")
        self.sandbox, self.sandboxes = None, []
        self.leaving = []   # told to stop, not yet looked at
        self.databases = []  # (database, its processes)
        self.template = f"{self.tag}_template"
        self.services.everywhere(f"create database {self.template} owner reli_owner")
        template = Database(self.services, self.template)
        if self.services.workers:
            with self.services.alone():
                self.services.distribute(self.template)
                self.migrate(template)
                template.rows((ROOT / "sql/citus.sql").read_text())
            template.close()
            self.services.close(self.template)
        else:
            self.migrate(template)
        self.sandbox = self.new_sandbox()

    def migrate(self, database):
        done = self.cli(database, "migrate")
        assert done.returncode == 0, done.stderr

    def new_sandbox(self):
        port = helpers.free_port()
        log = self.folder / f"sandbox-{next(self.numbers)}.log"
        certificate = log.with_suffix(".pem")
        env = self.base_env() | {"RELI_SANDBOX_LISTEN": f"127.0.0.1:{port}",
                                 "SANDBOX_MPESA_CERTIFICATE_OUT": str(certificate)}
        sandbox = Sandbox(self.binary, env, log, port).ready()
        sandbox.certificate = certificate
        sandbox.reset()
        self.sandboxes.append(sandbox)
        return sandbox

    def base_env(self):
        env = {k: v for k, v in os.environ.items()
               if not k.startswith(("RELI_", "MPESA_", "CPAY_", "STRIPE_", "FIREBASE_", "DATABASE_", "REDIS_", "JWT_",
                                     "PG"))}
        env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0")
        env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        return env

    def env(self, database, **extra):
        """The environment of a program of the service; a value of None takes a variable away."""
        env = self.base_env() | {
            "DATABASE_URL": database.service_url,
            "DATABASE_MIGRATE_URL": database.owner_url,
            "REDIS_URL": self.services.redis_for_replicas,
            "RELI_MASTER_KEY": "1:" + base64.b64encode(b"reli-system-tests-master-key-32b").decode(),
            "JWT_SECRET_KEY": "jwt-secret-of-the-system-tests-0123456789",
            "RELI_PROVIDER_MODE": "test",
            "RELI_WEBHOOK_ALLOW_PRIVATE": "1",
            "RELI_DRAIN_TIMEOUT": "8s",
            "RELI_PG_READERS": "2",
            # One key asks for all that a test asks; test_limits.py has limits.
            "RELI_RATE_LIMIT": "0", "RELI_RATE_LIMIT_LOGIN": "0",
            "RELI_BREAKER_CALLS": "0",  # tests of failures one after the other are no sick provider
            "MPESA_CONSUMER_KEY": "sandbox_consumer_key",
            "MPESA_CONSUMER_SECRET": "sandbox_consumer_secret",
            "MPESA_SHORTCODE": "174379",
            "MPESA_PASSKEY": helpers.PASSKEY,
        }
        if self.services.workers:
            env["RELI_BATCH"] = "merchant"
        if self.sandbox is not None:
            env |= self.at_sandbox(self.sandbox)
        env.update({k: v for k, v in extra.items() if v is not None})
        return {k: v for k, v in env.items() if k not in extra or extra[k] is not None}

    @staticmethod
    def at_sandbox(sandbox):
        """What names this sandbox as the provider."""
        return {"MPESA_BASE_URL": sandbox.url + "/mpesa", "MPESA_INITIATOR_NAME": "testapi",
                "MPESA_INITIATOR_PASSWORD": "sandbox_initiator_password",
                "MPESA_CERTIFICATE": str(sandbox.certificate),
                "CPAY_BASE_URL": sandbox.url + "/cpay/v1",
                "CPAY_API_KEY": "cpk_sandbox:cps_cmVsaSBzYW5kYm94IENQYXkgZGVtbyBzZWNyZXQgMDE",
                "CPAY_WEBHOOK_SECRET": "cpw_sandbox_webhook_secret",
                "STRIPE_BASE_URL": sandbox.url + "/stripe",
                "STRIPE_API_KEY": "sk_test_reliSandbox",
                "STRIPE_WEBHOOK_SECRET": "whsec_reliSandbox",
                "FIREBASE_PROJECT_ID": "reli-demo", "FIREBASE_CERTS_URL": sandbox.url + "/firebase/certs"}

    def cli(self, database, *args, **extra):
        """Runs a command to its end."""
        return subprocess.run([self.binary, *args], env=self.env(database, **extra), text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=60 * helpers.SLOW)

    def database(self):
        self.look_after()
        name = f"{self.tag}_{next(self.numbers)}"
        self.services.everywhere([f"create database {name} template {self.template} owner reli_owner",
                                  # Rights on a database are not copied.
                                  f"grant connect on database {name} to reli_service"])
        database = Database(self.services, name)
        self.databases.append((database, []))
        return database

    def copy(self, database, name):
        """A second database that is as this one is now; nobody may be connected to it."""
        if self.services.workers:
            database.close()
            self.services.close(database.name)
        self.services.everywhere(f"create database {name} template {database.name} owner reli_owner")
        self.services.everywhere(f"alter database {database.name} with allow_connections true")
        return Database(self.services, name)

    def serve(self, database, port=None, clock=None, **extra):
        port = port or helpers.free_port()
        if clock is not None:
            extra["RELI_TEST_CLOCK"] = str(clock.path)
        extra.setdefault("RELI_LISTEN", f"127.0.0.1:{port}")
        extra.setdefault("RELI_PUBLIC_URL", f"http://127.0.0.1:{port}")
        log = self.folder / f"serve-{next(self.numbers)}.log"
        replica = Replica(self.binary, self.env(database, **extra), log, port, clock)
        replica.database = database
        for known, processes in self.databases:
            if known is database:
                processes.append(replica)
        return replica

    def shop(self, replica, country="KE", mode="test"):
        """A new merchant with a key: by staff where they have logged in, which costs no processes, or by commands."""
        if replica.staff is not None and mode == "test":
            shop = Shop(replica, *replica.staff.opens_shop(country))
            shop.stack = self
            return shop
        made = self.cli(replica.database, "merchant", "create", "--name", "A shop", "--country", country)
        assert made.returncode == 0, made.stderr
        words = dict(line.split("=", 1) for line in made.stdout.splitlines() if "=" in line)
        shop = Shop(replica, words["merchant_id"], words["webhook_secret"],
                    self.api_key(replica, words["merchant_id"], mode))
        shop.stack = self
        return shop

    def api_key(self, replica, merchant, mode="test", *more):
        if mode == "live":  # needs approved papers, which nobody can approve yet
            replica.database.rows("update reli.merchant set kyc_level = 1 where merchant_id = %s", merchant)
        made = self.cli(replica.database, "keys", "create", "--merchant", merchant, "--mode", mode, *more)
        assert made.returncode == 0, made.stderr
        words = dict(line.split("=", 1) for line in made.stdout.splitlines() if "=" in line)
        return words["api_key"]

    def leave(self, replica):
        """Tells a replica to stop; how it ended is looked at later, since a drain takes seconds."""
        if replica.clock is not None and replica in replica.clock.replicas:
            replica.clock.replicas.remove(replica)
        replica.term()
        self.leaving.append(replica)

    def look_after(self, to_the_end=False):
        """Those that have ended must have ended well; their databases go."""
        if to_the_end:
            for replica in self.leaving:
                replica.term()  # the second signal: no wait for load balancers
        for replica in list(self.leaving):
            if to_the_end:
                replica.wait()
            elif replica.running():
                continue
            self.leaving.remove(replica)
            self.check_end(replica)
        for database, processes in [] if to_the_end else list(self.databases):
            if processes and not any(p.running() or p in self.leaving for p in processes):
                database.close()
                self.services.everywhere(f"drop database if exists {database.name} with (force)")
                self.databases.remove((database, processes))

    def check_end(self, process):
        text = process.log.read_bytes()
        assert not SANITIZER.search(text), f"{process.log}:\n{process.tail(6000)}"
        if not process.killed:
            assert process.p.returncode == 0, f"ended with {process.p.returncode}:\n{process.tail()}"

    def close(self):
        try:
            self.look_after(to_the_end=True)
            for sandbox in self.sandboxes:
                if sandbox.running():
                    sandbox.term()
                    sandbox.wait()
                self.check_end(sandbox)
        finally:
            for _, processes in self.databases:
                for process in processes:
                    process.kill()
            for sandbox in self.sandboxes:
                sandbox.kill()
            for database, _ in self.databases:
                database.close()
            if self.services.folder is not None:
                self.services.script("reset")
            else:
                for name in [d.name for d, _ in self.databases] + [self.template]:
                    self.services.everywhere(f"drop database if exists {name} with (force)")


class Launcher:
    """Starts replicas for one test; they share a database of their own."""

    def __init__(self, stack, clock, sandbox=None):
        self.stack, self.clock = stack, clock
        self.sandbox = sandbox or stack.sandbox
        self._database = None
        self.replicas = []

    @property
    def database(self):
        if self._database is None:
            self._database = self.stack.database()
        return self._database

    def __call__(self, n=1, clock=True, ready=True, **extra):
        extra = self.stack.at_sandbox(self.sandbox) | extra
        started = [self.stack.serve(self.database, clock=self.clock if clock else None, **extra)
                   for _ in range(n)]
        self.replicas += started
        if ready:
            for r in started:
                r.ready()
        return started

    def one(self, **kw):
        return self(1, **kw)[0]

    def again(self, replica, **extra):
        """A new process in the place of one that has gone: same address, same environment."""
        env = {k: v for k, v in (replica.env | extra).items() if v is not None}
        new = Replica(replica.binary, env, self.stack.folder / f"serve-{next(self.stack.numbers)}.log",
                      replica.port, replica.clock)
        new.database = replica.database
        for known, processes in self.stack.databases:
            if known is replica.database:
                processes.append(new)
        self.replicas.append(new)
        return new.ready()

    def shop(self, replica=None, **kw):
        return self.stack.shop(replica or self.replicas[0], **kw)

    def settle(self):
        """Waits until no job is due by the test clock and the provider is asked nothing more."""
        seen = []

        def quiet():
            if self.database.due(self.clock.now()):
                seen.clear()
                return False
            seen.append(self.sandbox.get("/_sandbox/calls?limit=0").json["received"])
            return len(seen) >= 3 and seen[-1] == seen[-3]

        wait_until(quiet, what="no job is due", every=0.05)

    def close(self):
        for replica in self.replicas:
            if replica.running():
                self.stack.leave(replica)
            elif replica not in self.stack.leaving:
                self.stack.check_end(replica)

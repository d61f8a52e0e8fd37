"""Measures reli against what the same machine does without it, in one run. scripts/bench.sh starts it.

Every row prints: what was measured, what it is compared with, their ratio, the target. The load generators
and PostgreSQL share the cores with reli, as they share them with what reli is compared with.
"""

import argparse
import functools
import json
import os
import pathlib
import resource
import shutil
import statistics
import struct
import subprocess
import sys
import threading
import time
import uuid

import crowd
import deliveries
import peers
import report
import statement
from world import ROOT, Cpu, World, children, free_port, memory_kib, run

V1 = "/api/v1"
CASH = '{"provider":"cash","amount":"1000.00","currency":"KES","customer":{"phone":"+254711222333"}}'
STK = ('{"provider":"mpesa","amount":"1000.00","currency":"KES",'
       '"customer":{"phone":"+2547#####000"}}')
TAG = "bench-payment-"  # what Idempotency-Keys begin with


class Sizes:
    """How long and how many: the whole, and what a CI has time for."""

    def __init__(self, smoke):
        self.smoke = smoke
        self.seconds = 1 if smoke else 8
        self.pgbench_s = 2 if smoke else 8
        self.warm_s = 2 if smoke else 12
        self.paced_s = 2 if smoke else 10
        self.clients = (8, 16) if smoke else (4, 8, 16, 32)
        self.shops = 8 if smoke else 200
        self.payments = 10_000 if smoke else 100_000
        self.callbacks = 2000 if smoke else 40_000
        self.sockets = 5000 if smoke else 19_900
        self.crowd, self.slow_readers = (2000, 100) if smoke else (10_000, 500)
        self.turns = 1 if smoke else 3  # of what is compared by its p99: the median, since a stall of the disk is in one of them
        self.bursts = 3 if smoke else 10
        self.delivery_batches = 1 if smoke else 4
        self.webhook_rate, self.webhook_s = (40, 1) if smoke else (50, 6)


def rate(value):
    return f"{value:,.0f}/s"


def times(found):
    return f"p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms"


class Bench:
    def __init__(self, world, sizes):
        self.w, self.z = world, sizes
        version = world.db.value("show server_version").split()[0]
        self.out = report.Report(report.machine(version, f", load {os.getloadavg()[0]:.1f}"))
        self.merchant, self.key = world.shop()
        self.keys = self.file("key", self.key)

    def file(self, name, text):
        path = self.w.folder / name
        path.write_text(text + "\n")
        return path

    def create(self, server, body=CASH, key=None):
        """One payment, as an object; its Idempotency-Key is returned too."""
        word = TAG + uuid.uuid4().hex[:12]
        status, _, text = server.call("POST", f"{V1}/payments/initialize", body, key or self.key,
                                      {"Idempotency-Key": word})
        if status != 201:
            raise RuntimeError(f"create: {status} {text}")
        return json.loads(text), word

    def payments(self, server, connections, seconds, keys=None, body=CASH):
        tag = TAG + uuid.uuid4().hex[:4]
        return self.w.wrk(server, connections, seconds, "create", keys or self.keys, tag, body)

    # ---- start and memory ----

    def start_time(self):
        took = []
        for _ in range(3 if self.z.smoke else 7):
            port = free_port()
            began = time.monotonic()
            server = self.w.serve(port)
            took.append((time.monotonic() - began) * 1e3)
            self.w.stop(server)
        ms = statistics.median(took)
        self.out.row("exec to the first 200 of /readyz, ms", f"{ms:.0f}", "50", ms / 50, at_most=1)

    def idle_memory(self):
        anon, rss = memory_kib(self.reli.pid)
        self.out.row("RssAnon idle, MiB", f"{anon / 1024:.1f}", f"RSS {rss / 1024:.1f}", anon / 1024, at_most=12)

    # ---- payments ----

    def yardstick(self):
        payment, _ = self.create(self.reli)
        values = statement.create_values(self.w.db, payment["id"])
        sql = statement.text_of(ROOT / "sql/query/payment_create.sql")
        script, variables = statement.create_script(sql, values)
        before = self.w.db.value("select count(*) from reli.payment")
        found = {n: self.w.pgbench(script, n, self.z.pgbench_s, variables) for n in self.z.clients}
        made = self.w.db.value("select count(*) from reli.payment") - before
        self.pgbench = max(found.values())
        if made < 0.95 * self.pgbench * self.z.pgbench_s:
            raise RuntimeError(f"pgbench made {made} payments only")
        self.out.row("pgbench: payment_create, arrays of 1, one pipeline", rate(self.pgbench))
        self.out.note("clients: " + ", ".join(f"{n}: {v:,.0f}/s" for n, v in found.items()))

    def cash(self, connections, at_least):
        """Through HTTP; what it costs is looked at on the way."""
        before, lsn, n_before = self.reli.metrics(), self.lsn(), self.n_payments()
        cpu, pg = Cpu([self.reli.pid]), Cpu(self.w.postgres())
        peak = []
        watcher = threading.Timer(self.z.seconds * 0.9, lambda: peak.append(memory_kib(self.reli.pid)))
        watcher.start()
        found = self.payments(self.reli, connections, self.z.seconds)
        cpu, pg = cpu.seconds(), pg.seconds()
        watcher.join()
        after, n = self.reli.metrics(), self.n_payments() - n_before
        if not found["requests"] <= n <= found["requests"] + connections:
            raise RuntimeError(f"{found['requests']} answers, {n} payments")
        self.out.row(f"payments by cash, {connections} connections", rate(found["rate"]), rate(self.pgbench),
                     found["rate"] / self.pgbench, at_least)
        self.out.note(f"{times(found)}; CPU per payment: reli {cpu / n * 1e6:.0f} µs, PostgreSQL "
                      f"{pg / n * 1e6:.0f} µs, wrk {found['cpu_s'] / n * 1e6:.0f} µs")
        counted = {k: (after[f"reli_store_{k}_total"] - before[f"reli_store_{k}_total"]) / n
                   for k in ("commits", "statements")}
        counted["wal"] = (self.lsn() - lsn) / n
        return found | {"cpu_us": cpu / n * 1e6, "counted": counted, "memory": peak[0]}

    def lsn(self):
        return int(self.w.db.value("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))

    def n_payments(self):
        return self.w.db.value("select count(*) from reli.payment")

    def cash_rows(self):
        self.at_64 = self.cash(64, 1.5)
        self.at_256 = self.cash(256, 2.5)
        us = self.at_64["cpu_us"]
        self.out.row("reli's CPU per payment, 64 connections, µs", f"{us:.0f}", "30", us / 30, at_most=1)
        us = self.at_256["cpu_us"]
        self.out.row("reli's CPU per payment, 256 connections, µs", f"{us:.0f}", "30", us / 30, at_most=1)

    def counts(self):
        self.loaded_memory()
        c = self.at_256["counted"]
        self.out.row("commits per payment, 256 connections", f"{c['commits']:.3f}")
        self.out.row("statements per payment, 256 connections", f"{c['statements']:.3f}")
        self.out.row("WAL per payment, bytes", f"{c['wal']:,.0f}")
        self.system_calls()
        self.allocations()

    def allocations(self):
        """Of a process that counts what it asks malloc for."""
        path, library = self.w.folder / "allocations", self.w.tools / "allocations.so"
        reli = self.w.serve(LD_PRELOAD=str(library), BENCH_ALLOCATIONS=str(path))
        id_ = self.file("one-id", self.create(reli)[0]["id"])
        for name, load in (("payment", lambda s: self.payments(reli, 64, s)),
                           ("GET of a payment", lambda s: self.w.wrk(reli, 64, s, "get", self.key, id_))):
            load(1)
            before = struct.unpack("QQ", path.read_bytes())
            n = load(1 if self.z.smoke else 3)["requests"]
            times_, bytes_ = (b - a for a, b in zip(before, struct.unpack("QQ", path.read_bytes()), strict=True))
            self.out.row(f"allocations per {name}, 64 connections", f"{times_ / n:.1f}")
            self.out.note(f"{bytes_ / n:,.0f} bytes")
        self.w.stop(reli)

    def loaded_memory(self):
        """With 256 clients, after many payments by this very process."""
        anon, rss = self.at_256["memory"]
        done = int(self.reli.metrics()["reli_store_units_total"])
        while done < self.z.payments:
            more = self.cash_memory()
            anon, rss = more
            done = int(self.reli.metrics()["reli_store_units_total"])
        self.out.row(f"RssAnon, 256 clients, {done:,} payments, MiB", f"{anon / 1024:.1f}",
                     f"RSS {rss / 1024:.1f}", anon / 1024, at_most=32)

    def cash_memory(self):
        peak = []
        watcher = threading.Timer(self.z.seconds * 0.9, lambda: peak.append(memory_kib(self.reli.pid)))
        watcher.start()
        self.payments(self.reli, 256, self.z.seconds)
        watcher.join()
        return peak[0]

    def system_calls(self):
        """Counted while others load it: strace slows, but does not change what is called."""
        if shutil.which("strace") is None:
            self.out.note("no strace: system calls are not counted")
            return
        seconds = 1 if self.z.smoke else 3
        load = threading.Thread(target=self.payments, args=(self.reli, 64, seconds + 2))
        load.start()
        time.sleep(0.7)
        before = self.reli.metrics()["reli_store_units_total"]
        done = subprocess.run(["timeout", "-s", "INT", str(seconds), "strace", "-c", "-f", "-p", str(self.reli.pid)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        n = self.reli.metrics()["reli_store_units_total"] - before
        load.join()
        calls = {line.split()[-1]: int(line.split()[3]) for line in done.stderr.splitlines()
                 if len(line.split()) >= 5 and line.split()[3].isdigit()}
        total = calls.pop("total", 0)
        if total == 0 or n == 0:
            self.out.note("strace may not look: system calls are not counted")
            return
        often = sorted(calls.items(), key=lambda c: -c[1])[:6]
        self.out.row("system calls per payment, 64 connections", f"{total / n:.2f}")
        self.out.note(", ".join(f"{name} {k / n:.2f}" for name, k in often))

    def one_merchant(self):
        keys = "\n".join(self.w.shop()[1] for _ in range(self.z.shops))
        many = self.file("keys", keys)
        self.payments(self.reli, 256, 1, many)
        spread = self.payments(self.reli, 256, self.z.seconds, many)
        one = self.payments(self.reli, 256, self.z.seconds)
        self.out.row(f"one merchant, against spread over {self.z.shops}", rate(one["rate"]), rate(spread["rate"]),
                     one["rate"] / spread["rate"], 0.8)

    def replicas(self):
        one = self.payments(self.reli, 256, self.z.seconds)
        second = self.w.serve(self.reli.port)
        two = self.payments(self.reli, 256, self.z.seconds)
        self.w.stop(second)
        self.out.row("two replicas, against one", rate(two["rate"]), rate(one["rate"]),
                     two["rate"] / one["rate"], 0.9)

    # ---- reads ----

    def reads(self):
        made = [self.create(self.reli) for _ in range(100 if self.z.smoke else 1000)]
        ids = [p["id"] for p, _ in made]
        queries = [statement.text_of(ROOT / f"sql/query/{name}.sql") for name in ("payment_get", "audit_list")]
        script = statement.show_script(*queries, self.merchant, ids)
        reference = self.w.pgbench(script, 16, self.z.pgbench_s)
        self.out.row("pgbench: payment_get and audit_list, 16 clients", rate(reference))
        best = None
        for connections in (16, 64):
            cpu, pg = Cpu([self.reli.pid]), Cpu(self.w.postgres())
            found = self.w.wrk(self.reli, connections, self.z.seconds, "get", self.key,
                               self.file("ids", "\n".join(ids)))
            cpu, pg = cpu.seconds(), pg.seconds()
            self.out.row(f"GET of a payment, {connections} connections", rate(found["rate"]), rate(reference),
                         found["rate"] / reference, 0.6)
            self.out.note(f"{times(found)}; CPU each: reli {cpu / found['requests'] * 1e6:.0f} µs, PostgreSQL "
                          f"{pg / found['requests'] * 1e6:.0f} µs")
            best = found
        keys = self.file("replays", "\n".join(k for _, k in made))
        replay = self.w.wrk(self.reli, 64, self.z.seconds, "replay", self.key, keys, CASH)
        self.out.row("idempotent replay, against that GET, 64 connections", rate(replay["rate"]),
                     rate(best["rate"]), replay["rate"] / best["rate"], 0.9)
        self.out.note(times(replay))

    @functools.cached_property
    def nginx(self):
        """It answers as much as reli does to GET /health, with equal headers."""
        status, headers, body = self.reli.call("GET", "/health")
        dropped = {"date", "content-type", "content-length", "connection", "server", "x-request-id"}
        extra = [(k, v) for k, v in headers if k.lower() not in dropped] + [("X-Request-Id", "$request_id")]
        return self.w.nginx(body, extra)

    def health(self):
        """Per CPU-second: both wait for the same wrk."""
        per_s = []
        for server, pids in ((self.reli, [self.reli.pid]), (self.nginx, children(self.nginx.pid))):
            cpu = Cpu(pids)
            found = self.w.wrk(server, 64, self.z.seconds, "health")
            per_s.append(found["requests"] / cpu.seconds())
        self.out.row("GET /health per CPU-second, against nginx", rate(per_s[0]), rate(per_s[1]),
                     per_s[0] / per_s[1], 0.8)

    # ---- a provider in between ----

    def stk(self):
        sandbox = self.w.sandbox()
        sandbox.call("POST", "/_sandbox/chaos", '{"delay_ms": 20}')
        reli = self.w.serve(MPESA_BASE_URL=f"http://127.0.0.1:{sandbox.port}/mpesa")
        self.create(reli, STK.replace("#####", "00000"))
        self.payments(reli, 64, 0.5, body=STK)
        self.settled()
        count = "select count(*) from reli.payment where provider = 'mpesa' and status = 'completed'"
        before, cpu = self.w.db.value(count), [Cpu([p.pid]) for p in (reli, sandbox)]
        pg, began = Cpu(self.w.postgres()), time.monotonic()
        found = self.payments(reli, 64, self.z.seconds, body=STK)
        self.settled()
        took = time.monotonic() - began
        cpu = [c.seconds() for c in cpu]
        pg = pg.seconds()
        n = self.w.db.value(count) - before
        if n < found["requests"]:
            raise RuntimeError(f"{found['requests']} answers, {n} completed payments")
        self.out.row("STK payments completed, 64 connections", rate(n / took), rate(self.pgbench),
                     n / took / self.pgbench, 0.4)
        self.out.note(f"{times(found)}; CPU per payment: reli {cpu[0] / n * 1e6:.0f} µs, PostgreSQL "
                      f"{pg / n * 1e6:.0f} µs, sandbox {cpu[1] / n * 1e6:.0f} µs")
        us = cpu[0] / n * 1e6
        self.out.row("reli's CPU per STK payment, µs", f"{us:.0f}", "90", us / 90, at_most=1)
        self.w.stop(reli)
        self.w.stop(sandbox)

    def wait_for_none(self, count, seconds=60):
        end = time.monotonic() + seconds
        while (n := self.w.db.value(count)) > 0:
            if time.monotonic() > end:
                raise RuntimeError(f"{n} left: {count}")
            time.sleep(0.05)

    def settled(self):
        """Until no payment waits for its callback."""
        self.wait_for_none("select count(*) from reli.payment where provider = 'mpesa' and status in "
                           "('pending', 'processing')")

    def callbacks(self):
        """The pushes go to nginx, which writes down the callback URLs and calls nobody. Customers answer within
        seconds: by the time that all these are there, polls would have begun, and be measured as well."""
        reli = self.w.serve(MPESA_BASE_URL=f"http://127.0.0.1:{self.nginx.push_port}",
                            RELI_PROVIDER_TIMEOUT="30s", RELI_POLL_SCHEDULE="1h")
        log, made = self.w.folder / "pushes.log", 0
        while made < self.z.callbacks:
            made += self.payments(reli, 64, 2, body=STK)["requests"]
        end = time.monotonic() + 10
        pushed = "select id from reli.payment where status = 'processing'"
        while log.read_bytes().count(b"\n") != len(open_ := self.w.db.rows(pushed)):
            if time.monotonic() > end:
                raise RuntimeError(f"{len(open_)} pushes were not all written down")
            time.sleep(0.1)
        lines = []
        for line in log.read_text().splitlines():
            push, _, body = line.partition(" ")
            push, sent = f"ws_{push}", json.loads(body)
            said = {"Body": {"stkCallback": {
                "MerchantRequestID": "1", "CheckoutRequestID": push, "ResultCode": 0,
                "ResultDesc": "The service request is processed successfully.",
                "CallbackMetadata": {"Item": [
                    {"Name": "Amount", "Value": 1000.00},
                    {"Name": "MpesaReceiptNumber", "Value": "B" + push[-9:].upper()},
                    {"Name": "Balance"},
                    {"Name": "TransactionDate", "Value": 20261121073000},
                    {"Name": "PhoneNumber", "Value": int(sent["PhoneNumber"])}]}}}}
            path = "/" + sent["CallBackURL"].split("/", 3)[3]
            lines.append(f"{path} {json.dumps(said, separators=(',', ':'))}")
        cpu = Cpu([reli.pid])
        found = self.w.wrk(reli, 64, self.z.seconds, "callback", self.file("callbacks", "\n".join(lines)))
        stopped = time.monotonic()
        self.wait_for_none("select count(*) from reli.provider_event where state = 'received'")
        cpu, later = cpu.seconds(), time.monotonic() - stopped
        # By the times of receipt: wrk goes on waiting when it has no more lines.
        kept = self.w.db.one("select count(*) as n, extract(epoch from max(created_at) - min(created_at))::float8 "
                             "as seconds from reli.provider_event where payment_id = any(%s::uuid[])",
                             [row["id"] for row in open_])
        per_s = kept["n"] / kept["seconds"]
        self.out.row("callbacks acknowledged, against payments by cash", rate(per_s), rate(self.at_64["rate"]),
                     per_s / self.at_64["rate"], 1.5)
        self.out.note(f"{kept['n']:,} callbacks, {times(found)}; reli's CPU each, processing included, "
                      f"{cpu / kept['n'] * 1e6:.0f} µs; all processed {later:.1f} s after the end at most")
        self.w.stop(reli)

    # ---- open loop ----

    def request(self, key, tag, body=CASH):
        """A file with the request of a payment, for pace."""
        path = self.w.folder / f"request-{tag}"
        path.write_text(f"POST {V1}/payments/initialize HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n"
                        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                        f"Idempotency-Key: {TAG}{tag}################\r\n\r\n{body}", newline="")
        return path

    def open_loop(self):
        path = self.request(self.key, "")
        top = self.at_256["rate"]
        for per_s in (1000, 0.8 * top):
            found = self.w.pace(self.reli, 256, f"{per_s:.0f}", self.z.paced_s, path)
            p50, p99 = found["p50_ms"], found["p99_ms"]
            name = f"open loop at {per_s:,.0f}/s"
            self.out.row(f"{name}: p99 against p50, ms", f"{p99:.2f}", f"{p50:.2f}", p99 / p50, at_most=4)
            if per_s == 1000:
                self.out.row(f"{name}: p99, ms", f"{p99:.2f}", "10", p99 / 10, at_most=1)
            self.out.note(f"p99.9 {found['p999_ms']:.1f} ms, longest {found['max_ms']:.1f} ms, "
                          f"{found['rate']:,.0f}/s answered")

    # ---- WebSockets ----

    def sockets(self):
        reli = self.w.serve()
        per_payment = 1000
        places = (self.w.max_files - 64 - min(self.w.max_files // 8, 4096)) * 3 // 4  # core/files.c
        n = min(self.z.sockets, places) // per_payment * per_payment
        made = [self.create(reli)[0] for _ in range(n // per_payment)]
        paths = [f"/ws/transaction/{p['id']}?after=2&ticket={p['client_token']}" for p in made]
        file = self.file("watchers", "\n".join(p for p in paths for _ in range(per_payment)))
        anon, _ = memory_kib(reli.pid)
        watch = subprocess.Popen([self.w.tools / "watch", "hold", "127.0.0.1", str(reli.port), file], text=True,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            if watch.stdout.readline() != f"open {n}\n":
                raise RuntimeError("the WebSockets did not open")
            each = (memory_kib(reli.pid)[0] - anon) / n
            self.out.row(f"memory per idle WebSocket, {n:,} of them, KiB", f"{each:.2f}", "1", each, at_most=1)
            frames = bytes_ = us = 0
            cpu = Cpu([reli.pid])
            for payment in made[:self.z.bursts]:
                watch.stdin.write(f"wait {per_payment}\n")
                watch.stdin.flush()
                if watch.stdout.readline() != "ready\n":
                    raise RuntimeError("watch ended")
                status, _, text = reli.call("POST", f"{V1}/payments/{payment['id']}/confirm", "", self.key)
                if status != 200:
                    raise RuntimeError(f"confirm: {status} {text}")
                found = [int(word) for word in watch.stdout.readline().split()]
                frames, bytes_, us = frames + found[0], bytes_ + found[1], us + found[2]
            cpu = cpu.seconds()
        finally:
            watch.stdin.close()
            watch.wait(10)
        # As many sockets, of which one thousand after the other has its turn.
        ceiling = [int(word) for word in run(self.w.tools / "watch", "ceiling", per_payment, bytes_ // frames,
                                             self.z.bursts, len(made)).split()]
        ours, theirs = frames / us * 1e6, ceiling[0] / ceiling[2] * 1e6
        self.out.row(f"WebSocket fan-out to {per_payment:,}, against write()", rate(ours), rate(theirs),
                     ours / theirs, 0.8)
        # What does not depend on who else wants the cores within those few milliseconds.
        self.out.note(f"CPU per frame: reli {cpu / frames * 1e6:.1f} µs, the request that makes them included; "
                      f"write() {ceiling[3] / ceiling[0]:.1f} µs")
        self.w.stop(reli)

    # ---- all of it ----

    def groups(self):
        """What there is to measure, in this order. The first is needed by the others."""
        return {"cash": self.cash_rows, "counts": self.counts, "peers": lambda: peers.rows(self),
                "merchants": self.one_merchant, "replicas": self.replicas, "reads": self.reads,
                "health": self.health, "open_loop": self.open_loop, "stk": self.stk,
                "callbacks": self.callbacks, "deliveries": lambda: deliveries.rows(self),
                "sockets": self.sockets, "crowd": lambda: crowd.rows(self)}

    def run(self, only):
        began = time.monotonic()
        self.out.head()
        self.start_time()
        self.reli = self.w.serve()
        self.idle_memory()
        self.payments(self.reli, 64, self.z.warm_s)  # log files exist, caches are warm
        self.yardstick()
        for name, measure in self.groups().items():
            if not only or name == "cash" or name in only:
                measure()
        self.out.say(f"{self.out.sum()}, in {time.monotonic() - began:.0f} s")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("tools", type=pathlib.Path)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--only", default="", help="groups of rows, by commas; all of them if none is named")
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    world = World(args.folder, args.binary.resolve(), args.tools)
    try:
        bench = Bench(world, Sizes(args.smoke))
        bench.run(set(filter(None, args.only.split(","))))
        bench.out.save(args.tools / "rows.json")
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())

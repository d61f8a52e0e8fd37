"""Payments per second with many rows in the tables against few, and the plans of what was run.

Two services of their own, one with ten thousand payments, one with N, are measured in turn, so that what
else the machine does falls on both. scripts/bench.sh --growth N starts it.
"""

import argparse
import json
import pathlib
import resource
import statistics
import time

import bench
import deliveries
import load
import plans
import report
from world import World

FEW = 10_000


def real_payment(b, shop, receiver):
    """One that has been through everything: its id."""
    sandbox = b.w.sandbox()
    reli = b.w.serve(MPESA_BASE_URL=f"http://127.0.0.1:{sandbox.port}/mpesa")
    deliveries.add_endpoints(reli, shop[1], [receiver.url(1, "talk")])  # what it says is kept
    payment, _ = b.create(reli, bench.STK.replace("#####", "00000"), shop[1])
    b.settled()
    count = "select count(*) as n from reli.{} where merchant_id = %s and status {} 'delivered'"
    deliveries.wait_until(lambda: b.w.db.value(count.format("webhook_delivery", "="), shop[0]) > 0
                          and b.w.db.value(count.format("webhook_delivery", "<>"), shop[0]) == 0, "its webhook")
    deliveries.wait_until(lambda: b.w.db.value("select count(*) from reli.log_new") == 0, "its place in the log")
    b.w.stop(reli)
    b.w.stop(sandbox)
    return payment["id"]


class Side:
    """A database with `n` payments, and what is measured there."""

    def __init__(self, args, name, n):
        self.n, self.rates, self.counted = n, [], []
        self.w = World(args.folder / name, args.binary.resolve(), args.tools)
        self.b = bench.Bench(self.w, bench.Sizes(args.smoke))
        self.receiver = self.w.start(deliveries.Receiver(self.w))
        template = self.w.shop()
        payment = real_payment(self.b, template, self.receiver)
        self.shops = [self.w.shop() for _ in range(load.SHOPS)]
        began = time.monotonic()
        load.Loader(self.w, [m for m, _ in self.shops], template[0], payment).run(n)
        self.loaded_s = time.monotonic() - began
        self.w.db.rows("vacuum analyze")
        self.size = self.w.db.value("select pg_database_size(current_database())")
        self.keys = self.b.file("shops", "\n".join(key for _, key in self.shops))
        self.admin = self.w.admin()

    def start(self):
        self.reli = self.w.serve()
        self.b.payments(self.reli, 64, 2, self.keys)

    def wal(self):
        return self.w.db.one("select wal_fpi as images, wal_bytes as bytes from pg_stat_wal")

    def measure(self, seconds):
        """Right after a checkpoint, when each page that is touched is written whole."""
        self.admin.rows("checkpoint")
        before, n = self.wal(), self.b.n_payments()
        found = self.b.payments(self.reli, 256, seconds, self.keys)
        time.sleep(1.2)  # backends tell their counts once a second
        after, n = self.wal(), self.b.n_payments() - n
        self.rates.append(found["rate"])
        self.counted.append({k: float(after[k] - before[k]) / n for k in after})

    def counts(self, what):
        return statistics.mean(c[what] for c in self.counted)


def measure(args, sides):
    few, many = sides
    out = report.Report(report.machine(few.w.db.value("show server_version").split()[0],
                                       f", {many.n:,} payments, {many.size / 1e9:.1f} GB"))
    out.head()
    out.note(f"{many.n:,} payments loaded in {many.loaded_s:.0f} s, {many.size / many.n / 1e3:.1f} kB each")
    for side in sides:
        side.start()
    for _ in range(2 if args.smoke else 4):
        for side in sides:
            side.measure(args.seconds)
    ratio = statistics.median(m / f for f, m in zip(few.rates, many.rates, strict=True))
    out.row(f"payments by cash with {many.n:,} rows, against {few.n:,}", f"{statistics.median(many.rates):,.0f}/s",
            f"{statistics.median(few.rates):,.0f}/s", ratio, at_least=0.9)
    out.note("in turn: " + ", ".join(f"{m:,.0f} against {f:,.0f}" for f, m in zip(few.rates, many.rates, strict=True)))
    images, size = many.counts("images"), many.counts("bytes") / 1000
    out.row("page images per payment at that size", f"{images:.2f}", f"{few.counts('images'):.2f}", images / 0.3,
            at_most=1)
    out.row("WAL per payment at that size, kB", f"{size:.1f}", f"{few.counts('bytes') / 1000:.1f}", size / 8, at_most=1)
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("tools", type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--smoke", action="store_true")
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    n = max(FEW, args.rows // (load.SHOPS * load.GROUP) * load.SHOPS * load.GROUP)
    sides = []
    try:
        for name, rows in (("few", FEW), ("many", n)):
            sides.append(Side(args, name, rows))
        out = measure(args, sides)
        bad = plans.check(sides[1], out)
        out.save(args.tools / "growth.json")
        out.say(out.sum())
    finally:
        for side in sides:
            side.w.close()
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Webhooks: how many leave, against libcurl alone; and whether endpoints that are ill slow those that are well."""

import concurrent.futures
import json
import statistics
import time

from world import Cpu, Process, run

V1 = "/api/v1"
HOSTS = 16      # endpoints of a merchant, each with a host of its own; more are not allowed
SHOPS = 4
AT_ONCE = SHOPS * HOSTS * 4  # as many as core/domain/lane.h lets leave
EACH = 60       # payments per shop and batch: what the lanes of its endpoints hold
ILL = ("dead", "slow", "half")


class Receiver(Process):
    """The endpoints."""

    def __init__(self, world):
        super().__init__([world.tools / "receiver", HOSTS], world.log("receiver"))
        end = time.monotonic() + 10
        while not self.tail().startswith("port "):
            if time.monotonic() > end or self.p.poll() is not None:
                raise RuntimeError("the receiver did not start")
            time.sleep(0.01)
        self.port = int(self.tail().split()[1])

    def url(self, host, path="well"):
        return f"http://127.0.0.{host}:{self.port}/{path}"


def add_endpoints(reli, key, urls):
    """Their ids."""
    ids = []
    for url in urls:
        status, _, text = reli.call("POST", f"{V1}/webhook-endpoints",
                                    json.dumps({"url": url, "events": ["payment.initiated"]}), key)
        if status != 201:
            raise RuntimeError(f"endpoint: {status} {text}")
        ids.append(json.loads(text)["id"])
    return ids


def wait_until(met, what, seconds=90):
    end = time.monotonic() + seconds
    while not met():
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def delivered(b, endpoints):
    """How many have arrived, and when the last one was recorded."""
    return b.w.db.one("select count(*) as n, extract(epoch from max(updated_at))::float8 as last from "
                      "reli.webhook_delivery where endpoint_id = any(%s::uuid[]) and status = 'delivered'", endpoints)


def pay(b, reli, shops, tag):
    """EACH payments of each, all shops at the same time: webhooks wait for nobody who makes payments."""
    with concurrent.futures.ThreadPoolExecutor(len(shops)) as pool:
        paced = [pool.submit(b.w.pace, reli, EACH, EACH * 100, 0.01, b.request(key, f"{tag}{i}-"))
                 for i, key in enumerate(shops)]
        return sum(p.result()["requests"] for p in paced)


def is_idle(b):
    """Asked of the jobs: few rows, so that asking takes nothing from what is measured."""
    return b.w.db.value("select not exists (select from reli.job where kind in ('fanout', 'delivery'))")


def throughput(b, receiver):
    reli = b.w.serve()
    shops = [b.w.shop()[1] for _ in range(SHOPS)]
    urls = [receiver.url(host) for host in range(1, HOSTS + 1)]
    endpoints = [i for key in shops for i in add_endpoints(reli, key, urls)]
    n, took, cpu_s = 0, 0.0, 0.0
    for batch in range(1 + b.z.delivery_batches):
        if batch == 1:
            n, took, cpu_s = 0, 0.0, 0.0  # connections are open now, caches warm
        before = delivered(b, endpoints)["n"]
        cpu, began = Cpu([reli.pid]), time.time()
        made = pay(b, reli, shops, f"batch-{batch}-")
        want = before + made * HOSTS
        wait_until(lambda: is_idle(b), f"{want} deliveries")
        cpu_s += cpu.seconds()
        found = delivered(b, endpoints)
        if found["n"] != want:
            raise RuntimeError(f"{found['n']} delivered, not {want}")
        took += found["last"] - began
        n += want - before
    put_off = reli.metrics().get("reli_deliveries_put_off_total", 0)
    b.w.stop(reli)
    count = run("curl", "-sS", receiver.url(1, "count")).split()
    size = int(count[1]) // int(count[0])
    bare = json.loads(run(b.w.tools / "courier", n, AT_ONCE, size, *urls))
    if bare["status"] > 0:
        raise RuntimeError(f"courier: {bare}")
    ours, theirs = n / took, bare["requests"] / bare["seconds"]
    b.out.row("webhooks out, signed and recorded, against libcurl", f"{ours:,.0f}/s", f"{theirs:,.0f}/s",
              ours / theirs, 0.5)
    b.out.note(f"{n:,} of {size:,} bytes, {AT_ONCE} at once to {HOSTS} hosts; {put_off:,.0f} put off; libcurl alone "
               f"takes {bare['cpu_s'] / n * 1e6:.0f} µs of CPU each")
    us = cpu_s / n * 1e6
    b.out.row("reli's CPU per webhook, µs", f"{us:.0f}", "60", us / 60, at_most=1)


def what_waits(b, endpoints):
    """Of what has not arrived: how many, in which state, why, and the jobs that are to bring it."""
    return b.w.db.rows(
        "select array_position(%s::uuid[], d.endpoint_id) as place, d.status, d.tries, d.last_error, count(*) as n, "
        "count(j.subject) as jobs, min(j.run_at - now())::text as due, max(j.lease_until - now())::text as lease "
        "from reli.webhook_delivery d left join reli.job j on j.merchant_id = d.merchant_id and j.subject = d.id "
        "where d.endpoint_id = any(%s::uuid[]) and d.status <> 'delivered' group by 1, 2, 3, 4 order by 1, 2, 3",
        endpoints, endpoints)


def waited(b, reli, receiver, paths, tag):
    """p50 and p99 in ms from the event to its arrival at the first seven; all that answer get everything."""
    _, key = b.w.shop()
    ids = add_endpoints(reli, key, [receiver.url(i + 1, path) for i, path in enumerate(paths)])
    n = b.w.pace(reli, 8, b.z.webhook_rate, b.z.webhook_s, b.request(key, tag))["requests"]
    unwaited = ("dead", "half") if b.z.smoke else ("dead",)  # what is refused comes again, which takes its time
    answering = [i for i, path in zip(ids, paths, strict=True) if path not in unwaited]
    try:
        wait_until(lambda: delivered(b, answering)["n"] == n * len(answering), "all that answer get everything")
    except RuntimeError as e:
        raise RuntimeError(f"{e}: {what_waits(b, answering)}") from None
    found = b.w.db.one(
        "select percentile_cont(array[0.5, 0.99]) within group (order by extract(epoch from d.updated_at - e.created_at)) "
        "as p, max(d.tries) as tries from reli.webhook_delivery d join reli.event e on e.merchant_id = d.merchant_id and "
        "e.subject_id = d.payment_id and e.seq = d.seq where d.endpoint_id = any(%s::uuid[])", ids[:7])
    if found["tries"] != 1:
        raise RuntimeError("an endpoint that is well was asked twice")
    return [s * 1e3 for s in found["p"]], n


def isolation(b, receiver):
    reli = b.w.serve()
    waited(b, reli, receiver, ["well"] * 10, "warm-")
    well, ill, n = [], [], 0
    for turn in range(b.z.turns):
        well.append(waited(b, reli, receiver, ["well"] * 10, f"well-{turn}-")[0])
        found, made = waited(b, reli, receiver, ["well"] * 7 + list(ILL), f"ill-{turn}-")
        ill.append(found)
        n += made
    (p50, p99), (ill50, ill99) = (map(statistics.median, zip(*found, strict=True)) for found in (well, ill))
    b.out.row("one of 10 endpoints dead, slow, half: p99 of others, ms", f"{ill99:.1f}", f"{p99:.1f}", ill99 / p99,
              at_most=1.25)
    b.out.note(f"p50 {ill50:.1f} ms, against {p50:.1f} ms with ten that are well; {n} payments at {b.z.webhook_rate}/s; "
               + ("the slow one got all" if b.z.smoke else "the slow one and the half one got all in the end"))
    b.w.stop(receiver)  # first: nothing that is on its way to the dead one is waited for
    b.w.stop(reli)


def rows(b):
    receiver = b.w.start(Receiver(b.w))
    throughput(b, receiver)
    isolation(b, receiver)

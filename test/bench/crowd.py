"""Thousands of WebSockets that wait, and hundreds that read too slowly, while payments go on."""

import json
import statistics
import subprocess
import threading

PER_PAYMENT = 1000
EVENTS_PER_S = 10  # payments of the customer whom the slow ones watch; each is two events
WATCHED = "watched"


class Crowd:
    """Opens all of them; closes them at the end, and then has what became of the slow ones."""

    def __init__(self, b, reli, idle, slow, n):
        self.watch = subprocess.Popen([b.w.tools / "watch", "crowd", "127.0.0.1", str(reli.port), idle, slow], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.watch.stdout.readline() != f"open {n} {b.z.slow_readers}\n":
            raise RuntimeError("the crowd did not get in")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.watch.stdin.close()
        self.cut, self.read = map(int, (self.watch.stdout.readline() or "0 0").split())
        self.watch.wait(10)


def median(found, what):
    return statistics.median(f[what] for f in found)


def rows(b):
    """p99 of payments at half of what is possible, without the crowd and beside it, by turns."""
    reli = b.w.serve()
    per_s = f"{b.at_256['rate'] / 2:.0f}"
    b.w.pace(reli, 64, per_s, 1, b.request(b.key, "crowd-warm-"))
    n = b.z.crowd // PER_PAYMENT * PER_PAYMENT
    watched = json.dumps({"provider": "cash", "amount": "1000.00", "currency": "KES",
                          "customer": {"id": WATCHED, "phone": "+254711222333"}})
    b.create(reli, watched)
    made = [b.create(reli)[0] for _ in range(n // PER_PAYMENT)]
    idle = b.file("idle", "\n".join(f"/ws/transaction/{p['id']}?after=2&ticket={p['client_token']}"
                                    for p in made for _ in range(PER_PAYMENT)))
    slow = b.file("slow", "\n".join([f"/ws/user/{WATCHED} {b.key}"] * b.z.slow_readers))
    alone, crowded, cut, read = [], [], 0, 0
    for turn in range(b.z.turns):
        alone.append(b.w.pace(reli, 64, per_s, b.z.paced_s, b.request(b.key, f"crowd-alone-{turn}-")))
        with Crowd(b, reli, idle, slow, n) as crowd:
            events = b.request(b.key, f"crowd-watched-{turn}-", watched)
            beside = threading.Thread(target=b.w.pace, args=(reli, 4, EVENTS_PER_S, b.z.paced_s + 1, events))
            beside.start()
            crowded.append(b.w.pace(reli, 64, per_s, b.z.paced_s, b.request(b.key, f"crowd-{turn}-")))
            beside.join()
        cut, read = cut + crowd.cut, read + crowd.read
    beside99, alone99 = median(crowded, "p99_ms"), median(alone, "p99_ms")
    b.out.row(f"payments beside {n:,} idle, {b.z.slow_readers} slow sockets: p99, ms", f"{beside99:.1f}",
              f"{alone99:.1f}", beside99 / alone99, at_most=1.25)
    b.out.note(f"at {per_s}/s, half of the most; p50 {median(crowded, 'p50_ms'):.1f} ms, alone {median(alone, 'p50_ms'):.1f} ms; "
               f"the slow ones were sent {2 * EVENTS_PER_S} events a second each and have read {read:,} bytes; {cut} of them "
               "were cut off")
    b.w.stop(reli)

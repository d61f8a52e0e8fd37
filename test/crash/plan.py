"""What will go wrong, and when: a function of the seed, so that a seed repeats its plan.

What the plan meets is not repeated: which request is on a wire at that moment is the scheduler's choice.
"""

import hashlib
import json
import random

# Mean number of chunks between two faults of a connection, by kind of link.
GAPS = {"client": 30, "provider": 30, "callback": 20, "postgres": 200, "redis": 30, "receiver": 30}
FAULTS = {
    "stall": 3, "stall_reply": 3,                # late
    "lost_request": 3, "half_request": 1,        # never arrived
    "lost_reply": 5, "half_reply": 2,            # arrived, and nobody knows
}
STALL_S = (0.05, 1.5)


def faults(seed, link, kind, number):
    """(chunks from here, fault, seconds of a stall) of one connection, for ever."""
    dice = random.Random(f"{seed}/{link}/{number}")
    names, weights = list(FAULTS), list(FAULTS.values())
    while True:
        (fault,) = dice.choices(names, weights)
        yield 1 + int(dice.expovariate(1 / GAPS[kind])), fault, dice.uniform(*STALL_S)


def processes(seed, seconds):
    """[at, deed, *words], in order: what becomes of the processes during `seconds` of load.

    Everything that the suite promises happens at least once in each run; when, for how long and
    beside what else is the seed's choice."""
    dice = random.Random(f"{seed}/processes")
    deeds = []

    def at(first=0.05, last=0.9):
        return seconds * dice.uniform(first, last)

    def crash_point():
        """A restarted replica dies again by itself at the n-th visit of a point, half of the time."""
        return [dice.random(), dice.randint(1, 40)] if dice.random() < 0.5 else None

    for replica in ("a", "b"):
        for _ in range(2):
            t = at()
            deeds.append([t, "kill", replica])
            deeds.append([t + dice.uniform(0.1, 1.2), "start", replica, crash_point()])
        t = at()
        deeds.append([t, "stop", replica])
        deeds.append([t + dice.uniform(0.2, 1.5), "continue", replica])
    # One that sleeps while its leases run out and the other takes over, then goes on as if nothing was.
    sleeper, t = dice.choice("ab"), at(0.2, 0.8)
    deeds.append([t, "stop", sleeper])
    deeds.append([t + 0.1, "clock", 70])
    deeds.append([t + 0.1 + dice.uniform(0.8, 2.0), "continue", sleeper])
    t = at()
    deeds.append([t, "stop", "sandbox"])
    deeds.append([t + dice.uniform(0.3, 1.5), "continue", "sandbox"])
    t = at(0.1, 0.8)
    deeds.append([t, "postgres stop"])
    deeds.append([t + dice.uniform(0.2, 1.5), "services start"])
    t = at(0.1, 0.8)
    deeds.append([t, "redis kill"])
    deeds.append([t + dice.uniform(0.2, 1.5), "services start"])
    for _ in range(2):
        deeds.append([at(), "redis flush"])
    return sorted(deeds, key=lambda d: d[0])


def first_clock(seed, now, seconds):
    """The test clock's first offset: one run in three crosses a period of idempotency keys under load."""
    dice = random.Random(f"{seed}/clock")
    if dice.randrange(3) != 0:
        return 0
    return int(86400 - now % 86400 - 8 - seconds * dice.uniform(0.2, 0.8))


def summary(seed, seconds):
    """A hash of the whole plan: equal for equal seeds."""
    text = json.dumps([processes(seed, seconds), [[next(faults(seed, link, kind, n)) for n in range(1, 50)]
                                                  for link, kind in sorted((k, k) for k in GAPS)]])
    return hashlib.sha256(text.encode()).hexdigest()[:16]

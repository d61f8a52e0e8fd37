"""Mutants: reli is broken in many small ways, one at a time, and each must be noticed by the tests that mutants.txt
names for it, cheapest first.

    run.py [--build DIR] [N | NAME…]
    run.py --check

N takes that many at random (seed printed, SEED=… repeats it) of those that need no services; names are whole or parts.
--check compiles nothing, and only looks whether all that the table names is there.

The tree is copied first, so nobody's files change; of a mutant only its own file is compiled, and linked before the
library of the unbroken rest. A text that does not occur exactly once, a mutant that does not compile, a killer that
fails without a mutant, and a survivor are failures. The last line is "N passed, N failed".
"""

import argparse
import concurrent.futures
import os
import pathlib
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = pathlib.Path(__file__).with_name("mutants.txt")
# A killer that has not ended by then has noticed: a mutant may well loop for ever.
TIMEOUT = {"unit": 120, "store": 90, "sim": 180, "system": 240}
# In a quick run these go first: seconds less, and the search itself is a layer of its own.
QUICKER = {"domain/payment_search_test": ["domain/payment_rows_test", "domain/payment_test"],
           "domain/refund_search_test": ["domain/refund_test"]}
CLEAN = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")


class Mutant:
    def __init__(self, name, kind, file, killers):
        self.name, self.kind, self.file, self.killers = name, kind, file, killers
        self.text, self.instead = [], []

    def needs_services(self):
        return any(layer(k) != "unit" for k in self.killers)


def layer(killer):
    if killer == "sim":
        return "sim"
    if killer.startswith("system/"):
        return "system"
    return "store" if killer.endswith("_pgtest") else "unit"


def fail(words):
    print(words, flush=True)
    print("0 passed, 1 failed")
    sys.exit(1)


def read_table():
    """@ name | class | file | killers, then the exact text as lines of "-", and what replaces it as lines of "+"."""
    mutants = []
    for number, line in enumerate(TABLE.read_text().splitlines(), 1):
        if line.startswith("@ "):
            parts = [p.strip() for p in line[2:].split(" | ")]
            if len(parts) != 4:
                fail(f"mutants.txt:{number}: not name | class | file | killers")
            mutants.append(Mutant(*parts[:3], parts[3].split()))
        elif line[:2] in ("- ", "-"):
            mutants[-1].text.append(line[2:])
        elif line[:2] in ("+ ", "+"):
            mutants[-1].instead.append(line[2:])
        elif line and not line.startswith("#"):
            fail(f"mutants.txt:{number}: {line!r}")
    names = [m.name for m in mutants]
    if len(set(names)) != len(names):
        fail("mutants.txt: two mutants have one name")
    return mutants


def broken(root, m):
    """The mutant's source."""
    path, old = root / m.file, "\n".join(m.text)
    text = path.read_text() if path.is_file() else ""
    if text.count(old) != 1:
        raise ValueError(f"the text occurs {text.count(old)} times in {m.file}")
    return text.replace(old, "\n".join(m.instead))


def is_there(killer):
    if killer == "sim":
        return True
    name, _, function = killer.partition("::")
    path = ROOT / "test" / (name if layer(killer) == "system" else f"{name}.c")
    return path.is_file() and (not function or f"def {function.partition('[')[0]}(" in path.read_text())


def check(mutants):
    failed = 0
    for m in mutants:
        faults = [f"there is no {k}" for k in m.killers if not is_there(k)]
        try:
            broken(ROOT, m)
        except ValueError as e:
            faults.append(str(e))
        for fault in faults:
            print(f"  FAIL  {m.kind}: {m.name} ({fault})")
        failed += bool(faults)
    print(f"{len(mutants) - failed} passed, {failed} failed")
    return 1 if failed else 0


def run(args, timeout=600, **kw):
    """(exit code, what it said); a negative code is a signal, None a time-out."""
    with tempfile.TemporaryFile() as out:
        p = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                             start_new_session=True, **kw)
        try:
            code = p.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, 9)
            p.wait()
            code = None
        out.seek(0)
        return code, out.read().decode(errors="replace")


class Copy:
    """The tree as it is now, built once."""

    def __init__(self, folder, build):
        self.folder, self.root = folder, folder / "tree"
        self.lock = threading.Lock()  # around what is done inside the copy itself
        names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True,
                               capture_output=True, text=True).stdout.split("\0")
        for name in filter(None, names):
            if (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)
        # What is built already need not be built again: same relative paths, same times.
        for part in ("vendor", "gen", "debug"):
            if (build / part).is_dir() and (part == "vendor" or build == ROOT / "build"):
                shutil.copytree(build / part, self.root / "build" / part, symlinks=True)
        self.env = {k: v for k, v in os.environ.items() if k not in CLEAN and k != "BUILD"}
        self.flags = dict(line.split("=", 1) for line in self.make(
            "-f", "-", "mutant-flags", say="include Makefile\nmutant-flags:\n\t@printf 'cc=%s\\ncompile=%s\\nlink=%s\\n"
            "libs=%s\\n' '$(CC)' '$(CPPFLAGS) $(CFLAGS)' '$(LDFLAGS)' '$(LDLIBS)'\n").splitlines())
        drop = ("-Werror", "-MMD", "-MP")
        self.cc = self.flags["cc"].split()
        self.compile = [f for f in self.flags["compile"].split() if f not in drop] + ["-w"]

    def make(self, *args, say=None):
        done = subprocess.run(["make", "-s", "--no-print-directory", f"-j{os.cpu_count()}", "V=debug", "BUILD=build",
                               *args], cwd=self.root, env=self.env, input=say, stdin=None if say else subprocess.DEVNULL,
                              capture_output=True, text=True)
        if done.returncode != 0:
            fail(f"the tree itself does not build:\n{done.stderr[-3000:]}")
        return done.stdout

    def build(self, killers):
        """The library, and the objects of the tests (linked anew for each mutant)."""
        tests = [f"build/debug/test/{k}" for k in killers if layer(k) in ("unit", "store")]
        self.make(*tests, *(["build/debug/reli"] if any(layer(k) == "system" for k in killers) else []))

    def source_of(self, m):
        return broken(self.root, m)

    def compiled(self, m, work):
        """The mutant's object."""
        target = work / "mutant.o"
        if m.file.endswith(".sql"):
            with self.lock:  # the assembler includes it from its place, where others read it too
                path = self.root / m.file
                good, text = path.read_text(), self.source_of(m)
                path.write_text(text)
                code, said = run([*self.cc, "-c", "-o", target, "build/gen/embed.S"], cwd=self.root)
                path.write_text(good)
        else:
            source = work / pathlib.Path(m.file).name
            source.write_text(self.source_of(m))
            code, said = run([*self.cc, *self.compile, "-c", "-o", target, source], cwd=self.root)
        if code != 0:
            raise ValueError(f"it does not compile: {said[-800:]}")
        return [target]

    def link(self, first, objects, target, more=()):
        code, said = run([*self.cc, *self.flags["link"].split(), "-o", target, f"build/debug/{first}.o", *objects,
                          "build/debug/libreli.a", *more, *self.flags["libs"].split()], cwd=self.root)
        if code != 0:
            raise ValueError(f"it does not link: {said[-800:]}")
        return target


class Services:
    """A PostgreSQL and a Redis, started when first needed, unless the environment names them."""

    def __init__(self, folder):
        self.folder, self.env, self.n, self.lock = folder / "services", None, 0, threading.Lock()

    def get(self):
        with self.lock:
            if self.env is None:
                given = "DATABASE_ADMIN_URL" in os.environ and "DATABASE_MIGRATE_URL" in os.environ
                self.env = dict(os.environ) if given else self.start()
            return self.env

    def start(self):
        self.folder.mkdir()
        self.folder.parent.chmod(0o755)
        subprocess.run([ROOT / "scripts/services.sh", "start", self.folder], check=True, stdin=subprocess.DEVNULL)
        env = dict(os.environ)
        for line in (self.folder / "services.env").read_text().splitlines():
            name, _, value = line.partition("=")
            env[name] = value.strip("'")
        return env

    def database(self):
        """The environment of a program that has a database to itself."""
        env = self.get()
        with self.lock:
            self.n += 1
            name = f"mutant_{os.getpid()}_{self.n}"
            subprocess.run(["psql", "-X", "-q", env["DATABASE_ADMIN_URL"], "-c",
                            f"create database {name} owner reli_owner"], check=True, stdin=subprocess.DEVNULL)
        return env | {"DATABASE_URL": env["DATABASE_MIGRATE_URL"].replace("/reli?", f"/{name}?")}, name

    def drop(self, name):
        subprocess.run(["psql", "-X", "-q", self.env["DATABASE_ADMIN_URL"], "-c",
                        f"drop database {name} with (force)"], stdin=subprocess.DEVNULL, check=False)

    def close(self):
        if self.folder.is_dir():
            subprocess.run([ROOT / "scripts/services.sh", "reset", self.folder], stdin=subprocess.DEVNULL,
                           check=False)


class Bench:
    def __init__(self, copy, services):
        self.copy, self.services = copy, services
        self.works = queue.SimpleQueue()
        for i in range(os.cpu_count() or 1):
            work = copy.folder / f"work-{i}"
            work.mkdir()
            self.works.put(work)

    def killed_by(self, killer, m, objects, work):
        """Whether the killer fails with these objects; what it says."""
        kind = layer(killer)
        limit = TIMEOUT[kind]
        if kind == "sim":
            return self.simulated(m, limit)
        if kind == "system":
            binary = self.copy.link("core/main", objects, work / "reli")
            file, _, test = killer.partition("::")
            env = self.services.get() | {"RELI_BIN": str(binary), "PYTHONDONTWRITEBYTECODE": "1"}
            return run(["/usr/bin/python3", "-m", "pytest", "-q", "-x", "--tb=line", "-p", "no:cacheprovider",
                        f"test/{file}" + (f"::{test}" if test else "")], limit, cwd=self.copy.root, env=env)
        program = self.copy.link(f"test/{killer}", objects, work / "killer", ["-lcmocka"])
        if kind == "unit":
            return run([program], limit, cwd=self.copy.root)
        env, name = self.services.database()
        try:
            return run([program], limit, cwd=self.copy.root, env=env)
        finally:
            self.services.drop(name)

    def simulated(self, m, limit):
        with self.copy.lock:
            path = self.copy.root / (m.file if m else "Makefile")
            good = path.read_text()
            if m:
                path.write_text(self.copy.source_of(m))
            env = self.copy.env | {"SIM_LIFECYCLES": os.environ.get("SIM_LIFECYCLES", "60000"), "BUILD": "build"}
            try:
                code, said = run(["scripts/sim.sh"], limit, cwd=self.copy.root, env=env)
                ran = code is None or " passed, " in said.rstrip().rpartition("\n")[2]
                return (code if ran else 77), said  # what does not compile there has not been found out
            finally:
                path.write_text(good)

    def baseline(self, killer):
        """None, or why the killer is worth nothing."""
        work = self.works.get()
        try:
            code, said = self.killed_by(killer, None, [], work)
            return None if code == 0 else f"{killer} fails without a mutant ({code}): {said[-1200:]}"
        finally:
            self.works.put(work)

    def attempt(self, m):
        """(killed, words)"""
        work, began = self.works.get(), time.monotonic()
        try:
            objects = self.copy.compiled(m, work)
            for killer in m.killers:
                code, _ = self.killed_by(killer, m, objects, work)
                if code == 77 or (code is not None and code > 1 and layer(killer) == "system"):
                    return False, f"{killer} did not run"
                if code != 0:
                    how = "" if code is not None else ", which did not end"
                    return True, f"{killer}{how}, {time.monotonic() - began:.1f} s"
            return False, f"SURVIVES {' '.join(m.killers)}"
        except ValueError as e:
            return False, str(e)
        finally:
            self.works.put(work)


def choose(mutants, names):
    """What was asked for, and whether it is a quick run."""
    if len(names) == 1 and names[0].isdigit():
        seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 31))
        quick = [m for m in mutants if not m.needs_services()]
        for m in quick:
            m.killers = [q for k in m.killers for q in [*QUICKER.get(k, ()), k]]
        print(f"seed {seed}", flush=True)
        return random.Random(seed).sample(quick, min(int(names[0]), len(quick))), True
    chosen = [m for m in mutants if not names or any(n in m.name for n in names)]
    if not chosen:
        fail(f"no mutant is called {' or '.join(names)}")
    return chosen, False


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", default=str(ROOT / "build"))
    p.add_argument("--list", action="store_true")
    p.add_argument("--check", action="store_true")
    p.add_argument("names", nargs="*")
    args = p.parse_args()
    mutants = read_table()
    if args.list:
        for m in mutants:
            print(f"{m.name} | {m.kind} | {m.file} | {' '.join(m.killers)}")
        return 0
    if args.check:
        return check(mutants)
    chosen, quick = choose(mutants, args.names)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="reli-mutants-", dir="/tmp"))
    services, passed, failed = Services(folder), 0, 0
    try:
        copy = Copy(folder, pathlib.Path(args.build).resolve())
        killers = sorted({k for m in chosen for k in m.killers})
        copy.build(killers)
        bench = Bench(copy, services)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            if not quick:  # in a quick run the other layers have just shown it
                for fault in filter(None, pool.map(bench.baseline, killers)):
                    print(f"  FAIL  {fault}", flush=True)
                    failed += 1
            for m, (killed, words) in zip(chosen, pool.map(bench.attempt, chosen)):
                print(f"  {'ok  ' if killed else 'FAIL'}  {m.kind}: {m.name} ({words})", flush=True)
                passed, failed = passed + killed, failed + (not killed)
    finally:
        services.close()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())

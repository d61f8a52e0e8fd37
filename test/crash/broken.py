"""Does the suite see broken builds? Each break below is one edit of reli, one per class of mutants (test/mutants/ has
the many); it is built in a copy of the tree, run under the usual faults, and the checker must name what it did.

    broken.py [--list] [--seed S] [--seconds N] [NAME…]

The exact text must occur once in the files that a pattern names, and the result must compile; anything else is a
failure of its own. Ends with "N passed, N failed": passed are the builds that were seen through.
"""

import argparse
import collections
import contextlib
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import run
from world import ROOT

SEED = 4711
Break = collections.namedtuple("Break", "name kind checks file text instead")

BREAKS = [
    # ---- guards of the transition tables ----
    Break("a wrong amount completes a payment", "guard: payment", ("truth", "ledger"), "core/domain/payment*.c",
          "return same_amount(s) && same_reference(s);", "return same_reference(s);"),
    Break("a repeated success is a second one", "guard: attempt", ("truth", "ledger", "audit"),
          "core/domain/payment*.c", "MOVE(OPEN | UNPAID,   SUCCESS,   NULL,       SUCCEEDED),",
          "MOVE(OPEN | UNPAID | AT(SUCCEEDED), SUCCESS, NULL, SUCCEEDED),"),
    Break("an unknown answer is a refusal", "guard: unknown", ("truth", "keys", "events"), "core/flow/attempt.c",
          ".kind = PAYMENT_EVENT_AMBIGUOUS,", ".kind = PAYMENT_EVENT_REFUSED,"),
    Break("who asked for a refund approves it", "guard: refund", ("refunds",), "core/domain/refund*.c",
          "if (s->ev->kind == REFUND_EVENT_APPROVE && s->ev->same_person)",
          "if (s->ev->kind == REFUND_EVENT_APPROVE && s->ev->same_person && s->now_us == 0)"),
    Break("an unknown reversal opens the next rail", "guard: rail", ("refund_truth",), "core/flow/refund*.c",
          "return query ? REFUND_EVENT_UNREACHABLE : REFUND_EVENT_AMBIGUOUS;",
          "return query ? REFUND_EVENT_UNREACHABLE : REFUND_EVENT_REFUSED;"),
    # ---- invariants of the ledger ----
    Break("a transfer is not written", "ledger: complete", ("ledger",), "sql/query/payment_move.sql",
          "from t where coalesce(t.payment_id in (select id from moved), false)",
          "from t where t.step > 1 and coalesce(t.payment_id in (select id from moved), false)"),
    Break("debit and credit are exchanged", "ledger: sides", ("ledger",), "sql/query/payment_move.sql",
          "select t.whose, t.journal_id, t.step, t.mode, t.kind, t.debit_id, t.credit_id, t.amount,",
          "select t.whose, t.journal_id, t.step, t.mode, t.kind, t.credit_id, t.debit_id, t.amount,"),
    Break("a refund is not reserved", "ledger: I4", ("refunds", "rest"), "core/flow/refund*.c",
          "p->reserved_minor += amount.minor;", "p->reserved_minor += 0 * amount.minor;"),
    # ---- rules of the write combiner ----
    Break("a move does not compare revisions", "combiner: compare and set", ("truth", "ledger", "events", "refunds"),
          "sql/query/payment_move.sql", " and p.revision = u.revision", ""),
    Break("all units of a batch have one outcome", "combiner: an outcome each",
          ("acknowledged", "keys", "charges", "truth", "events", "rest"), "store/combiner.c",
          "struct unit *u = w->units[span->lo + (size_t)ord];", "struct unit *u = w->units[from + 0 * (size_t)ord];"),
    Break("a commit need not be durable", "combiner: durable before it is told",
          ("acknowledged", "keys", "charges", "truth", "webhooks", "sockets"), "store/pg_conn*.c",
          "\" set_config('lock_timeout', '3s', false),\"",
          "\" set_config('lock_timeout', '3s', false), set_config('synchronous_commit', 'off', false),\""),
    # ---- traps ----
    Break("an idempotency key is not kept", "trap: one key, one payment", ("acknowledged", "keys"),
          "core/flow/charge_reserve.c", "row->idem_key = c->in.idem_key;", "row->idem_key = STR_NULL;"),
    Break("a push without an answer is sent again", "trap: asked twice", ("charges",), "gateways/client*.c",
          "if (op->result.verdict == GW_TOKEN_REJECTED) {",
          "if (op->result.verdict == GW_TOKEN_REJECTED || op->result.verdict == GW_UNKNOWN) {"),
    Break("nobody looks at a payment again", "trap: jobs", ("truth",), "core/flow/charge_reserve.c",
          "c->unit.row.job_run_at = payment_deadline_us(&c->rec.p, &rules);",
          "c->unit.row.job_run_at = payment_deadline_us(&c->rec.p, &rules) < 0 ? 1 : 0;"),
    Break("a replica that dies takes its webhooks along", "trap: fan-out", ("webhooks",), "sql/query/payment_move.sql",
          "from e where coalesce(e.subject_id in (select id from heard), false)",
          "from e where e.seq < 0 and coalesce(e.subject_id in (select id from heard), false)"),
    # ---- what is told and kept ----
    Break("a payment's own address is forgotten", "webhooks: delivered", ("webhooks",), "core/flow/fanout.c",
          "if (i == 0 && !rows_null(r, i, HOOK_CALLBACK_URL))",
          "if (i > 0 && !rows_null(r, i, HOOK_CALLBACK_URL))"),
    Break("a signature covers less", "webhooks: signed", ("webhooks",), "core/flow/webhook_sign.c",
          "hmac_sha256(key, parts, n, mac);",
          "hmac_sha256(key, parts, n - 1, mac);"),
    Break("an audit row is not written", "audit: complete", ("audit", "positions"), "sql/query/payment_move.sql",
          "from l where coalesce(l.subject_id in (select id from moved), false)",
          "from l where l.action <> 'payment.completed' and coalesce(l.subject_id in (select id from moved), false)"),
    Break("a seal covers less", "audit: sealed", ("audit",), "core/flow/seal.c",
          "for (int col = S_MODE; col <= S_DETAIL; col++)", "for (int col = S_MODE; col < S_DETAIL; col++)"),
    Break("a socket is shown its replay again", "sockets: order", ("sockets",), "ws/upgrade.c",
          "        seq = last;", "        seq = o->after;"),
    Break("a person is stored as plain text", "canary", ("canary",), "core/flow/record.c",
          'struct err err = vault_seal(f->vault, person_place(payment), merchant, payment, person, &b);',
          'struct err err = vault_seal(f->vault, person_place(payment), merchant, payment, person, &b);\n'
          "    buf_str(&b, person);"),
]


def say(text):
    print(text, flush=True)


class Copy:
    """A tree of its own, with a build that goes on from the last one."""

    def __init__(self, folder):
        self.root = pathlib.Path(folder, "tree")
        self.build = pathlib.Path(folder, "build")
        names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True,
                               capture_output=True, text=True).stdout.split("\0")
        for name in filter(None, names):
            source, target = ROOT / name, self.root / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        vendored = pathlib.Path(ROOT, os.environ.get("BUILD", "build"), "vendor")
        if vendored.is_dir():  # its packages need the network once, and that was then
            shutil.copytree(vendored, self.build / "vendor", symlinks=True)

    def make(self):
        env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        done = subprocess.run(["make", "--no-print-directory", "-j2", "V=debug", f"BUILD={self.build}", "all"],
                              cwd=self.root, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return None if done.returncode == 0 else done.stderr[-1500:]

    def binary(self, name):
        """The binary as it is now, under a name of its own: a process may still run the last one."""
        target = self.build / name
        shutil.copy2(self.build / "debug/reli", target)
        return target

    @contextlib.contextmanager
    def broken(self, b):
        found = [p for p in sorted(self.root.glob(b.file)) if b.text in p.read_text()]
        n = sum(p.read_text().count(b.text) for p in found)
        if n != 1:
            raise ValueError(f"the text occurs {n} times in {b.file}")
        path, before = found[0], found[0].read_text()
        path.write_text(before.replace(b.text, b.instead))
        try:
            yield
        finally:
            path.write_text(before)


def attempt(copy, number, b, args):
    """What is wrong with the attempt, None if the break was seen; and what was said about it."""
    try:
        with copy.broken(b):
            fault = copy.make()
            if fault is not None:
                return "does not compile: " + fault, ""
    except ValueError as e:
        return str(e), ""
    os.environ["RELI_BIN"] = str(copy.binary(f"reli-{number}"))
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        found = run.judge(args.seed, argparse.Namespace(seconds=args.seconds, threads=16, keep=False))
    named = [name for name in b.checks if found.get(name)]
    if named:
        return None, f"{named[0]}: {found[named[0]][0]}"
    others = {name: faults[0] for name, faults in found.items() if faults}
    return f"none of {', '.join(b.checks)} saw it; others: {others}", said.getvalue()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--list", action="store_true")
    p.add_argument("--seed", type=int, default=SEED)
    p.add_argument("--seconds", type=float, default=8)
    p.add_argument("names", nargs="*")
    args = p.parse_args()
    wanted = [b for b in BREAKS if not args.names or any(n in b.name or n in b.kind for n in args.names)]
    if args.list:
        for b in wanted:
            say(f"{b.name} | {b.kind} | {b.file} | {', '.join(b.checks)}")
        return 0
    folder = tempfile.mkdtemp(prefix="reli-broken-", dir="/tmp")
    passed = failed = 0
    try:
        os.chmod(folder, 0o755)
        copy = Copy(folder)
        fault = copy.make()
        if fault is not None:
            raise SystemExit("the tree itself does not compile: " + fault)
        for number, b in enumerate(wanted):
            began = time.monotonic()
            fault, text = attempt(copy, number, b, args)
            passed, failed = passed + (fault is None), failed + (fault is not None)
            took = time.monotonic() - began
            say(f"  {'seen' if fault is None else 'FAIL'}  {b.kind}: {b.name} ({took:.0f} s)")
            say(f"        {(text if fault is None else fault)[:600]}")
            if fault is not None and text:
                say("        " + text.replace("\n", "\n        "))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    say(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Fills a database with payments that have been: copies of a real one, with all that belongs to it.

The real one has gone through the sandbox, its callback and a webhook. A copy has ids of its own, spread over
the last 28 days as UUIDv7 are, words of its own wherever they are unique, and one of the merchants in turn.
PostgreSQL makes the rows (COPY TO) and takes them (COPY FROM) with all indexes and partitions there.
"""

import concurrent.futures
import re
import subprocess
import time

DAYS, SHOPS, CUSTOMERS_OF = 28, 20, 10  # CUSTOMERS_OF payments to a customer
GROUP = 32  # payments to a row of the log

# What belongs to a payment $1 of merchant $0, in the order of loading.
TABLES = {
    "payment": "id = '$1'", "attempt": "payment_id = '$1'", "event": "subject_id = '$1'",
    "audit_log": "subject_id = '$1'", "ledger_transfer": "payment_id = '$1'", "reference_owner": "payment_id = '$1'",
    "receipt": "payment_id = '$1'", "idempotency": "payment_id = '$1'", "provider_event": "payment_id = '$1'",
    "provider_call": "payment_id = '$1'", "webhook_delivery": "payment_id = '$1'",
    "delivery_attempt": "delivery_id in (select d.id from reli.webhook_delivery d where d.merchant_id = '$0' "
                        "and d.payment_id = '$1')",
    "delivery_owner": "payment_id = '$1'"}
# Columns whose values are a payment's own. Other ids are merchants', accounts', endpoints'.
IDS = {"id", "op_id", "payment_id", "subject_id", "journal_id", "delivery_id", "event_id"}
WORDS = {"reference", "reference_no", "pay_code", "key", "receipt", "provider_ref"}

FUNCTIONS = """
drop schema if exists bench cascade;
create schema bench;
create function bench.at(i int8) returns timestamptz language sql immutable as
    $$ select to_timestamp(({start} + i * {step}) / 1000.0) $$;
-- A UUIDv7 of that time; the last digit is a payment's own, for its attempts. (What is written so is inlined.)
create function bench.uid(i int8, salt int, digit text default '0') returns uuid language sql immutable as
    $$ select overlay(overlay(overlay(md5(i::text || ':' || salt::text)
                placing lpad(to_hex({start} + i * {step}), 12, '0') || '7' from 1 for 13)
                placing 'a' from 17 for 1) placing digit from 32 for 1)::uuid $$;
-- Eight digits that look random and never come twice.
create function bench.word(i int8, salt int) returns text language sql immutable as
    $$ select upper(lpad(to_hex((i * 2654435761 + salt) & 4294967295), 8, '0')) $$;
create function bench.merchant(i int8) returns uuid language sql immutable as
    $$ select (array[{merchants}]::uuid[])[1 + i % {shops}] $$;
"""


class Loader:
    def __init__(self, world, merchants, template, payment):
        self.w, self.db, self.merchants = world, world.db, merchants
        self.template, self.payment = template, payment
        self.salts = {}

    def functions(self, n):
        start = int((time.time() - DAYS * 86400) * 1000)
        text = FUNCTIONS
        for name, value in (("start", start), ("step", DAYS * 86400_000 // n), ("shops", SHOPS),
                            ("merchants", ", ".join(f"'{m}'" for m in self.merchants))):
            text = text.replace("{" + name + "}", str(value))
        self.db.rows(text)

    def salt(self, value):
        return self.salts.setdefault(str(value), len(self.salts) + 1)

    def uuid(self, value):
        if str(value)[:-1] == self.payment[:-1]:
            return f"bench.uid(i, 0, '{str(value)[-1]}')"
        return f"bench.uid(i, {self.salt(value)})"

    def column(self, table, name, kind, value):
        """The SQL of a copy's value. `t` is the real row, `i` the number of the copy."""
        # What is sealed is sealed for its row, and would not open: as much is put where nobody opens it.
        if (table, name) == ("payment", "pii"):
            return "null::bytea"
        if (table, name) == ("payment", "description"):
            return "repeat('d', length(t.pii))"
        if value is None:
            return f"t.{name}"
        if name == "merchant_id":
            return "bench.merchant(i)"
        if kind == "uuid" and name in IDS:
            return self.uuid(value)
        if kind == "timestamp with time zone":
            return f"bench.at(i) + (t.{name} - p.created_at)"
        if kind == "text" and name in WORDS and table not in ("attempt", "webhook_delivery"):
            if re.match(r"TXN\d{8}", value):
                return f"'TXN' || to_char(bench.at(i), 'YYYYMMDD') || bench.word(i, {self.salt(value)})"
            return f"left(t.{name}, -8) || bench.word(i, {self.salt(value)})"
        if name == "dedupe_key":
            return "sha256(('d' || i)::bytea)"
        if name == "customer_key":
            return f"sha256(('c' || i % {self.customers})::bytea)"
        return f"t.{name}"

    def selects(self, table, n):
        """Columns, and for each real row what makes its copies."""
        where = TABLES[table].replace("$1", self.payment).replace("$0", self.template)
        rows = self.db.rows(f"select ctid, tableoid::regclass::text as part, t.* from reli.{table} t "
                            f"where t.merchant_id = '{self.template}' and {where}")
        if not rows:
            raise RuntimeError(f"the real payment has nothing in {table}")
        kinds = {r["column_name"]: r["data_type"] for r in self.db.rows(
            "select column_name, data_type from information_schema.columns where table_schema = 'reli' "
            "and table_name = %s", table)}
        # An idempotency key is kept for a day or two.
        first = n - n * 2 // DAYS if table == "idempotency" else 0
        made = []
        for row in rows:
            columns = ", ".join(self.column(table, name, kind, row[name]) for name, kind in kinds.items())
            made.append(f"select {columns} from generate_series({first}::int8, {n - 1}) as i, {row['part']} t, "
                        f"(select created_at from reli.payment where merchant_id = '{self.template}' and "
                        f"id = '{self.payment}') p where t.ctid = '{row['ctid']}'")
        return list(kinds), made

    def copy(self, table, columns, select):
        url, names = self.w.urls["DATABASE_MIGRATE_URL"], ", ".join(columns)
        with subprocess.Popen(["psql", "-X", "-q", "-c", f"copy ({select}) to stdout (format binary)", url],
                              stdout=subprocess.PIPE) as source:
            done = subprocess.run(["psql", "-X", "-q", "-c", f"copy reli.{table} ({names}) from stdin (format binary)",
                                   url], stdin=source.stdout, capture_output=True, text=True)
            source.stdout.close()
        if done.returncode != 0 or source.returncode != 0:
            raise RuntimeError(f"{table}: {done.stderr}")

    def log(self, n):
        """Positions of events and audit rows, as log_append gives them, and that they have been sealed."""
        db, merchant, payment = self.db, self.template, self.payment
        events = db.value(f"select max(seq) from reli.event where merchant_id = '{merchant}' and subject_id = '{payment}'")
        audits = [self.uuid(r["id"]).replace("(i,", f"(m + {SHOPS} * j,") for r in
                  db.rows(f"select id from reli.audit_log where merchant_id = '{merchant}' and subject_id = '{payment}'")]
        groups = n // SHOPS // GROUP
        each = f"generate_series(g * {GROUP}, g * {GROUP} + {GROUP - 1}) as j"
        subject, of = f"bench.uid(m + {SHOPS} * j, 0)", f"generate_series(0::int8, {SHOPS - 1}) as m, generate_series(0::int8, {groups - 1}) as g"
        kinds = ((1, events, f"array(select {subject} from {each}, generate_series(1, {events}))",
                  f"array(select s from {each}, generate_series(1, {events}) as s)", "null::uuid[]"),
                 (2, len(audits), f"array(select {subject} from {each}, generate_series(1, {len(audits)}))",
                  "null::int4[]", f"array(select unnest(array[{', '.join(audits)}]) from {each})"))
        for kind, per, subjects, seqs, row_ids in kinds:
            many = GROUP * per
            self.copy("log_position", ["merchant_id", "kind", "position", "n", "subjects", "seqs", "row_ids"],
                      f"select bench.merchant(m), {kind}::int2, 1 + g * {many}, {many}::int4, {subjects}, {seqs}, {row_ids} from {of}")
        sealed = groups * GROUP * len(audits)
        db.rows(f"insert into reli.audit_seal select m, 1, 1, {sealed}, sha256('bench'), sha256('bench'), now() "
                f"from unnest(array[{', '.join(repr(m) for m in self.merchants)}]::uuid[]) as m")

    def run(self, n):
        """`n` copies."""
        self.customers = max(SHOPS, n // CUSTOMERS_OF // SHOPS * SHOPS)
        self.functions(n)
        for months in (2, 1):
            while self.db.rows(f"select reli.partitions_ensure(now() - interval '{months} months') as n")[0]["n"] > 0:
                pass
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            todo = []
            for table in TABLES:
                columns, selects = self.selects(table, n)
                todo += [pool.submit(self.copy, table, columns, select) for select in selects]
            todo.append(pool.submit(self.copy, "customer",
                                    ["merchant_id", "id", "mode", "key", "status", "created_at", "updated_at"],
                                    f"select bench.merchant(i), bench.uid(i, 1000), 'test', sha256(('c' || i)::bytea), 'active', "
                                    f"bench.at(i), bench.at(i) from generate_series(0::int8, {self.customers - 1}) as i"))
            # What is still waited for: deadlines ahead.
            todo.append(pool.submit(self.copy, "job",
                                    ["merchant_id", "kind", "subject", "n", "bucket", "run_at", "lease_until", "tries"],
                                    "select bench.merchant(i), 'payment', bench.uid(i, 0), 0, (i % 8)::int2, "
                                    "bench.at(i) + interval '60 days', bench.at(i), 0::int2 "
                                    f"from generate_series({n - n // 50}::int8, {n - 1}) as i"))
            for one in concurrent.futures.as_completed(todo):
                one.result()
        self.log(n)

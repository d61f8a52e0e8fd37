"""pgbench scripts that run reli's own statements: the yardstick.

The parameters of payment_create are those of a real payment by `cash`, read back from the database. What
is the same for every payment is a pgbench variable and reaches PostgreSQL as a parameter, as it does from
reli; what differs (ids, keys, times) is an expression. Ids are time-ordered as UUIDv7 are.
"""

import pathlib
import re
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

ARGUMENT = re.compile(r"\$(\d+)::(\w+)\[\]")
ROWS = re.compile(r"\b(\w+) as materialized \(\s*select \* from unnest\(\$(\d+)::(reli\.\w+)\[\]\)")
TABLE = re.compile(r"unnest\(((?:\$\d+::\w+\[\],?\s*)+)\)\s*as\s+(\w+)\(([\w,\s]+)\)")

# 32 hex digits: six of the time, six that grow, the version, 19 random decimal ones.
ID = "('{prefix}' || :tick::text || '7' || :{name}::text)::uuid"

HEAD = r"""\set tick :tick + 1
\set id random(1000000000000000000, 9000000000000000000)
\set id_b random(1000000000000000000, 9000000000000000000)
\set id_c random(1000000000000000000, 9000000000000000000)
\set number random(10000000, 99999999)
\set key random(1000000000000000, 9000000000000000)
\set bucket random(0, 7)
"""


def text_of(path):
    """The statement without its comments."""
    lines = [line.split("--")[0].rstrip() for line in path.read_text().splitlines()]
    return "\n".join(line for line in lines if line).rstrip(";")


def plain(value):
    """The text of a value."""
    if isinstance(value, (bytes, memoryview)):
        return "\\x" + bytes(value).hex()
    return ("t" if value else "f") if isinstance(value, bool) else str(value)


def literal(values):
    """The text of an array."""
    words = []
    for value in values:
        if value is None:
            words.append("NULL")
        else:
            words.append('"' + plain(value).replace("\\", "\\\\").replace('"', '\\"') + '"')
    return "{" + ",".join(words) + "}"


def create_values(db, payment):
    """Table alias, then column: a list of values, or an SQL expression for each row."""
    p = db.one("select * from reli.payment where id = %s", payment)
    i = db.one("select *, fingerprint as idem_fingerprint from reli.idempotency where payment_id = %s "
               "order by slot limit 1", payment)
    j = db.rows("select * from reli.job where subject = %s and kind = 'payment'", payment)
    events = db.rows("select * from reli.event where subject_id = %s order by seq", payment)
    audits = db.rows("select * from reli.audit_log where subject_id = %s order by id", payment)
    prefix = f"{int(time.time() * 1000):012x}"[:6]
    identity = {n: ID.format(prefix=prefix, name=n) for n in ("id", "id_b", "id_c")}
    later = "now() + interval '3 days'"
    owner = p["id"]  # any will do for a lease
    u = {k: [v] for k, v in p.items()} | {
        "ord": [0], "whose": [p["merchant_id"]], "id": identity["id"], "op_id": identity["id"],
        "reference": f"'{p['reference_no'][:-8]}' || :number::text",
        "reference_no": f"'{p['reference_no'][:-8]}' || :number::text",
        "pay_code": f"'{p['pay_code'][:-7]}' || left(:number::text, 7)",
        "created_at": "now()", "expires_at": later, "previous_owner": [None],
        "idem_key": f"'{i['key'][:-16]}' || :key::text", "idem_slot": [i["slot"]], "idem_slot_b": [-1],
        "idem_look_a": [i["slot"]], "idem_look_b": [(i["slot"] + 3) % 4], "idem_period": [i["period"]],
        "idem_held": [False], "idem_fingerprint": [i["fingerprint"]], "idem_lease": later,
        "idem_http": [i["http_status"]], "idem_seq": [i["seq"]],
        "job_run_at": later if j else [None], "job_bucket": ":bucket::int2", "job_owner": [owner],
        "job_lease": "now()", "audit_a": identity["id_b"], "audit_b": identity["id_c"],
        "customer_row": [owner], "handle_a": [None], "handle_b": [None]}
    for name in ("metadata", "next_action"):
        u[name] = [db.value(f"select {name}::text from reli.payment where id = %s", payment)]

    def rows(found, **more):
        columns = {k: [row[k] for row in found] for k in found[0]}
        columns |= {"ord": [0] * len(found), "whose": columns["merchant_id"]}
        return columns | more

    return {
        "u": u,
        "a": None,
        "q": None,
        "e": rows(events, subject_id=[identity["id"]] * 2, id=[identity["id"], identity["id_b"]],
                  at=["now()"] * 2, bucket=[":bucket::int2"] * 2, owner=[owner] * 2, lease=["now()"] * 2),
        "l": rows(audits, subject_id=[identity["id"]] * 2, id=[identity["id_b"], identity["id_c"]],
                  at=["now()"] * 2),
    }


EXPRESSIONS = {"subject_id", "id", "at", "bucket", "lease"}


def row_type(name):
    """The columns of a row type of the schema, with their types."""
    text = (ROOT / "sql/migrations/0001_foundation.sql").read_text()
    columns = re.search(rf"create type {re.escape(name)} as \((.*?)\);", text, re.S)[1]
    return [column.split() for column in columns.split(",")]


def rows_of(alias, kind, values, variables):
    """An array of rows; what is the same for every payment is a variable."""
    columns = row_type(kind)
    unknown = [] if values is None else [name for name, _ in columns if name not in values]
    if unknown:
        raise KeyError(f"test/bench/statement.py has no value for {alias}.{', '.join(unknown)}")
    rows = []
    for i in range(0 if values is None else len(values["ord"])):
        fields = []
        for name, type_ in columns:
            value = values[name]
            if isinstance(value, str):
                fields.append(f"({value})::{type_}")
            elif value[i] is None:
                fields.append(f"null::{type_}")
            elif name in EXPRESSIONS:
                fields.append(f"({value[i]})::{type_}")
            else:
                variable = f"{alias}{i}_{name}"
                variables += ["-D", f"{variable}={plain(value[i])}"]
                fields.append(f":{variable}::{type_}")
        rows.append(f"row({', '.join(fields)})::{kind}")
    return f"array[{', '.join(rows)}]::{kind}[]"


def create_script(sql, values):
    """The script, and its variables as arguments of pgbench."""
    arguments, variables = {}, ["-D", "tick=100000"]
    for alias, number, kind in ROWS.findall(sql):
        sql = sql.replace(f"${number}::{kind}[]", rows_of(alias, kind, values[alias], variables))
    for numbers, alias, names in TABLE.findall(sql):
        for (number, kind), name in zip(ARGUMENT.findall(numbers), re.findall(r"\w+", names), strict=True):
            if alias not in values or (values[alias] is not None and name not in values[alias]):
                raise KeyError(f"test/bench/statement.py has no value for {alias}.{name}")
            value = values[alias][name] if values[alias] is not None else []
            if isinstance(value, str):
                arguments[number] = f"array[{value}]::{kind}[]"
            elif name in EXPRESSIONS and value:
                arguments[number] = f"array[{', '.join(value)}]::{kind}[]"
            else:
                variables += ["-D", f"p{number}={literal(value)}"]
                arguments[number] = f":p{number}::{kind}[]"
    body = ARGUMENT.sub(lambda m: arguments[m[1]], sql)
    return f"{HEAD}\\startpipeline\nbegin;\n{body};\ncommit;\n\\endpipeline\n", variables


def show_script(payment_get, audit_list, merchant, ids):
    """What GET /payments/{id} reads, of one of `ids`."""
    known = "(array[" + ", ".join(f"'{i}'" for i in ids) + "]::uuid[])[:n::int]"
    queries = [q.replace("$1", f"'{merchant}'::uuid").replace("$2", known) for q in (payment_get, audit_list)]
    return (f"\\set n random(1, {len(ids)})\n\\startpipeline\n{queries[0]};\n{queries[1]};\n"
            "\\endpipeline\n")

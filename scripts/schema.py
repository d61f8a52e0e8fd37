#!/usr/bin/python3
"""Whether migrations and statements keep what lets the schema be distributed by merchant, read with PostgreSQL's own
parser. A line for each fault; exit 1 if there is one.

    schema.py                 sql/migrations, sql/query, sql/list, sql/citus and sql/citus.sql
    schema.py --self-test     each rule against samples that it must refuse, and some that it must not

The rules:
  * every primary key and unique constraint or index begins with merchant_id, and so does every foreign key;
  * text in a key or an index is compared byte by byte: collate "C";
  * no triggers, rules, sequences, serial or identity columns, no LISTEN, NOTIFY or advisory locks;
  * no clock, random value or number of the server's in a default or a statement: they are parameters;
  * a statement is one statement, and names tables that there are;
  * wherever a statement reads or changes a merchant's table it says whose rows by an equality of merchant_id, and
    wherever it inserts it gives merchant_id; tables that it joins are tied to one and the same merchant;
  * what a batch is given names its merchant `whose`, always behind an alias: with a parameter in its place
    (store/query_one.h) the statement says whose rows it means by parameters and constants alone;
  * sql/citus.sql distributes every table by merchant_id, all together; look-ups, and what is named here, are not;
  * what sql/citus has instead of a statement of sql/query keeps the same rules.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

from pglast import parse_sql
from pglast.parser import ParseError

ROOT = pathlib.Path(__file__).resolve().parents[1]

# Look-ups by another key: who asks does not know yet which merchant it is about.
LOOKUPS = {
    "api_key_lookup": "by a key's hash",
    "user_lookup": "by a hash of what a person is known by",
    "user_merchant": "by a person",
}
# The program's own, before there are merchants.
OWN = {"schema_migration", "schema_lock"}

# Small, seldom written, and read by other keys or with the rows of other merchants: they stay on the coordinator.
ALONE = {
    "merchant": "the merchant that a person acts for is another one than the platform, where his session is",
    "account_user": "the installation's, and read with memberships",
    "membership": "read with the person's session, which is the installation's",
    "invitation": "read with membership and person",
    "session": "written with its person",
    "login_guard": "written with sessions",
    "api_key": "found by its hash",
}

# Statements that are about many merchants at once, with the tables that they go through so.
SEALED = "account_user delivery_attempt exception_item merchant payment payout provider_account webhook_endpoint"
ACROSS = {
    "data_key_retire": (SEALED + " provider_call provider_event", "a key seals the data of all"),
    "data_key_use": (SEALED + " provider_call provider_event", "a key seals the data of all"),
    "fee_schedule_list": ("fee_schedule", "of one or of all, for the command line"),
    "job_due": ("job", "a replica looks for work, whose it is; what it takes it takes by key"),
    "limit_list": ("limit_rule", "of one or of all, for the command line"),
    "live_keys": ("api_key", "whether anybody has a live key, at the start"),
    "log_waiting": ("log_new", "the keeper looks for merchants that wait for it"),
    "merchant_list": ("merchant", "the list of merchants"),
    "merchant_list_count": ("merchant", "the list of merchants"),
    "merchant_list_newer": ("merchant", "the list of merchants"),
    "merchant_other": ("merchant", "whether there is another merchant"),
    "payment_replay": ("payment", "a proof about all"),
    "prove_ledger": ("ledger_transfer log_new", "a proof about all"),
    "prove_log": ("audit_log log_new log_position", "a proof about all"),
    "reseal_page": ("account_user exception_item merchant payment payout provider_account webhook_endpoint",
                    "a new key seals the data of all"),
    "retention": ("delivery_attempt exception_item provider_call provider_event", "what is old goes, whose it is"),
    "route_list": ("route_set", "of one or of all, for the command line"),
    "seal_list": ("audit_seal", "a proof about all"),
    "seal_waiting": ("merchant", "the keeper looks for merchants that wait for it"),
}

# The same of sql/citus, where it is otherwise.
ACROSS_CITUS = {
    "seal_waiting": ("audit_seal log_position", "the keeper looks for merchants that wait for it"),
}

# Functions of the migrations that read the clock.
CLOCKS = {
    "security_events_drop": "keeps the service from dropping what is younger than 30 days, whatever it says",
}

VOLATILE = re.compile(
    r"now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|random|gen_random_uuid|uuid_generate_.*|"
    r"gen_random_bytes|nextval|currval|lastval|setval|txid_current.*|pg_current_xact_id.*|pg_notify|"
    r"pg_(try_)?advisory_.*|setseed|random_normal")


def walk(node):
    """Every node of a tree, from the top."""
    if isinstance(node, dict):
        if "@" in node:
            yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from walk(value)


def strings(nodes):
    return [n["sval"] for n in nodes or () if n.get("@") == "String"]


def parsed(text):
    return [raw.stmt(skip_none=True) for raw in parse_sql(text)]


# ---- migrations ----


class Schema:
    """What the migrations make, and the faults in it."""

    def __init__(self):
        self.tables, self.faults = {}, []  # name: columns
        self.languages = {}  # table: its columns of text that are compared by the rules of a language

    def fault(self, where, words):
        self.faults.append(f"{where}: {words}")

    def read(self, text, where):
        for statement in parsed(text):
            kind = statement["@"]
            if kind == "CreateStmt":
                self.table(statement, where)
            elif kind == "IndexStmt":
                name = statement["relation"]["relname"]
                keys = [p.get("name") for p in statement["indexParams"]]
                self.bytewise(name, keys, where)
                if statement.get("unique"):
                    self.key(name, keys, f"{where}: unique index of {name}")
            elif kind == "AlterTableStmt":
                for node in walk(statement):
                    if node["@"] == "Constraint":
                        self.constraint(statement["relation"]["relname"], node, None, where)
            elif kind == "CreateFunctionStmt":
                self.function(statement, where)
            elif kind in ("CreateTrigStmt", "CreateEventTrigStmt", "CreateSeqStmt", "RuleStmt"):
                self.fault(where, {"CreateSeqStmt": "a sequence", "RuleStmt": "a rule"}.get(kind, "a trigger"))
            elif kind != "SelectStmt":  # those only call what was made here
                self.volatile(statement, where)

    def table(self, statement, where):
        name = statement["relation"]["relname"]
        if "partbound" in statement:
            return  # like its parent
        columns = [e for e in statement.get("tableElts", ()) if e["@"] == "ColumnDef"]
        self.tables[name] = [c["colname"] for c in columns]
        self.languages[name] = {c["colname"] for c in columns
                                if strings(c["typeName"]["names"])[-1] == "text"
                                and strings(c.get("collClause", {}).get("collname", ())) != ["C"]}
        if "merchant_id" not in self.tables[name] and name not in OWN | set(LOOKUPS):
            self.fault(where, f"{name} has no merchant_id")
        for column in columns:
            if strings(column["typeName"]["names"])[-1] in ("serial", "bigserial", "smallserial", "serial4", "serial8"):
                self.fault(where, f"{name}.{column['colname']} takes its numbers from a sequence")
            for constraint in column.get("constraints", ()):
                self.constraint(name, constraint, column["colname"], where)
        for constraint in (e for e in statement.get("tableElts", ()) if e["@"] == "Constraint"):
            self.constraint(name, constraint, None, where)
        self.volatile(statement, f"{where}: {name}")

    def constraint(self, table, c, column, where):
        kind = c["contype"]["name"]
        if kind in ("CONSTR_PRIMARY", "CONSTR_UNIQUE"):
            keys = [column] if column else strings(c.get("keys"))
            self.bytewise(table, keys, where)
            self.key(table, keys, f"{where}: a key of {table}")
        elif kind == "CONSTR_FOREIGN":
            ours, theirs = [column] if column else strings(c.get("fk_attrs")), strings(c.get("pk_attrs"))
            if ours[:1] != ["merchant_id"] or theirs[:1] != ["merchant_id"]:
                self.fault(where, f"a foreign key of {table} that is not within a merchant: {', '.join(ours)}")
        elif kind == "CONSTR_IDENTITY":
            self.fault(where, f"{table}.{column} takes its numbers from a sequence")

    def bytewise(self, table, columns, where):
        for column in columns:
            if column in self.languages.get(table, ()):
                self.fault(where, f"{table}.{column} is in a key and not collate \"C\"")

    def key(self, table, columns, words):
        if columns[:1] != ["merchant_id"] and table not in LOOKUPS and table not in OWN:
            self.faults.append(f"{words} begins with {columns[:1] or 'an expression'}, not with merchant_id")

    def function(self, statement, where):
        name = strings(statement["funcname"])[-1]
        body = "".join(n["sval"] for o in statement["options"] if o["defname"] == "as" for n in walk(o) if "sval" in n)
        called = {w for w in re.findall(r"\b([a-z_0-9]+)\s*\(", body) if VOLATILE.fullmatch(w)}
        called |= set(re.findall(r"\bcurrent_(?:timestamp|date|time)\b", body))
        if called and name not in CLOCKS:
            self.fault(where, f"function {name} calls {', '.join(sorted(called))}")

    def volatile(self, statement, where):
        self.faults += [f"{where}: {words}" for words in volatile(statement)]


def volatile(statement):
    for node in walk(statement):
        if node["@"] == "FuncCall" and VOLATILE.fullmatch(strings(node["funcname"])[-1]):
            yield f"{strings(node['funcname'])[-1]}() is the server's: hand it over as a parameter"
        elif node["@"] == "SQLValueFunction":
            yield "the server's clock or user: hand it over as a parameter"


# ---- statements ----


def relations(clause):
    """The tables and the like of a FROM clause, and the conditions of its joins."""
    tables, conditions = [], []
    for item in clause or ():
        if item["@"] == "JoinExpr":
            for side in ("larg", "rarg"):
                t, c = relations([item[side]])
                tables += t
                conditions += c
            conditions += [item["quals"]] if "quals" in item else []
            if "merchant_id" in strings(item.get("usingClause")):
                conditions.append("using")
        else:
            tables.append(item)
    return tables, conditions


def conjuncts(condition):
    if not isinstance(condition, dict):
        return [condition]
    if condition["@"] == "BoolExpr" and condition["boolop"]["name"] == "AND_EXPR":
        return [c for arg in condition["args"] for c in conjuncts(arg)]
    return [condition]


def merchant_column(node):
    """The alias of a column merchant_id, "" if it has none; None: it is something else."""
    if node["@"] != "ColumnRef":
        return None
    names = strings(node["fields"])
    if names[-1:] != ["merchant_id"]:
        return None
    return names[-2] if len(names) > 1 else ""


def sides(condition):
    """Pairs that a condition says are equal."""
    if not isinstance(condition, dict):
        return []
    if condition["@"] == "A_Expr" and strings(condition["name"]) == ["="] and \
            condition["kind"]["name"] in ("AEXPR_OP", "AEXPR_IN"):
        left, right = condition["lexpr"], condition["rexpr"]
        if isinstance(right, dict) and left["@"] == right["@"] == "RowExpr":
            return list(zip(left["args"], right["args"]))
        return [(left, right)]
    if condition["@"] == "SubLink" and condition["subLinkType"]["name"] == "ANY_SUBLINK" and "testexpr" in condition:
        test, select = condition["testexpr"], condition["subselect"]
        left = test["args"] if test["@"] == "RowExpr" else [test]
        return list(zip(left, [t["val"] for t in select.get("targetList", ())]))
    return []


def plain(node):
    """Without casts; of coalesce(…) the last alternative."""
    while node["@"] in ("TypeCast", "CoalesceExpr"):
        node = node["arg"] if node["@"] == "TypeCast" else node["args"][-1]
    return node


def is_a_merchant(node, of_one=False):
    """A parameter, a constant, a list of these, another column that holds a merchant unless that is `of_one`."""
    if isinstance(node, (list, tuple)):
        return all(is_a_merchant(n, of_one) for n in node)
    node = plain(node)
    if node["@"] == "ColumnRef":
        name = strings(node["fields"])[-1]
        return not of_one and ("merchant" in name or name == "whose")
    return node["@"] in ("ParamRef", "A_Const")


def term(node):
    """What tells a merchant, as a word: equal words are equal merchants."""
    node = plain(node)
    if node["@"] == "ParamRef":
        return f"${node.get('number', 0)}"
    if node["@"] == "ColumnRef":
        names = strings(node["fields"])
        return names[0] if names[-1] == "merchant_id" and len(names) > 1 else ".".join(names)
    return str(node.get("val"))


class Ties:
    """Which words stand for one merchant."""

    def __init__(self):
        self.parent = {}

    def root(self, word):
        while (up := self.parent.get(word, word)) != word:
            word = up
        return word

    def tie(self, one, other):
        self.parent[self.root(one)] = self.root(other)


def says_whose(condition, of_one=False):
    """Aliases of the tables whose merchant the condition tells ("" if it is named without one; "*": of all)."""
    found = set()
    if condition == "using":
        return {"*"}
    for left, right in sides(condition):
        for one, other in ((left, right), (right, left)):
            alias = merchant_column(one) if isinstance(one, dict) else None
            if alias is not None and is_a_merchant(other, of_one):
                found.add(alias)
    return found


WHOSE = re.compile(r"\b[a-z_0-9]+\.whose\b")


class Statement:
    """One file of sql/query or sql/citus; of_one: as it is prepared for a batch that is one merchant's."""

    def __init__(self, schema, name, text, across=None, of_one=False):
        self.schema, self.name, self.faults, self.of_one = schema, name, [], of_one
        if of_one:
            text = WHOSE.sub("$99::uuid", text)
            name = self.name = f"{name}, of one merchant"
        across = set((across or ACROSS.get(name, ("", "")))[0].split())
        self.unbound = set()  # merchants' tables that are gone through for all merchants
        statements = parsed(text)
        if len(statements) != 1:
            self.faults.append(f"{name}: {len(statements)} statements in one file")
        for statement in statements:
            self.faults += [f"{name}: {words}" for words in volatile(statement)]
            ctes = {n["ctename"] for n in walk(statement) if n["@"] == "CommonTableExpr"}
            for node in walk(statement):
                self.names(node, ctes)
                if node["@"] in ("SelectStmt", "UpdateStmt", "DeleteStmt"):
                    self.level(node)
                elif node["@"] == "InsertStmt":
                    self.insert(node)
                elif node["@"] in ("ListenStmt", "NotifyStmt", "LockStmt"):
                    self.faults.append(f"{name}: {node['@']}")
        for table in sorted(self.unbound - across):
            self.faults.append(f"{name}: {table} without an equality of merchant_id")
        for table in sorted(across - self.unbound):
            self.faults.append(f"{name}: is listed to go through all of {table}, and does not")

    def names(self, node, ctes):
        if node["@"] != "RangeVar":
            return
        table = node["relname"]
        if node.get("schemaname") == "reli":
            if table not in self.schema.tables and table not in OWN:
                self.faults.append(f"{self.name}: there is no table reli.{table}")
        elif "schemaname" not in node and table not in ctes:
            self.faults.append(f"{self.name}: {table} is neither a table of reli nor a WITH of this statement")

    def level(self, node):
        tables, conditions = relations(node.get("fromClause", ()) or node.get("usingClause", ()))
        if "relation" in node:
            tables.append(node["relation"])
        told = set()
        for condition in conditions + ([node["whereClause"]] if "whereClause" in node else []):
            for part in conjuncts(condition):
                told |= says_whose(part, self.of_one)
        alone = []  # aliases of what lies on one node
        for table in (t for t in tables if t["@"] == "RangeVar"):
            name = table["relname"]
            if table.get("schemaname") != "reli" or name in LOOKUPS or name in OWN:
                continue
            alias = table.get("alias", {}).get("aliasname", name)
            if not (alias in told or "*" in told or "" in told and len(tables) == 1):
                self.unbound.add(name)
            elif name not in ALONE:
                alone.append(alias)
        if "*" not in told and len({self.ties(conditions, node).root(a) for a in alone}) > 1:
            self.faults.append(f"{self.name}: joins rows of two merchants: {', '.join(sorted(alone))}")

    @staticmethod
    def ties(conditions, node):
        ties = Ties()
        for condition in conditions + ([node["whereClause"]] if "whereClause" in node else []):
            for part in conjuncts(condition):
                for left, right in sides(part):
                    both = isinstance(left, dict) and isinstance(right, dict)
                    if both and (merchant_column(left) is not None or merchant_column(right) is not None):
                        ties.tie(term(left), term(right))
        return ties

    def insert(self, node):
        name = node["relation"]["relname"]
        columns = [c["name"] for c in node.get("cols", ())]
        if name not in LOOKUPS and "merchant_id" not in columns:
            self.faults.append(f"{self.name}: inserts into {name} without merchant_id")


# ---- the distribution ----


def distribution(schema, text):
    """Faults of sql/citus.sql."""
    done = {}
    for statement in parsed(text):
        for call in (n for n in walk(statement) if n["@"] == "FuncCall"):
            words = [n["sval"] for n in walk(call["args"]) if n["@"] == "String"] or \
                    [n["val"]["sval"] for n in walk(call["args"]) if n["@"] == "A_Const" and "sval" in n.get("val", {})]
            done[words[0].removeprefix("reli.")] = (strings(call["funcname"])[-1], *words[1:])
    for table in schema.tables:
        wanted = ("create_distributed_table", "merchant_id", "none" if table == "payment" else "reli.payment")
        if table in LOOKUPS or table in ALONE:
            wanted = None
        if done.pop(table, None) != wanted:
            yield f"sql/citus.sql: {table} is not there as {' '.join(wanted or ('a table of its own',))}"
    for table in done:
        yield f"sql/citus.sql: there is no table {table}"


def faults_of(migrations, queries, instead, citus):
    """All faults; the arguments map names to texts."""
    schema, out = Schema(), []
    for name, text in migrations.items():
        schema.read(text, name)
    out += schema.faults
    for name, text in queries.items():
        try:
            out += Statement(schema, name, text).faults
            if WHOSE.search(text):
                out += Statement(schema, name, text, of_one=True).faults
        except ParseError as e:
            out.append(f"{name}: {e}")
    for name, text in instead.items():
        out += Statement(schema, name, text, ACROSS_CITUS.get(name)).faults
        if name not in queries:
            out.append(f"sql/citus/{name}.sql stands for nothing in sql/query")
    out += [f"{n}: is listed to go through all merchants, and is no statement" for n in set(ACROSS) - set(queries)]
    return out + list(distribution(schema, citus))


# ---- the rules are tested, too ----

TABLE = "create table reli.t (merchant_id uuid not null, id uuid not null, n int4, primary key (merchant_id, id));" \
        "create table reli.api_key (merchant_id uuid not null, id uuid not null, n int4);"
# What must be refused: the words that must come, and the SQL.
BAD_MIGRATIONS = (
    ("a key of x begins with ['id']", "create table reli.x (merchant_id uuid not null, id uuid primary key)"),
    ("a key of x begins with ['id'], not", "create table reli.x (merchant_id uuid, id uuid, unique (id, merchant_id))"),
    ("x has no merchant_id", "create table reli.x (id uuid)"),
    ("unique index of t begins", "create unique index t_n on reli.t (n)"),
    ("begins with [None]", "create unique index t_n on reli.t ((n + 1), merchant_id)"),
    ("x.w is in a key and not collate", "create table reli.x (merchant_id uuid, w text, primary key (merchant_id, w))"),
    ("x.w is in a key and not collate", "create table reli.x (merchant_id uuid, w text collate \"POSIX\");"
                                        "create index x_w on reli.x (merchant_id, w)"),
    ("a foreign key of t", "alter table reli.t add foreign key (id) references reli.t (id)"),
    ("a foreign key of x", "create table reli.x (merchant_id uuid, y uuid references reli.t (id))"),
    ("a sequence", "create sequence reli.s"),
    ("x.n takes its numbers", "create table reli.x (merchant_id uuid, n bigserial)"),
    ("x.i takes its numbers", "create table reli.x (merchant_id uuid, i int8 generated always as identity)"),
    ("a trigger", "create trigger t before insert on reli.t execute function f()"),
    ("a rule", "create rule r as on insert to reli.t do nothing"),
    ("x: now() is the server's", "create table reli.x (merchant_id uuid, at timestamptz default now())"),
    ("x: gen_random_uuid() is", "create table reli.x (merchant_id uuid default gen_random_uuid())"),
    ("x: the server's clock", "create table reli.x (merchant_id uuid, at timestamptz default current_timestamp)"),
    ("function f calls clock_timestamp", "create function reli.f() returns timestamptz language sql as "
                                        "$$ select clock_timestamp() $$"),
    ("t_2 is not there as create_distributed_table", "create table reli.t_2 (merchant_id uuid)"),
)
GOOD_MIGRATIONS = (
    "create unique index t_n on reli.t (merchant_id, n)",
    "alter table reli.t add foreign key (merchant_id, id) references reli.t (merchant_id, id) on delete restrict",
    "create table reli.t_1 partition of reli.t default",
)
BAD_STATEMENTS = (
    ("t without an equality of merchant_id", "select n from reli.t where id = $1"),
    ("t without an equality of merchant_id", "select n from reli.t where merchant_id = $1 or id = $2"),
    ("t without an equality of merchant_id", "select n from reli.t where merchant_id <> $1"),
    ("t without an equality of merchant_id",
     "select n from reli.t where merchant_id = any (select merchant_id from reli.t)"),
    ("t without an equality of merchant_id",
     "select a.n from reli.t a join reli.t b on b.id = a.id where a.merchant_id = $1"),
    ("t without an equality of merchant_id", "update reli.t set n = 1 where id = $1"),
    ("t without an equality of merchant_id", "delete from reli.t t using unnest($1::uuid[]) u(id) where t.id = u.id"),
    ("t without an equality of merchant_id", "with u as (select n from reli.t) select n from u"),
    ("t without an equality of merchant_id", "select 1 where exists (select from reli.t where id = $1)"),
    ("t without an equality of merchant_id", "insert into reli.t (merchant_id, id) select $1, id from reli.t"),
    ("joins rows of two merchants: a, b",
     "select a.n from reli.t a join reli.t b on b.merchant_id = $2 and b.id = a.id where a.merchant_id = $1"),
    ("inserts into t without merchant_id", "insert into reli.t (id, n) values ($1, $2)"),
    ("there is no table reli.gone", "select 1 from reli.gone where merchant_id = $1"),
    ("t is neither a table", "select 1 from t where merchant_id = $1"),
    ("2 statements", "select 1; select 2"),
    ("now() is the server's", "update reli.t set n = extract(epoch from now()) where merchant_id = $1"),
    ("random() is", "select random()"),
    ("the server's clock or user", "select current_date"),
    ("pg_advisory_xact_lock() is", "select pg_advisory_xact_lock(1)"),
    ("NotifyStmt", "notify x"),
    ("syntax error", "select from where"),
    ("q, of one merchant: t without an equality",
     "with u as (select * from unnest($1::uuid[]) as u(whose)), k as (select u.whose as merchant_id from u) "
     "update reli.t set n = 1 from k where t.merchant_id = k.merchant_id"),
)
GOOD_STATEMENTS = (
    "select n from reli.t where merchant_id = $1 and id = $2",
    "select n from reli.t where merchant_id in ($1, '00000000-0000-0000-0000-000000000000')",
    "select n from reli.t where (merchant_id, id) in (select u.merchant_id, u.id from unnest($1::uuid[], $2::uuid[]) "
    "as u(merchant_id, id))",
    "select b.n from reli.t a join reli.t b on b.merchant_id = a.merchant_id and b.id = a.id where a.merchant_id = $1",
    "select b.n from reli.t a join reli.t b on b.merchant_id = $1 and b.id = a.id where a.merchant_id = $1",
    "select b.n from unnest($1::uuid[]) u(merchant_id), reli.t a, reli.t b where u.merchant_id = a.merchant_id "
    "and b.merchant_id = u.merchant_id",
    "select b.n from reli.t a join reli.t b using (merchant_id, id) where a.merchant_id = $1",
    "with u as (select * from unnest($1::uuid[], $2::uuid[]) as u(merchant_id, id)) "
    "update reli.t set n = 1 from u where t.merchant_id = u.merchant_id and t.id = u.id",
    "insert into reli.t (merchant_id, id) values ($1, $2) on conflict do nothing",
    "delete from reli.t where merchant_id = $1",
    "with u as (select * from unnest($1::uuid[], $2::uuid[]) as u(whose, id)) "
    "update reli.t set n = 1 from u where t.merchant_id = u.whose and t.id = u.id",
    "select k.id from reli.api_key k join reli.t on t.merchant_id = k.merchant_id where k.merchant_id = $1",
)
CITUS = "select create_distributed_table('reli.t', 'merchant_id', colocate_with => 'reli.payment');"
BAD_DISTRIBUTIONS = (
    ("t is not there", "select 1"),
    ("t is not there as", "select create_reference_table('reli.t')"),
    ("t is not there as create_distributed_table",
     "select create_distributed_table('reli.t', 'id', colocate_with => 'none')"),
    ("there is no table gone", CITUS + "select create_reference_table('reli.gone')"),
)


def self_test():
    global ACROSS
    ACROSS = {}
    wrong = []

    def expect(words, migration, query, citus, instead=None):
        found = faults_of({"m": TABLE + migration}, {"q": query} if query else {}, instead or {}, citus)
        if len(found) != (words is not None) or words is not None and words not in found[0]:
            wrong.append(f"{migration or query or citus}\n    wanted: {words}\n    found: {found}")

    for words, migration in BAD_MIGRATIONS:
        citus = CITUS
        if "create table reli.x " in migration:
            citus += CITUS.replace("reli.t", "reli.x")
        expect(words, migration, "", citus)
    for migration in GOOD_MIGRATIONS:
        expect(None, migration, "", CITUS)
    for words, query in BAD_STATEMENTS:
        expect(words, "", query, CITUS)
    for query in GOOD_STATEMENTS:
        expect(None, "", query, CITUS)
    for words, citus in BAD_DISTRIBUTIONS:
        expect(words, "", "", citus)
    expect(None, "", GOOD_STATEMENTS[0], CITUS, {"q": GOOD_STATEMENTS[0]})
    expect("t without an equality of merchant_id", "", GOOD_STATEMENTS[0], CITUS, {"q": "select n from reli.t"})
    expect("stands for nothing", "", GOOD_STATEMENTS[0], CITUS, {"r": GOOD_STATEMENTS[0]})
    return wrong


def main():
    if sys.argv[1:] == ["--self-test"]:
        found = self_test()
    else:
        migrations, queries, citus = ({p.stem: p.read_text() for p in sorted((ROOT / "sql" / room).glob("*.sql"))}
                                      for room in ("migrations", "query", "citus"))
        with tempfile.TemporaryDirectory() as made:
            subprocess.run(["scripts/lists.sh", made], cwd=ROOT, check=True)
            queries |= {p.stem: p.read_text() for p in pathlib.Path(made).glob("*.sql")}
        found = faults_of(migrations, queries, citus, (ROOT / "sql/citus.sql").read_text())
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""A payment service as it is often written: Flask, gunicorn, psycopg2, one transaction for each payment.

It does what a shop's simple service does when it takes a payment: an API key (kept in memory once it was
seen), an Idempotency-Key, and the rows that reli writes for one by `cash`, under their unique keys. What
it leaves out is to its advantage: limits, fees, encryption, signatures, Redis, an access log.

bench.py starts it, and has pgbench run the same statements: it counts as a peer only if it reaches a
fair part of that.
"""

import decimal
import hashlib
import json
import os
import secrets
import time
import uuid

SCHEMA = """
create schema peer;
create table peer.api_key (key_hash bytea primary key, merchant_id uuid not null);
create table peer.payment (merchant_id uuid, id uuid, status text not null, reference text not null,
    reference_no text not null, provider text not null, amount int8 not null, currency text not null, phone text,
    created_at timestamptz not null, expires_at timestamptz not null, primary key (merchant_id, id));
create table peer.reference_owner (merchant_id uuid, reference text, payment_id uuid not null,
    primary key (merchant_id, reference));
create table peer.idempotency (merchant_id uuid, key text, fingerprint bytea not null, payment_id uuid not null,
    answer text not null, created_at timestamptz not null, primary key (merchant_id, key));
create table peer.event (merchant_id uuid, payment_id uuid, seq int4, id uuid not null, type text not null,
    data text not null, created_at timestamptz not null, primary key (merchant_id, payment_id, seq));
create table peer.audit_log (merchant_id uuid, payment_id uuid, id uuid, action text not null, actor text not null,
    created_at timestamptz not null, primary key (merchant_id, payment_id, id));
create table peer.job (merchant_id uuid, payment_id uuid, run_at timestamptz not null,
    primary key (merchant_id, payment_id));
create index job_due on peer.job (run_at);
"""

# In the order in which they run; between a begin and a commit.
STATEMENTS = (
    "insert into peer.idempotency values (%(merchant)s, %(key)s, %(fingerprint)s, %(id)s, %(answer)s, now()) "
    "on conflict do nothing",
    "insert into peer.payment values (%(merchant)s, %(id)s, 'requires_action', %(reference_no)s, %(reference_no)s, "
    "'cash', %(amount)s, %(currency)s, %(phone)s, now(), now() + interval '3 days')",
    "insert into peer.reference_owner values (%(merchant)s, %(reference_no)s, %(id)s), "
    "(%(merchant)s, %(pay_code)s, %(id)s)",
    "insert into peer.event values (%(merchant)s, %(id)s, 1, %(event_a)s, 'payment.initiated', %(answer)s, now()), "
    "(%(merchant)s, %(id)s, 2, %(event_b)s, 'payment.requires_action', %(answer)s, now())",
    "insert into peer.audit_log values (%(merchant)s, %(id)s, %(event_a)s, 'payment.create', 'api', now()), "
    "(%(merchant)s, %(id)s, %(event_b)s, 'payment.move', 'api', now())",
    "insert into peer.job values (%(merchant)s, %(id)s, now() + interval '3 days')",
)


def time_ordered():
    ms = int(time.time() * 1000).to_bytes(6, "big")
    return str(uuid.UUID(bytes=ms + bytes([0x70 | secrets.randbits(4)]) + secrets.token_bytes(9)))


def row_of(merchant, key, body, asked):
    """The parameters of the statements; ValueError if it is no payment."""
    amount = decimal.Decimal(str(asked["amount"]))
    if not amount.is_finite() or amount <= 0 or amount.as_tuple().exponent < -2 or len(asked["currency"]) != 3:
        raise ValueError("amount")
    row = {"merchant": merchant, "key": key, "fingerprint": hashlib.sha256(body).digest(), "id": time_ordered(),
           "event_a": time_ordered(), "event_b": time_ordered(), "amount": int(amount * 100),
           "reference_no": f"TXN{time.strftime('%Y%m%d')}{secrets.token_hex(4)}", "pay_code": f"RL{secrets.token_hex(5)}",
           "currency": asked["currency"], "phone": asked.get("customer", {}).get("phone")}
    row["answer"] = json.dumps({
        "id": row["id"], "object": "payment", "mode": "test", "status": "requires_action", "provider": asked["provider"],
        "reference": row["reference_no"], "reference_no": row["reference_no"], "pay_code": row["pay_code"],
        "amount": f"{amount:.2f}", "currency": row["currency"], "customer": {"phone": row["phone"]},
        "next_action": {"type": "collect_cash"}, "metadata": {}, "created_at": time.time()})
    return row


def make():
    """The application, for gunicorn."""
    import flask
    import psycopg2
    import threading

    app, mine, known = flask.Flask("peer"), threading.local(), {}

    def connection():
        if not hasattr(mine, "c"):
            mine.c = psycopg2.connect(os.environ["PEER_DATABASE_URL"])
        return mine.c

    def caller(cursor):
        key = flask.request.headers.get("Authorization", "").removeprefix("Bearer ")
        digest = hashlib.sha256(key.encode()).digest()
        if digest not in known:
            cursor.execute("select merchant_id from peer.api_key where key_hash = %s", (digest,))
            found = cursor.fetchone()
            if found is None:
                flask.abort(401)
            known[digest] = found[0]
        return known[digest]

    @app.get("/health")
    def health():
        return {"status": "ok"}

    @app.post("/api/v1/payments/initialize")
    def initialize():
        body, key = flask.request.get_data(), flask.request.headers.get("Idempotency-Key", "")
        with connection() as c, c.cursor() as cursor:
            merchant = caller(cursor)
            try:
                row = row_of(merchant, key, body, json.loads(body, parse_float=decimal.Decimal))
            except (ValueError, KeyError, TypeError, ArithmeticError):
                flask.abort(422)
            cursor.execute(STATEMENTS[0], row)
            if cursor.rowcount == 0:
                cursor.execute("select fingerprint, answer from peer.idempotency where merchant_id = %s and key = %s",
                               (merchant, key))
                fingerprint, answer = cursor.fetchone()
                if bytes(fingerprint) != row["fingerprint"]:
                    flask.abort(409)
            else:
                answer = row["answer"]
                for text in STATEMENTS[1:]:
                    cursor.execute(text, row)
        return app.response_class(answer, 201, mimetype="application/json")

    return app


def pgbench_script(merchant):
    """The same statements for pgbench, with the values of a payment."""
    row = row_of(merchant, "bench-payment-0123456789ab", b"{}",
                 {"amount": "1000.00", "currency": "KES", "provider": "cash", "customer": {"phone": "+254711222333"}})
    prefix = f"{int(time.time() * 1000):012x}"

    def identity(name):  # 19 random decimal digits behind the time and the version
        return f"'{prefix}7' || :{name}::text"

    words = {name: f"'{value}'" for name, value in row.items() if isinstance(value, (str, int))}
    words |= {"fingerprint": f"'\\x{row['fingerprint'].hex()}'", "key": "'bench-payment-' || :key::text",
              "reference_no": "'TXN20260101' || :key::text", "pay_code": "'RL' || :code::text"}
    words |= {name: f"({identity(n)})::uuid" for name, n in (("id", "a"), ("event_a", "b"), ("event_b", "c"))}
    low, high = 10 ** 18, 9 * 10 ** 18
    sets = [f"\\set {n} random({low}, {high})" for n in ("a", "b", "c", "key", "code")]
    return "\n".join(sets + ["begin;"] + [text % words + ";" for text in STATEMENTS] + ["commit;"]) + "\n"

"""What a run leaves behind, read into memory: the journals of client, receiver and watchers, the sandbox's books,
the database's tables, logs and dump. Doctored evidence is the same with something changed."""

import json
import pathlib

import psycopg2.extras

TABLES = {
    "payment": "id::text, merchant_id::text, mode, status, version, reference, reference_no, pay_code, provider, amount, "
               "currency, received, refunded, refund_reserved, fee, customer_id, description, callback_url, metadata::text, "
               "failure_code, provider_ref, receipt, late, created_at, completed_at",
    "attempt": "payment_id::text, n, status, provider_ref, receipt",
    "refund": "id::text, merchant_id::text, payment_id::text, mode, status, version, amount, currency, reason, requested_by, "
              "approved_by, late, failure_code, provider_ref, receipt, completed_at",
    "refund_attempt": "refund_id::text, n, rail, status, provider_ref, receipt",
    "refund_owner": "payment_id::text, refund_id::text",
    "event": "subject_id::text, merchant_id::text, seq, id::text, mode, type, data, created_at",
    "audit_log": "merchant_id::text, subject_id::text, id::text, mode, action, actor, before, after, detail, "
                 "(extract(epoch from created_at) * 1000000)::int8 as at_us",
    "audit_seal": "merchant_id::text, n, from_position, to_position, hash, mac",
    "installation_key": "kind, number, wrapped",
    "ledger_account": "merchant_id::text, id::text, mode, type, owner, currency",
    "ledger_transfer": "merchant_id::text, journal_id::text, step, mode, kind, debit_id::text, credit_id::text, amount, "
                       "currency, state, payment_id::text",
    "ledger_balance": "merchant_id::text, account_id::text, balance, n_transfers",
    "log_position": "merchant_id::text, kind, position, n, subjects::text[] as subjects, seqs, "
                    "row_ids::text[] as row_ids",
    "log_new": "merchant_id::text, id::text",
    "webhook_delivery": "id::text, merchant_id::text, payment_id::text, seq, event_id::text, event_type, endpoint_id::text, "
                        "status, tries",
    "webhook_endpoint": "id::text, status, status_reason",
    "provider_event": "id::text, payment_id::text, state",
    "exception_item": "subject_id::text, kind, status",
    "receipt": "merchant_id::text, provider, receipt, payment_id::text",
    "job": "merchant_id::text, kind, subject::text, n, extract(epoch from run_at)::float8 as run_at",
}


class Evidence:
    """`doctoring`: statements that change the database for this reading only; `files`: name → changed text."""

    def __init__(self, folder, connect, doctoring=(), files=None):
        self.folder, self.connect = pathlib.Path(folder), connect
        self.files = files or {}
        self.meta = json.loads(self.text("meta.json"))
        self.client = self.lines("client.jsonl")
        self.receiver = self.lines("receiver.jsonl")
        self.frames = self.lines("frames.jsonl")
        self.faults = self.lines("faults.jsonl")
        self.charges = json.loads(self.text("sandbox-charges.json"))["data"]
        self.refunds = json.loads(self.text("sandbox-refunds.json"))["data"]
        self.pushes = json.loads(self.text("sandbox-calls.json"))["data"]
        self.callbacks = json.loads(self.text("sandbox-callbacks.json"))["data"]
        # Records of keys are emptied with their period: these were read before time was moved.
        self.keys = json.loads(self.text("keys.json"))
        self.read_database(doctoring)

    def changed(self, doctoring=(), files=None):
        return Evidence(self.folder, self.connect, doctoring, files)

    def text(self, name):
        return self.files.get(name) or (self.folder / name).read_text(errors="replace")

    def lines(self, name):
        if name not in self.files and not (self.folder / name).exists():
            return []
        return [json.loads(line) for line in self.text(name).splitlines()]

    def read_database(self, doctoring):
        """In one transaction that is rolled back: the owner of the tables may look and doctor, nobody keeps it."""
        c = self.connect()
        try:
            with c.cursor() as cursor:
                cursor.execute("set transaction isolation level repeatable read")
                for statement in doctoring:
                    cursor.execute(statement)
                    assert cursor.rowcount > 0, f"doctored nothing: {statement}"
            self.tables = {}
            for name, columns in TABLES.items():
                with c.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                    cursor.execute(f"select {columns} from reli.{name}")
                    self.tables[name] = [dict(r) for r in cursor.fetchall()]
        finally:
            c.rollback()
            c.close()

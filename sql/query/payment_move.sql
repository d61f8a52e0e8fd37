-- Moves payments: one row of u per unit, with everything that the move writes.
-- Gates: the receipt is new or this payment's own; the payment still has the revision that the unit
-- was made from. What fails a gate writes nothing behind it.
-- Rows: ord int4, stage int4 (0 moved, 1 receipt is another payment's, 2 the revision is another),
-- fanout bool.
with u as materialized (
    select * from unnest($1::int4[], $2::uuid[], $3::uuid[], $4::text[], $5::int4[], $6::uuid[], $7::text[],
        $8::int4[], $9::int8[], $10::text[], $11::bool[], $12::text[], $13::text[],
        $14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::json[],
        $20::timestamptz[], $21::timestamptz[], $22::timestamptz[], $23::timestamptz[],
        $24::int2[], $25::uuid[], $26::timestamptz[], $27::text[], $28::int2[], $29::int2[],
        $30::int2[], $31::int4[], $32::text[], $33::uuid[], $34::bytea[], $35::int4[],
        $36::text[], $37::text[], $38::int4[], $39::uuid[], $40::uuid[], $41::int2[])
    as u(ord, merchant_id, id, mode, revision, op_id, status, version, received,
        status_source, late, failure_code, failure_provider_code, failure_message, provider,
        provider_ref, receipt, receipt_claim, next_action, recon_since, completed_at,
        updated_at, job_run_at, job_bucket, job_owner, job_lease, idem_key, idem_slot,
        idem_slot_b, idem_http, idem_seq, idem_provider_ref, inbound_subject, inbound_key,
        inbound_n, inbound_state, inbound_reason, log_seq, audit_a, journal_id,
        journal_steps)
),
a as materialized (
    select * from unnest($42::int4[], $43::uuid[], $44::uuid[], $45::int2[], $46::text[], $47::text[],
        $48::text[], $49::uuid[], $50::int8[], $51::text[], $52::text[], $53::text[],
        $54::text[], $55::text[], $56::timestamptz[], $57::timestamptz[], $58::int2[],
        $59::timestamptz[], $60::timestamptz[])
    as a(ord, merchant_id, payment_id, n, mode, status, provider, account_id, amount,
        currency, provider_ref, receipt, provider_code, code, sent_at, answered_at, poll_n,
        next_poll_at, at)
),
e as materialized (
    select * from unnest($61::int4[], $62::uuid[], $63::uuid[], $64::int4[], $65::uuid[], $66::text[],
        $67::text[], $68::text[], $69::timestamptz[], $70::int2[], $71::uuid[],
        $72::timestamptz[])
    as e(ord, merchant_id, subject_id, seq, id, mode, type, data, at, bucket, owner, lease)
),
l as materialized (
    select * from unnest($73::int4[], $74::uuid[], $75::uuid[], $76::uuid[], $77::text[], $78::text[],
        $79::text[], $80::text[], $81::text[], $82::text[], $83::timestamptz[])
    as l(ord, merchant_id, subject_id, id, mode, action, actor, before, after, detail, at)
),
c as materialized (
    select * from unnest($84::int4[], $85::uuid[], $86::uuid[], $87::uuid[], $88::text[], $89::text[],
        $90::text[], $91::text[], $92::timestamptz[])
    as c(ord, merchant_id, payment_id, id, mode, type, owner, currency, at)
),
t as materialized (
    select * from unnest($93::int4[], $94::uuid[], $95::uuid[], $96::uuid[], $97::int2[], $98::text[],
        $99::text[], $100::uuid[], $101::uuid[], $102::int8[], $103::text[],
        $104::timestamptz[])
    as t(ord, merchant_id, payment_id, journal_id, step, mode, kind, debit_id, credit_id,
        amount, currency, at)
),
x as materialized (
    select * from unnest($105::int4[], $106::uuid[], $107::uuid[], $108::uuid[], $109::text[], $110::text[],
        $111::text[], $112::timestamptz[])
    as x(ord, merchant_id, payment_id, id, mode, kind, detail, at)
),
pc as materialized (
    select * from unnest($113::int4[], $114::uuid[], $115::uuid[], $116::uuid[], $117::text[], $118::int2[],
        $119::text[], $120::int4[], $121::int8[], $122::text[], $123::bytea[],
        $124::timestamptz[])
    as pc(ord, merchant_id, payment_id, id, mode, attempt_n, op, http_status, took_us, outcome,
        body, at)
),
claimed as (
    insert into reli.receipt as r (merchant_id, mode, provider, receipt, payment_id, created_at)
    select u.merchant_id, u.mode, u.provider, u.receipt_claim, u.id, u.updated_at
    from u where u.receipt_claim is not null
    order by u.merchant_id, u.mode, u.provider, u.receipt_claim
    on conflict (merchant_id, mode, provider, receipt) do update set payment_id = r.payment_id
        where r.payment_id = excluded.payment_id
    returning r.payment_id
),
moved as (
    update reli.payment p set status = u.status, version = u.version, revision = p.revision + 1,
        op_id = u.op_id, received = u.received, status_source = u.status_source, late = u.late,
        failure_code = u.failure_code, failure_provider_code = u.failure_provider_code,
        failure_message = u.failure_message, provider_ref = u.provider_ref, receipt = u.receipt,
        next_action = u.next_action, recon_since = u.recon_since, completed_at = u.completed_at,
        updated_at = u.updated_at
    from u
    where p.merchant_id = u.merchant_id and p.id = u.id and p.revision = u.revision
      and (u.receipt_claim is null or coalesce(u.id in (select payment_id from claimed), false))
    returning p.merchant_id, p.id, p.mode, p.callback_url
),
attempts as (
    insert into reli.attempt (merchant_id, payment_id, n, mode, status, provider, account_id, amount, currency,
        provider_ref, receipt, provider_code, code, sent_at, answered_at, poll_n, next_poll_at,
        created_at, updated_at)
    select a.merchant_id, a.payment_id, a.n, a.mode, a.status, a.provider, a.account_id, a.amount,
        a.currency, a.provider_ref, a.receipt, a.provider_code, a.code, a.sent_at, a.answered_at,
        a.poll_n, a.next_poll_at, a.at, a.at
    from a where coalesce(a.payment_id in (select id from moved), false)
    on conflict (merchant_id, payment_id, n) do update set status = excluded.status,
        provider_ref = excluded.provider_ref, receipt = excluded.receipt,
        provider_code = excluded.provider_code, code = excluded.code,
        answered_at = excluded.answered_at, poll_n = excluded.poll_n,
        next_poll_at = excluded.next_poll_at, updated_at = excluded.updated_at
),
events as (
    insert into reli.event (merchant_id, subject_id, seq, id, mode, type, data, created_at)
    select e.merchant_id, e.subject_id, e.seq, e.id, e.mode, e.type, e.data, e.at
    from e where coalesce(e.subject_id in (select id from moved), false)
),
audits as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, before, after,
        detail, created_at)
    select l.merchant_id, l.subject_id, l.id, l.mode, l.action, l.actor, l.before, l.after,
        l.detail, l.at
    from l where coalesce(l.subject_id in (select id from moved), false)
),
accounts as (
    insert into reli.ledger_account (merchant_id, id, mode, type, owner, currency, status, created_at,
        updated_at)
    select distinct on (c.merchant_id, c.id) c.merchant_id, c.id, c.mode, c.type, c.owner, c.currency,
        'open', c.at, c.at
    from c where coalesce(c.payment_id in (select id from moved), false)
    order by c.merchant_id, c.id
    on conflict do nothing
),
transfers as (
    insert into reli.ledger_transfer (merchant_id, journal_id, step, mode, kind, debit_id, credit_id,
        amount, currency, state, payment_id, created_at)
    select t.merchant_id, t.journal_id, t.step, t.mode, t.kind, t.debit_id, t.credit_id, t.amount,
        t.currency, 'posted', t.payment_id, t.at
    from t where coalesce(t.payment_id in (select id from moved), false)
),
exceptions as (
    insert into reli.exception_item (merchant_id, id, mode, kind, subject_id, detail, status,
        created_at, updated_at)
    select x.merchant_id, x.id, x.mode, x.kind, x.payment_id, x.detail, 'open', x.at, x.at
    from x where coalesce(x.payment_id in (select id from moved), false)
),
calls as (
    insert into reli.provider_call (merchant_id, payment_id, id, mode, attempt_n, op, http_status,
        took_us, outcome, body, created_at)
    select pc.merchant_id, pc.payment_id, pc.id, pc.mode, pc.attempt_n, pc.op, pc.http_status,
        pc.took_us, pc.outcome, pc.body, pc.at
    from pc where coalesce(pc.payment_id in (select id from moved), false)
),
answers as (
    update reli.idempotency i set http_status = u.idem_http, seq = u.idem_seq,
        provider_ref = u.idem_provider_ref
    from u
    where u.idem_key is not null and i.merchant_id = u.merchant_id and i.mode = u.mode
      and i.key = u.idem_key and i.slot in (u.idem_slot, u.idem_slot_b) and i.payment_id = u.id
      and i.http_status is null and coalesce(u.id in (select id from moved), false)
),
inbound as (
    update reli.provider_event v set state = u.inbound_state, reason = u.inbound_reason,
        updated_at = u.updated_at, version = v.version + 1
    from u
    where u.inbound_subject is not null and v.merchant_id = u.merchant_id
      and v.subject_id = u.inbound_subject and v.dedupe_key = u.inbound_key
      and coalesce(u.id in (select id from moved), false)
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select u.merchant_id, (array_agg(u.op_id))[1], array_agg(u.op_id), array_agg(u.id),
        array_agg(u.log_seq), array_agg(u.log_seq), array_agg(u.audit_a), array_agg(null::uuid),
        array_agg(u.journal_id), array_agg(u.journal_steps)
    from u
    where (u.log_seq > 0 or u.audit_a is not null or u.journal_id is not null)
      and coalesce(u.id in (select id from moved), false)
    group by u.merchant_id
),
heard as (
    select m.id from moved m
    where m.callback_url is not null
       or exists (select from reli.webhook_endpoint w
                  where w.merchant_id = m.merchant_id and w.mode = m.mode and w.status = 'enabled')
),
done as (
    delete from reli.job j using u
    where j.merchant_id = u.merchant_id and coalesce(u.id in (select id from moved), false)
      and ((j.kind = 'payment' and j.subject = u.id and j.n = 0 and u.job_run_at is null)
        or (j.kind = 'inbound' and j.subject = u.inbound_subject and j.n = u.inbound_n))
),
jobs as (
    insert into reli.job (merchant_id, kind, subject, n, bucket, run_at, lease_owner, lease_until)
    select u.merchant_id, 'payment', u.id, 0, u.job_bucket, u.job_run_at, u.job_owner, u.job_lease
    from u where u.job_run_at is not null and coalesce(u.id in (select id from moved), false)
    union all
    select e.merchant_id, 'fanout', e.subject_id, e.seq, e.bucket, e.at, e.owner, e.lease
    from e where coalesce(e.subject_id in (select id from heard), false)
    on conflict (merchant_id, kind, subject, n) do update set run_at = excluded.run_at,
        lease_owner = excluded.lease_owner, lease_until = excluded.lease_until, tries = 0
)
select u.ord,
    case when coalesce(u.id in (select id from moved), false) then 0
         when u.receipt_claim is not null
              and not coalesce(u.id in (select payment_id from claimed), false) then 1
         else 2
    end as stage,
    coalesce(u.id in (select id from heard), false) as fanout
from u

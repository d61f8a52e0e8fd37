-- Creates payouts: one row of u per unit, with its event, audit row and hold.
-- Gates, in this order: the idempotency key is new or held by the same payout, the reference is
-- free (or passes on from previous_owner, as it was at previous_version: who had it without coming
-- into being may have come since), the guarded account has what is to be held, with what is brought
-- into it from pending (`matured`, computed when it had wallet_version). What fails a gate
-- writes nothing behind it. No two units of a batch hold on one account.
-- Rows: ord int4, stage int4 (0 created, 1 key known, 2 reference taken, 3 not held), fanout bool.
with u as materialized (
    select * from unnest($1::int4[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::uuid[],
        $7::text[], $8::text[], $9::text[], $10::uuid[], $11::int8[], $12::text[], $13::bytea[],
        $14::bytea[], $15::text[], $16::text[], $17::text[], $18::json[], $19::text[],
        $20::timestamptz[], $21::uuid[], $22::int4[], $23::text[], $24::int2[], $25::int2[],
        $26::int2[], $27::int2[], $28::int4[], $29::bytea[], $30::timestamptz[], $31::uuid[],
        $32::int8[], $33::int4[], $34::timestamptz[], $35::int2[], $36::uuid[], $37::timestamptz[],
        $38::uuid[], $39::int2[], $40::text[], $41::text[])
    as u(ord, whose, id, mode, status, op_id, reference, provider, payment_method, account_id,
        amount, currency, pii, payee_key, purpose, description, callback_url, metadata,
        requested_by, created_at, previous_owner, previous_version, idem_key, idem_slot,
        idem_slot_b, idem_look_a, idem_look_b, idem_period, idem_fingerprint, idem_lease, wallet_id,
        matured, wallet_version, job_run_at, job_bucket, job_owner, job_lease, audit_a,
        journal_steps, traceparent, requester)
),
e as materialized (
    select * from unnest($42::int4[], $43::uuid[], $44::uuid[], $45::int4[], $46::uuid[],
        $47::text[], $48::text[], $49::text[], $50::timestamptz[], $51::int2[], $52::uuid[],
        $53::timestamptz[])
    as e(ord, whose, subject_id, seq, id, mode, type, data, at, bucket, owner, lease)
),
l as materialized (
    select * from unnest($54::int4[], $55::uuid[], $56::uuid[], $57::uuid[], $58::text[],
        $59::text[], $60::text[], $61::text[], $62::text[], $63::text[], $64::timestamptz[])
    as l(ord, whose, subject_id, id, mode, action, actor, before, after, detail, at)
),
c as materialized (
    select * from unnest($65::int4[], $66::uuid[], $67::uuid[], $68::uuid[], $69::text[],
        $70::text[], $71::text[], $72::text[], $73::timestamptz[])
    as c(ord, whose, payment_id, id, mode, type, owner, currency, at)
),
t as materialized (
    select * from unnest($74::int4[], $75::uuid[], $76::uuid[], $77::uuid[], $78::int2[],
        $79::text[], $80::text[], $81::uuid[], $82::uuid[], $83::int8[], $84::text[],
        $85::timestamptz[])
    as t(ord, whose, payment_id, journal_id, step, mode, kind, debit_id, credit_id, amount,
        currency, at)
),
idem as (
    insert into reli.idempotency (merchant_id, mode, key, slot, period, fingerprint, payment_id,
        http_status, seq, lease_until, created_at)
    select u.whose, u.mode, u.idem_key, s.slot, s.period, u.idem_fingerprint, u.id, 201,
        1, u.idem_lease, u.created_at
    from u cross join lateral (values
        (u.idem_slot, u.idem_period),
        -- what lies in the slot before goes with it
        (u.idem_slot_b, u.idem_period - (u.idem_slot_b = (u.idem_slot + 3) % 4)::int4)
    ) as s(slot, period)
    where u.idem_key is not null and s.slot >= 0
      and not exists (select from reli.idempotency i
                      where i.merchant_id = u.whose and i.mode = u.mode and i.key = u.idem_key
                        and i.slot in (u.idem_look_a, u.idem_look_b))
    order by u.whose, u.mode, u.idem_key, s.slot
    on conflict do nothing
    returning payment_id
),
kept as ( -- by an earlier run, which did not get through
    update reli.idempotency i set lease_until = u.idem_lease
    from u
    where u.idem_key is not null and i.merchant_id = u.whose and i.mode = u.mode
      and i.key = u.idem_key and i.slot in (u.idem_look_a, u.idem_look_b) and i.payment_id = u.id
      and i.problem is null
    returning i.payment_id
),
keyed as (
    select u.* from u
    where u.idem_key is null or coalesce(u.id in (select payment_id from kept), false)
       or case when u.idem_slot_b < 0
               then coalesce(u.id in (select payment_id from idem), false)
               else coalesce(u.id in (select payment_id from idem group by payment_id
                                      having count(*) = 2), false)
          end
),
taken as (
    insert into reli.payout_reference (merchant_id, mode, reference, payout_id, version)
    select k.whose, k.mode, k.reference, k.id, 1 from keyed k where k.previous_owner is null
    order by k.whose, k.mode, k.reference
    on conflict do nothing
    returning payout_id
),
passed_on as (
    update reli.payout_reference r set payout_id = k.id, version = r.version + 1
    from keyed k
    where r.merchant_id = k.whose and r.mode = k.mode and r.reference = k.reference
      and r.payout_id = k.previous_owner
      and (k.previous_owner = k.id or r.version = k.previous_version)
    returning r.payout_id
),
named as (
    select k.* from keyed k
    where (coalesce(k.id in (select payout_id from taken), false)
           or coalesce(k.id in (select payout_id from passed_on), false))
      and not exists (select from reli.payout p
                      where p.merchant_id = k.whose and p.id = k.id)
),
opened as (
    insert into reli.ledger_guarded (merchant_id, account_id, balance, version, updated_at)
    select k.whose, k.wallet_id, k.matured - k.amount, 1, k.created_at
    from named k
    where k.matured >= k.amount and k.wallet_version = 0
      and not exists (select from reli.ledger_guarded g
                      where g.merchant_id = k.whose and g.account_id = k.wallet_id)
    order by k.whose, k.wallet_id
    on conflict do nothing
    returning merchant_id, account_id
),
used as (
    update reli.ledger_guarded g set balance = g.balance + k.matured - k.amount,
        version = g.version + case when k.matured <> 0 then 1 else 0 end, updated_at = k.created_at
    from named k
    where g.merchant_id = k.whose and g.account_id = k.wallet_id
      and g.balance + k.matured - k.amount >= 0
      and (k.matured = 0 or g.version = k.wallet_version)
    returning g.merchant_id, g.account_id
),
pay as (
    insert into reli.payout (merchant_id, id, mode, status, version, revision, op_id, reference,
        provider, payment_method, account_id, amount, currency, pii, payee_key, purpose,
        description, callback_url, metadata, requested_by, wallet_id, request, created_at,
        updated_at, traceparent, requester)
    select k.whose, k.id, k.mode, k.status, 1, 1, k.op_id, k.reference, k.provider,
        k.payment_method, k.account_id, k.amount, k.currency, k.pii, k.payee_key, k.purpose,
        k.description, k.callback_url, k.metadata, k.requested_by, k.wallet_id, 'none',
        k.created_at, k.created_at, k.traceparent, k.requester
    from named k
    where exists (select from opened o
                  where o.merchant_id = k.whose and o.account_id = k.wallet_id)
       or exists (select from used o
                  where o.merchant_id = k.whose and o.account_id = k.wallet_id)
    returning id
),
events as (
    insert into reli.event (merchant_id, subject_id, seq, id, mode, type, data, created_at)
    select e.whose, e.subject_id, e.seq, e.id, e.mode, e.type, e.data, e.at
    from e where coalesce(e.subject_id in (select id from pay), false)
),
audits as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, before, after,
        detail, created_at)
    select l.whose, l.subject_id, l.id, l.mode, l.action, l.actor, l.before, l.after,
        l.detail, l.at
    from l where coalesce(l.subject_id in (select id from pay), false)
),
accounts as (
    insert into reli.ledger_account (merchant_id, id, mode, type, owner, currency, status,
        created_at, updated_at)
    select distinct on (c.whose, c.id) c.whose, c.id, c.mode, c.type, c.owner,
        c.currency, 'open', c.at, c.at
    from c where coalesce(c.payment_id in (select id from pay), false)
    order by c.whose, c.id
    on conflict do nothing
),
transfers as (
    insert into reli.ledger_transfer (merchant_id, journal_id, step, mode, kind, debit_id,
        credit_id, amount, currency, state, payment_id, created_at)
    select t.whose, t.journal_id, t.step, t.mode, t.kind, t.debit_id, t.credit_id, t.amount,
        t.currency,
        case t.kind when 'hold' then 'pending' when 'hold_voided' then 'voided' else 'posted' end,
        t.payment_id, t.at
    from t where coalesce(t.payment_id in (select id from pay), false)
),
heard as (
    select u.id from u
    where u.callback_url is not null
       or exists (select from reli.webhook_endpoint w
                  where w.merchant_id = u.whose and w.mode = u.mode and w.status = 'enabled')
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select u.whose, (array_agg(u.op_id))[1], array_agg(u.op_id), array_agg(u.id),
        array_agg(1), array_agg(1), array_agg(u.audit_a), array_agg(null::uuid), array_agg(u.id),
        array_agg(u.journal_steps)
    from u where coalesce(u.id in (select id from pay), false)
    group by u.whose
),
jobs as (
    insert into reli.job (merchant_id, kind, subject, n, bucket, run_at, lease_owner, lease_until)
    select u.whose, 'payout', u.id, 0, u.job_bucket, u.job_run_at, u.job_owner, u.job_lease
    from u where u.job_run_at is not null and coalesce(u.id in (select id from pay), false)
    union all
    select e.whose, 'fanout', e.subject_id, e.seq, e.bucket, e.at, e.owner, e.lease
    from e where coalesce(e.subject_id in (select id from pay), false)
             and coalesce(e.subject_id in (select id from heard), false)
)
select u.ord,
    case when coalesce(u.id in (select id from pay), false) then 0
         when coalesce(u.id in (select id from named), false) then 3
         when coalesce(u.id in (select id from keyed), false) then 2
         else 1
    end as stage,
    coalesce(u.id in (select id from heard), false) as fanout
from u

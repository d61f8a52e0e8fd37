-- Moves payouts: one row of u per unit, with everything that the move writes. Gates: the payout
-- still has the revision that the unit was made from, and an item of the operators' queue that ends
-- with it is `assigned`. `back` is given back to the account of the hold.
-- Rows: ord int4, stage int4 (0 moved, 2 the revision is another), fanout bool.
with u as materialized (
    select * from unnest($1::int4[], $2::uuid[], $3::uuid[], $4::text[], $5::int4[], $6::uuid[],
        $7::text[], $8::int4[], $9::text[], $10::bool[], $11::text[], $12::text[], $13::text[],
        $14::text[], $15::text[], $16::int2[], $17::text[], $18::int2[], $19::timestamptz[],
        $20::timestamptz[], $21::int2[], $22::int2[], $23::timestamptz[], $24::timestamptz[],
        $25::timestamptz[], $26::timestamptz[], $27::uuid[], $28::int8[], $29::timestamptz[],
        $30::int2[], $31::uuid[], $32::timestamptz[], $33::uuid[], $34::bytea[], $35::int4[],
        $36::int4[], $37::uuid[], $38::uuid[], $39::int2[])
    as u(ord, whose, id, mode, revision, op_id, status, version, approved_by, late,
        failure_code, failure_provider_code, failure_message, provider_ref, receipt, n, request,
        paid_n, sent_at, answered_at, poll_n, park_n, next_at, recon_since, completed_at,
        updated_at, wallet_id, back, job_run_at, job_bucket, job_owner, job_lease, inbound_subject,
        inbound_key, inbound_n, log_seq, audit_a, journal_id, journal_steps)
),
e as materialized (
    select * from unnest($40::int4[], $41::uuid[], $42::uuid[], $43::int4[], $44::uuid[],
        $45::text[], $46::text[], $47::text[], $48::timestamptz[], $49::int2[], $50::uuid[],
        $51::timestamptz[])
    as e(ord, whose, subject_id, seq, id, mode, type, data, at, bucket, owner, lease)
),
l as materialized (
    select * from unnest($52::int4[], $53::uuid[], $54::uuid[], $55::uuid[], $56::text[],
        $57::text[], $58::text[], $59::text[], $60::text[], $61::text[], $62::timestamptz[])
    as l(ord, whose, subject_id, id, mode, action, actor, before, after, detail, at)
),
c as materialized (
    select * from unnest($63::int4[], $64::uuid[], $65::uuid[], $66::uuid[], $67::text[],
        $68::text[], $69::text[], $70::text[], $71::timestamptz[])
    as c(ord, whose, payment_id, id, mode, type, owner, currency, at)
),
t as materialized (
    select * from unnest($72::int4[], $73::uuid[], $74::uuid[], $75::uuid[], $76::int2[],
        $77::text[], $78::text[], $79::uuid[], $80::uuid[], $81::int8[], $82::text[],
        $83::timestamptz[])
    as t(ord, whose, payment_id, journal_id, step, mode, kind, debit_id, credit_id, amount,
        currency, at)
),
x as materialized (
    select * from unnest($84::int4[], $85::uuid[], $86::uuid[], $87::uuid[], $88::uuid[],
        $89::int2[], $90::text[], $91::text[], $92::text[], $93::int8[], $94::text[],
        $95::timestamptz[])
    as x(ord, whose, payment_id, id, subject_id, attempt_n, mode, kind, detail, amount,
        currency, at)
),
pc as materialized (
    select * from unnest($96::int4[], $97::uuid[], $98::uuid[], $99::uuid[], $100::text[],
        $101::int2[], $102::text[], $103::int4[], $104::int8[], $105::text[], $106::bytea[],
        $107::timestamptz[])
    as pc(ord, whose, payment_id, id, mode, attempt_n, op, http_status, took_us, outcome,
        body, at)
),
y as materialized (
    select * from unnest($108::int4[], $109::uuid[], $110::uuid[], $111::uuid[], $112::uuid[],
        $113::text[], $114::text[], $115::text[], $116::timestamptz[])
    as y(ord, whose, payment_id, subject_id, item_id, resolution, evidence, resolved_by, at)
),
moved as (
    update reli.payout p set op_id = u.op_id, status = u.status, version = u.version, approved_by =
        u.approved_by, late = u.late, failure_code = u.failure_code, failure_provider_code =
        u.failure_provider_code, failure_message = u.failure_message, provider_ref = u.provider_ref,
        receipt = u.receipt, n = u.n, request = u.request, paid_n = u.paid_n, sent_at = u.sent_at,
        answered_at = u.answered_at, poll_n = u.poll_n, park_n = u.park_n, next_at = u.next_at,
        recon_since = u.recon_since, completed_at = u.completed_at, updated_at = u.updated_at,
        revision = p.revision + 1
    from u
    where p.merchant_id = u.whose and p.id = u.id and p.revision = u.revision
      and u.ord not in (select y.ord from y
                        where y.item_id is not null and not exists (
                            select from reli.exception_item i
                            where i.merchant_id = y.whose and i.id = y.item_id
                              and i.status = 'assigned'))
    returning p.merchant_id as whose, p.id, p.mode, p.callback_url
),
given_back as (
    update reli.ledger_guarded g set balance = g.balance + d.back, updated_at = d.at
    from (
        select u.whose, u.wallet_id, sum(u.back)::int8 as back, max(u.updated_at) as at
        from u where u.back > 0 and coalesce(u.id in (select id from moved), false)
        group by u.whose, u.wallet_id
    ) d
    where g.merchant_id = d.whose and g.account_id = d.wallet_id
),
events as (
    insert into reli.event (merchant_id, subject_id, seq, id, mode, type, data, created_at)
    select e.whose, e.subject_id, e.seq, e.id, e.mode, e.type, e.data, e.at
    from e where coalesce(e.subject_id in (select id from moved), false)
),
audits as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, before, after,
        detail, created_at)
    select l.whose, l.subject_id, l.id, l.mode, l.action, l.actor, l.before, l.after,
        l.detail, l.at
    from l where coalesce(l.subject_id in (select id from moved), false)
),
accounts as (
    insert into reli.ledger_account (merchant_id, id, mode, type, owner, currency, status,
        created_at, updated_at)
    select distinct on (c.whose, c.id) c.whose, c.id, c.mode, c.type, c.owner,
        c.currency, 'open', c.at, c.at
    from c where coalesce(c.payment_id in (select id from moved), false)
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
    from t where coalesce(t.payment_id in (select id from moved), false)
),
exceptions as (
    insert into reli.exception_item (merchant_id, id, mode, kind, subject_id, attempt_n, amount,
        currency, detail, status, created_at, updated_at)
    select x.whose, x.id, x.mode, x.kind, x.subject_id, nullif(x.attempt_n, 0),
        nullif(x.amount, 0), x.currency, x.detail, 'open', x.at, x.at
    from x where coalesce(x.payment_id in (select id from moved), false)
),
resolved as (
    update reli.exception_item i set status = 'resolved', resolution = y.resolution,
        evidence = y.evidence, resolved_by = y.resolved_by, updated_at = y.at,
        version = i.version + 1
    from y
    where i.merchant_id = y.whose and i.subject_id = y.subject_id and i.status <> 'resolved'
      and i.id = coalesce(y.item_id, i.id)
      and (y.item_id is not null
           or (i.kind = 'stuck'
               and i.id not in (select z.item_id from y z where z.item_id is not null)))
      and coalesce(y.payment_id in (select id from moved), false)
),
calls as (
    insert into reli.provider_call (merchant_id, payment_id, id, mode, attempt_n, op, http_status,
        took_us, outcome, body, created_at)
    select pc.whose, pc.payment_id, pc.id, pc.mode, pc.attempt_n, pc.op, pc.http_status,
        pc.took_us, pc.outcome, pc.body, pc.at
    from pc where coalesce(pc.payment_id in (select id from moved), false)
),
inbound as (
    update reli.provider_event v set state = 'processed', reason = null, updated_at = u.updated_at,
        version = v.version + 1
    from u
    where u.inbound_subject is not null and v.merchant_id = u.whose
      and v.subject_id = u.inbound_subject and v.dedupe_key = u.inbound_key
      and coalesce(u.id in (select id from moved), false)
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select u.whose, (array_agg(u.op_id))[1], array_agg(u.op_id), array_agg(u.id),
        array_agg(u.log_seq), array_agg(u.log_seq), array_agg(u.audit_a), array_agg(null::uuid),
        array_agg(u.journal_id), array_agg(u.journal_steps)
    from u
    where (u.log_seq > 0 or u.audit_a is not null or u.journal_id is not null)
      and coalesce(u.id in (select id from moved), false)
    group by u.whose
),
heard as (
    select m.id from moved m
    where m.callback_url is not null
       or exists (select from reli.webhook_endpoint w
                  where w.merchant_id = m.whose and w.mode = m.mode and w.status = 'enabled')
),
over as materialized ( -- as in payment_move.sql
    select u.whose, 'payout' as kind, u.id as subject, 0 as n
    from u where u.job_run_at is null and coalesce(u.id in (select id from moved), false)
    union all
    select u.whose, 'inbound', u.inbound_subject, u.inbound_n
    from u where u.inbound_subject is not null
        and coalesce(u.id in (select id from moved), false)
),
done as (
    delete from reli.job j using over k
    where j.merchant_id = k.whose and j.kind = k.kind and j.subject = k.subject and j.n = k.n
),
jobs as (
    insert into reli.job (merchant_id, kind, subject, n, bucket, run_at, lease_owner, lease_until)
    select u.whose, 'payout', u.id, 0, u.job_bucket, u.job_run_at, u.job_owner, u.job_lease
    from u where u.job_run_at is not null and coalesce(u.id in (select id from moved), false)
    union all
    select e.whose, 'fanout', e.subject_id, e.seq, e.bucket, e.at, e.owner, e.lease
    from e where coalesce(e.subject_id in (select id from heard), false)
    on conflict (merchant_id, kind, subject, n) do update set run_at = excluded.run_at,
        lease_owner = excluded.lease_owner, lease_until = excluded.lease_until, tries = 0
)
select u.ord, case when coalesce(u.id in (select id from moved), false) then 0 else 2 end as stage,
    coalesce(u.id in (select id from heard), false) as fanout
from u

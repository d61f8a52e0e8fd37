-- Moves payments, and refunds with them: one row of u per unit, with everything that the move
-- writes. Gates: the idempotency key is new or held by the same subject (idem_fingerprint set); the
-- receipt is new or this payment's own; the payment still has the revision that the unit was made
-- from, and an item of the operators' queue that ends with it is `assigned`. What fails a gate
-- writes nothing behind it.
-- Rows: ord int4, stage int4 (0 moved, 1 receipt is another payment's, 2 the revision is another, 3
-- key known), fanout bool.
with u as materialized (
    select * from unnest($1::reli.payment_change[])
),
a as materialized (
    select * from unnest($2::reli.attempt_new[])
),
e as materialized (
    select * from unnest($3::reli.event_new[])
),
l as materialized (
    select * from unnest($4::reli.audit_new[])
),
c as materialized (
    select * from unnest($5::reli.account_new[])
),
t as materialized (
    select * from unnest($6::reli.transfer_new[])
),
x as materialized (
    select * from unnest($7::reli.exception_new[])
),
pc as materialized (
    select * from unnest($8::reli.call_new[])
),
rf as materialized (
    select * from unnest($9::reli.refund_new[])
),
ra as materialized (
    select * from unnest($10::reli.refund_attempt_new[])
),
y as materialized (
    select * from unnest($11::reli.resolution_new[])
),
q as materialized (
    select * from unnest($12::reli.limit_new[])
),
idem as (
    insert into reli.idempotency (merchant_id, mode, key, slot, period, fingerprint, payment_id,
        http_status, seq, lease_until, created_at)
    select u.whose, u.mode, u.idem_key, s.slot, s.period, u.idem_fingerprint,
        u.idem_subject, nullif(u.idem_http, 0), nullif(u.idem_seq, 0), u.idem_lease, u.updated_at
    from u cross join lateral (values
        (u.idem_slot, u.idem_period),
        -- what lies in the slot before goes with it
        (u.idem_slot_b, u.idem_period - (u.idem_slot_b = (u.idem_slot + 3) % 4)::int4)
    ) as s(slot, period)
    where u.idem_fingerprint is not null and s.slot >= 0
      and not exists (select from reli.idempotency i
                      where i.merchant_id = u.whose and i.mode = u.mode and i.key = u.idem_key
                        and i.slot in (u.idem_look_a, u.idem_look_b))
    order by u.whose, u.mode, u.idem_key, s.slot
    on conflict do nothing
    returning payment_id
),
kept as ( -- by an earlier run, which lost its race
    update reli.idempotency i set lease_until = u.idem_lease
    from u
    where u.idem_fingerprint is not null and i.merchant_id = u.whose and i.mode = u.mode
      and i.key = u.idem_key and i.slot in (u.idem_look_a, u.idem_look_b)
      and i.payment_id = u.idem_subject
    returning i.payment_id
),
keyed as ( -- in every slot that it goes into
    select u.idem_subject from u
    where coalesce(u.idem_subject in (select payment_id from kept), false)
       or case when u.idem_slot_b < 0
               then coalesce(u.idem_subject in (select payment_id from idem), false)
               else coalesce(u.idem_subject in (select payment_id from idem group by payment_id
                                                having count(*) = 2), false)
          end
),
claimed as (
    insert into reli.receipt as r (merchant_id, mode, provider, receipt, payment_id, created_at)
    select u.whose, u.mode, u.claim_provider, u.receipt_claim, u.id, u.updated_at
    from u where u.receipt_claim is not null
    order by u.whose, u.mode, u.claim_provider, u.receipt_claim
    on conflict (merchant_id, mode, provider, receipt) do update set payment_id = r.payment_id
        where r.payment_id = excluded.payment_id
    returning r.payment_id
),
moved as (
    update reli.payment p set status = u.status, version = u.version, revision = p.revision + 1,
        op_id = u.op_id, received = u.received, status_source = u.status_source, late = u.late,
        refunded = u.refunded, refund_reserved = u.reserved, fee = u.fee,
        fee_due = u.fee_due,
        failure_code = u.failure_code, failure_provider_code = u.failure_provider_code,
        failure_message = u.failure_message, provider_ref = u.provider_ref, receipt = u.receipt,
        provider = u.provider, account_id = u.account_id,
        next_action = u.next_action, recon_since = u.recon_since, completed_at = u.completed_at,
        updated_at = u.updated_at
    from u
    where p.merchant_id = u.whose and p.id = u.id and p.revision = u.revision
      and (u.receipt_claim is null or coalesce(u.id in (select payment_id from claimed), false))
      and (u.idem_fingerprint is null
           or coalesce(u.idem_subject in (select idem_subject from keyed), false))
      and u.ord not in (select y.ord from y
                        where y.item_id is not null and not exists (
                            select from reli.exception_item i
                            where i.merchant_id = y.whose and i.id = y.item_id
                              and i.status = 'assigned'))
    returning p.merchant_id as whose, p.id, p.mode, p.callback_url
),
counts as ( -- back from its limits if it ends without money; late money counts again
    update reli.limit_counter lc set amount = lc.amount + d.amount, n = lc.n + d.n
    from (
        select q.whose, q.id, sum(q.amount)::int8 as amount, sum(q.n)::int8 as n
        from q where coalesce(q.payment_id in (select id from moved), false)
        group by q.whose, q.id
    ) d
    where lc.merchant_id = d.whose and lc.id = d.id
),
attempts as (
    insert into reli.attempt (merchant_id, payment_id, n, mode, status, provider, account_id,
        amount, currency,
        provider_ref, receipt, provider_code, code, sent_at, answered_at, poll_n, next_poll_at,
        route, codes_n, cancel_asked, created_at, updated_at)
    select a.whose, a.payment_id, a.n, a.mode, a.status, a.provider, a.account_id, a.amount,
        a.currency, a.provider_ref, a.receipt, a.provider_code, a.code, a.sent_at, a.answered_at,
        a.poll_n, a.next_poll_at, a.route, a.codes_n, a.cancel_asked, a.at, a.at
    from a where coalesce(a.payment_id in (select id from moved), false)
    on conflict (merchant_id, payment_id, n) do update set status = excluded.status,
        provider_ref = excluded.provider_ref, receipt = excluded.receipt,
        provider_code = excluded.provider_code, code = excluded.code,
        answered_at = excluded.answered_at, poll_n = excluded.poll_n,
        next_poll_at = excluded.next_poll_at, codes_n = excluded.codes_n,
        cancel_asked = excluded.cancel_asked, updated_at = excluded.updated_at
),
refunds as (
    insert into reli.refund (merchant_id, id, payment_id, mode, status, version, amount, currency,
        reason, requested_by, approved_by, account_id, late, excess, failure_code,
        failure_provider_code, failure_message, provider_ref, receipt, recon_since, park_n,
        created_at, updated_at, completed_at, traceparent, requester)
    select rf.whose, rf.id, rf.payment_id, rf.mode, rf.status, rf.version, rf.amount,
        rf.currency,
        rf.reason, rf.requested_by, rf.approved_by, rf.account_id, rf.late, rf.excess,
        rf.failure_code, rf.failure_provider_code, rf.failure_message, rf.provider_ref, rf.receipt,
        rf.recon_since, rf.park_n, rf.created_at, rf.updated_at, rf.completed_at, rf.traceparent,
        rf.requester
    from rf where coalesce(rf.payment_id in (select id from moved), false)
    on conflict (merchant_id, id) do update set status = excluded.status,
        version = excluded.version,
        approved_by = excluded.approved_by, late = excluded.late, excess = excluded.excess,
        failure_code = excluded.failure_code,
        failure_provider_code = excluded.failure_provider_code,
        failure_message = excluded.failure_message, provider_ref = excluded.provider_ref,
        receipt = excluded.receipt, recon_since = excluded.recon_since,
        park_n = excluded.park_n,
        updated_at = excluded.updated_at, completed_at = excluded.completed_at
),
refund_owners as (
    insert into reli.refund_owner (merchant_id, payment_id, refund_id)
    select rf.whose, rf.payment_id, rf.id
    from rf where rf.is_new and coalesce(rf.payment_id in (select id from moved), false)
),
refund_attempts as (
    insert into reli.refund_attempt (merchant_id, refund_id, n, mode, rail, status, provider_ref,
        receipt,
        provider_code, code, sent_at, answered_at, poll_n, next_poll_at, created_at, updated_at)
    select ra.whose, ra.refund_id, ra.n, ra.mode, ra.rail, ra.status, ra.provider_ref,
        ra.receipt,
        ra.provider_code, ra.code, ra.sent_at, ra.answered_at, ra.poll_n, ra.next_poll_at, ra.at,
            ra.at
    from ra where coalesce(ra.payment_id in (select id from moved), false)
    on conflict (merchant_id, refund_id, n) do update set status = excluded.status,
        provider_ref = excluded.provider_ref, receipt = excluded.receipt,
        provider_code = excluded.provider_code, code = excluded.code,
        sent_at = excluded.sent_at, answered_at = excluded.answered_at, poll_n = excluded.poll_n,
        next_poll_at = excluded.next_poll_at, updated_at = excluded.updated_at
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
        t.currency, 'posted', t.payment_id, t.at
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
           or (i.kind in ('stuck', 'refund_manual')
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
answers as (
    update reli.idempotency i set http_status = u.idem_http, seq = u.idem_seq,
        provider_ref = u.idem_provider_ref
    from u
    where u.idem_key is not null and i.merchant_id = u.whose and i.mode = u.mode
      and i.key = u.idem_key and i.slot in (u.idem_slot, u.idem_slot_b)
          and i.payment_id = u.idem_subject
      and i.http_status is null and u.idem_fingerprint is null
          and coalesce(u.id in (select id from moved), false)
),
inbound as (
    update reli.provider_event v set state = u.inbound_state, reason = u.inbound_reason,
        updated_at = u.updated_at, version = v.version + 1
    from u
    where u.inbound_subject is not null and v.merchant_id = u.whose
      and v.subject_id = u.inbound_subject and v.dedupe_key = u.inbound_key
      and coalesce(u.id in (select id from moved), false)
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select u.whose, (array_agg(u.op_id))[1], array_agg(u.op_id), array_agg(u.id),
        array_agg(u.log_seq), array_agg(u.log_seq), array_agg(u.audit_a), array_agg(u.audit_b),
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
over as materialized (
    -- Two lists: a join with "or" would read all jobs of the merchant. Materialized: a delete that
    -- has waited for a lease looks at its other side again, and of a bare "union all" PostgreSQL
    -- then finds the first row only.
    select u.whose, u.job_kind as kind, u.job_subject as subject, 0 as n
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
    select u.whose, u.job_kind, u.job_subject, 0, u.job_bucket, u.job_run_at, u.job_owner,
        u.job_lease
    from u where u.job_run_at is not null and coalesce(u.id in (select id from moved), false)
    union all
    select e.whose, 'fanout', e.subject_id, e.seq, e.bucket, e.at, e.owner, e.lease
    from e where coalesce(e.subject_id in (select id from heard), false)
    on conflict (merchant_id, kind, subject, n) do update set run_at = excluded.run_at,
        lease_owner = excluded.lease_owner, lease_until = excluded.lease_until, tries = 0
)
select u.ord,
    case when coalesce(u.id in (select id from moved), false) then 0
         when u.idem_fingerprint is not null
              and not coalesce(u.idem_subject in (select idem_subject from keyed), false) then 3
         when u.receipt_claim is not null
              and not coalesce(u.id in (select payment_id from claimed), false) then 1
         else 2
    end as stage,
    coalesce(u.id in (select id from heard), false) as fanout
from u

-- Creates payments: one row of u per unit, with its attempts, events and audit rows.
-- Gates, in this order: the idempotency key is new, there is room in every limit on money that the
-- payment meets (rows of q), reference_no and pay_code are free, the reference is free (or passes
-- on from previous_owner). What fails a gate writes nothing behind it. Room is granted in the order
-- of ord; who is refused takes none from those behind him.
-- Rows: ord int4, stage int4 (0 created, 1 key known, 2 reference_no or pay_code taken, 3 reference
-- taken, 4 beyond a limit), fanout bool (jobs were made to notify somebody), crossed int4 (of 4:
-- pos of the first limit that was crossed).
-- Membership is asked as coalesce(x in (select …), false): a hashed subplan, where a join of CTEs
-- would compare each row with each. From gate to gate go ids only: the rows of u are wide.
with u as materialized (
    select * from unnest($1::reli.payment_new[])
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
q as materialized (
    select * from unnest($5::int4[], $6::uuid[], $7::uuid[], $8::int2[], $9::uuid[],
        $10::text[], $11::int8[], $12::int8[], $13::int8[], $14::int8[])
    as q(ord, whose, payment_id, pos, id, about, amount, n, max_amount, max_count)
),
idem as (
    insert into reli.idempotency (merchant_id, mode, key, slot, period, fingerprint, payment_id,
        http_status, seq, lease_until, created_at)
    select u.whose, u.mode, u.idem_key, s.slot, s.period, u.idem_fingerprint, u.id,
        nullif(u.idem_http, 0), nullif(u.idem_seq, 0), u.idem_lease, u.created_at
    from u cross join lateral (values
        (u.idem_slot, u.idem_period),
        -- what lies in the slot before goes with it
        (u.idem_slot_b, u.idem_period - (u.idem_slot_b = (u.idem_slot + 3) % 4)::int4)
    ) as s(slot, period)
    where u.idem_key is not null and not u.idem_held and s.slot >= 0
      and not exists (select from reli.idempotency i
                      where i.merchant_id = u.whose and i.mode = u.mode and i.key = u.idem_key
                        and i.slot in (u.idem_look_a, u.idem_look_b)
                        -- a slot that alone is written is looked into by the insertion itself
                        and (u.idem_slot_b >= 0 or i.slot <> u.idem_slot))
    order by u.whose, u.mode, u.idem_key, s.slot
    on conflict do nothing
    returning payment_id
),
kept as ( -- who takes over a key whose lease has run out waits for this row, and finds a new lease
    update reli.idempotency i set lease_until = u.idem_lease
    from u
    where u.idem_held and i.merchant_id = u.whose and i.mode = u.mode
      and i.key = u.idem_key and i.slot in (u.idem_look_a, u.idem_look_b) and i.payment_id = u.id
    returning i.payment_id
),
keyed as (
    select u.ord, u.id from u
    where u.idem_key is null
       or (u.idem_held and coalesce(u.id in (select payment_id from kept), false))
       or case when u.idem_slot_b < 0
               then coalesce(u.id in (select payment_id from idem), false)
               else coalesce(u.id in (select payment_id from idem group by payment_id
                                      having count(*) = 2), false)
          end
),
room as ( -- limit_lock.sql has made these counters and keeps others from them
    select q.ord, q.pos, q.amount, q.n,
        dense_rank() over (order by q.whose, q.id)::int4 as place,
        coalesce(q.max_amount - c.amount, -1) as room, coalesce(q.max_count - c.n, -1) as room_n
    from q
    left join reli.limit_counter c on c.merchant_id = q.whose and c.id = q.id
    where coalesce(q.payment_id in (select id from keyed), false)
),
verdict as materialized (
    select v / 16 as ord, v % 16 as crossed
    from (
        select reli.limit_grant(array_agg(r.ord order by r.ord, r.pos),
            array_agg(r.pos order by r.ord, r.pos), array_agg(r.place order by r.ord, r.pos),
            array_agg(r.amount order by r.ord, r.pos), array_agg(r.n order by r.ord, r.pos),
            array_agg(r.room order by r.ord, r.pos),
            array_agg(r.room_n order by r.ord, r.pos)) as v
        from room r
    ) g
),
allowed as (
    select k.id from keyed k
    where not coalesce(k.ord in (select ord from verdict where crossed > 0), false)
),
shown as (
    insert into reli.reference_owner (merchant_id, mode, reference, payment_id)
    select u.whose, u.mode, w.word, u.id
    from u cross join lateral (values (u.reference_no), (u.pay_code)) as w(word)
    where coalesce(u.id in (select id from allowed), false)
    order by u.whose, u.mode, w.word
    on conflict do nothing
    returning payment_id
),
named as (
    select k.id from allowed k
    where coalesce(k.id in (select payment_id from shown group by payment_id having count(*) = 2),
                   false)
),
taken as (
    insert into reli.reference_owner (merchant_id, mode, reference, payment_id)
    select u.whose, u.mode, u.reference, u.id from u
    where u.reference <> u.reference_no and u.previous_owner is null
      and coalesce(u.id in (select id from named), false)
    order by u.whose, u.mode, u.reference
    on conflict do nothing
    returning payment_id
),
passed_on as (
    update reli.reference_owner r set payment_id = u.id
    from u
    where u.previous_owner is not null and coalesce(u.id in (select id from named), false)
      and r.merchant_id = u.whose and r.mode = u.mode and r.reference = u.reference
      and r.payment_id = u.previous_owner
    returning r.payment_id
),
pay as (
    insert into reli.payment (merchant_id, id, mode, status, version, revision, op_id, reference,
        reference_no, pay_code, provider, payment_method, account_id, amount, currency,
        customer_id, customer_key, counted, pii, description, return_url, callback_url, metadata,
        next_action, failure_code, failure_message, status_source, created_at, updated_at,
        expires_at, fee_due, fee_version, fee_on_top, traceparent)
    select u.whose, u.id, u.mode, u.status, u.version, 1, u.op_id, u.reference,
        u.reference_no, u.pay_code, u.provider, u.payment_method, u.account_id, u.amount,
        u.currency, u.customer_id, u.customer_key, u.counted, u.pii, u.description, u.return_url,
        u.callback_url, u.metadata, u.next_action, u.failure_code, u.failure_message,
        u.status_source, u.created_at, u.created_at, u.expires_at, u.fee_due, u.fee_version,
        u.fee_on_top, u.traceparent
    from u
    where coalesce(u.id in (select id from named), false)
      and (u.reference = u.reference_no
           or coalesce(u.id in (select payment_id from taken), false)
           or coalesce(u.id in (select payment_id from passed_on), false))
    returning id
),
-- A customer's row is made once; nobody waits for it, and nothing of it is changed by a payment.
customers as (
    insert into reli.customer (merchant_id, id, mode, key, external_id, status, created_at,
        updated_at)
    select u.whose, u.customer_row, u.mode, u.customer_key, u.customer_id, 'active',
        u.created_at, u.created_at
    from u where u.customer_key is not null and coalesce(u.id in (select id from pay), false)
    order by u.whose, u.mode, u.customer_key
    on conflict do nothing
),
handles as (
    insert into reli.customer_handle (merchant_id, mode, handle, key)
    select u.whose, u.mode, h.handle, u.customer_key
    from u cross join lateral (values (u.handle_a), (u.handle_b)) as h(handle)
    where h.handle is not null and coalesce(u.id in (select id from pay), false)
    order by u.whose, u.mode, h.handle, u.customer_key
    on conflict do nothing
),
counts as (
    update reli.limit_counter c set amount = c.amount + d.amount, n = c.n + d.n
    from (
        select q.whose, q.id, sum(q.amount)::int8 as amount, sum(q.n)::int8 as n
        from q where coalesce(q.payment_id in (select id from pay), false)
        group by q.whose, q.id
    ) d
    where c.merchant_id = d.whose and c.id = d.id
),
attempts as (
    insert into reli.attempt (merchant_id, payment_id, n, mode, status, provider, account_id,
        amount, currency,
        provider_ref, receipt, provider_code, code, sent_at, answered_at, poll_n, next_poll_at,
        route, codes_n, cancel_asked, created_at, updated_at)
    select a.whose, a.payment_id, a.n, a.mode, a.status, a.provider, a.account_id, a.amount,
        a.currency, a.provider_ref, a.receipt, a.provider_code, a.code, a.sent_at, a.answered_at,
        a.poll_n, a.next_poll_at, a.route, a.codes_n, a.cancel_asked, a.at, a.at
    from a where coalesce(a.payment_id in (select id from pay), false)
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
hearing as (
    select m.whose, m.mode from (select distinct u.whose, u.mode from u) m
    where exists (select from reli.webhook_endpoint w
                  where w.merchant_id = m.whose and w.mode = m.mode and w.status = 'enabled')
),
heard as (
    select u.id from u
    where u.callback_url is not null
       or coalesce((u.whose, u.mode) in (select m.whose, m.mode from hearing m), false)
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select u.whose, (array_agg(u.op_id))[1], array_agg(u.op_id), array_agg(u.id),
        array_agg(1), array_agg(u.version), array_agg(u.audit_a), array_agg(u.audit_b),
        array_agg(null::uuid), array_agg(0::int2)
    from u where coalesce(u.id in (select id from pay), false)
    group by u.whose
),
jobs as (
    insert into reli.job (merchant_id, kind, subject, n, bucket, run_at, lease_owner, lease_until)
    select u.whose, 'payment', u.id, 0, u.job_bucket, u.job_run_at, u.job_owner, u.job_lease
    from u where u.job_run_at is not null and coalesce(u.id in (select id from pay), false)
    union all
    select e.whose, 'fanout', e.subject_id, e.seq, e.bucket, e.at, e.owner, e.lease
    from e where coalesce(e.subject_id in (select id from pay), false)
             and coalesce(e.subject_id in (select id from heard), false)
)
select u.ord,
    case when coalesce(u.id in (select id from pay), false) then 0
         when coalesce(u.id in (select id from named), false) then 3
         when coalesce(u.id in (select id from allowed), false) then 2
         when coalesce(u.id in (select id from keyed), false) then 4
         else 1
    end as stage,
    coalesce(u.id in (select id from heard), false) as fanout, coalesce(v.crossed, 0) as crossed
from u
left join verdict v on v.ord = u.ord

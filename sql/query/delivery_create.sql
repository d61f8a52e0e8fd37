-- Makes the deliveries of events (u: one row per endpoint; f: one row per event, whose fan-out job
-- is done). One per event and endpoint: what exists is left alone. Rows: ord int4 and the id of
-- each new delivery.
with f as materialized (
    select * from unnest($1::int4[], $2::uuid[], $3::uuid[], $4::int4[])
    as f(ord, whose, payment_id, seq)
),
u as materialized (
    select * from unnest($5::int4[], $6::uuid[], $7::uuid[], $8::text[], $9::uuid[], $10::int4[],
        $11::uuid[],
        $12::text[], $13::uuid[], $14::int2[], $15::timestamptz[], $16::int2[], $17::uuid[],
        $18::timestamptz[])
    as u(ord, whose, id, mode, payment_id, seq, event_id, event_type, endpoint_id, n,
        at, job_bucket, job_owner, job_lease)
),
owned as (
    insert into reli.delivery_owner (merchant_id, payment_id, seq, endpoint_id, n, delivery_id)
    select u.whose, u.payment_id, u.seq, u.endpoint_id, u.n, u.id from u
    order by u.whose, u.payment_id, u.seq, u.endpoint_id, u.n
    on conflict do nothing
    returning delivery_id
),
deliveries as (
    insert into reli.webhook_delivery (merchant_id, id, mode, payment_id, seq, event_id, event_type,
        endpoint_id, status, revision, tries, next_at, created_at, updated_at)
    select u.whose, u.id, u.mode, u.payment_id, u.seq, u.event_id, u.event_type,
        u.endpoint_id, 'scheduled', 1, 0, u.at, u.at, u.at
    from u where coalesce(u.id in (select delivery_id from owned), false)
),
jobs as (
    insert into reli.job (merchant_id, kind, subject, n, bucket, run_at, lease_owner, lease_until)
    select u.whose, 'delivery', u.id, 0, u.job_bucket, u.at, u.job_owner, u.job_lease
    from u where coalesce(u.id in (select delivery_id from owned), false)
),
done as (
    delete from reli.job j using f
    where j.merchant_id = f.whose and j.kind = 'fanout' and j.subject = f.payment_id
      and j.n = f.seq
)
select u.ord, u.id from u where coalesce(u.id in (select delivery_id from owned), false)

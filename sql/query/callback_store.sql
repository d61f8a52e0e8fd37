-- Stores callbacks with the job that processes each. A body that is known already (same URL, same
-- digest) is left alone. Rows: ord int4, for the new ones.
with u as materialized (
    select * from unnest($1::reli.inbound_new[])
),
kept as (
    insert into reli.provider_event (merchant_id, subject_id, dedupe_key, id, mode, provider,
        payment_id, attempt_n, kind, state, peer, ip_ok, raw, created_at, updated_at)
    select u.whose, u.subject_id, u.dedupe_key, u.id, u.mode, u.provider, u.payment_id,
        u.attempt_n, u.kind, 'received', u.peer, u.ip_ok, u.raw, u.at, u.at
    from u order by u.whose, u.subject_id, u.dedupe_key
    on conflict do nothing
    returning id
),
jobs as (
    insert into reli.job (merchant_id, kind, subject, n, bucket, run_at, lease_owner, lease_until)
    select u.whose, 'inbound', u.subject_id, u.job_n, u.job_bucket, u.at, u.job_owner,
        u.job_lease
    from u where coalesce(u.id in (select id from kept), false)
)
select u.ord from u where coalesce(u.id in (select id from kept), false)

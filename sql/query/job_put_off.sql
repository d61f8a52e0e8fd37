-- Gives jobs back until a time, by who holds them. `now` is not looked at. Rows: ord int4 of those
-- that he held.
with u as materialized (
    select * from unnest($1::int4[], $2::uuid[], $3::text[], $4::uuid[], $5::int4[], $6::uuid[],
        $7::timestamptz[], $8::timestamptz[])
    as u(ord, whose, kind, subject, n, owner, until, now)
),
later as (
    update reli.job j set run_at = u.until, lease_until = u.until
    from u
    where j.merchant_id = u.whose and j.kind = u.kind and j.subject = u.subject and j.n = u.n
      and j.lease_owner = u.owner
    returning u.ord
)
select ord from later

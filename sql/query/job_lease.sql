-- Takes jobs by lease: those that nobody holds at `now`. Rows: ord int4 and tries int2 of those
-- taken.
with u as materialized (
    select * from unnest($1::int4[], $2::uuid[], $3::text[], $4::uuid[], $5::int4[], $6::uuid[],
        $7::timestamptz[], $8::timestamptz[])
    as u(ord, whose, kind, subject, n, owner, until, now)
),
taken as (
    update reli.job j set lease_owner = u.owner, lease_until = u.until,
        tries = least(j.tries + 1, 30000)
    from u
    where j.merchant_id = u.whose and j.kind = u.kind and j.subject = u.subject and j.n = u.n
      and j.lease_until <= u.now and j.run_at <= u.now
    returning u.ord, j.tries
)
select ord, tries from taken

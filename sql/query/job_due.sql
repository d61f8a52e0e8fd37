-- Jobs that nobody holds and whose time has come, some of each kind and bucket. $1 timestamptz now,
-- $2 int8 limit of each, $3 text of an array of kinds. Columns: merchant_id, kind, subject, n,
-- run_at, tries.
select j.merchant_id, j.kind, j.subject, j.n, j.run_at, j.tries
from unnest($3::text::text[]) with ordinality as k(kind, place)
cross join generate_series(0, 7) as b(bucket)
cross join lateral (
    select * from reli.job c
    where c.bucket = b.bucket and c.kind = k.kind and c.run_at <= $1 and c.lease_until <= $1
    order by c.run_at
    limit $2
) j
order by k.place

-- Jobs that nobody holds and whose time has come, some of each bucket. $1 timestamptz now, $2 int8
-- limit per bucket, $3 bool deliveries too. Columns: merchant_id, kind, subject, n, run_at, tries.
select j.merchant_id, j.kind, j.subject, j.n, j.run_at, j.tries
from generate_series(0, 7) as b(bucket)
cross join lateral (
    select * from reli.job c
    where c.bucket = b.bucket and c.run_at <= $1 and c.lease_until <= $1
      and ($3 or c.kind <> 'delivery')
    order by c.run_at
    limit $2
) j

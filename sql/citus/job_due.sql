-- Jobs that nobody holds and whose time has come, the oldest of all: Citus cannot take some of each
-- kind and bucket. Parameters and columns of sql/query/job_due.sql.
select j.merchant_id, j.kind, j.subject, j.n, j.run_at, j.tries
from (
    select c.* from reli.job c
    where c.bucket between 0 and 7 and c.kind = any($3::text::text[]) and c.run_at <= $1
      and c.lease_until <= $1
    order by c.run_at
    limit 16 * $2
) j
order by array_position($3::text::text[], j.kind), j.run_at

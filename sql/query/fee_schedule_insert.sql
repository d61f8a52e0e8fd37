-- The next version of a schedule. $1 uuid merchant, $2 text mode, $3 text currency, $4 text
-- schedule, $5 timestamptz now. Row: the version; none if another one was faster.
insert into reli.fee_schedule (merchant_id, mode, currency, version, schedule, created_at)
select $1::uuid, $2::text, $3::text, v.version, $4::text, $5::timestamptz
from (select coalesce(max(s.version), 0) + 1 as version from reli.fee_schedule s
      where s.merchant_id = $1 and s.mode = $2 and s.currency = $3) v
on conflict do nothing
returning version

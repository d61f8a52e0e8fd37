-- The next version of a schedule. $1 uuid merchant, $2 text mode, $3 text currency, $4 text
-- schedule, $5 timestamptz now. Row: the version; none if there is no such merchant or another one
-- was faster.
insert into reli.fee_schedule (merchant_id, mode, currency, version, schedule, created_at)
select m.merchant_id, $2::text, $3::text,
    (select coalesce(max(s.version), 0) + 1 from reli.fee_schedule s
     where s.merchant_id = $1 and s.mode = $2 and s.currency = $3),
    $4, $5
from reli.merchant m where m.merchant_id = $1
on conflict do nothing
returning version

-- The schedules that count now. $1 uuid merchant, or null for all; $2 int8 limit.
-- Columns: merchant, mode, currency, version, schedule.
select distinct on (s.merchant_id, s.mode, s.currency) s.merchant_id, s.mode, s.currency,
    s.version, s.schedule
from reli.fee_schedule s
where $1::uuid is null or s.merchant_id = $1
order by s.merchant_id, s.mode, s.currency, s.version desc
limit $2

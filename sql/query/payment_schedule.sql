-- The fee schedule that a payment was made with. $1 uuid merchant, $2 uuid payment.
-- Columns: version, schedule; no row if it has none.
select s.version, s.schedule
from reli.payment p
join reli.fee_schedule s on s.merchant_id = p.merchant_id and s.mode = p.mode
    and s.currency = p.currency and s.version = p.fee_version
where p.merchant_id = $1 and p.id = $2

-- The payment that a reference, reference_no or pay_code names. $1 uuid merchant, $2 text mode,
-- $3 text word. Row: payment id, its status and received (null if it is not there).
select r.payment_id, p.status, p.received
from reli.reference_owner r
left join reli.payment p on p.merchant_id = r.merchant_id and p.id = r.payment_id
where r.merchant_id = $1 and r.mode = $2 and r.reference = $3

-- Gives a key back that this payment id holds, when no payment, refund or payout came
-- into being.
-- $1 uuid merchant, $2 text mode, $3 text key, $4 uuid subject, $5 timestamptz: if
-- its lease ends by then.
delete from reli.idempotency
where merchant_id = $1 and mode = $2 and key = $3 and payment_id = $4 and problem is null
  and lease_until <= $5
  and not exists (select from reli.payment p where p.merchant_id = $1 and p.id = $4)
  and not exists (select from reli.refund r where r.merchant_id = $1 and r.id = $4)
  and not exists (select from reli.payout o where o.merchant_id = $1 and o.id = $4)

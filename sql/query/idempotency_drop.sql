-- Gives a key back that has no answer, whether its subject is there or not. $1 uuid merchant,
-- $2 text mode, $3 text key, $4 uuid subject, $5 timestamptz: if its lease ends then, so not what
-- somebody else has taken since.
delete from reli.idempotency
where merchant_id = $1 and mode = $2 and key = $3 and payment_id = $4 and http_status is null
  and lease_until = $5

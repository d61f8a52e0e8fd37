-- Sets a refusal as the answer of a key that this payment id holds. $1 uuid merchant, $2 text mode,
-- $3 text key, $4 uuid payment id, $5 int2 status, $6 text problem, $7 timestamptz end of its lease
-- (null: the id is nobody else's). Rows: one per record; none: the key is not its own any more, or
-- has an answer.
update reli.idempotency set http_status = $5, seq = null, problem = $6
where merchant_id = $1 and mode = $2 and key = $3 and payment_id = $4 and problem is null
  and ($7::timestamptz is null or lease_until = $7)
returning payment_id

-- Sets the answer of a key that this subject holds. $1 uuid merchant, $2 text mode, $3 text key, $4
-- uuid subject, $5 int2 status, $6 int4 seq, $7 timestamptz end of its lease (null: the subject is
-- nobody else's).
update reli.idempotency set http_status = $5, seq = $6
where merchant_id = $1 and mode = $2 and key = $3 and payment_id = $4 and http_status is null
  and ($7::timestamptz is null or lease_until = $7)

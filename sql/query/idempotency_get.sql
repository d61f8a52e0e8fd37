-- What is known of a key, with the snapshot that was answered and the payment as it is now.
-- $1 uuid merchant, $2 text mode, $3 text key, $4 int2 and $5 int2 slots in use, $6 uuid and $7
-- uuid what its id is between, so that most partitions need not be opened.
-- Columns: fingerprint, payment_id, http_status, provider_ref, problem, lease_until, created_at,
-- data of the event (null if there is none), then pii, status, expires_at and op_id of the payment.
-- The limits within keep these from becoming joins, which would begin with all that is between.
select i.fingerprint, i.payment_id, i.http_status, i.provider_ref, i.problem, i.lease_until,
    i.created_at, e.data, p.pii, p.status, p.expires_at, p.op_id
from reli.idempotency i
left join lateral (
    select o.pii, o.status, o.expires_at, o.op_id
    from reli.payment o
    where o.merchant_id = $1 and o.id = i.payment_id and o.id between $6 and $7
    limit 1
) p on true
left join lateral (
    select o.data
    from reli.event o
    where o.merchant_id = $1 and o.subject_id = i.payment_id and o.seq = i.seq
      and o.subject_id between $6 and $7
    limit 1
) e on true
where i.merchant_id = $1 and i.mode = $2 and i.key = $3 and i.slot in ($4, $5)
order by i.created_at
limit 1

-- What is known of a key, with the snapshot that was answered and the payment as it is now.
-- $1 uuid merchant, $2 text mode, $3 text key, $4 int2 and $5 int2 slots in use.
-- Columns: fingerprint, payment_id, http_status, provider_ref, problem, lease_until, created_at,
-- data of the event (null if there is none), then pii, status, expires_at and op_id of the payment.
select i.fingerprint, i.payment_id, i.http_status, i.provider_ref, i.problem, i.lease_until,
    i.created_at, e.data, p.pii, p.status, p.expires_at, p.op_id
from reli.idempotency i
left join reli.payment p on p.merchant_id = i.merchant_id and p.id = i.payment_id
left join reli.event e on e.merchant_id = i.merchant_id and e.subject_id = i.payment_id
    and e.seq = i.seq
where i.merchant_id = $1 and i.mode = $2 and i.key = $3 and i.slot in ($4, $5)
order by i.created_at
limit 1

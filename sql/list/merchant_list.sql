-- Merchants, the newest first. $1 text status, null: all; $2 to $5 the part. Columns: id, name,
-- country, status, kyc_level, require_idempotency_key, refund_approval_above, created_at,
-- updated_at, version, payout_approval_above, strict_uuid.
select m.merchant_id, m.name, m.country, m.status, m.kyc_level, m.require_idempotency_key,
    m.refund_approval_above, m.created_at, m.updated_at, m.version, m.payout_approval_above,
    m.strict_uuid
from reli.merchant m
where ($1::text is null or m.status = $1)
  and m.merchant_id >= $2 and m.merchant_id < $3
order by m.merchant_id desc
limit $4 offset $5

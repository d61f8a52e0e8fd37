-- Merchants, the newest first. $1 uuid after which, null: from the newest, $2 text status, null:
-- all, $3 int8 limit, $4 uuid only this one, null: all. Columns: id, name, country, status,
-- kyc_level, require_idempotency_key, refund_approval_above, created_at, updated_at, version,
-- payout_approval_above, strict_uuid.
select m.merchant_id, m.name, m.country, m.status, m.kyc_level, m.require_idempotency_key,
    m.refund_approval_above, m.created_at, m.updated_at, m.version, m.payout_approval_above,
    m.strict_uuid
from reli.merchant m
where ($1::uuid is null or m.merchant_id < $1) and ($2::text is null or m.status = $2)
  and ($4::uuid is null or m.merchant_id = $4)
order by m.merchant_id desc
limit $3

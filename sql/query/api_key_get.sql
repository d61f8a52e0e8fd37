-- The key behind a hash, with what its merchant allows. $1 bytea hash.
select k.merchant_id, k.id, k.mode, k.scopes, k.status, k.expires_at, m.status, m.country,
    m.require_idempotency_key, m.refund_approval_above, m.kyc_level, k.cidrs, k.last_used_at,
    m.payout_approval_above, m.strict_uuid, k.created_by
from reli.api_key_lookup l
join reli.api_key k on k.merchant_id = l.merchant_id and k.id = l.id
join reli.merchant m on m.merchant_id = l.merchant_id
where l.key_hash = $1

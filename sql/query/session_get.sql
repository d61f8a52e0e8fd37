-- A session, who has it, and what the merchant that is acted for allows. $1 uuid session, $2 uuid
-- the merchant that staff act for, null: the session's own. Rows: none if there is no such session
-- or its person or membership does not count any more. Columns: user, for_merchant, role,
-- last_seen_at, refresh_until, ends_at, revoked_at, created_at, merchant's status (null: there is
-- none), country, require_idempotency_key, refund_approval_above, kyc_level,
-- payout_approval_above, strict_uuid, stands_for.
select s.user_id, s.for_merchant, ms.role, s.last_seen_at, s.refresh_until, s.ends_at,
    s.revoked_at, s.created_at, m.status, m.country, m.require_idempotency_key,
    m.refund_approval_above, m.kyc_level, m.payout_approval_above, m.strict_uuid,
    u.stands_for
from reli.session s
join reli.account_user u on u.merchant_id = s.merchant_id and u.id = s.user_id
    and u.status = 'active'
join reli.membership ms on ms.merchant_id = s.for_merchant and ms.user_id = s.user_id
    and ms.status = 'active'
left join reli.merchant m on m.merchant_id = coalesce($2::uuid, s.for_merchant)
where s.merchant_id = '00000000-0000-0000-0000-000000000000' and s.id = $1

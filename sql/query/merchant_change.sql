-- Changes what may be changed; what is null, or below zero, is left. $1 uuid merchant, $2 text
-- name, $3 text country, $4 int2 require_idempotency_key, $5 int8 refund_approval_above, 0 none,
-- $6 int2 kyc_level, $7 timestamptz now, $8 uuid audit id, $9 text actor, $10 text what was
-- changed, $11 int8 payout_approval_above, 0 none, $12 int2 strict_uuid. Row: the id.
with changed as (
    update reli.merchant m set name = coalesce($2::text, m.name),
        country = coalesce($3::text, m.country),
        require_idempotency_key = case when $4 < 0 then m.require_idempotency_key else $4 > 0 end,
        refund_approval_above = case when $5 < 0 then m.refund_approval_above
                                     else nullif($5, 0) end,
        payout_approval_above = case when $11 < 0 then m.payout_approval_above
                                     else nullif($11, 0) end,
        strict_uuid = case when $12 < 0 then m.strict_uuid else $12 > 0 end,
        kyc_level = case when $6 < 0 then m.kyc_level else $6 end,
        updated_at = $7, version = m.version + 1
    where m.merchant_id = $1
    returning m.merchant_id
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $1, $1, $8, 'live', 'merchant.changed', $9, $10, $7
    from changed
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $1, $8, array[$8]::uuid[], array[$1]::uuid[], '{0}', '{0}',
        array[$8]::uuid[], '{null}', '{null}', '{0}'
    from changed
)
select merchant_id from changed

-- Ends a stored callback that moved nothing, with its job. $1 uuid merchant, $2 uuid subject, $3
-- bytea dedupe key, $4 int4 n of the job, $5 text state, $6 text reason, $7 timestamptz now; $8
-- uuid of an exception to raise or null, $9 text its kind, $10 text mode, $11 uuid its subject; $12
-- uuid the payment that it was about after all, or null.
with closed as (
    update reli.provider_event set state = $5, reason = $6, updated_at = $7,
        payment_id = case when $5 = 'processed' then coalesce($12::uuid, payment_id)
                     else payment_id end,
        version = version + 1
    where merchant_id = $1 and subject_id = $2 and dedupe_key = $3
    returning merchant_id
),
raised as (
    insert into reli.exception_item (merchant_id, id, mode, kind, subject_id, detail, status,
        created_at, updated_at)
    select c.merchant_id, $8, $10, $9, $11, $6, 'open', $7, $7
    from closed c where $8::uuid is not null
)
delete from reli.job where merchant_id = $1 and kind = 'inbound' and subject = $2 and n = $4

-- $1 uuid merchant, $2 text name, $3 text country, $4 bytea sealed webhook secret, $5 timestamptz
-- now, $6 int8 refunds above which need a second person, 0 none, $7 text status, $8 uuid audit id,
-- $9 text actor. Row: the id.
with made as (
    insert into reli.merchant (merchant_id, name, country, status, webhook_secret,
        refund_approval_above, created_at, updated_at)
    values ($1, $2, $3, $7, $4, nullif($6, 0), $5, $5)
    returning merchant_id
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $1, $1, $8, 'live', 'merchant.created', $9, $7, $5
    from made
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $1, $8, array[$8]::uuid[], array[$1]::uuid[], '{0}', '{0}',
        array[$8]::uuid[], '{null}', '{null}', '{0}'
    from made
)
select merchant_id from made

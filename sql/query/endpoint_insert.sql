-- An endpoint, in a slot that was free a moment ago, with the audit row: at most 16 a merchant and
-- mode. $1 uuid merchant, $2 uuid id, $3 text mode, $4 text url, $5 text events, $6 text
-- description, $7 bytea secrets, $8 timestamptz now, $9 bool ordered, $10 int4 slot, $11 uuid audit
-- id, $12 text actor. Row: the id if the slot was free.
with made as (
    insert into reli.webhook_endpoint (merchant_id, id, mode, url, events, description, status,
        secrets, created_at, updated_at, ordered, slot)
    values ($1, $2, $3, $4, $5, $6, 'enabled', $7, $8, $8, $9, $10::int4)
    on conflict (merchant_id, mode, slot) do nothing
    returning id
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $1, $2, $11, $3, 'webhook_endpoint.created', $12, null, $8 from made
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $1, $11, array[$11], array[$2], '{0}', '{0}', array[$11], '{null}',
        '{null}', '{0}'
    from made
)
select id from made

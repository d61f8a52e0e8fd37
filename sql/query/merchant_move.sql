-- A merchant's next state, by compare-and-set. $1 uuid merchant, $2 text from, $3 text to, $4
-- timestamptz now, $5 uuid audit id, $6 text actor. Row: the id, if it was moved.
with moved as (
    update reli.merchant m set status = $3, updated_at = $4, version = m.version + 1
    where m.merchant_id = $1 and m.status = $2
    returning m.merchant_id
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, before, after,
        created_at)
    select $1, $1, $5, 'live', 'merchant.' || $3, $6, $2, $3, $4
    from moved
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $1, $5, array[$5]::uuid[], array[$1]::uuid[], '{0}', '{0}', array[$5]::uuid[],
        '{null}', '{null}', '{0}'
    from moved
)
select merchant_id from moved

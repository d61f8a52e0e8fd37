-- Ends a key. $1 uuid merchant, $2 uuid id, $3 text mode, $4 timestamptz now, $5 uuid audit id, $6
-- text actor. Row: the id if there is such a key, revoked now or before.
with k as (
    update reli.api_key k set status = 'revoked', updated_at = $4, version = k.version + 1
    where k.merchant_id = $1 and k.id = $2 and k.mode = $3 and k.status <> 'revoked'
    returning k.id
),
a as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $1, $2, $5, $3, 'api_key.revoked', $6, null, $4 from k
),
l as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $1, $5, array[$5]::uuid[], array[$2]::uuid[], '{0}', '{0}', array[$5]::uuid[], '{null}',
        '{null}', '{0}' from k
)
select o.id from reli.api_key o where o.merchant_id = $1 and o.id = $2 and o.mode = $3

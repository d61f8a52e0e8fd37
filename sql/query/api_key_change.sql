-- Changes a key that can be used. $1 uuid merchant, $2 uuid id, $3 text mode, $4 int4 version that
-- was read, $5 text name, $6 text cidrs, $7 timestamptz now, $8 uuid audit id, $9 text actor, $10
-- text what changed. Row: the id; none if it is not as it was read.
with k as (
    update reli.api_key k set name = $5, cidrs = $6, updated_at = $7, version = k.version + 1
    where k.merchant_id = $1 and k.id = $2 and k.mode = $3 and k.version = $4
      and k.status <> 'revoked'
    returning k.id
),
a as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $1, $2, $8, $3, 'api_key.changed', $9, $10, $7 from k
),
l as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $1, $8, array[$8]::uuid[], array[$2]::uuid[], '{0}', '{0}', array[$8]::uuid[], '{null}',
        '{null}', '{0}' from k
)
select id from k

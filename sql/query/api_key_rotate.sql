-- A new key in the place of one that is active: same name, scopes, networks and end; it stands for
-- whoever is given it, $14. The old one lives on until $5. $1 uuid merchant, $2 uuid old, $3 text
-- mode, $4 int4 version of the old one that was read, $5 timestamptz its end, $6 timestamptz now,
-- $7 uuid new, $8 text prefix, $9 bytea hash, $10 timestamptz the end of the new one, $11 and $12
-- uuid audit ids, $13 text actor, $14 text a person. Row: the new id; none if the old one is not as
-- it was read.
with o as (
    update reli.api_key k set status = case when $5 <= $6 then 'revoked' else 'rotating' end,
        expires_at = least(k.expires_at, $5), updated_at = $6, version = k.version + 1
    where k.merchant_id = $1 and k.id = $2 and k.mode = $3 and k.version = $4
      and k.status = 'active' and (k.expires_at is null or k.expires_at > $6)
    returning k.name, k.scopes, k.cidrs
),
k as (
    insert into reli.api_key (merchant_id, id, mode, name, prefix, scopes, cidrs, status,
        expires_at, created_by, created_at, updated_at)
    select $1, $7::uuid, $3, o.name, $8, o.scopes, o.cidrs, 'active', $10, $14, $6, $6 from o
    returning merchant_id, id, scopes
),
h as (
    insert into reli.api_key_lookup (key_hash, merchant_id, id)
    select $9, k.merchant_id, k.id from k
),
a as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $1, v.subject, v.id, $3, v.action, $13, v.detail, $6
    from k
    cross join lateral (values
        ($2::uuid, $11::uuid, 'api_key.rotated', 'by ' || $7::text),
        ($7::uuid, $12::uuid, 'api_key.created', $8 || ' ' || k.scopes)
    ) v (subject, id, action, detail)
),
l as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $1, $11, array[$11, $12]::uuid[], array[$2, $7]::uuid[], '{0,0}', '{0,0}',
        array[$11, $12]::uuid[], '{null,null}', '{null,null}', '{0,0}'
    from k
)
select id from k

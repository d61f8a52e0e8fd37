-- A new key with its audit row; a live one needs an approved merchant, and a merchant has at most
-- 100 a mode that can be used. $1 uuid merchant, $2 uuid id, $3 text mode, $4 text prefix, $5 text
-- scopes, $6 bytea hash, $7 timestamptz now, $8 text name, $9 text cidrs, $10 timestamptz expires,
-- $11 uuid audit id, $12 text actor, $13 text whom it stands for, null: for itself. Row: the id if
-- it was made, and whether the merchant may have one.
with m as (
    select merchant_id from reli.merchant
    where merchant_id = $1
      and ((status = 'active' and kyc_level > 0)
           or ($3::text = 'test' and status in ('onboarding', 'active')))
),
k as (
    insert into reli.api_key (merchant_id, id, mode, name, prefix, scopes, cidrs, status,
        expires_at, created_by, created_at, updated_at)
    select m.merchant_id, $2::uuid, $3, $8, $4, $5, $9, 'active', $10, $13, $7, $7
    from m
    where (select count(*) from reli.api_key o
           where o.merchant_id = $1 and o.mode = $3 and o.status <> 'revoked'
             and (o.expires_at is null or o.expires_at > $7)) < 100
    returning merchant_id, id
),
h as (
    insert into reli.api_key_lookup (key_hash, merchant_id, id)
    select $6, k.merchant_id, k.id from k
),
a as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $1, $2, $11, $3, 'api_key.created', $12, $4 || ' ' || $5, $7 from k
),
l as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $1, $11, array[$11]::uuid[], array[$2]::uuid[], '{0}', '{0}', array[$11]::uuid[],
        '{null}', '{null}', '{0}'
    from k
)
select (select id from k), exists (select from m)

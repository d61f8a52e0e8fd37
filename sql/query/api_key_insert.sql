-- $1 uuid merchant, $2 uuid id, $3 text mode, $4 text prefix, $5 text scopes, $6 bytea hash, $7
-- timestamptz now. A live key needs an approved merchant. Row: the id if it was made.
with m as (
    select merchant_id from reli.merchant
    where merchant_id = $1 and status = 'active' and ($3::text = 'test' or kyc_level > 0)
),
k as (
    insert into reli.api_key (merchant_id, id, mode, prefix, scopes, status, created_at, updated_at)
    select m.merchant_id, $2::uuid, $3, $4, $5, 'active', $7, $7 from m
    returning merchant_id, id
)
insert into reli.api_key_lookup (key_hash, merchant_id, id)
select $6, k.merchant_id, k.id from k
returning id

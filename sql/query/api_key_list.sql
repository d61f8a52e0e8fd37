-- A merchant's keys, newest first. $1 uuid merchant, $2 text mode, $3 uuid cursor or null, $4 int8
-- limit.
select k.id, k.mode, k.name, k.prefix, k.scopes, k.cidrs, k.status, k.expires_at, k.last_used_at,
    k.created_at, k.updated_at, k.version
from reli.api_key k
where k.merchant_id = $1 and k.mode = $2
  and k.id < coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
order by k.id desc
limit $4

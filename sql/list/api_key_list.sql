-- A merchant's keys, newest first. $1 uuid merchant, $2 text mode; $3 to $6 the part.
select k.id, k.mode, k.name, k.prefix, k.scopes, k.cidrs, k.status, k.expires_at, k.last_used_at,
    k.created_at, k.updated_at, k.version, k.created_by
from reli.api_key k
where k.merchant_id = $1 and k.mode = $2
  and k.id >= $3 and k.id < $4
order by k.id desc
limit $5 offset $6

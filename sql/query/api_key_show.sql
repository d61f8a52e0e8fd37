-- One or two keys. $1 uuid merchant, $2 text mode, $3 and $4 uuid ids or null. Columns as in
-- api_key_list.
select k.id, k.mode, k.name, k.prefix, k.scopes, k.cidrs, k.status, k.expires_at, k.last_used_at,
    k.created_at, k.updated_at, k.version, k.created_by
from reli.api_key k
where k.merchant_id = $1 and k.mode = $2 and k.id in ($3, $4)

-- When keys were used. $1 json: a list of merchant_id, id, at. Nothing is returned.
update reli.api_key k set last_used_at = greatest(k.last_used_at, u.at)
from json_to_recordset($1::json) as u(merchant_id uuid, id uuid, at timestamptz)
where k.merchant_id = u.merchant_id and k.id = u.id

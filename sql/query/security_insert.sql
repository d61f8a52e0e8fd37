-- Security events. $1 json: a list of rows. Nothing is returned.
insert into reli.security_event (merchant_id, id, kind, address, actor, route, detail, times,
    created_at, last_at)
select e.merchant_id, e.id, e.kind, e.address, e.actor, e.route, e.detail, e.times, e.created_at,
    e.last_at
from json_to_recordset($1::json) as e(merchant_id uuid, id uuid, kind text, address text,
    actor text, route text, detail text, times int8, created_at timestamptz, last_at timestamptz)

-- A merchant's webhook endpoints, oldest first, with their slots behind the columns of
-- endpoint_get. $1 uuid merchant, $2 text mode.
select w.id, w.mode, w.url, w.events, w.description, w.status, w.status_reason, w.secrets,
    w.created_at, w.updated_at, w.ordered, w.slot
from reli.webhook_endpoint w
where w.merchant_id = $1 and w.mode = $2
order by w.id
limit 100

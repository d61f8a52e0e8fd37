-- $1 uuid merchant, $2 uuid endpoint, $3 text mode. Columns as in endpoint_list,
-- but for the slot.
select w.id, w.mode, w.url, w.events, w.description, w.status, w.status_reason, w.secrets,
    w.created_at, w.updated_at, w.ordered
from reli.webhook_endpoint w
where w.merchant_id = $1 and w.id = $2 and w.mode = $3

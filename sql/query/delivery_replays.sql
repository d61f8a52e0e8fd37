-- The number of the next delivery of the same event to the same place. $1 uuid merchant, $2 uuid
-- delivery, $3 text mode.
-- Columns: payment_id, seq, event_id, event_type, endpoint_id, mode, next n, bool whether it would
-- go there: not if the endpoint is disabled or deleted.
select d.payment_id, d.seq, d.event_id, d.event_type, d.endpoint_id, d.mode,
    (select max(o.n) + 1 from reli.delivery_owner o
     where o.merchant_id = d.merchant_id and o.payment_id = d.payment_id and o.seq = d.seq
       and o.endpoint_id = d.endpoint_id)::int8,
    d.endpoint_id = d.payment_id or exists (select 1 from reli.webhook_endpoint w
        where w.merchant_id = d.merchant_id and w.id = d.endpoint_id and w.status = 'enabled')
from reli.webhook_delivery d
where d.merchant_id = $1 and d.id = $2 and d.mode = $3

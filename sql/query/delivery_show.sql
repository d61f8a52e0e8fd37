-- One delivery. $1 uuid merchant, $2 text mode, $3 uuid delivery. Columns as in delivery_list.
select d.id, d.payment_id, d.seq, d.event_id, d.event_type, d.endpoint_id, d.status, d.tries,
    d.next_at, d.last_http, d.last_error, d.created_at, d.updated_at
from reli.webhook_delivery d
where d.merchant_id = $1 and d.mode = $2 and d.id = $3
